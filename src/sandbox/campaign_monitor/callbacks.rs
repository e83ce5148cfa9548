//! Webhook payloads: an envelope with the list's id and its events (vendor page "Webhooks").
//!
//! The XML form is undocumented; the natural element names are our reading.

use super::Format;
use crate::sandbox::Sealed;
use quick_xml::escape::escape;
use serde_json::{Value, json};
use std::fmt::Write;

/// Makes a request of some events. All of them are of the first one's list.
pub fn seal(format: Format, events: &[Value]) -> Sealed {
    let list = events.first().and_then(|event| event["ListID"].as_str()).unwrap_or_default().to_owned();
    let events: Vec<Value> = events.iter().cloned().map(without_list).collect();
    let (content_type, body) = match format {
        Format::Json => ("application/json", json!({ "ListID": list, "Events": events }).to_string()),
        Format::Xml => ("application/xml", xml(&list, &events)),
    };
    Sealed { headers: vec![("content-type", content_type.to_owned())], body: body.into_bytes() }
}

fn without_list(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        fields.remove("ListID");
    }
    event
}

fn xml(list: &str, events: &[Value]) -> String {
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Webhook><ListID>{}</ListID><Events>", escape(list));
    for event in events {
        text.push_str("<Event>");
        for (key, value) in event.as_object().into_iter().flatten() {
            match value {
                Value::Array(fields) => {
                    let _ = write!(text, "<{key}>");
                    for field in fields {
                        let of = |name: &str| escape(field[name].as_str().unwrap_or_default()).into_owned();
                        let _ = write!(
                            text,
                            "<CustomField><Key>{}</Key><Value>{}</Value></CustomField>",
                            of("Key"),
                            of("Value")
                        );
                    }
                    let _ = write!(text, "</{key}>");
                }
                value => {
                    let _ = write!(text, "<{key}>{}</{key}>", escape(value.as_str().unwrap_or_default()));
                }
            }
        }
        text.push_str("</Event>");
    }
    text.push_str("</Events></Webhook>");
    text
}
