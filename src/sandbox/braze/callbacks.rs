//! The webhook message of a campaign: a body and headers that the customer wrote. This one is the gateway's own advice.

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
