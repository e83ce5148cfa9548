//! Lists and subscribers, and what each call does to them (vendor page "Subscribers" of API v3.3).

use super::CampaignMonitorSettings;
use super::list::{List, State, Subscriber};
use crate::sandbox::Clock;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub struct World {
    clock: Clock,
    zone: TimeZone,
    coarse: bool,
    pub lists: BTreeMap<String, List>,
    pub suppressed: BTreeSet<String>,
    writes: HashMap<String, Vec<Timestamp>>,
    writes_a_minute: usize,
}

/// A code of the API, and what it says.
pub type Refused = (u16, i64, &'static str);

pub const NOT_IN_LIST: Refused = (400, 203, "Subscriber not in list or has already been removed.");

impl World {
    pub fn new(settings: &CampaignMonitorSettings, clock: Clock) -> Self {
        Self {
            clock,
            zone: settings.time_zone.clone(),
            coarse: settings.coarse_times,
            lists: settings.lists.iter().map(|settings| (settings.id.clone(), List::new(settings))).collect(),
            suppressed: BTreeSet::new(),
            writes: HashMap::new(),
            writes_a_minute: settings.writes_a_minute,
        }
    }

    /// A time as the client tells it: local, to the second or to the day.
    pub fn local(&self, at: Timestamp) -> String {
        let format = if self.coarse { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M:%S" };
        self.zone.to_datetime(at).strftime(format).to_string()
    }

    /// The day that the client's clocks show.
    pub fn today(&self) -> Date {
        self.zone.to_datetime(self.clock.now()).date()
    }

    /// When the client's clocks show a time.
    pub fn instant(&self, local: DateTime) -> Option<Timestamp> {
        self.zone.to_timestamp(local).ok()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn list(&mut self, id: &str) -> Result<&mut List, Refused> {
        self.lists.get_mut(id).ok_or((401, 102, "Invalid ListID"))
    }

    /// Whether one person was written too often within the last minute.
    pub fn too_often(&mut self, email: &str) -> bool {
        if self.writes_a_minute == 0 {
            return false;
        }
        let now = self.clock.now();
        let writes = self.writes.entry(email.to_ascii_lowercase()).or_default();
        writes.retain(|at| now.duration_since(*at) < SignedDuration::from_mins(1));
        writes.push(now);
        writes.len() > self.writes_a_minute
    }

    pub fn find(&self, list: &str, email: &str) -> Option<&Subscriber> {
        self.lists.get(list)?.get(email)
    }

    /// Adds or updates somebody, as add and import do. What happened, or why not.
    pub fn add(&mut self, list_id: &str, write: &Value, resubscribe: bool) -> Result<Vec<Value>, Refused> {
        let email = valid_email(write)?;
        let consent = consent_to_track(write)?;
        check_fields(write)?;
        let now = self.clock.now();
        let key = email.to_ascii_lowercase();
        let is_suppressed = self.suppressed.contains(&key);
        let list = self.list(list_id)?;
        let existing = list.get(&key).map(|subscriber| subscriber.state);
        let refused = |code: i64| Err((400, code, "Subscriber exists in an inactive state and was not added."));
        let state = match existing {
            Some(State::Active) => State::Active,
            Some(State::Unconfirmed) => State::Unconfirmed,
            Some(_) if resubscribe => State::Active,
            Some(State::Deleted) => return refused(205),
            Some(State::Unsubscribed) => return refused(206),
            Some(State::Bounced) => return refused(207),
            None if is_suppressed && !resubscribe => return refused(204),
            None => State::Active,
        };
        let is_new = existing != Some(state);
        let state = if is_new && list.confirmed_opt_in { State::Unconfirmed } else { state };
        let defined = list.fields.clone();
        let mut subscriber = list.get(&key).cloned().unwrap_or_else(|| Subscriber {
            email: email.clone(),
            name: String::new(),
            mobile: String::new(),
            state,
            changed: now,
            joined: now,
            fields: Vec::new(),
            consent_to_track: "Unchanged",
        });
        if is_new {
            subscriber.state = state;
            subscriber.changed = now;
        }
        write_fields(&mut subscriber, write, &defined, consent);
        list.put(subscriber);
        let kind = match (is_new, state) {
            (true, State::Active) => "Subscribe",
            // On a list with confirmed opt-in, Subscribe fires on confirmation only.
            (true, _) => return Ok(Vec::new()),
            (false, _) => "Update",
        };
        Ok(vec![self.event(kind, list_id, &email, None)])
    }

    /// Updates somebody, who may get another address. Opts in only with `Resubscribe`.
    pub fn update(&mut self, list_id: &str, old: &str, write: &Value) -> Result<Vec<Value>, Refused> {
        let email = valid_email(write).map_err(|_| (400, 211, "Invalid new email address"))?;
        let consent = consent_to_track(write)?;
        check_fields(write)?;
        let resubscribe = write["Resubscribe"] == json!(true);
        let now = self.clock.now();
        let (old_key, key) = (old.to_ascii_lowercase(), email.to_ascii_lowercase());
        let list = self.list(list_id)?;
        if list.get(&old_key).is_none() {
            return Err(NOT_IN_LIST);
        }
        if key != old_key && list.get(&key).is_some() {
            return Err((400, 201, "New email address is already on the list"));
        }
        let defined = list.fields.clone();
        let mut subscriber = list.remove(&old_key).ok_or(NOT_IN_LIST)?;
        let was_out = !matches!(subscriber.state, State::Active | State::Unconfirmed);
        if resubscribe && was_out {
            subscriber.state = State::Active;
            subscriber.changed = now;
        }
        subscriber.email.clone_from(&email);
        write_fields(&mut subscriber, write, &defined, consent);
        list.put(subscriber);
        let mut happened = vec![self.event("Update", list_id, &email, Some(old))];
        if resubscribe && was_out {
            happened.push(self.event("Subscribe", list_id, &email, None));
        }
        Ok(happened)
    }

    /// Moves somebody to a state in which they aren't mailed. Fires even when made through the API.
    pub fn deactivate(&mut self, list_id: &str, email: &str, state: State) -> Result<Vec<Value>, Refused> {
        let now = self.clock.now();
        let list = self.list(list_id)?;
        let from_all = list.unsubscribe_from_all && state == State::Unsubscribed;
        let mut subscriber = list.get(email).cloned().ok_or(NOT_IN_LIST)?;
        let is_allowed = match state {
            State::Unsubscribed => subscriber.state == State::Active,
            _ => subscriber.state != state,
        };
        if !is_allowed {
            return Err(NOT_IN_LIST);
        }
        subscriber.state = state;
        subscriber.changed = now;
        list.put(subscriber);
        let mut happened = vec![self.event("Deactivate", list_id, email, None)];
        if from_all {
            happened.extend(self.suppress(email));
        }
        Ok(happened)
    }

    /// Puts an address on the suppression list, and moves it out of every list.
    pub fn suppress(&mut self, email: &str) -> Vec<Value> {
        let key = email.to_ascii_lowercase();
        self.suppressed.insert(key.clone());
        let is_active = |list: &List| list.get(&key).is_some_and(|held| held.state == State::Active);
        let lists: Vec<_> = self.lists.iter().filter(|(_, list)| is_active(list)).map(|(id, _)| id.clone()).collect();
        let out = lists.iter().filter_map(|id| self.deactivate(id, email, State::Unsubscribed).ok());
        out.flatten().collect()
    }

    /// A webhook event about somebody, with the list it belongs to.
    pub fn event(&self, kind: &str, list_id: &str, email: &str, old: Option<&str>) -> Value {
        let subscriber = self.find(list_id, email);
        let fields = subscriber.map(|subscriber| &subscriber.fields).into_iter().flatten();
        let fields: Vec<_> = fields.map(|(key, value)| json!({ "Key": &**key, "Value": value })).collect();
        let mut event = json!({
            "ListID": list_id, "Type": kind, "Date": self.local(self.clock.now()), "EmailAddress": email,
            "Name": subscriber.map_or("", |subscriber| &subscriber.name), "CustomFields": fields,
        });
        if kind == "Subscribe" {
            event["SignupIPAddress"] = "203.0.113.9".into();
        } else if let Some(subscriber) = subscriber {
            event["State"] = subscriber.state.name().into();
        }
        if kind == "Update" {
            event["OldEmailAddress"] = old.unwrap_or(email).into();
        }
        event
    }
}

fn valid_email(write: &Value) -> Result<String, Refused> {
    let email = write["EmailAddress"].as_str().unwrap_or_default().trim();
    let is_valid = email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    if is_valid { Ok(email.to_owned()) } else { Err((400, 1, "Invalid Email Address")) }
}

fn consent_to_track(write: &Value) -> Result<&'static str, Refused> {
    match write["ConsentToTrack"].as_str() {
        Some("Yes") => Ok("Yes"),
        Some("No") => Ok("No"),
        Some("Unchanged") => Ok("Unchanged"),
        Some(_) => Err((400, 215, "Invalid ConsentToTrack")),
        None => Err((400, 214, "ConsentToTrack is required")),
    }
}

/// Values are strings of at most 250 characters; that longer ones refuse the whole write is our reading.
fn check_fields(write: &Value) -> Result<(), Refused> {
    let fits = |field: &Value| field["Value"].as_str().is_some_and(|value| value.chars().count() <= 250);
    let fields = write["CustomFields"].as_array();
    let fits = fields.into_iter().flatten().all(fits);
    if fits { Ok(()) } else { Err((400, 1, "A custom field's value is too long")) }
}

/// The name as a key: without spaces, in small letters, with or without brackets.
pub fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '[' | ']')).collect::<String>().to_lowercase()
}

/// Fields that aren't sent stay; those that the list doesn't have are dropped without a word.
fn write_fields(subscriber: &mut Subscriber, write: &Value, defined: &[Arc<str>], consent: &'static str) {
    if let Some(name) = write["Name"].as_str() {
        name.clone_into(&mut subscriber.name);
    }
    if let Some(mobile) = write["MobileNumber"].as_str() {
        mobile.clone_into(&mut subscriber.mobile);
    }
    if consent != "Unchanged" {
        subscriber.consent_to_track = consent;
    }
    let sent: Vec<_> = write["CustomFields"].as_array().into_iter().flatten().collect();
    for name in defined {
        let of_this: Vec<_> =
            sent.iter().filter(|field| folded(field["Key"].as_str().unwrap_or_default()) == folded(name)).collect();
        if of_this.is_empty() {
            continue;
        }
        subscriber.fields.retain(|(key, _)| key != name);
        for field in of_this.into_iter().filter(|field| field["Clear"] != json!(true)) {
            subscriber.fields.push((Arc::clone(name), field["Value"].as_str().unwrap_or_default().to_owned()));
        }
    }
}
