//! Data extensions, and what becomes of a set of rows (vendor page of the rowset call; what it answers where that
//! is silent, from error bodies that others have published).

use super::DataExtensionSettings;
use super::rest::{Answer, Refused, refused};
use super::world::{World, is_address};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A table.
pub struct DataExtension {
    pub kind: DataExtensionSettings,
    /// Its rows, by primary key.
    pub rows: BTreeMap<String, BTreeMap<String, String>>,
}

impl DataExtension {
    pub fn new(kind: &DataExtensionSettings) -> Self {
        Self { kind: kind.clone(), rows: BTreeMap::new() }
    }

    /// Inserts or updates a row. Columns that aren't named stay.
    fn upsert(&mut self, keys: &Map<String, Value>, values: &Map<String, Value>) -> Result<(), Refused> {
        let primary = &self.kind.primary_key;
        if let Some(wrong) = keys.keys().find(|name| *name != primary) {
            return Err(refused(400, 10000, &format!("Primary key '{wrong}' does not exist.")));
        }
        let Some(key) = keys.get(primary).and_then(Value::as_str).filter(|key| !key.is_empty()) else {
            return Err(refused(400, 10000, &format!("Primary key '{primary}' is missing.")));
        };
        let mut row = BTreeMap::from([(primary.clone(), key.to_owned())]);
        for (name, value) in values {
            if !self.kind.columns.contains(name) {
                return Err(self.not_saved(10000, &format!("Column '{name}' does not exist.")));
            }
            row.insert(name.clone(), self.text(name, value)?);
        }
        self.rows.entry(key.to_owned()).or_default().extend(row);
        Ok(())
    }

    /// A value as it is stored.
    fn text(&self, column: &str, value: &Value) -> Result<String, Refused> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null => return Err(self.not_saved(10005, &format!("Column '{column}' can't be null."))),
            Value::Array(_) | Value::Object(_) => return Err(refused(400, 10001, "A value must be text or a number.")),
        };
        if column == "EmailAddress" && !text.is_empty() && !is_address(&text) {
            let message = format!("'{text}' is not a valid email address. Parse error [InvalidEmailAddress]");
            return Err(self.not_saved(10000, &message));
        }
        Ok(text)
    }

    /// The refusal that sums up, with what is really wrong inside.
    fn not_saved(&self, code: u32, message: &str) -> Refused {
        let mut refusal = refused(400, 10006, &format!("Unable to save rows for data extension ID {}", self.kind.key));
        refusal.additional.push((code, message.to_owned()));
        refusal
    }
}

impl World {
    /// A data extension by external key, as the path names it: `key:NAME`.
    fn extension(&mut self, named: &str) -> Result<&mut DataExtension, Refused> {
        let extension = named.strip_prefix("key:").and_then(|key| self.extensions.get_mut(key));
        // What an unknown one is answered with isn't documented.
        extension.ok_or_else(|| refused(404, 30003, "The data extension was not found"))
    }

    /// Answers `POST /hub/v1/dataevents/key:{key}/rowset`. Rows before the first bad one are saved, those after it
    /// are not.
    pub fn write_rows(&mut self, named: &str, body: &Value) -> Answer {
        let extension = self.extension(named)?;
        let rows = body.as_array().ok_or_else(|| refused(400, 10001, "The body must be a list of rows"))?;
        for row in rows {
            let (Some(keys), Some(values)) = (row["keys"].as_object(), row["values"].as_object()) else {
                return Err(refused(400, 10002, "A row must have keys and values"));
            };
            extension.upsert(keys, values)?;
        }
        Ok((200, body.clone()))
    }

    /// Answers `PUT /hub/v1/dataevents/key:{key}/rows/{primary key}:{value}`.
    pub fn write_row(&mut self, named: &str, key: &str, body: &Value) -> Answer {
        let extension = self.extension(named)?;
        let (name, value) = key.split_once(':').ok_or_else(|| refused(400, 10003, "A key must be Name:Value"))?;
        let keys = json!({ name: value });
        let values = body["values"].as_object().ok_or_else(|| refused(400, 10002, "values is required"))?;
        extension.upsert(keys.as_object().unwrap_or(&Map::new()), values)?;
        Ok((200, json!({ "keys": keys, "values": values })))
    }
}
