//! What a callback may be, for the API document: the description alone knows.

use crate::esp::schema::anything;
use serde_json::json;
use utoipa::openapi::{Content, ContentBuilder, Object, ObjectBuilder, Type};

/// What is taken of each media type.
pub fn all() -> Vec<(&'static str, Content)> {
    let example = json!([{ "type": "unsubscribe", "email": "ann@example.org", "at": "2026-03-01T12:00:00Z" }]);
    let json = ContentBuilder::new()
        .schema(Some(anything("One event, a list of them, or whatever has one where the description says.")))
        .example(Some(example))
        .build();
    let form: Object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("One event, where the description says that it comes as a form."))
        .build();
    let form = ContentBuilder::new().schema(Some(form)).example(Some(json!({ "type": "unsubscribe" }))).build();
    vec![("application/json", json), ("application/x-www-form-urlencoded", form)]
}
