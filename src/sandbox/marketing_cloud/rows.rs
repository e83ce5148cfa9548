//! Data extensions, and what becomes of a set of rows (vendor page of the rowset call; what it answers where that
//! is silent, from error bodies that others have published).

use super::DataExtensionSettings;
use super::rest::{Answer, Refused, refused};
use super::world::{World, is_address};
use crate::sandbox::ranked::Ranked;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The most rows in one page (vendor page of the rowset call; it is the default, too).
const PAGE: usize = 2_500;

/// A table.
pub struct DataExtension {
    pub kind: DataExtensionSettings,
    rows: HashMap<Arc<str>, Row>,
    /// Primary keys in order.
    order: Ranked<Arc<str>>,
}

/// A row: what each column holds, if it was ever written.
pub type Row = Box<[Option<Box<str>>]>;

impl DataExtension {
    pub fn new(kind: &DataExtensionSettings) -> Self {
        Self { kind: kind.clone(), rows: HashMap::new(), order: Ranked::default() }
    }

    pub fn get(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    pub fn entry(&self, key: &str) -> Option<(&Arc<str>, &Row)> {
        self.rows.get_key_value(key)
    }

    pub fn remove(&mut self, key: &str) {
        if let Some((key, _)) = self.rows.remove_entry(key) {
            self.order.remove(&key);
        }
    }

    /// Primary keys and rows in order, from a rank on.
    pub fn starting_at(&self, rank: usize) -> impl Iterator<Item = (&Arc<str>, &Row)> {
        self.order.starting_at(rank).filter_map(|key| self.rows.get_key_value(key))
    }

    /// What a row holds, by column.
    pub fn named<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (&'a str, &'a str)> {
        let columns = self.kind.columns.iter().map(String::as_str);
        columns.zip(row).filter_map(|(column, value)| Some((column, value.as_deref()?)))
    }

    /// What a row holds in a column. One that was never written is empty.
    pub fn cell<'a>(&self, row: &'a Row, column: &str) -> &'a str {
        let nth = self.kind.columns.iter().position(|known| known == column);
        nth.and_then(|nth| row.get(nth)?.as_deref()).unwrap_or_default()
    }

    /// Inserts or updates a row. Columns that aren't named stay.
    pub fn upsert(&mut self, keys: &Map<String, Value>, values: &Map<String, Value>) -> Result<(), Refused> {
        let primary = &self.kind.primary_key;
        if let Some(wrong) = keys.keys().find(|name| *name != primary) {
            return Err(refused(400, 10000, &format!("Primary key '{wrong}' does not exist.")));
        }
        let Some(key) = keys.get(primary).and_then(Value::as_str).filter(|key| !key.is_empty()) else {
            return Err(refused(400, 10000, &format!("Primary key '{primary}' is missing.")));
        };
        let mut written = Vec::new();
        for (name, value) in values {
            if !self.kind.columns.contains(name) {
                return Err(self.not_saved(10000, &format!("Column '{name}' does not exist.")));
            }
            written.push((name.as_str(), self.text(name, value)?));
        }
        let written: Vec<_> = written.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.put(key, &written);
        Ok(())
    }

    /// Writes columns of a row, which needn't be there yet. Nothing is checked.
    pub fn put(&mut self, key: &str, written: &[(&str, &str)]) {
        let known: Arc<str> = match self.rows.get_key_value(key) {
            Some((known, _)) => Arc::clone(known),
            None => key.into(),
        };
        self.order.insert(Arc::clone(&known));
        let row = self.rows.entry(known).or_insert_with(|| vec![None; self.kind.columns.len()].into());
        for (name, value) in [(self.kind.primary_key.as_str(), key)].iter().chain(written) {
            if let Some(nth) = self.kind.columns.iter().position(|column| column == name) {
                row[nth] = Some((*value).into());
            }
        }
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

    /// Answers `GET /data/v1/customobjectdata/key/{key}/rowset`, one page of all rows. Names come in small letters,
    /// and links lack `/data` (as in answers that others have published).
    pub fn read_rows(&mut self, key: &str, page: Option<&str>, size: Option<&str>) -> Answer {
        let number = |text: Option<&str>, default: usize| match text {
            None | Some("") => Ok(default),
            Some(text) => text.parse().ok().filter(|number| *number > 0).ok_or(()),
        };
        // What a page that can't be is answered with isn't documented.
        let page = number(page, 1).map_err(|()| refused(400, 10003, "$page must be a number from 1 on"))?;
        let size = number(size, PAGE).ok().filter(|size| *size <= PAGE);
        let size = size.ok_or_else(|| refused(400, 10003, "$pagesize must be a number from 1 to 2500"))?;
        let size = size.min(self.rows_a_page);
        let extension = self.extensions.get(key);
        let extension = extension.ok_or_else(|| refused(404, 30003, "The data extension was not found"))?;
        let primary = &extension.kind.primary_key;
        let item = |(_, row)| {
            let part = |is_key: bool| {
                let of_part = extension.kind.columns.iter().filter(|column| (*column == primary) == is_key);
                let told = of_part.map(|column| (column.to_lowercase(), extension.cell(row, column).into()));
                told.collect::<Map<_, _>>()
            };
            json!({ "keys": part(true), "values": part(false) })
        };
        let count = extension.rows.len();
        let start = (page - 1).saturating_mul(size);
        let items: Vec<_> = extension.starting_at(start).take(size).map(item).collect();
        let token = crate::sandbox::new_uuid().to_string();
        let link = |page: usize| format!("/v1/customobjectdata/token/{token}/rowset?$page={page}");
        let mut links = json!({ "self": link(page) });
        if start + items.len() < count && !items.is_empty() {
            links["next"] = link(page + 1).into();
        }
        let now = self.now();
        let expires = now.checked_add(RowsToken::LIFE).unwrap_or(now);
        self.row_tokens.retain(|_, token| token.expires > now);
        self.row_tokens.insert(token.clone(), RowsToken { extension: key.to_owned(), size, expires });
        Ok((
            200,
            json!({
                "links": links, "requestToken": token, "tokenExpireDateUtc": expires.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
                "customObjectId": crate::sandbox::new_uuid().to_string(), "customObjectKey": key, "page": page,
                "pageSize": size, "count": count, "top": 0, "items": items,
            }),
        ))
    }

    /// Answers `GET /data/v1/customobjectdata/token/{token}/rowset`, a page that a link leads to.
    pub fn read_linked_rows(&mut self, token: &str, page: Option<&str>) -> Answer {
        let held = self.row_tokens.get(token).filter(|token| token.expires > self.now());
        let held = held.ok_or_else(|| refused(404, 30003, "The request token was not found"))?;
        let (extension, size) = (held.extension.clone(), held.size.to_string());
        self.read_rows(&extension, page, Some(&size))
    }
}

/// What a link to another page stands for.
pub struct RowsToken {
    extension: String,
    size: usize,
    expires: Timestamp,
}

impl RowsToken {
    /// How long a link is good. (Not documented.)
    const LIFE: SignedDuration = SignedDuration::from_hours(24);
}
