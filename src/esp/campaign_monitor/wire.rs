//! Subscribers as Campaign Monitor spells them: states, custom fields, local times.
//!
//! Source: vendor pages "Subscribers" and "Webhooks" of API v3.3, and its SDKs' fixtures.

use crate::config::CampaignMonitor as Settings;
use crate::domain::{ActedAt, Consent, Email, OptOutReason, Uid};
use crate::esp::{Field, FieldValue, Leftover, Person, Record, RecordKey};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// The most characters that a field's value may have.
const MAX_VALUE: usize = 250;

/// A subscriber as `GET /subscribers/{list}.json` answers. Lenient: what is missing is unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WireSubscriber {
    pub email_address: String,
    pub name: Option<String>,
    pub mobile_number: Option<String>,
    pub date: Option<String>,
    pub state: String,
    pub custom_fields: Vec<WireField>,
    pub consent_to_track: Option<String>,
    pub consent_to_send_sms: Option<String>,
}

/// One custom field's value. A field that holds many is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WireField {
    pub key: String,
    #[serde(deserialize_with = "or_empty")]
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<bool>,
}

/// A field without a value may be told with null for one.
fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A subscriber as add, update and import take it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct WireWrite {
    pub email_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mobile_number: Option<String>,
    pub custom_fields: Vec<WireField>,
    pub consent_to_track: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent_to_send_sms: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resubscribe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_subscription_based_autoresponders: Option<bool>,
}

/// Fields of the subscriber itself; every other name is a custom field.
const NAME: &str = "name";
const MOBILE_NUMBER: &str = "mobilenumber";
const CONSENT_TO_TRACK: &str = "consenttotrack";
const CONSENT_TO_SEND_SMS: &str = "consenttosendsms";

/// A field's name as it compares: writes take keys, reads give names, and the key is the name without spaces,
/// in brackets.
pub fn folded(name: &str) -> String {
    let mut key = key(name);
    // As a rule; and far quicker.
    if key.is_ascii() {
        key.make_ascii_lowercase();
        return key;
    }
    key.chars().flat_map(char::to_lowercase).collect()
}

/// Whether a mapped name is a custom field, and not a field of the subscriber itself.
pub fn is_custom(name: &str) -> bool {
    ![NAME, MOBILE_NUMBER, CONSENT_TO_TRACK, CONSENT_TO_SEND_SMS].contains(&folded(name).as_str())
}

/// A state as consent. Only `Active` may be mailed; states that we don't know are taken as out.
pub fn consent(state: &str, since: ActedAt) -> Consent {
    match state.to_ascii_lowercase().as_str() {
        "active" => Consent::OptedIn { since },
        "unconfirmed" => Consent::Pending { since },
        _ => Consent::OptedOut { since, reason: reason(state) },
    }
}

/// How somebody came to be in a state that isn't `Active`.
pub fn reason(state: &str) -> OptOutReason {
    match state.to_ascii_lowercase().as_str() {
        "unsubscribed" => OptOutReason::Unsubscribed,
        "bounced" => OptOutReason::Bounced,
        "deleted" => OptOutReason::Deleted,
        "suppressed" => OptOutReason::Suppressed,
        "spam" | "spamcomplaint" | "complained" | "markedasspam" => OptOutReason::Complained,
        _ => OptOutReason::Other,
    }
}

/// A time as Campaign Monitor tells it: `2026-01-14 11:32:00` on the client's clock, or a date alone.
///
/// Known to the second, so it is somewhere within that second; an hour that the clocks repeat is both; a date is
/// the whole day; what can't be read is unknown.
pub fn acted_at(text: Option<&str>, zone: &TimeZone) -> ActedAt {
    let Some(text) = text.map(str::trim) else { return ActedAt::UNKNOWN };
    if let Ok(instant) = text.parse::<Timestamp>() {
        return ActedAt::exactly(instant);
    }
    let text = text.replace('/', "-");
    let bounds = if text.contains(':') {
        text.parse::<DateTime>().ok().and_then(|local| Some((first(local, zone)?, last(local, zone)?)))
    } else {
        text.parse::<Date>().ok().and_then(|day| {
            let end = day.to_datetime(Time::constant(23, 59, 59, 0));
            Some((first(day.to_datetime(Time::midnight()), zone)?, last(end, zone)?))
        })
    };
    let Some((first, last)) = bounds else { return ActedAt::UNKNOWN };
    let within_the_second = SignedDuration::from_millis(999);
    ActedAt::between(first, last.checked_add(within_the_second).unwrap_or(last))
}

fn first(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(local).earlier().ok()
}

fn last(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let resolved = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous.compatible(),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => ambiguous.later(),
    };
    resolved.ok()
}

impl WireSubscriber {
    /// The record, or `None` if its address is none.
    pub fn into_record(self, settings: &Settings) -> Option<Record> {
        let address = Email::parse(&self.email_address).ok()?;
        let consent = consent(&self.state, acted_at(self.date.as_deref(), &settings.time_zone));
        let mut fields: Vec<_> =
            self.custom_fields.into_iter().map(|field| (folded(&field.key), field.value)).collect();
        let uid = uid_among(fields.iter().map(|(name, value)| (name, value.as_str())), &settings.uid_field);
        let own = [
            (NAME, self.name),
            (MOBILE_NUMBER, self.mobile_number),
            (CONSENT_TO_TRACK, self.consent_to_track),
            (CONSENT_TO_SEND_SMS, self.consent_to_send_sms),
        ];
        fields.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let key = RecordKey(address.expose().into());
        Some(Record { key, address, consent, uid, fields, levels: Vec::new(), leftover: Leftover::Nothing })
    }
}

