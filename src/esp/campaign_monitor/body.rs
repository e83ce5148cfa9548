//! What a webhook may say, for the API document. `callback` reads it; what either leaves out isn't refused for its
//! shape.

use crate::esp::schema::{or_null, text};
use serde_json::json;
use utoipa::openapi::schema::{Array, ArrayBuilder, SchemaType};
use utoipa::openapi::{Content, ContentBuilder, Object, ObjectBuilder, Type};

const XML: &str = "<Callback><ListID>6f3e1a9c4b7d2e5f8a0b1c2d3e4f5a6b</ListID><Events><Event><Type>Deactivate</Type>\
                   <Date>2026-03-01 12:00:00</Date><EmailAddress>ann@example.org</EmailAddress>\
                   <State>Unsubscribed</State></Event></Events></Callback>";

/// What is taken of each media type.
pub fn all() -> Vec<(&'static str, Content)> {
    let example = json!({
        "ListID": "6f3e1a9c4b7d2e5f8a0b1c2d3e4f5a6b",
        "Events": [{
            "Type": "Deactivate", "Date": "2026-03-01 12:00:00", "EmailAddress": "ann@example.org",
            "State": "Unsubscribed",
            "CustomFields": [{ "Key": "GigyaUID", "Value": "8d7c0f0b6a5e4d3c9b2a1f0e9d8c7b6a" }],
        }],
    });
    let json = ContentBuilder::new().schema(Some(callback())).example(Some(example)).build();
    let xml = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The same, in elements of these names; an `Event` each in `Events`."));
    let xml = ContentBuilder::new().schema(Some(xml.build())).example(Some(json!(XML))).build();
    vec![("application/json", json), ("application/xml", xml)]
}

fn callback() -> Object {
    let events = ArrayBuilder::new().items(event()).description(Some("What happened, in order."));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("ListID", text("The list. One that no route names is refused with 400."))
        .required("ListID")
        .property("Events", events)
        .required("Events")
        .build()
}

fn event() -> Object {
    let field = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("Key", text("The field's name, as a key."))
        .property("Value", or_null("Its value."));
    let fields = Array::new(field.build());
    let fields = ArrayBuilder::from(fields).schema_type(SchemaType::from_iter([Type::Array, Type::Null]));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("Type", text("`Subscribe`, `Update` or `Deactivate`."))
        .required("Type")
        .property("Date", or_null("When, in the client's time zone."))
        .property("EmailAddress", or_null("Whom it is about. An event without it is recorded as `malformed`."))
        .property("OldEmailAddress", or_null("The address before, where an Update changed it."))
        .property("State", or_null("What the subscriber is now: `Active`, `Unsubscribed`, ..."))
        .property("CustomFields", fields.description(Some("Among them the one with the Gigya UID.")))
        .build()
}
