//! Profiles, and what each job does to them. Consent is a profile's, for all lists at once; besides, somebody may be
//! suppressed for everything, or for a list.

use super::KlaviyoSettings;
use crate::sandbox::Clock;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Consent to email, as the API spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState {
    /// Given.
    Subscribed,
    /// Taken back.
    Unsubscribed,
    /// Never asked for.
    NeverSubscribed,
}

impl ConsentState {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Subscribed => "SUBSCRIBED",
            Self::Unsubscribed => "UNSUBSCRIBED",
            Self::NeverSubscribed => "NEVER_SUBSCRIBED",
        }
    }
}

/// A profile as a test wants to see it.
#[derive(Clone, Debug)]
pub struct ProfileView {
    /// The address.
    pub email: String,
    /// The id at the customer's, here Gigya's UID.
    pub external_id: Option<String>,
    /// The vendor's own attributes, such as `first_name`.
    pub attributes: Map<String, Value>,
    /// The customer's.
    pub properties: Map<String, Value>,
    /// Consent to email.
    pub consent: ConsentState,
    /// The lists that it is on.
    pub lists: BTreeSet<String>,
    pub(super) id: String,
    pub(super) consented: Option<Timestamp>,
    pub(super) updated: Timestamp,
    /// What keeps all mail away: why, and since when.
    pub(super) suppressions: Vec<(&'static str, Timestamp)>,
    pub(super) list_suppressions: Vec<(String, Timestamp)>,
}

impl ProfileView {
    pub(super) fn is_reached(&self, list: &str) -> bool {
        let is_off = self.list_suppressions.iter().any(|(suppressed, _)| suppressed == list);
        self.consent == ConsentState::Subscribed && self.lists.contains(list) && self.suppressions.is_empty() && !is_off
    }
}

pub struct World {
    pub clock: Clock,
    pub lists: Vec<String>,
    pub profiles: BTreeMap<String, ProfileView>,
    count: u64,
}

impl World {
    pub fn new(settings: &KlaviyoSettings, clock: Clock) -> Self {
        Self { clock, lists: settings.lists.clone(), profiles: BTreeMap::new(), count: 0 }
    }

    /// The profile at an address, which is made if it isn't there.
    fn made(&mut self, email: &str) -> &mut ProfileView {
        let now = self.clock.now();
        let count = &mut self.count;
        self.profiles.entry(email.to_lowercase()).or_insert_with(|| {
            *count += 1;
            ProfileView {
                email: email.to_owned(),
                external_id: None,
                attributes: Map::new(),
                properties: Map::new(),
                consent: ConsentState::NeverSubscribed,
                lists: BTreeSet::new(),
                id: format!("01GDDKASAP8TKDDA2GRZDS{count:04}"),
                consented: None,
                updated: now,
                suppressions: Vec::new(),
                list_suppressions: Vec::new(),
            }
        })
    }

    /// `POST /profile-import`: whether somebody was created.
    pub fn import(&mut self, attributes: &Value) -> Result<(bool, ProfileView), (u16, &'static str)> {
        let email = attributes["email"].as_str().unwrap_or_default().to_owned();
        if !crate::sandbox::desk::is_address(&email) {
            return Err((400, "invalid"));
        }
        let external_id = attributes["external_id"].as_str();
        let is_others = |held: &&ProfileView| {
            external_id.is_some()
                && held.external_id.as_deref() == external_id
                && !held.email.eq_ignore_ascii_case(&email)
        };
        let other = self.profiles.values().find(is_others).map(|held| held.email.to_lowercase());
        let key = email.to_lowercase();
        match other {
            // An id is found first; the address is then a new one for its profile, unless somebody has it.
            Some(_) if self.profiles.contains_key(&key) => return Err((409, "duplicate_profile")),
            Some(old) => {
                if let Some(mut moved) = self.profiles.remove(&old) {
                    moved.email.clone_from(&email);
                    self.profiles.insert(key.clone(), moved);
                }
            }
            None => {}
        }
        let is_new = !self.profiles.contains_key(&key);
        Ok((is_new, self.written(&email, attributes)))
    }

