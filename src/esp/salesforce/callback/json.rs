//! JSON callbacks, as a Flow or Apex makes them: one record, or a list of them. The shape is the gateway's own:
//! `{"object": "Contact", "id": "003..", "deleted": false, "fields": {..}}`.

use super::{Event, MOST, is_id};
use crate::config::salesforce::SalesforceObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Parses a body. What is wrong with it is said without quoting it. With `key` ids are made, so that nobody can find by trying
/// what they were made of.
pub fn parse(body: &[u8], key: Option<&SecretString>) -> Result<Vec<Event>, String> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| format!("not JSON, at line {} column {}", error.line(), error.column()))?;
    let records = match &value {
        Value::Array(records) if records.len() > MOST => return Err(format!("more than {MOST} records")),
        Value::Array(records) => records.iter().collect(),
        Value::Object(_) => vec![&value],
        _ => return Err("neither a record nor a list of them".to_owned()),
    };
    let key = Sha256::digest(key.map_or("", ExposeSecret::expose_secret));
    Ok(records.into_iter().map(|record| event(record, &key)).collect())
}

fn event(value: &Value, key: &[u8]) -> Event {
    let kind = value["object"].as_str().unwrap_or_default().trim();
    let record = value["id"].as_str().map(str::trim).filter(|id| is_id(id)).map(ToOwned::to_owned);
    let fields = value["fields"].as_object().into_iter().flatten();
    let fields = fields.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
    let digest = hex::encode(&Sha256::new().chain_update(key).chain_update(value.to_string()).finalize()[..6]);
    Event {
        id: record.as_ref().map_or_else(|| digest.clone(), |record| format!("{record}-{digest}")),
        kind: kind.to_owned(),
        object: SalesforceObject::named(kind),
        record,
        deleted: value["deleted"] == true,
        fields,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
