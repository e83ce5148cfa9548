//! System webhooks: a frame with events, signed over the body and, after it, the time (vendor page "Working with system
//! webhooks"). How the time is spelled in its header isn't documented; an HTTP date is what others found.

use crate::sandbox::Sealed;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

/// Makes a request of some events.
pub fn seal(secret: &str, now: Timestamp, events: &[Value]) -> Sealed {
    let at = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let meta = json!({
        "klaviyo_account_id": "Xy12Za", "klaviyo_webhook_id": "simulated", "timestamp": now.to_string(), "version": "0.0.1",
    });
    let body = json!({ "data": events, "meta": meta }).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
    mac.update(body.as_bytes());
    mac.update(at.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    Sealed {
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("klaviyo-signature", signature),
            ("klaviyo-timestamp", at),
            ("klaviyo-webhook-id", "simulated".to_owned()),
        ],
        body: body.into_bytes(),
    }
}
