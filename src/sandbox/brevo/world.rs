//! Contacts, and what each call does to them.
//!
//! A contact is the account's, one under an address. Whoever is on the blocklist gets no campaign of any list.

use super::BrevoSettings;
use crate::sandbox::Clock;
use crate::sandbox::desk::is_address;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A contact as a test wants to see it.
#[derive(Clone, Debug)]
pub struct ContactView {
    /// The address.
    pub email: String,
    /// The account's id at the customer's, here Gigya's UID.
    pub ext_id: Option<String>,
    /// Other attributes.
    pub attributes: Map<String, Value>,
    /// The lists that it is on.
    pub lists: BTreeSet<u64>,
    /// The lists that it left by itself.
    pub left: BTreeSet<u64>,
    /// Whether it is on the blocklist for campaigns.
    pub blocked: bool,
    /// When anything about it changed last.
    pub modified: Timestamp,
    pub(super) id: u64,
    pub(super) created: Timestamp,
    pub(super) by_user: Vec<Timestamp>,
    pub(super) by_admin: Vec<Timestamp>,
    pub(super) bounced: Vec<Timestamp>,
    pub(super) complained: Vec<Timestamp>,
}

pub struct World {
    pub clock: Clock,
    lists: Vec<u64>,
    ts_ahead: i64,
    pub contacts: BTreeMap<String, ContactView>,
    next_id: u64,
}

/// A status, a code and a message.
pub type Refused = (u16, &'static str, &'static str);

pub const NOT_FOUND: Refused = (404, "document_not_found", "Contact does not exist");
const TAKEN: Refused =
    (400, "duplicate_parameter", "Unable to update contact, ext_id is already associated with another Contact");

impl World {
    pub fn new(settings: &BrevoSettings, clock: Clock) -> Self {
        let (lists, ts_ahead) = (settings.lists.clone(), settings.ts_ahead);
        Self { clock, lists, ts_ahead, contacts: BTreeMap::new(), next_id: 1 }
    }

    /// The key of a contact that a path or a body names.
    pub fn key(&self, identifier: &str, kind: &str) -> Option<String> {
        let by_ext = |held: &&ContactView| held.ext_id.as_deref() == Some(identifier);
        let by_id = |held: &&ContactView| held.id.to_string() == identifier;
        let found = match kind {
            "ext_id" => self.contacts.values().find(by_ext),
            "contact_id" => self.contacts.values().find(by_id),
            "" if !identifier.contains('@') => self.contacts.values().find(by_id),
            _ => self.contacts.get(&identifier.to_ascii_lowercase()),
        };
        found.map(|held| held.email.to_ascii_lowercase())
    }

    /// `POST /contacts`: whether somebody was created, and what happened.
    pub fn create(&mut self, body: &Value) -> Result<(Option<u64>, Vec<Value>), Refused> {
        let email = body["email"].as_str().unwrap_or_default().to_owned();
        if email.is_empty() {
            return Err((400, "missing_parameter", "email is missing"));
        }
        if !is_address(&email) {
            return Err((400, "invalid_parameter", "email is not valid"));
        }
        let key = email.to_ascii_lowercase();
        if self.contacts.contains_key(&key) {
            if body["updateEnabled"] != json!(true) {
                return Err((400, "duplicate_parameter", "Contact already exist"));
            }
            return Ok((None, self.write(&key, body)?));
        }
        let now = self.clock.now();
        let id = self.next_id;
        let contact = ContactView {
            email,
            ext_id: None,
            attributes: Map::new(),
            lists: BTreeSet::new(),
            left: BTreeSet::new(),
            blocked: false,
            modified: now,
            id,
            created: now,
            by_user: Vec::new(),
            by_admin: Vec::new(),
            bounced: Vec::new(),
            complained: Vec::new(),
        };
        self.contacts.insert(key.clone(), contact);
        match self.write(&key, body) {
            Ok(happened) => {
                self.next_id += 1;
                Ok((Some(id), happened))
            }
            Err(refused) => {
                self.contacts.remove(&key);
                Err(refused)
            }
        }
    }

