//! What each call and each person does to the audience. There is one.

use super::{AUDIENCE, DescribedSettings};
use crate::sandbox::Clock;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How somebody stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Is mailed.
    Active,
    /// Has opted out.
    Stopped,
    /// Mail came back.
    Bounced,
    /// Has reported spam.
    Complained,
}

impl State {
    /// Its name over there.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Stopped => "stopped",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }
}

/// Somebody there.
#[derive(Clone, Debug)]
pub struct Person {
    /// The id.
    pub id: u64,
    /// The address.
    pub email: String,
    /// How they stand.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Their fields.
    pub fields: Map<String, Value>,
    /// How many looks still see what was before the last write, and what that was; none if they weren't there.
    before: Option<(u32, Option<(State, Timestamp)>)>,
}

impl Person {
    /// A field's text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields.get(name).and_then(Value::as_str).map(ToOwned::to_owned)
    }
}

/// Status and code of a refusal.
pub(super) type Refused = (u16, &'static str);

/// Everybody there.
pub(super) struct World {
    settings: DescribedSettings,
    clock: Clock,
    people: BTreeMap<String, Person>,
    last_id: u64,
}

impl World {
    pub fn new(settings: DescribedSettings, clock: Clock) -> Self {
        Self { settings, clock, people: BTreeMap::new(), last_id: 0 }
    }

    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    pub fn is_timeless(&self) -> bool {
        self.settings.timeless
    }

    /// Somebody as a read shows them, which may be as they were.
    pub fn look(&mut self, email: &str) -> Result<Person, Refused> {
        let person = self.people.get_mut(&email.to_lowercase()).ok_or((404, "nobody"))?;
        match &mut person.before {
            Some((looks, before)) if *looks > 0 => {
                *looks -= 1;
                let (state, since) = before.ok_or((404, "nobody"))?;
                Ok(Person { state, since, ..person.clone() })
            }
            _ => Ok(person.clone()),
        }
    }

    /// A call that subscribes somebody.
    pub fn put(&mut self, email: &str, body: &Value) -> Result<Vec<Value>, Refused> {
        let (now, queue) = (self.clock.now(), self.settings.queue);
        let force = body["force"] == true || self.settings.subscribe_lifts;
        let key = email.to_lowercase();
        let before = self.people.get(&key).map(|person| (person.state, person.since));
        let is_in = before.map(|(state, _)| state == State::Active);
        if is_in == Some(false) && !force {
            return Err((409, "out"));
        }
        if !self.people.contains_key(&key) {
            self.last_id += 1;
            let id = self.last_id;
            let person = Person {
                id,
                email: email.to_owned(),
                state: State::Active,
                since: now,
                fields: Map::new(),
                before: None,
            };
            self.people.insert(key.clone(), person);
        }
        let person = self.people.get_mut(&key).ok_or((404, "nobody"))?;
        take_fields(person, body);
        if is_in == Some(true) {
            return Ok(Vec::new());
        }
        person.state = State::Active;
        person.since = now;
        person.before = Some((queue, before));
        let person = person.clone();
        Ok(vec![self.told("subscribed", &person, None)])
    }

    /// A call that changes address or fields.
    pub fn patch(&mut self, email: &str, body: &Value) -> Result<Vec<Value>, Refused> {
        let mut person = self.people.get(&email.to_lowercase()).ok_or((404, "nobody"))?.clone();
        let to = body["email"].as_str().unwrap_or(email).to_owned();
        let (from, key) = (email.to_lowercase(), to.to_lowercase());
        if key != from && self.people.contains_key(&key) {
            return Err((409, "taken"));
        }
        if key != from && self.settings.never_moves {
            return Err((422, "address"));
        }
        take_fields(&mut person, body);
        let former = std::mem::replace(&mut person.email, to);
        self.people.remove(&from);
        self.people.insert(key, person.clone());
        Ok(vec![self.told("changed", &person, Some(&former))])
    }

    /// A call that unsubscribes somebody.
    pub fn stop(&mut self, email: &str) -> Result<Vec<Value>, Refused> {
        if !self.people.contains_key(&email.to_lowercase()) {
            return Err((404, "nobody"));
        }
        let before = self.people.get(&email.to_lowercase()).map(|person| (person.state, person.since));
        let told = self.happens(email, State::Stopped, &[State::Active]);
        let queue = self.settings.queue;
        if let Some(person) = self.people.get_mut(&email.to_lowercase()).filter(|_| told.is_some()) {
            person.before = Some((queue, before));
        }
        Ok(told.unwrap_or_default())
    }

    /// A state changes; none if it couldn't from the one that there is. Somebody new can become active only.
    pub fn happens(&mut self, email: &str, state: State, from: &[State]) -> Option<Vec<Value>> {
        let now = self.clock.now();
        if state == State::Active && !self.people.contains_key(&email.to_lowercase()) {
            let told = self.put(email, &Value::Null).ok();
            if let Some(person) = self.people.get_mut(&email.to_lowercase()) {
                // Only calls are queued.
                person.before = None;
            }
            return told;
        }
        let person = self.people.get_mut(&email.to_lowercase()).filter(|person| from.contains(&person.state))?;
        (person.state, person.since, person.before) = (state, now, None);
        let person = person.clone();
        let kind = if state == State::Active { "subscribed" } else { state.name() };
        Some(vec![self.told(kind, &person, None)])
    }

    pub fn delete(&mut self, email: &str) -> Option<Value> {
        let person = self.people.remove(&email.to_lowercase())?;
        Some(self.told("deleted", &person, None))
    }

    /// A call that deletes somebody by their id.
    pub fn delete_by_id(&mut self, id: &str) -> Result<Vec<Value>, Refused> {
        let email = self.people().find(|person| person.id.to_string() == id).map(|person| person.email.clone());
        let told = email.and_then(|email| self.delete(&email));
        told.map(|event| vec![event]).ok_or((404, "nobody"))
    }

    fn told(&self, kind: &str, person: &Person, former: Option<&str>) -> Value {
        let now = self.clock.now().as_second();
        json!({
            "id": crate::sandbox::new_uuid().simple().to_string(), "type": kind, "email": person.email,
            "old_email": former, "audience": AUDIENCE.parse::<u64>().unwrap_or_default(),
            "uid": person.fields.get("gigya_uid"), "at": now,
        })
    }
}

fn take_fields(person: &mut Person, body: &Value) {
    for (name, value) in body["fields"].as_object().into_iter().flatten() {
        person.fields.insert(name.clone(), value.clone());
    }
}
