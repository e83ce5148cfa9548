//! Members of lists, and what each call does to them.

use super::MailchimpSettings;
use crate::sandbox::Clock;
use crate::sandbox::desk::is_address;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A member's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// May be mailed.
    Subscribed,
    /// Has left.
    Unsubscribed,
    /// Mail came back.
    Cleaned,
    /// Has not confirmed.
    Pending,
    /// Never subscribed.
    Transactional,
    /// Was archived, which is what deleting does.
    Archived,
}

impl Status {
    const ALL: [Self; 6] =
        [Self::Subscribed, Self::Unsubscribed, Self::Cleaned, Self::Pending, Self::Transactional, Self::Archived];

    /// As the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Cleaned => "cleaned",
            Self::Pending => "pending",
            Self::Transactional => "transactional",
            Self::Archived => "archived",
        }
    }

    /// One that may be written.
    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == text && *status != Self::Archived)
    }
}

/// A member as a test wants to see it.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// The address.
    pub email: String,
    /// The status.
    pub status: Status,
    /// Merge fields, by tag.
    pub merge_fields: Map<String, Value>,
    /// When anything about it changed last.
    pub changed: Timestamp,
    pub(super) unique_id: String,
    pub(super) confirmed: Option<Timestamp>,
    /// Whether the person left, or mail came back: then the API may not subscribe them again.
    pub(super) in_compliance_state: bool,
    pub(super) nth: usize,
}

type List = BTreeMap<String, MemberView>;

pub struct World {
    pub clock: Clock,
    pub lists: BTreeMap<String, List>,
    forgotten: BTreeSet<(String, String)>,
    count: usize,
}

/// A status, a title and what is said of it.
pub type Refused = (u16, &'static str, &'static str);

pub const NOT_FOUND: Refused = (404, "Resource Not Found", "The requested resource could not be found.");
const COMPLIANCE: Refused = (
    400,
    "Member In Compliance State",
    "The contact is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed.",
);
const FORGOTTEN: Refused =
    (400, "Forgotten Email Not Subscribed", "The contact was permanently deleted and cannot be re-imported.");
const EXISTS: Refused = (400, "Member Exists", "The contact is already a list member.");
const INVALID: Refused = (400, "Invalid Resource", "The resource submitted could not be validated.");

/// The id of an address: in paths, and in answers.
#[must_use]
pub fn member_id(email: &str) -> String {
    hex::encode(Md5::digest(email.to_lowercase().as_bytes()))
}

impl World {
    pub fn new(settings: &MailchimpSettings, clock: Clock) -> Self {
        let lists = settings.lists.iter().map(|id| (id.clone(), List::new())).collect();
        Self { clock, lists, forgotten: BTreeSet::new(), count: 0 }
    }

    pub fn list(&mut self, id: &str) -> Result<&mut List, Refused> {
        self.lists.get_mut(id).ok_or(NOT_FOUND)
    }

    /// The key of a member whom a path names: by the id, or the address itself.
    pub fn key(&mut self, list: &str, member: &str) -> Result<Option<String>, Refused> {
        let list = self.list(list)?;
        Ok(list.keys().find(|key| **key == member.to_lowercase() || member_id(key) == member).cloned())
    }

    /// `PUT`: adds somebody, or changes who is there.
    pub fn put(&mut self, list: &str, member: &str, body: &Value) -> Result<(String, Vec<Value>), Refused> {
        if let Some(key) = self.key(list, member)? {
            let happened = self.change(list, &key, body)?;
            return Ok((key, happened));
        }
        let email = body["email_address"].as_str().filter(|email| is_address(email)).ok_or(INVALID)?;
        let key = email.to_lowercase();
        if member_id(&key) != member && key != member.to_lowercase() {
            return Err(INVALID);
        }
        let status = body["status"].as_str().or(body["status_if_new"].as_str()).and_then(Status::of).ok_or(INVALID)?;
        if self.forgotten.contains(&(list.to_owned(), key.clone())) {
            return Err(FORGOTTEN);
        }
        let now = self.clock.now();
        self.count += 1;
        let merge_fields = body["merge_fields"].as_object().cloned().unwrap_or_default();
        let is_in = status == Status::Subscribed;
        let new = MemberView {
            email: email.to_owned(),
            status,
            merge_fields,
            changed: now,
            unique_id: format!("{:010x}", self.count),
            confirmed: is_in.then_some(now),
            in_compliance_state: false,
            nth: self.count,
        };
        self.list(list)?.insert(key.clone(), new);
        let happened = if is_in { vec![self.event("subscribe", list, &key)] } else { Vec::new() };
        Ok((key, happened))
    }

