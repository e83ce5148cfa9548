//! Members of a body, for the API document.

use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// A text.
#[must_use]
pub fn text(description: &str) -> Object {
    of(Type::String, description)
}

/// A text, or null.
#[must_use]
pub fn or_null(description: &str) -> Object {
    of(SchemaType::from_iter([Type::String, Type::Null]), description)
}

/// Whatever it is.
#[must_use]
pub fn anything(description: &str) -> Object {
    of(SchemaType::AnyValue, description)
}

fn of(kind: impl Into<SchemaType>, description: &str) -> Object {
    ObjectBuilder::new().schema_type(kind).description(Some(description)).build()
}