    /// What is written to a contact that there is. All of it, or nothing.
    pub fn write(&mut self, key: &str, body: &Value) -> Result<Vec<Value>, Refused> {
        let ids =
            |name: &str| body[name].as_array().into_iter().flatten().filter_map(Value::as_u64).collect::<Vec<_>>();
        let (on, off) = (ids("listIds"), ids("unlinkListIds"));
        if on.iter().chain(&off).any(|list| !self.lists.contains(list)) {
            return Err((400, "invalid_parameter", "List ID does not exist"));
        }
        let attributes = body["attributes"].as_object();
        let moved = attributes.and_then(|attributes| attributes.get("EMAIL")).and_then(Value::as_str);
        let new_key = moved.map_or_else(|| key.to_owned(), str::to_ascii_lowercase);
        if moved.is_some_and(|email| !is_address(email)) {
            return Err((400, "invalid_parameter", "Invalid email address"));
        }
        if new_key != key && self.contacts.contains_key(&new_key) {
            return Err((400, "duplicate_parameter", "email is already associated with another Contact"));
        }
        let ext_id = body["ext_id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        let is_others = |held: &ContactView| held.ext_id == ext_id && held.email.to_ascii_lowercase() != key;
        if ext_id.is_some() && self.contacts.values().any(is_others) {
            return Err(TAKEN);
        }
        let now = self.clock.now();
        let mut contact = self.contacts.remove(key).ok_or(NOT_FOUND)?;
        for (name, value) in attributes.into_iter().flatten().filter(|(name, _)| *name != "EMAIL") {
            contact.attributes.insert(name.clone(), value.clone());
        }
        contact.email = moved.map_or(contact.email, str::to_owned);
        contact.ext_id = ext_id.or(contact.ext_id);
        let added: Vec<u64> = on.into_iter().filter(|list| contact.lists.insert(*list)).collect();
        for list in &added {
            contact.left.remove(list);
        }
        for list in off {
            contact.lists.remove(&list);
        }
        if let Some(blocked) = body["emailBlacklisted"].as_bool() {
            if blocked && !contact.blocked {
                contact.by_admin.push(now);
            }
            contact.blocked = blocked;
        }
        contact.modified = now;
        let email = contact.email.clone();
        self.contacts.insert(new_key, contact);
        let mut happened = vec![self.about_contact("contact_updated", &json!(email), &[])];
        if !added.is_empty() {
            happened.push(self.about_contact("list_addition", &json!(email), &added));
        }
        Ok(happened)
    }

    pub fn delete(&mut self, key: &str) -> Result<Vec<Value>, Refused> {
        let contact = self.contacts.remove(key).ok_or(NOT_FOUND)?;
        // The vendor's example has a list of addresses here, and a text in every other event.
        Ok(vec![self.about_contact("contact_deleted", &json!([contact.email]), &[])])
    }

    /// `POST /contacts/lists/{list}/contacts/remove`.
    pub fn take_off(&mut self, list: u64, emails: &Value) -> Result<Value, Refused> {
        let now = self.clock.now();
        let (mut success, mut failure) = (Vec::new(), Vec::new());
        for email in emails.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let held = self.contacts.get_mut(&email.to_ascii_lowercase());
            match held.filter(|held| held.lists.contains(&list)) {
                Some(held) => {
                    held.lists.remove(&list);
                    held.modified = now;
                    success.push(email);
                }
                None => failure.push(email),
            }
        }
        if success.is_empty() {
            return Err((400, "invalid_parameter", "Contact already removed from list and/or does not exist"));
        }
        Ok(json!({ "contacts": { "success": success, "failure": failure } }))
    }

    /// An event about a contact.
    fn about_contact(&self, event: &str, email: &Value, lists: &[u64]) -> Value {
        let ts = self.clock.now().as_second() + self.ts_ahead;
        let mut event = json!({ "id": 31, "event": event, "email": email, "key": "simulated", "ts": ts });
        if !lists.is_empty() {
            event["list_id"] = json!(lists);
        }
        event
    }

    /// An event about a campaign that somebody got.
    pub fn about_mail(&self, event: &str, email: &str, lists: &[u64]) -> Value {
        let at = self.clock.now();
        let second = at.as_second();
        let mut event = json!({
            "id": 31, "event": event, "email": email, "camp_id": 5, "campaign name": "News",
            "date_event": at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            "ts_sent": second - 60, "ts_event": second, "ts": second + self.ts_ahead, "tag": "",
        });
        if !lists.is_empty() {
            event["list_id"] = json!(lists);
        }
        event
    }
}