    /// `PATCH /profiles/{id}`.
    pub fn update(&mut self, id: &str, attributes: &Value) -> Result<ProfileView, (u16, &'static str)> {
        let old = self.profiles.iter().find(|(_, held)| held.id == id).map(|(key, _)| key.clone());
        let old = old.ok_or((404, "not_found"))?;
        let email = attributes["email"].as_str().unwrap_or(&old).to_owned();
        let key = email.to_lowercase();
        let external_id = attributes["external_id"].as_str();
        let is_others =
            |held: &ProfileView| external_id.is_some() && held.external_id.as_deref() == external_id && held.id != id;
        if (key != old && self.profiles.contains_key(&key)) || self.profiles.values().any(is_others) {
            return Err((409, "duplicate_profile"));
        }
        if let Some(mut moved) = self.profiles.remove(&old) {
            moved.email.clone_from(&email);
            self.profiles.insert(key, moved);
        }
        Ok(self.written(&email, attributes))
    }

    fn written(&mut self, email: &str, attributes: &Value) -> ProfileView {
        let now = self.clock.now();
        let held = self.made(email);
        held.updated = now;
        for (name, value) in attributes.as_object().into_iter().flatten() {
            match (name.as_str(), value) {
                ("email", _) => {}
                ("external_id", value) => held.external_id = value.as_str().map(str::to_owned),
                ("properties", Value::Object(properties)) => held.properties.extend(properties.clone()),
                (name, value) => {
                    held.attributes.insert(name.to_owned(), value.clone());
                }
            }
        }
        held.clone()
    }

    /// A subscription job. It takes away what kept mail from somebody who left, or complained.
    pub fn subscribe(&mut self, email: &str, list: Option<&str>) -> Vec<Value> {
        let now = self.clock.now();
        let held = self.made(email);
        held.suppressions
            .retain(|(reason, _)| !matches!(*reason, "UNSUBSCRIBE" | "SPAM_COMPLAINT" | "USER_SUPPRESSED"));
        let was = held.consent;
        held.consent = ConsentState::Subscribed;
        if was != ConsentState::Subscribed {
            held.consented = Some(now);
        }
        held.updated = now;
        if let Some(list) = list {
            held.lists.insert(list.to_owned());
            held.list_suppressions.retain(|(suppressed, _)| suppressed != list);
        }
        let is_news = was != ConsentState::Subscribed;
        if is_news { vec![self.event("subscribed_to_email_marketing", email, list)] } else { Vec::new() }
    }

    /// A job that takes consent back: for a list that somebody is on, or else for everything.
    pub fn unsubscribe(&mut self, email: &str, list: Option<&str>) -> Vec<Value> {
        let now = self.clock.now();
        let held = self.made(email);
        held.updated = now;
        let kind = match list.filter(|list| held.lists.remove(*list)) {
            Some(list) => {
                held.list_suppressions.push((list.to_owned(), now));
                "unsubscribed_from_list"
            }
            None => {
                held.consent = ConsentState::Unsubscribed;
                held.consented = Some(now);
                held.suppressions.push(("UNSUBSCRIBE", now));
                "unsubscribed_from_email_marketing"
            }
        };
        vec![self.event(kind, email, list)]
    }

    /// Keeps all mail from an address.
    pub fn suppress(&mut self, email: &str, reason: &'static str) {
        let now = self.clock.now();
        let held = self.made(email);
        held.updated = now;
        if held.suppressions.iter().all(|(held, _)| *held != reason) {
            held.suppressions.push((reason, now));
        }
    }

    /// An event of a system webhook, with the profile that it is about.
    pub fn event(&mut self, metric: &str, email: &str, list: Option<&str>) -> Value {
        self.count += 1;
        let (id, now) = (format!("event-{}", self.count), self.clock.now());
        let held = self.profiles.get(&email.to_lowercase());
        let attributes = json!({
            "email": held.map_or(email, |held| &held.email), "external_id": held.and_then(|held| held.external_id.clone()),
        });
        let profile = held.map_or_else(String::new, |held| held.id.clone());
        json!({
            "external_id": id, "topic": format!("event:klaviyo.{metric}"),
            "payload": {
                "data": {
                    "type": "event", "id": id,
                    "attributes": {
                        "timestamp": now.as_second(), "datetime": now.to_string(),
                        "event_properties": { "List": list, "list_id": list },
                    },
                    "relationships": { "profile": { "data": { "type": "profile", "id": profile } } },
                },
                "included": [{ "type": "profile", "id": profile, "attributes": attributes }],
            },
        })
    }
}
