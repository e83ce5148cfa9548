//! Subscribers as Campaign Monitor spells them: states, custom fields, local times.
//!
//! Source: vendor pages "Subscribers" and "Webhooks" of API v3.3, and its SDKs' fixtures.

use crate::config::CampaignMonitor as Settings;
use crate::domain::{ActedAt, Consent, Email, OptOutReason, Uid};
use crate::esp::{Field, FieldValue, Leftover, Person, Record, RecordKey};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, AmbiguousTimestamp, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;
use std::borrow::Cow;

/// The most characters that a field's value may have.
const MAX_VALUE: usize = 250;

/// A subscriber as `GET /subscribers/{list}.json` answers. Lenient: what is missing is unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WireSubscriber<'a> {
    #[serde(borrow)]
    pub email_address: Cow<'a, str>,
    pub name: Option<String>,
    pub mobile_number: Option<String>,
    pub date: Option<String>,
    #[serde(borrow)]
    pub state: Cow<'a, str>,
    pub custom_fields: Vec<WireField<'static>>,
    pub consent_to_track: Option<String>,
    pub consent_to_send_sms: Option<String>,
}

/// One custom field's value. A field that holds many is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WireField<'a> {
    pub key: Cow<'a, str>,
    #[serde(deserialize_with = "or_empty")]
    pub value: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<bool>,
}

/// A field without a value may be told with null for one.
fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default().into())
}

/// A subscriber as add, update and import take it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct WireWrite<'a> {
    pub email_address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mobile_number: Option<Cow<'a, str>>,
    pub custom_fields: Vec<WireField<'a>>,
    pub consent_to_track: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent_to_send_sms: Option<&'static str>,
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
pub fn folded(name: &str) -> Cow<'_, str> {
    fold(name.into())
}

fn fold(name: Cow<'_, str>) -> Cow<'_, str> {
    if is_folded(&name) {
        return name;
    }
    let mut name = name.into_owned();
    let is_a_key = name.bytes().all(is_ascii_of_a_key);
    if !is_a_key {
        name.retain(is_of_a_key);
    }
    // As a rule; and far quicker.
    if is_a_key || name.is_ascii() {
        name.make_ascii_lowercase();
        return name.into();
    }
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Whether a name is as it compares already, as most are. Of a few of these it says no, and folding changes nothing.
fn is_folded(name: &str) -> bool {
    name.bytes().all(|byte| is_ascii_of_a_key(byte) && !byte.is_ascii_uppercase())
}

const fn is_ascii_of_a_key(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'[' | b']')
}

/// Whether a mapped name is a custom field, and not a field of the subscriber itself.
pub fn is_custom(name: &str) -> bool {
    ![NAME, MOBILE_NUMBER, CONSENT_TO_TRACK, CONSENT_TO_SEND_SMS].contains(&&*folded(name))
}

/// A state as consent. Only `Active` may be mailed; states that we don't know are taken as out.
pub fn consent(state: &str, since: ActedAt) -> Consent {
    if state.eq_ignore_ascii_case("active") {
        Consent::OptedIn { since }
    } else if state.eq_ignore_ascii_case("unconfirmed") {
        Consent::Pending { since }
    } else {
        Consent::OptedOut { since, reason: reason(state) }
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
    // A zone stands behind the day and the hour.
    let says_zone = text.get(10..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-']));
    if says_zone && let Ok(instant) = text.parse::<Timestamp>() {
        return ActedAt::exactly(instant);
    }
    let text = hyphened(text);
    let at = |local: DateTime| zone.to_ambiguous_timestamp(local);
    let bounds = if text.contains(':') {
        text.parse::<DateTime>().ok().map(at).and_then(|time| Some((first(time)?, last(time)?)))
    } else {
        text.parse::<Date>().ok().and_then(|day| {
            let end = day.to_datetime(Time::constant(23, 59, 59, 0));
            Some((first(at(day.to_datetime(Time::midnight())))?, last(at(end))?))
        })
    };
    let Some((first, last)) = bounds else { return ActedAt::UNKNOWN };
    let within_the_second = SignedDuration::from_millis(999);
    ActedAt::between(first, last.checked_add(within_the_second).unwrap_or(last))
}

fn first(ambiguous: AmbiguousTimestamp) -> Option<Timestamp> {
    ambiguous.earlier().ok()
}

fn last(ambiguous: AmbiguousTimestamp) -> Option<Timestamp> {
    let resolved = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous.compatible(),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => ambiguous.later(),
    };
    resolved.ok()
}

/// A date or time as it is read, where it may be written with slashes.
fn hyphened(text: &str) -> Cow<'_, str> {
    if text.contains('/') { text.replace('/', "-").into() } else { text.into() }
}

impl WireSubscriber<'_> {
    /// The record, or `None` if its address is none.
    pub fn into_record(self, settings: &Settings) -> Option<Record> {
        let address = Email::parse(&self.email_address).ok()?;
        let consent = consent(&self.state, acted_at(self.date.as_deref(), &settings.time_zone));
        let mut fields: Vec<_> =
            self.custom_fields.into_iter().map(|field| (fold(field.key).into_owned(), field.value.into())).collect();
        let uid = uid_among(
            fields.iter().map(|(name, value): &(String, String)| (name, value.as_str())),
            &settings.uid_field,
        );
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
pub fn uid(fields: &[WireField<'_>], uid_field: &str) -> Option<Uid> {
    uid_among(fields.iter().map(|field| (folded(&field.key), &*field.value)), uid_field)
}

/// The same among folded names and their values.
fn uid_among<'a, S: AsRef<str>>(fields: impl IntoIterator<Item = (S, &'a str)>, uid_field: &str) -> Option<Uid> {
    let wanted = folded(uid_field);
    let (_, value) = fields.into_iter().find(|(name, _)| name.as_ref() == wanted)?;
    Uid::new(value)
}

/// What is written of a person. `over` is what is there already, of which vanished values are cleared.
pub fn write<'a>(person: &'a Person, over: Option<&Record>, settings: &'a Settings) -> WireWrite<'a> {
    let mut custom_fields = Vec::with_capacity(1 + person.fields.len());
    custom_fields.push(custom(&settings.uid_field, person.uid.expose()));
    let mut wire = WireWrite {
        email_address: person.address.expose(),
        name: None,
        mobile_number: None,
        custom_fields,
        consent_to_track: UNCHANGED,
        consent_to_send_sms: None,
        resubscribe: None,
        restart_subscription_based_autoresponders: None,
    };
    let uid_field = folded(&settings.uid_field);
    for Field { name, value } in &*person.fields {
        match &*folded(name) {
            own if own == uid_field => {}
            NAME => wire.name = Some(text(value)),
            MOBILE_NUMBER => wire.mobile_number = Some(text(value)).filter(|number| !number.is_empty()),
            CONSENT_TO_TRACK => {
                if let Some(answer) = yes_or_no(value) {
                    wire.consent_to_track = answer;
                }
            }
            CONSENT_TO_SEND_SMS => wire.consent_to_send_sms = yes_or_no(value),
            folded => match value {
                FieldValue::Missing => {
                    if over.is_some_and(|record| !held_values(record, folded).is_empty()) {
                        wire.custom_fields.push(WireField { clear: Some(true), ..custom(name, "") });
                    }
                }
                FieldValue::Many(texts) => wire.custom_fields.extend(texts.iter().map(|text| custom(name, text))),
                value => wire.custom_fields.push(WireField { key: key(name), value: text(value), clear: None }),
            },
        }
    }
    wire
}

fn custom<'a>(name: &'a str, value: &'a str) -> WireField<'a> {
    WireField { key: key(name), value: shortened(value).into(), clear: None }
}

/// The key as the vendor's SDKs send it: without brackets and spaces.
fn key(name: &str) -> Cow<'_, str> {
    if is_key(name) { name.into() } else { name.chars().filter(|c| is_of_a_key(*c)).collect() }
}

