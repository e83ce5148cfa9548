//! What the Event Notification Service (ENS) says: a JSON array of up to 1,000 events, or one object that verifies a
//! new callback.
//!
//! Source: vendor pages "Engagement Email Events", "ENS Notification Signing", `createCallback`. The documented
//! `EmailUnsubscribe` has the address and the numeric subscriber id, and no subscriber key; some receivers read one.

use crate::domain::{ActedAt, Email};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The one category that is about consent.
const UNSUBSCRIBE: &str = "EngagementEvents.EmailUnsubscribe";
/// Unix times below this are in seconds (it is the year 5138), others in milliseconds.
const SECONDS_BELOW: i64 = 100_000_000_000;

/// A callback's body.
#[derive(Debug)]
pub enum Callback {
    /// A new callback is to be verified.
    Handshake(Handshake),
    /// Something happened.
    Events(Vec<Event>),
}

/// What must be sent back to verify a new callback.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handshake {
    /// The callback's id.
    pub callback_id: String,
    /// A key that can be used once.
    pub verification_key: String,
}

/// One event.
#[derive(Debug)]
pub struct Event {
    /// The same when the event comes again; without anything of the person in it.
    pub id: String,
    /// The business unit (MID) that it happened in.
    pub business_unit: Option<String>,
    /// What it says.
    pub what: What,
    /// The event as it was sent, where it leaves open whom it is about.
    pub said: Option<String>,
}

/// What an event says.
#[derive(Debug)]
pub enum What {
    /// Somebody unsubscribed.
    Unsubscribed(Unsubscribed),
    /// Nothing about consent.
    Ignored,
    /// It lacks what it must have.
    Malformed,
}

/// Somebody unsubscribed by a mail.
#[derive(Debug)]
pub struct Unsubscribed {
    /// When.
    pub at: ActedAt,
    /// The list that the mail was sent to.
    pub list: Option<String>,
    /// Marketing Cloud's number of the subscriber.
    pub subscriber_id: Option<String>,
    /// The subscriber's key, which is not always said.
    pub subscriber_key: Option<String>,
    /// The address that the mail was sent to.
    pub address: Option<Email>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEvent {
    event_category_type: String,
    #[serde(rename = "timestampUTC", default)]
    timestamp_utc: Value,
    #[serde(default)]
    composite_id: Value,
    #[serde(default)]
    mid: Value,
    #[serde(default)]
    composite: Value,
    #[serde(default)]
    info: Value,
}

/// Parses a body. What is wrong with it is said without quoting it.
pub fn parse(body: &[u8]) -> Result<Callback, String> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| format!("not JSON, at line {} column {}", error.line(), error.column()))?;
    let events = match value {
        Value::Array(events) => events,
        Value::Object(_) => match Handshake::deserialize(&value) {
            Ok(handshake) => return Ok(Callback::Handshake(handshake)),
            // One event alone is not documented, and is clear enough.
            Err(_) if value.get("eventCategoryType").is_some() => vec![value],
            Err(_) => return Err("neither events nor a verification".to_owned()),
        },
        _ => return Err("not an array of events".to_owned()),
    };
    Ok(Callback::Events(events.iter().map(event).collect()))
}

/// One event. What is none is malformed by itself, and keeps no other one from being heard.
fn event(value: &Value) -> Event {
    match WireEvent::deserialize(value) {
        Ok(wire) => {
            let event = wire.into_event();
            let is_clear = match &event.what {
                What::Unsubscribed(told) => told.address.is_some(),
                What::Ignored => true,
                What::Malformed => false,
            };
            Event { said: (!is_clear).then(|| value.to_string()), ..event }
        }
        Err(_) => {
            let id = hex::encode(&Sha256::digest(value.to_string())[..12]);
            Event { id, business_unit: None, what: What::Malformed, said: Some(value.to_string()) }
        }
    }
}

impl WireEvent {
    fn into_event(self) -> Event {
        let what = if self.event_category_type == UNSUBSCRIBE { self.unsubscribed() } else { What::Ignored };
        Event { id: self.content_id(), business_unit: text(&self.mid), what, said: None }
    }

    fn unsubscribed(&self) -> What {
        // Deprecated, and says the same: job.list.batch.subscriber.
        let joined = text(&self.composite_id).unwrap_or_default();
        let joined: Vec<&str> = joined.split('.').collect();
        let of = |name: &str, place: usize| {
            let joined = (joined.len() == 4).then(|| joined[place].to_owned());
            text(&self.composite[name]).or(joined)
        };
        let told = Unsubscribed {
            at: time(&self.timestamp_utc),
            list: of("listId", 1),
            subscriber_id: of("subscriberId", 3).filter(|id| id.bytes().all(|c| c.is_ascii_digit())),
            subscriber_key: text(&self.info["subscriberKey"]),
            address: self.info["to"].as_str().and_then(|text| Email::parse(text).ok()),
        };
        let is_somebody = told.subscriber_id.is_some() || told.subscriber_key.is_some() || told.address.is_some();
        if is_somebody { What::Unsubscribed(told) } else { What::Malformed }
    }

    /// Events have no id. The composite of mailing and subscriber, with the time, is as good as one.
    fn content_id(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(&self.event_category_type);
        for part in [&self.timestamp_utc, &self.mid, &self.composite_id, &self.composite] {
            digest.update([0]);
            digest.update(part.to_string());
        }
        hex::encode(&digest.finalize()[..12])
    }
}

/// A text or number as text; nothing for what is empty or neither.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A Unix time in milliseconds as documented, or in seconds. (`unsubscribeDate` beside it is not used: in the vendor's
/// own sample it is platform time written as if it were UTC.)
fn time(value: &Value) -> ActedAt {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let instant = |milliseconds| Timestamp::from_millisecond(milliseconds).ok();
    let acted = number.filter(|number| *number > 0).and_then(|number| {
        if number >= SECONDS_BELOW {
            return Some(ActedAt::exactly(instant(number)?));
        }
        Some(ActedAt::between(instant(number * 1000)?, instant(number * 1000 + 999)?))
    });
    acted.unwrap_or(ActedAt::UNKNOWN)
}

#[cfg(test)]
mod tests;
