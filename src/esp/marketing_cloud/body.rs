//! What a callback may say, for the API document. `callback` reads it; what either leaves out isn't refused for its
//! shape.

use crate::esp::schema::{anything, text};
use serde_json::json;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, Schema, SchemaType};
use utoipa::openapi::{Content, ContentBuilder, Object, ObjectBuilder, Type};

/// What is taken of each media type.
pub fn all() -> Vec<(&'static str, Content)> {
    let event = ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(
        "An event, as below. What is none is recorded as `malformed`, and keeps no other from its end.",
    ));
    let events = ArrayBuilder::new().items(event).description(Some("Events of one or more mailings."));
    let whole = AnyOfBuilder::new().item(events).item(one_event()).item(handshake());
    let example = json!([{
        "eventCategoryType": "EngagementEvents.EmailUnsubscribe", "timestampUTC": 1_900_000_000_000_i64,
        "mid": 100_001, "eid": 100_001, "compositeId": "1.1.2.3",
        "composite": { "jobId": "1", "batchId": "2", "listId": "1", "subscriberId": "3" },
        "info": { "to": "ann@example.org", "unsubscribeMethod": "Click" },
    }]);
    let content = ContentBuilder::new().schema(Some(Schema::from(whole))).example(Some(example)).build();
    vec![("application/json", content)]
}

fn one_event() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("One event alone."))
        .property("eventCategoryType", anything("`EngagementEvents.EmailUnsubscribe`; others are ignored."))
        .required("eventCategoryType")
        .property("timestampUTC", anything("When: Unix time, in milliseconds."))
        .property("mid", anything("The business unit. If none of the body's is one of the connection's: 401."))
        .property("composite", anything("`subscriberId` says who left, `listId` what."))
        .property("compositeId", anything("The same, joined by dots."))
        .property("info", anything("`to` is the address that was mailed; `subscriberKey` is read where it is told."))
        .build()
}

fn handshake() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("The verification of a new callback. Unless `registering = true`: 401."))
        .property("callbackId", text("The callback."))
        .required("callbackId")
        .property("verificationKey", text("What is sent back to verify it."))
        .required("verificationKey")
        .build()
}
