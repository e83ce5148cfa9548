//! What a callback may say, for the API document. `callback` reads it; what either leaves out isn't refused for its
//! shape.

use crate::esp::schema::{anything, text};
use serde_json::json;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, Schema, SchemaType};
use utoipa::openapi::{Content, ContentBuilder, Object, ObjectBuilder, Type};

/// What is taken of each media type.
pub fn all() -> Vec<(&'static str, Content)> {
    let record = ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(
        "A record, as below. What is none is recorded as `malformed`, and keeps no other from its end.",
    ));
    let records = ArrayBuilder::new().items(record).description(Some("Several records."));
    let whole = AnyOfBuilder::new().item(records).item(one());
    let example = json!([{
        "object": "Contact", "id": "0035e00000ZkM3hAAF",
        "fields": { "Email": "ann@example.org", "HasOptedOutOfEmail": true },
    }]);
    let json = ContentBuilder::new().schema(Some(Schema::from(whole))).example(Some(example)).build();
    let message = "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>\
                   <notifications xmlns=\"http://soap.sforce.com/2005/09/outbound\">\
                   <OrganizationId>00D5e000000KQ2eEAG</OrganizationId><ActionId>04k5e000000CaRkAAK</ActionId>\
                   </notifications></soapenv:Body></soapenv:Envelope>";
    let xml = ContentBuilder::new()
        .schema(Some(text("An Outbound Message, as Salesforce's WSDL has it. A document type is refused.")))
        .example(Some(json!(message)))
        .build();
    vec![("application/json", json), ("text/xml", xml)]
}

fn one() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("One record that was changed."))
        .property(
            "object",
            anything("`Contact`, `Lead` or `Account` (or `PersonAccount`), in any case; another one is `malformed`."),
        )
        .property("id", anything("The record's id. The record is read."))
        .property("deleted", anything("True if it was deleted, which is an opt-out."))
        .property("fields", anything("What it says, by API names; counts if the record isn't there anymore."))
        .build()
}
