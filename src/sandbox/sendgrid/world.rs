//! Contacts and suppressions. They know nothing of each other: a suppression is an address's, whether there is a contact
//! or not, and no write of a contact lifts one.

use super::SendgridSettings;
use crate::sandbox::Clock;
use crate::sandbox::desk::is_address;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone)]
pub struct Contact {
    pub id: String,
    pub email: String,
    pub lists: BTreeSet<String>,
    pub fields: Map<String, Value>,
    pub custom: Map<String, Value>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

type Suppressions = BTreeMap<String, Timestamp>;

pub struct World {
    pub clock: Clock,
    pub contacts: BTreeMap<String, Contact>,
    pub groups: BTreeMap<u64, Suppressions>,
    /// Unsubscribed from everything.
    pub everything: Suppressions,
    pub spam_reports: Suppressions,
    pub bounces: Suppressions,
    events: u64,
}

impl World {
    pub fn new(settings: &SendgridSettings, clock: Clock) -> Self {
        Self {
            clock,
            contacts: BTreeMap::new(),
            groups: settings.groups.iter().map(|id| (*id, Suppressions::new())).collect(),
            everything: Suppressions::new(),
            spam_reports: Suppressions::new(),
            bounces: Suppressions::new(),
            events: 0,
        }
    }

    /// Whether there is nothing to be said against contacts that are to be written.
    pub fn check(body: &Value) -> Result<(), &'static str> {
        let contacts = body["contacts"].as_array().map_or(&[][..], Vec::as_slice);
        let is_sound = |contact: &Value| contact["email"].as_str().is_some_and(is_address);
        if contacts.is_empty() {
            return Err("contacts is required");
        }
        if contacts.iter().all(is_sound) { Ok(()) } else { Err("email is invalid") }
    }

    /// `PUT /marketing/contacts`, when its turn has come.
    pub fn upsert(&mut self, body: &Value) {
        let now = self.clock.now();
        let lists: Vec<_> = texts(&body["list_ids"]).collect();
        for written in body["contacts"].as_array().into_iter().flatten() {
            let email = written["email"].as_str().unwrap_or_default().to_lowercase();
            let nth = self.contacts.len() + 1;
            let contact = self.contacts.entry(email.clone()).or_insert_with(|| Contact {
                id: format!("contact-{nth}-{}", now.as_millisecond()),
                email,
                lists: BTreeSet::new(),
                fields: Map::new(),
                custom: Map::new(),
                created: now,
                updated: now,
            });
            contact.lists.extend(lists.iter().map(|list| (*list).to_owned()));
            contact.updated = now;
            for (name, value) in written.as_object().into_iter().flatten() {
                match (name.as_str(), value) {
                    ("email", _) => {}
                    ("custom_fields", Value::Object(custom)) => contact.custom.extend(custom.clone()),
                    (name, value) => {
                        contact.fields.insert(name.to_owned(), value.clone());
                    }
                }
            }
        }
    }

    /// Whether mail of a group reaches somebody on a list.
    pub fn reaches(&self, list: &str, group: u64, email: &str) -> bool {
        let key = email.to_lowercase();
        let is_out = |all: &Suppressions| all.contains_key(&key);
        let is_on = self.contacts.get(&key).is_some_and(|contact| contact.lists.contains(list));
        is_on
            && !self.groups.get(&group).is_some_and(is_out)
            && ![&self.everything, &self.spam_reports, &self.bounces].into_iter().any(is_out)
    }

    /// An event about an address.
    pub fn event(&mut self, kind: &str, email: &str, group: Option<u64>) -> Value {
        self.events += 1;
        let mut event = json!({
            "email": email, "timestamp": self.clock.now().as_second(), "event": kind,
            "sg_event_id": format!("event-{}", self.events), "sg_message_id": "14c5d75ce93.dfd.64b469",
        });
        if let Some(group) = group {
            event["asm_group_id"] = json!(group);
        }
        event
    }
}

pub fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}
