//! What calls are answered.

use super::world::Refused;
use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Value, json};

/// A status with a body.
pub(super) type Answer = Result<(u16, Value), Refused>;

/// An answer as it goes over the wire: a refusal is a list of one error.
pub(super) fn render(answer: Answer) -> Response<Body> {
    let (status, body) = match answer {
        Ok((status, Value::Null)) => (status, String::new()),
        Ok((status, body)) => (status, body.to_string()),
        Err((412, _)) => (412, String::new()),
        Err((status, code)) => (status, json!([error("errorCode", code)]).to_string()),
    };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json;charset=UTF-8");
    response.body(Body::from(body)).expect("the statuses here are valid")
}

/// What became of one record of a collection.
pub(super) fn saved(result: Result<(bool, String), Refused>) -> Value {
    match result {
        Ok((created, id)) => json!({ "id": id, "success": true, "created": created, "errors": [] }),
        Err((_, code)) => json!({ "success": false, "errors": [error("statusCode", code)] }),
    }
}

fn error(name: &str, code: &str) -> Value {
    json!({ name: code, "message": "as simulated", "fields": [] })
}

/// What an object is made of, as far as anybody asks.
pub(super) fn described(checkbox: &str, address: &str) -> Value {
    let field = |name: &str, kind: &str| {
        json!({
            "name": name, "type": kind, "updateable": true, "externalId": false, "unique": false, "defaultValue": null,
        })
    };
    let mut uid = field(super::world::UID, "string");
    (uid["externalId"], uid["unique"]) = (true.into(), true.into());
    let mut out = field(checkbox, "boolean");
    out["defaultValue"] = false.into();
    let others =
        [("FirstName", "string"), ("LastName", "string"), (super::world::TIME, "datetime"), (address, "email")];
    let others = others.into_iter().map(|(name, kind)| field(name, kind));
    let fields: Value = [uid, out].into_iter().chain(others).collect();
    json!({ "fields": fields })
}
