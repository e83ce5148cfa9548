//! Webhook payloads of type `marketing`: one event a request, without any signature; a bearer token, if so asked when
//! the webhook is made (vendor page "Secure webhook calls").

use crate::sandbox::Sealed;
use serde_json::Value;

/// Makes a request of an event.
pub fn seal(token: &str, events: &[Value]) -> Sealed {
    let body = match events {
        [event] => event.to_string(),
        many => Value::from(many.to_vec()).to_string(),
    };
    let authorization = format!("Bearer {token}");
    Sealed {
        headers: vec![("content-type", "application/json".to_owned()), ("authorization", authorization)],
        body: body.into_bytes(),
    }
}