/// The UID among custom fields.
pub fn uid(fields: &[WireField], uid_field: &str) -> Option<Uid> {
    uid_among(fields.iter().map(|field| (folded(&field.key), field.value.as_str())), uid_field)
}

/// The same among folded names and their values.
fn uid_among<'a, S: AsRef<str>>(fields: impl IntoIterator<Item = (S, &'a str)>, uid_field: &str) -> Option<Uid> {
    let wanted = folded(uid_field);
    let (_, value) = fields.into_iter().find(|(name, _)| name.as_ref() == wanted)?;
    Uid::new(value)
}

/// What is written of a person. `over` is what is there already, of which vanished values are cleared.
pub fn write(person: &Person, over: Option<&Record>, settings: &Settings) -> WireWrite {
    let mut wire = WireWrite {
        email_address: person.address.expose().to_owned(),
        name: None,
        mobile_number: None,
        custom_fields: vec![custom(&settings.uid_field, person.uid.expose())],
        consent_to_track: "Unchanged".to_owned(),
        consent_to_send_sms: None,
        resubscribe: None,
        restart_subscription_based_autoresponders: None,
    };
    let uid_field = folded(&settings.uid_field);
    for field in &*person.fields {
        match folded(&field.name).as_str() {
            name if name == uid_field => {}
            NAME => wire.name = Some(text(&field.value)),
            MOBILE_NUMBER => wire.mobile_number = Some(text(&field.value)).filter(|number| !number.is_empty()),
            CONSENT_TO_TRACK => {
                if let Some(answer) = yes_or_no(&field.value) {
                    wire.consent_to_track = answer;
                }
            }
            CONSENT_TO_SEND_SMS => wire.consent_to_send_sms = yes_or_no(&field.value),
            _ => wire.custom_fields.extend(custom_fields(field, over)),
        }
    }
    wire
}

fn custom_fields(field: &Field, over: Option<&Record>) -> Vec<WireField> {
    let held = || over.is_some_and(|record| !held_values(record, &folded(&field.name)).is_empty());
    match &field.value {
        FieldValue::Missing if held() => {
            vec![WireField { key: key(&field.name), value: String::new(), clear: Some(true) }]
        }
        FieldValue::Missing => Vec::new(),
        FieldValue::Many(texts) => texts.iter().map(|text| custom(&field.name, text)).collect(),
        value => vec![custom(&field.name, &text(value))],
    }
}

fn custom(name: &str, value: &str) -> WireField {
    WireField { key: key(name), value: shortened(value), clear: None }
}

/// The key as the vendor's SDKs send it: without brackets and spaces.
fn key(name: &str) -> String {
    let mut key = name.to_owned();
    key.retain(|c| !c.is_whitespace() && !matches!(c, '[' | ']'));
    key
}

/// At most 250 characters: more would refuse the whole subscriber for the sake of one field.
fn shortened(value: &str) -> String {
    let end = value.char_indices().nth(MAX_VALUE).map_or(value.len(), |(end, _)| end);
    value[..end].to_owned()
}

fn text(value: &FieldValue) -> String {
    match value {
        FieldValue::Missing => String::new(),
        FieldValue::Text(text) => shortened(text),
        FieldValue::Flag(flag) => flag.to_string(),
        FieldValue::Many(texts) => shortened(&texts.join(", ")),
    }
}

/// `Yes`, `No` or `Unchanged`; `None` where the mapping gives nothing that can be read as one of them.
fn yes_or_no(value: &FieldValue) -> Option<String> {
    let text = match value {
        FieldValue::Flag(flag) => flag.to_string(),
        FieldValue::Text(text) => text.to_ascii_lowercase(),
        FieldValue::Missing | FieldValue::Many(_) => return None,
    };
    let answer = match text.as_str() {
        "true" | "yes" | "1" => "Yes",
        "false" | "no" | "0" => "No",
        "unchanged" => "Unchanged",
        _ => return None,
    };
    Some(answer.to_owned())
}

/// Whether writing `person` over `record` would change anything but consent.
pub fn differs(record: &Record, person: &Person, settings: &Settings) -> bool {
    let written = write(person, Some(record), settings);
    let same_text = |name: &str, value: &Option<String>| {
        value.as_ref().is_none_or(|value| held_values(record, name) == values([value.as_str()]))
    };
    let consent_to_track = Some(written.consent_to_track).filter(|answer| answer != "Unchanged");
    let own_fields_same = record.address == person.address
        && same_text(NAME, &written.name)
        && same_text(MOBILE_NUMBER, &written.mobile_number)
        && same_text(CONSENT_TO_TRACK, &consent_to_track)
        && same_text(CONSENT_TO_SEND_SMS, &written.consent_to_send_sms);
    let custom: Vec<_> = written.custom_fields.iter().map(|field| (folded(&field.key), field.value.as_str())).collect();
    let custom_fields_same = custom.iter().all(|(key, _)| {
        let wanted = custom.iter().filter(|(name, _)| name == key);
        held_values(record, key) == values(wanted.map(|(_, value)| *value))
    });
    !(own_fields_same && custom_fields_same)
}

fn held_values<'a>(record: &'a Record, name: &str) -> Vec<Cow<'a, str>> {
    values(record.fields.iter().filter(|(held, _)| held == name).map(|(_, value)| value.as_str()))
}

/// Values as they compare: sorted, without empty ones, dates in one spelling (written with slashes, read with
/// hyphens).
fn values<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Cow<'a, str>> {
    let one_spelling = |text: &'a str| {
        if !text.contains('/') {
            return text.into();
        }
        let hyphened = text.replace('/', "-");
        if hyphened.parse::<Date>().is_ok() { Cow::Owned(hyphened) } else { text.into() }
    };
    let mut values: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).map(one_spelling).collect();
    values.sort();
    values
}

#[cfg(test)]
pub mod tests;
