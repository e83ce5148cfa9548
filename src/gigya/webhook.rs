//! A Gigya webhook's body, after its signature was verified.
//!
//! It says only *that* accounts changed (SAP, "Webhooks": no profile data is in the payload). Versions 1.0, 1.1
//! and 2.0 share one envelope; fields that a version lacks are optional here.

use super::members::Members;
use super::tree::Part;
use crate::domain::Uid;
use crate::json;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_json::value::RawValue;

/// The most characters of an event's id that are kept.
const LONGEST_ID: usize = 64;

/// What is read of an event; others may be there, and be anything.
const MEMBERS: [&str; 7] = ["type", "id", "callId", "callID", "apiKey", "timestamp", "data"];

/// A whole notification: up to 100 events.
#[derive(Debug)]
pub struct Notification {
    /// Its events, in the order in which they were sent: the order is kept per account.
    pub events: Vec<Event>,
    /// Its id, which a JWT's `jti` repeats (versions 1.1 and 2.0).
    pub nonce: Option<String>,
    /// When it was made, Unix seconds.
    pub timestamp: Option<i64>,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The event's id; empty where the sender left it out.
    pub id: String,
    /// The id that events of one API call share.
    pub call_id: Option<String>,
    /// The site it happened on; version 1.0 doesn't say.
    pub api_key: Option<String>,
    /// When it happened.
    pub happened: Option<Timestamp>,
    /// What it means for the gateway.
    pub kind: EventKind,
    /// The event as it was sent, where it can't be understood.
    pub said: Option<String>,
}

/// What an event means for the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Something about this account changed: look at it.
    Changed(Subject),
    /// The account was deleted; it can't be looked at anymore.
    Deleted(Uid),
    /// A kind that has nothing to do with subscriptions, or that this version doesn't know.
    Ignored,
    /// It is none, or of a kind that matters without saying whose account it is about.
    Malformed,
}

/// Whose account an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The account with this UID.
    Account {
        /// Its UID now.
        uid: Uid,
        /// A UID that it had before a merge or a change of UID.
        formerly: Option<Uid>,
    },
    /// The email account with this token (`subscriptionUpdated`, which may name no UID).
    EmailAccount {
        /// `emailAccountToken`, good for `accounts.getLiteToken`.
        token: String,
    },
}

#[derive(Deserialize)]
struct WireNotification<'a> {
    // Each is read by itself: one that isn't as it should be keeps no other from being heard.
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    timestamp: Option<i64>,
}

impl Notification {
    /// Parses a body.
    ///
    /// # Errors
    /// Where and how it isn't a notification, without quoting it.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let wire: WireNotification<'_> = json::read(body).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "not a Gigya notification",
                _ => "not JSON",
            };
            format!("{what}, at line {} column {}", error.line(), error.column())
        })?;
        let events: Vec<_> = wire.events.into_iter().map(|raw| (raw, Event::parse(raw))).collect();
        if !events.is_empty() && events.iter().all(|(_, event)| event.is_none()) {
            return Err("not a Gigya notification: none of its events has the shape of one".to_owned());
        }
        let with_raw = |(raw, event): (&RawValue, Option<Event>)| {
            let event = event.unwrap_or_default();
            let said = (event.kind == EventKind::Malformed).then(|| raw.get().to_owned());
            Event { said, ..event }
        };
        let events = events.into_iter().map(with_raw).collect();
        Ok(Self { events, nonce: wire.nonce, timestamp: wire.timestamp })
    }
}

impl Default for Event {
    /// What is no event, among others that are.
    fn default() -> Self {
        Self { id: String::new(), call_id: None, api_key: None, happened: None, kind: EventKind::Malformed, said: None }
    }
}

/// A whole number, however it is written: `1900000000.0` is one, too, to JSON, and no reason to refuse an opt-out. One
/// beyond all times is just too early or too late.
#[allow(clippy::cast_possible_truncation, reason = "it saturates")]
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = || number.as_f64().filter(|seconds| seconds.fract() == 0.0).map(|seconds| seconds as i64);
    let seconds = number.as_i64().or_else(whole);
    seconds.map(Some).ok_or_else(|| serde::de::Error::custom("not a whole number of seconds"))
}

impl Event {
    /// One that was told before, and whose account is known otherwise.
    #[must_use]
    pub fn told(id: &str, happened: Option<Timestamp>, api_key: Option<String>) -> Self {
        Self { id: id.to_owned(), happened, api_key, kind: EventKind::Ignored, ..Self::default() }
    }

    /// None if it hasn't the shape of an event.
    fn parse(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        let members = Members::read(&MEMBERS, text, |_, _| ()).ok()?;
        // Of two accounts, one would be forgotten.
        if members.is_any_twice() {
            return None;
        }
        let member = |name: &str| members.part(text, name);
        let r#type = member("type").ok()??.as_str()?;
        let api_key = match member("apiKey").ok()?.filter(|key| !key.is_null()) {
            Some(key) => Some(key.as_str()?.to_owned()),
            None => None,
        };
        // Whatever it is: a kind of event that we don't know may have anything here.
        let data = member("data").ok()?;
        let about = |key: &str| data?.get(key)?.as_str().filter(|text| !text.is_empty());
        let uid = about("uid").and_then(Uid::new);
        let changed = match (&uid, about("emailAccountToken")) {
            (Some(uid), _) => EventKind::Changed(Subject::Account { uid: uid.clone(), formerly: None }),
            (None, Some(token)) => EventKind::Changed(Subject::EmailAccount { token: token.to_owned() }),
            (None, None) => EventKind::Malformed,
        };
        let kind = match r#type {
            "accountCreated"
            | "accountRegistered"
            | "accountUpdated"
            | "accountProgressed"
            | "subscriptionUpdated"
            | "consentUpdated" => changed,
            // `uid` is the old one, `newUid` the one that stays.
            "accountMerged" | "accountUidChanged" => match about("newUid").and_then(Uid::new) {
                Some(new) => EventKind::Changed(Subject::Account { uid: new, formerly: uid }),
                None => changed,
            },
            "accountDeleted" => uid.map_or(EventKind::Malformed, EventKind::Deleted),
            // accountLoggedIn, accountLockedOut, communicationUpdated (other channels), sitePreferencesReset, ...
            _ => EventKind::Ignored,
        };
        // Nobody's opt-out hangs on these, nor on whether they can be read.
        let told = |name: &str| member(name).ok().flatten();
        let text = |name: &str| told(name).and_then(Part::as_str);
        Some(Self {
            id: id(text("id").unwrap_or_default()),
            // Both spellings are seen.
            call_id: text("callId").or_else(|| text("callID")).map(ToOwned::to_owned),
            api_key,
            happened: told("timestamp").and_then(Part::as_i64).and_then(|s| Timestamp::from_second(s).ok()),
            kind,
            said: None,
        })
    }
}

/// As much of an event's id as goes to logs and answers; Gigya's are UUIDs.
fn id(text: &str) -> String {
    let mut id = text.to_owned();
    id.retain(|c| !c.is_control());
    if let Some((end, _)) = id.char_indices().nth(LONGEST_ID) {
        id.truncate(end);
    }
    id
}

#[cfg(test)]
mod tests;
