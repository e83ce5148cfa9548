//! Webhook payloads: one event a request, as a form with brackets in its keys (vendor page "Webhooks").

use crate::sandbox::Sealed;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::Value;
use sha2::Sha256;

/// Makes a request of an event, whose keys are the form's. With a secret it is signed.
pub fn seal(secret: Option<&str>, now: Timestamp, events: &[Value]) -> Sealed {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in events.iter().filter_map(Value::as_object).flatten() {
        form.append_pair(key, value.as_str().unwrap_or_default());
    }
    let body = form.finish();
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
    if let Some(secret) = secret {
        let at = now.as_second();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
        mac.update(format!("{at}.{body}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        headers.push(("x-mailchimp-signature", format!("t={at},v1={signature}")));
    }
    Sealed { headers, body: body.into_bytes() }
}
