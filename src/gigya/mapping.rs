//! From an account to what an ESP gets to know of a person, by a route's field mapping.

use super::account::Account;
use crate::config::{FieldSource, Route, TemplatePart};
use crate::esp::{Field, FieldValue};
use serde_json::Value;

/// What a route writes of an account.
#[must_use]
pub fn fields_of(route: &Route, account: &Account) -> Vec<Field> {
    let field = |(name, source): (&String, &FieldSource)| Field { name: name.clone(), value: value(source, account) };
    route.fields.iter().map(field).collect()
}

fn value(source: &FieldSource, account: &Account) -> FieldValue {
    match source {
        FieldSource::Literal(text) => FieldValue::Text(text.clone()),
        FieldSource::Path(path) => account.value(path).as_ref().map_or(FieldValue::Missing, from_json),
        FieldSource::Template(parts) => {
            let text: String = parts.iter().map(|part| part_text(part, account)).collect();
            let text = text.trim();
            if text.is_empty() { FieldValue::Missing } else { FieldValue::Text(text.to_owned()) }
        }
    }
}

fn part_text(part: &TemplatePart, account: &Account) -> String {
    match part {
        TemplatePart::Text(text) => text.clone(),
        TemplatePart::Path(path) => account.value(path).as_ref().and_then(plain).unwrap_or_default(),
    }
}

fn from_json(value: &Value) -> FieldValue {
    match value {
        Value::Bool(flag) => FieldValue::Flag(*flag),
        Value::Array(items) => {
            let texts: Vec<_> = items.iter().filter_map(plain).filter(|text| !text.is_empty()).collect();
            if texts.is_empty() { FieldValue::Missing } else { FieldValue::Many(texts) }
        }
        value => match plain(value) {
            Some(text) if !text.is_empty() => FieldValue::Text(text),
            _ => FieldValue::Missing,
        },
    }
}

/// The text of a single value; objects have none.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