fn is_key(name: &str) -> bool {
    name.chars().all(is_of_a_key)
}

fn is_of_a_key(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '[' | ']')
}

/// At most 250 characters: more would refuse the whole subscriber for the sake of one field.
fn shortened(value: &str) -> &str {
    let end = value.char_indices().nth(MAX_VALUE).map_or(value.len(), |(end, _)| end);
    &value[..end]
}

fn text(value: &FieldValue) -> Cow<'_, str> {
    match value {
        FieldValue::Missing => "".into(),
        FieldValue::Text(text) => shortened(text).into(),
        FieldValue::Flag(flag) => if *flag { "true" } else { "false" }.into(),
        FieldValue::Many(texts) => shortened(&texts.join(", ")).to_owned().into(),
    }
}

const UNCHANGED: &str = "Unchanged";

/// `Yes`, `No` or `Unchanged`; `None` where the mapping gives nothing that can be read as one of them.
fn yes_or_no(value: &FieldValue) -> Option<&'static str> {
    let text = match value {
        FieldValue::Flag(true) => "yes",
        FieldValue::Flag(false) => "no",
        FieldValue::Text(text) => text,
        FieldValue::Missing | FieldValue::Many(_) => return None,
    };
    let answers = [("Yes", ["true", "yes", "1"]), ("No", ["false", "no", "0"]), (UNCHANGED, [UNCHANGED; 3])];
    let is_one = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    answers.into_iter().find(|(_, words)| is_one(*words)).map(|(answer, _)| answer)
}

/// Whether writing `person` over `record` would change anything but consent.
pub fn differs(record: &Record, person: &Person, settings: &Settings) -> bool {
    let written = write(person, Some(record), settings);
    let same_text =
        |name: &str, value: Option<&str>| value.is_none_or(|value| held_values(record, name) == values([value]));
    let consent_to_track = Some(written.consent_to_track).filter(|answer| *answer != UNCHANGED);
    let own_fields_same = record.address == person.address
        && same_text(NAME, written.name.as_deref())
        && same_text(MOBILE_NUMBER, written.mobile_number.as_deref())
        && same_text(CONSENT_TO_TRACK, consent_to_track)
        && same_text(CONSENT_TO_SEND_SMS, written.consent_to_send_sms);
    let written = &written.custom_fields;
    let names: SmallVec<[_; 8]> = written.iter().map(|field| folded(&field.key)).collect();
    let custom_fields_same = names.iter().all(|name| {
        let wanted = written.iter().zip(&names).filter(|(_, other)| *other == name);
        held_values(record, name) == values(wanted.map(|(field, _)| &*field.value))
    });
    !(own_fields_same && custom_fields_same)
}

/// Values as they compare: sorted, without empty ones, dates in one spelling (written with slashes, read with
/// hyphens). As a rule, there is one.
type Values<'a> = SmallVec<[Cow<'a, str>; 2]>;

fn held_values<'a>(record: &'a Record, name: &str) -> Values<'a> {
    values(record.fields.iter().filter(|(held, _)| held == name).map(|(_, value)| value.as_str()))
}

fn values<'a>(texts: impl IntoIterator<Item = &'a str>) -> Values<'a> {
    let one_spelling = |text: &'a str| match hyphened(text) {
        Cow::Owned(date) if date.parse::<Date>().is_err() => text.into(),
        spelling => spelling,
    };
    let mut values: Values<'_> = texts.into_iter().filter(|text| !text.is_empty()).map(one_spelling).collect();
    values.sort();
    values
}

#[cfg(test)]
pub mod tests;