    /// `PATCH`, or `PUT` of somebody who is there.
    pub fn change(&mut self, list: &str, key: &str, body: &Value) -> Result<Vec<Value>, Refused> {
        let now = self.clock.now();
        let held = self.list(list)?.get(key).cloned().ok_or(NOT_FOUND)?;
        let status = match body["status"].as_str() {
            Some(text) => Some(Status::of(text).ok_or(INVALID)?),
            None => None,
        };
        if status == Some(Status::Subscribed) && held.in_compliance_state {
            return Err(COMPLIANCE);
        }
        let mut changed = held.clone();
        if let Some(fields) = body["merge_fields"].as_object() {
            changed.merge_fields.extend(fields.iter().map(|(tag, value)| (tag.clone(), value.clone())));
        }
        let email = body["email_address"].as_str().unwrap_or(&held.email);
        let moves = !email.eq_ignore_ascii_case(&held.email);
        if moves && (!is_address(email) || held.status != Status::Subscribed) {
            return Err(INVALID);
        }
        if moves && self.list(list)?.contains_key(&email.to_lowercase()) {
            return Err(EXISTS);
        }
        email.clone_into(&mut changed.email);
        changed.status = status.unwrap_or(held.status);
        let turned_in = changed.status == Status::Subscribed && held.status != Status::Subscribed;
        changed.confirmed = if turned_in { Some(now) } else { held.confirmed };
        let (has_new_fields, has_new_status) =
            (changed.merge_fields != held.merge_fields, changed.status != held.status);
        if !(moves || has_new_fields || has_new_status) {
            return Ok(Vec::new());
        }
        changed.changed = now;
        let new_key = email.to_lowercase();
        let list_of_it = self.list(list)?;
        list_of_it.remove(key);
        list_of_it.insert(new_key.clone(), changed);
        let mut happened = Vec::new();
        if moves {
            let mut event = json!({
                "type": "upemail", "fired_at": fired_at(now), "data[list_id]": list,
                "data[new_email]": email, "data[old_email]": held.email,
            });
            event["data[new_id]"] = held.unique_id.into();
            happened.push(event);
        }
        match status.filter(|_| has_new_status) {
            Some(Status::Subscribed) => happened.push(self.event("subscribe", list, &new_key)),
            Some(Status::Unsubscribed) => happened.push(self.left(list, &new_key, "unsub", "manual")),
            _ if has_new_fields => happened.push(self.event("profile", list, &new_key)),
            _ => {}
        }
        Ok(happened)
    }

    /// `DELETE`: archives somebody.
    pub fn archive(&mut self, list: &str, key: &str) -> Result<Vec<Value>, Refused> {
        let now = self.clock.now();
        let held = self.list(list)?.get_mut(key).ok_or(NOT_FOUND)?;
        if held.status == Status::Archived {
            return Err((405, "Method Not Allowed", "This list member cannot be removed."));
        }
        held.status = Status::Archived;
        held.changed = now;
        Ok(vec![self.left(list, key, "delete", "manual")])
    }

    /// Deletes somebody for good. Nobody may import them again.
    pub fn forget(&mut self, list: &str, key: &str) -> Result<Vec<Value>, Refused> {
        let event = self.left(list, key, "delete", "manual");
        self.list(list)?.remove(key).ok_or(NOT_FOUND)?;
        self.forgotten.insert((list.to_owned(), key.to_owned()));
        Ok(vec![event])
    }

    /// An event about a member.
    pub fn event(&self, kind: &str, list: &str, key: &str) -> Value {
        let mut event = json!({ "type": kind, "fired_at": fired_at(self.clock.now()), "data[list_id]": list });
        let Some(held) = self.lists.get(list).and_then(|list| list.get(key)) else { return event };
        event["data[id]"] = json!(held.unique_id);
        event["data[email]"] = json!(held.email);
        event["data[email_type]"] = json!("html");
        event["data[ip_opt]"] = json!("203.0.113.9");
        event["data[merges][EMAIL]"] = json!(held.email);
        for (tag, value) in &held.merge_fields {
            event[format!("data[merges][{tag}]")] = value.as_str().map_or_else(|| json!(value.to_string()), Into::into);
        }
        event
    }

    pub fn left(&self, list: &str, key: &str, action: &str, reason: &str) -> Value {
        let mut event = self.event("unsubscribe", list, key);
        event["data[action]"] = json!(action);
        event["data[reason]"] = json!(reason);
        event
    }
}

/// As in webhooks. Of which zone it is isn't documented; UTC is our reading.
fn fired_at(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
