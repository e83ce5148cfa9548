//! Users by their external id; several may have one address. In each subscription group somebody is in, out, or was never
//! asked, and above all groups there is one state for everything.

use super::BrazeSettings;
use crate::sandbox::Clock;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A user as a test wants to see them.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The id at the customer's, here Gigya's UID; none of somebody who subscribed by a form.
    pub external_id: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// The vendor's own attributes, such as `first_name`.
    pub attributes: Map<String, Value>,
    /// The customer's.
    pub custom: Map<String, Value>,
    /// By group: whether they are in.
    pub groups: BTreeMap<String, bool>,
    /// The state for everything, as the API spells it.
    pub email_subscribe: String,
    pub(super) unsubscribed: Option<Timestamp>,
    pub(super) bounced: bool,
}

impl UserView {
    pub(super) fn is_reached(&self, group: &str) -> bool {
        self.email_subscribe != "unsubscribed" && !self.bounced && self.groups.get(group) == Some(&true)
    }

    pub(super) fn has(&self, email: &str) -> bool {
        self.email.as_ref().is_some_and(|held| held.eq_ignore_ascii_case(email))
    }
}

/// The vendor's own attributes that this knows.
const OWN: [&str; 5] = ["first_name", "last_name", "country", "language", "phone"];

pub struct World {
    pub clock: Clock,
    pub groups: Vec<String>,
    pub users: BTreeMap<String, UserView>,
}

impl World {
    pub fn new(settings: &BrazeSettings, clock: Clock) -> Self {
        Self { clock, groups: settings.groups.clone(), users: BTreeMap::new() }
    }

    /// Attributes of a user, of whom only what is wrong with them is told at once.
    pub fn check(&self, attributes: &Value) -> Result<(), &'static str> {
        if attributes["external_id"].as_str().is_none_or(str::is_empty) {
            return Err("'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required");
        }
        let groups = attributes["subscription_groups"].as_array();
        let known = |group: &Value| {
            let id = group["subscription_group_id"].as_str().unwrap_or_default();
            self.groups.iter().any(|known| known == id)
        };
        if groups.into_iter().flatten().all(known) { Ok(()) } else { Err("subscription group does not exist") }
    }

    /// Writes a user's attributes, when their turn has come.
    pub fn track(&mut self, attributes: &Value) -> Vec<Value> {
        let now = self.clock.now();
        let id = attributes["external_id"].as_str().unwrap_or_default().to_owned();
        // Who has an address for an id came by a form, and has none.
        let external_id = (!id.contains('@')).then(|| id.clone());
        let user = self.users.entry(id.clone()).or_insert_with(|| UserView {
            external_id,
            email: None,
            attributes: Map::new(),
            custom: Map::new(),
            groups: BTreeMap::new(),
            email_subscribe: "subscribed".to_owned(),
            unsubscribed: None,
            bounced: false,
        });
        for (name, value) in attributes.as_object().into_iter().flatten() {
            match (name.as_str(), value) {
                ("external_id" | "subscription_groups" | "_update_existing_only", _) => {}
                ("email", value) => user.email = value.as_str().map(str::to_owned),
                ("email_subscribe", Value::String(state)) => {
                    user.unsubscribed = (state == "unsubscribed").then_some(now);
                    user.email_subscribe.clone_from(state);
                }
                (name, value) => {
                    let kept = if OWN.contains(&name) { &mut user.attributes } else { &mut user.custom };
                    kept.insert(name.to_owned(), value.clone());
                }
            }
        }
        let mut happened = Vec::new();
        for group in attributes["subscription_groups"].as_array().into_iter().flatten() {
            let name = group["subscription_group_id"].as_str().unwrap_or_default();
            happened.extend(self.set(&id, name, group["subscription_state"] == "subscribed"));
        }
        happened
    }

    /// Sets somebody's state in a group; tells if it is another one.
    pub fn set(&mut self, id: &str, group: &str, is_in: bool) -> Option<Value> {
        let user = self.users.get_mut(id)?;
        let was = user.groups.insert(group.to_owned(), is_in);
        (was != Some(is_in)).then(|| self.event(if is_in { "subscribed" } else { "unsubscribed" }, id, Some(group)))
    }

    /// Sets the state for everything, of everybody with an address.
    pub fn set_everything(&mut self, email: &str, state: &str) {
        let now = self.clock.now();
        for user in self.users.values_mut().filter(|user| user.has(email)) {
            state.clone_into(&mut user.email_subscribe);
            user.unsubscribed = (state == "unsubscribed").then_some(now);
        }
    }

    /// What the campaign's webhook says.
    pub fn event(&self, kind: &str, id: &str, group: Option<&str>) -> Value {
        let user = self.users.get(id);
        let (email, id) = (user.and_then(|user| user.email.clone()), user.and_then(|user| user.external_id.clone()));
        let mut event = json!({
            "type": kind, "external_id": id, "email": email,
            "at": self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        if let Some(group) = group {
            event["subscription_group_id"] = json!(group);
        }
        event
    }
}
