//! Rows that are written later (vendor pages "Insert/upsert rows asynchronously" and "Get status/results of an
//! asynchronous request").

use super::rest::{Answer, refused};
use super::world::World;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// The most rows in one request (vendor page of limits).
const MOST: usize = 32_000;

/// All requests that were taken.
pub struct AsyncRows {
    takes: SignedDuration,
    all: Vec<Request>,
}

struct Request {
    id: String,
    due: Timestamp,
    extension: String,
    inserts: bool,
    items: Vec<Value>,
    /// What became of each, once that is known: none, or what was wrong.
    results: Option<Vec<Option<String>>>,
}

impl AsyncRows {
    pub fn new(takes: std::time::Duration) -> Self {
        Self { takes: SignedDuration::try_from(takes).unwrap_or(SignedDuration::MAX), all: Vec::new() }
    }
}

impl World {
    /// Answers `PUT` (upsert) or `POST` (insert) `/data/v1/async/dataextensions/key:{key}/rows`.
    pub fn take_rows(&mut self, named: &str, inserts: bool, body: &Value) -> Answer {
        let items = body["items"].as_array().ok_or_else(|| refused(400, 10002, "items is required"))?;
        if items.len() > MOST {
            return Err(refused(400, 10001, "There are too many items"));
        }
        let extension = named.strip_prefix("key:").filter(|key| self.extensions.contains_key(*key));
        let Some(extension) = extension.map(ToOwned::to_owned) else {
            let message = json!({ "resultType": "Error", "resultCode": "CustomObjectNotFound", "message": "" });
            return Ok((200, json!({ "requestId": null, "resultMessages": [message] })));
        };
        let due = self.now().checked_add(self.async_rows.takes).unwrap_or(Timestamp::MAX);
        let id = crate::sandbox::new_uuid().to_string();
        let request = Request { id: id.clone(), due, extension, inserts, items: items.clone(), results: None };
        self.async_rows.all.push(request);
        Ok((202, json!({ "requestId": id, "resultMessages": [] })))
    }

    /// Writes what is due.
    pub fn write_taken_rows(&mut self) {
        let now = self.now();
        for request in self.async_rows.all.iter_mut().filter(|request| request.results.is_none() && request.due <= now)
        {
            let Some(extension) = self.extensions.get_mut(&request.extension) else { continue };
            let primary = extension.kind.primary_key.clone();
            let mut write = |item: &Value| {
                let mut values = item.as_object().cloned().unwrap_or_default();
                let key = values.remove(&primary).unwrap_or_default();
                if request.inserts && key.as_str().is_some_and(|key| extension.get(key).is_some()) {
                    return Some("The row is there already".to_owned());
                }
                let keys = Map::from_iter([(primary.clone(), key)]);
                let refusal = extension.upsert(&keys, &values).err()?;
                Some(refusal.additional.first().map_or(refusal.message, |(_, inner)| inner.clone()))
            };
            request.results = Some(std::mem::take(&mut request.items).iter().map(&mut write).collect());
        }
    }

    /// Answers `GET /data/v1/async/{request}/{status or results}`.
    pub fn rows_taken(&self, id: &str, what: &str) -> (u16, Value) {
        let Some(request) = self.async_rows.all.iter().find(|request| request.id == id) else {
            let message = json!({ "resultType": "Error", "resultCode": "AsyncRequestStatusNotFound", "message": "" });
            return (200, json!({ "requestId": id, "resultMessages": [message] }));
        };
        let results = request.results.as_deref();
        if what == "results" {
            let item = |wrong: &Option<String>| match wrong {
                None => json!({ "status": "OK", "errorCode": "", "message": "" }),
                Some(wrong) => json!({ "status": "Error", "errorCode": "10000", "message": wrong }),
            };
            let items: Vec<_> = results.into_iter().flatten().map(item).collect();
            return (200, json!({ "requestId": id, "count": items.len(), "items": items, "resultMessages": [] }));
        }
        let has_errors = results.is_some_and(|results| results.iter().any(Option::is_some));
        let status = json!({
            "asyncRequestId": id, "requestStatus": if results.is_some() { "Complete" } else { "Pending" },
            "resultStatus": if has_errors { "Error" } else { "OK" }, "hasErrors": has_errors,
        });
        (200, json!({ "requestId": id, "status": status, "resultMessages": [] }))
    }
}
