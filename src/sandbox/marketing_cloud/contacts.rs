//! Contact deletion (vendor pages "Contact deletion" and "Delete contacts by contact keys"): queued, then
//! suppressing, then done. It can't be called back.

use super::MarketingCloudSettings;
use super::rest::{Answer, refused};
use super::world::World;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// All deletions that were asked for.
pub struct Deletions {
    takes: SignedDuration,
    suppression: SignedDuration,
    all: Vec<Deletion>,
}

struct Deletion {
    keys: Vec<String>,
    suppresses: Timestamp,
    ends: Timestamp,
    is_done: bool,
}

impl Deletions {
    pub fn new(settings: &MarketingCloudSettings) -> Self {
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        let (takes, suppression) = (signed(settings.contact_delete_takes), signed(settings.suppression));
        Self { takes, suppression, all: Vec::new() }
    }
}

impl World {
    /// Whether somebody is being deleted: hidden, and their key not to be used again yet.
    pub fn is_suppressed(&self, key: &str) -> bool {
        let now = self.now();
        let is_under_way = |deletion: &&Deletion| deletion.suppresses <= now && !deletion.is_done;
        self.deletions.all.iter().filter(is_under_way).any(|deletion| deletion.keys.iter().any(|named| named == key))
    }

    /// Deletes for good who was suppressed long enough: from every list, and from sendable data extensions.
    pub fn let_time_pass(&mut self) {
        let now = self.now();
        for deletion in self.deletions.all.iter_mut().filter(|deletion| !deletion.is_done && deletion.ends <= now) {
            deletion.is_done = true;
            for key in &deletion.keys {
                self.subscribers.remove(key);
                for extension in self.extensions.values_mut().filter(|extension| extension.kind.sendable) {
                    extension.remove(key);
                }
            }
        }
    }

    /// Answers `POST /contacts/v1/contacts/actions/delete`. (Its HTTP status isn't documented.)
    pub fn delete_contacts(&mut self, by: &str, body: &Value) -> Answer {
        let values = body["values"].as_array().filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| refused(400, 10002, "values is required"))?;
        let keys = match by {
            "keys" => values.iter().filter_map(|key| key.as_str().map(ToOwned::to_owned)).collect(),
            "ids" => {
                let ids: Vec<_> = values.iter().filter_map(Value::as_u64).collect();
                ids.iter().filter_map(|id| self.find(None, Some(*id))).map(|held| held.key.to_string()).collect()
            }
            _ => return Err(refused(400, 10005, "type must be keys or ids")),
        };
        let now = self.now();
        let later = |from: Timestamp, by| from.checked_add(by).unwrap_or(Timestamp::MAX);
        let suppresses = later(now, self.deletions.takes);
        let ends = later(suppresses, self.deletions.suppression);
        self.deletions.all.push(Deletion { keys, suppresses, ends, is_done: false });
        let id = self.deletions.all.len();
        Ok((
            200,
            json!({
                "operationInitiated": true, "operationID": id, "requestServiceMessageID": crate::sandbox::new_uuid().to_string(),
                "resultMessages": [], "serviceMessageID": crate::sandbox::new_uuid().to_string(),
            }),
        ))
    }

    /// Answers `GET /contacts/v1/contacts/actions/delete/status`: `operation` is about suppressing, the deletion
    /// itself is in `backgroundOperationsSummary`.
    pub fn deletion_status(&self, id: &str) -> Answer {
        let held = id.parse::<usize>().ok().and_then(|id| self.deletions.all.get(id.checked_sub(1)?));
        let held = held.ok_or_else(|| refused(404, 30003, "The operation was not found"))?;
        let status = if held.suppresses <= self.now() { "Completed" } else { "Pending" };
        let background = if held.is_done { "Completed" } else { "Processing" };
        Ok((
            200,
            json!({
                "operation": { "operationID": id.parse::<u64>().unwrap_or_default(), "status": status },
                "backgroundOperationsSummary": [{ "backgroundOperationStatusID": background }],
                "resultMessages": [],
            }),
        ))
    }
}
