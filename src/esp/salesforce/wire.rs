//! Records, times and values as Salesforce spells them.
//!
//! A checkbox has no time. What is known of an opt-out is that it is no later than the record's last change, which may be
//! about something else: so it counts to the end of that change's day, and an opt-in, which may be as old as the record,
//! as older than anything. A field with the consent's time, where there is one, says it better; unless it's only the gateway
//! that writes it. Then a box that somebody else ticks or unticks has the time of an older act beside it: an opt-out counts up to
//! the record's last change, and an opt-in has its time only if the record hasn't been changed since that was written.

use crate::config::salesforce::{Salesforce as Settings, SalesforceAudience};
use crate::domain::{ActedAt, Consent, Email, OptOutReason, Uid};
use crate::esp::{Field, FieldValue, Leftover, Person, Record, RecordKey};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// A record as a query answers it: fields by their API names.
pub type Row = Map<String, Value>;

/// How a row's last change is kept with the record, to see whether it has changed since.
pub const LAST_MODIFIED: &str = "LastModifiedDate";
/// How exact [`LAST_MODIFIED`] is.
const A_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// How far the time of an opt-in and the change that wrote it may be apart: clocks differ, and a call takes a while.
const ONE_WRITE: SignedDuration = SignedDuration::from_mins(1);
/// How long before it is written the gateway has an opt-out be. The person said so earlier, and nobody knows by how much. It is more
/// than [`ONE_WRITE`], so that a box that is unticked right after the gateway's write isn't taken for an opt-in of that time.
const OPT_OUT_WAS: SignedDuration = SignedDuration::from_mins(2);
/// Marks a record whose address can't be one, and is to be written. No field has such a name.
const ANOTHER_ADDRESS: &str = "another address";

/// What a record says; none if it has no id or no address, to which nothing could be sent.
pub fn record(settings: &Settings, audience: &SalesforceAudience, row: &Row) -> Option<Record> {
    record_at(settings, audience, row, None)
}

/// The same; `address` is taken for that of a record that has none, or one that can't be an address.
pub fn record_at(
    settings: &Settings,
    audience: &SalesforceAudience,
    row: &Row,
    address: Option<&Email>,
) -> Option<Record> {
    let id = text_of(row, "Id").filter(|id| super::callback::is_id(id))?;
    let stated = text_of(row, audience.object.address_field());
    let parsed = stated.as_ref().and_then(|stated| Email::parse(stated).ok());
    let is_another = stated.is_some() && parsed.is_none();
    let address = parsed.or_else(|| address.cloned())?;
    let mut fields: Vec<_> =
        audience.fields.iter().map(|name| (name.clone(), text_of(row, name).unwrap_or_default())).collect();
    if is_another {
        fields.push((ANOTHER_ADDRESS.to_owned(), String::new()));
    }
    fields.push((LAST_MODIFIED.to_owned(), text_of(row, LAST_MODIFIED).unwrap_or_default()));
    if is_out_of_everything(audience, row) {
        fields.push((audience.object.standard_opt_out().to_owned(), true.to_string()));
    }
    Some(Record {
        key: RecordKey(id.into()),
        address,
        consent: consent(settings, audience, row),
        uid: text_of(row, &settings.uid_field).and_then(|uid| Uid::new(&uid)),
        fields,
        levels: Vec::new(),
        leftover: Leftover::Nothing,
    })
}

/// What the checkbox says, or else Email Opt Out, and since when.
pub fn consent(settings: &Settings, audience: &SalesforceAudience, row: &Row) -> Consent {
    let told = settings.consent_time_field.as_ref().and_then(|name| time(&text_of(row, name)?, &settings.time_zone));
    let changed = text_of(row, LAST_MODIFIED);
    let changed_at = changed.as_deref().and_then(instant);
    if is_in(row, &audience.opt_out_field) && !is_out_of_everything(audience, row) {
        // Whoever unticked it by hand didn't write the time; and one that several checkboxes share may be another one's.
        let is_its_own =
            |told: &ActedAt| !settings.write_consent_time || changed_at.is_some_and(|at| is_one_write(*told, at));
        let told = told.filter(|told| is_its_own(told) && !settings.shares_time(audience));
        return Consent::OptedIn { since: told.unwrap_or(ActedAt::UNKNOWN) };
    }
    let since = match told {
        Some(told) if settings.write_consent_time => {
            // Whoever ticked it by hand didn't write the time. Where the last change isn't known, it may have been just now.
            let changed = changed_at.and_then(|at| at.checked_add(A_SECOND).ok());
            ActedAt::within(told.earliest(), changed.map(|changed| told.latest().map_or(changed, |at| at.max(changed))))
        }
        Some(told) => told,
        None => changed
            .and_then(|text| end_of_day(&text, &settings.time_zone))
            .map_or(ActedAt::UNKNOWN, ActedAt::no_later_than),
    };
    Consent::OptedOut { since, reason: OptOutReason::Unsubscribed }
}

/// Whether a time was written by a record's last change, as far as can be known. A whole day never is.
fn is_one_write(told: ActedAt, changed: Timestamp) -> bool {
    let is_near = |at: Timestamp| at.duration_since(changed).abs() <= ONE_WRITE;
    told.earliest().is_some_and(is_near) && told.latest().is_some_and(is_near)
}

/// The time of consent that the gateway writes: now of an opt-in, of an opt-out a little earlier.
pub fn stamp(is_out: bool) -> String {
    let now = Timestamp::now();
    spelled(if is_out { now.checked_sub(OPT_OUT_WAS).unwrap_or(now) } else { now })
}

/// Whether a checkbox is a plain "no"; whatever else it is, is taken for out.
fn is_in(row: &Row, opt_out_field: &str) -> bool {
    value_of(row, opt_out_field) == Some(&Value::Bool(false))
}

/// Whether a record whose audience has a checkbox of its own is out by Email Opt Out, which holds for all mail and is
/// lifted by nobody but Salesforce's people.
pub fn is_out_of_everything(audience: &SalesforceAudience, row: &Row) -> bool {
    let standard = audience.object.standard_opt_out();
    let is_own = audience.opt_out_field.eq_ignore_ascii_case(standard);
    !is_own && value_of(row, standard) == Some(&Value::Bool(true))
}

/// Whether somebody's time of consent is known.
pub fn is_told(consent: Consent) -> bool {
    consent.since().is_some_and(|since| since.earliest().is_some())
}

/// An instant to the second, or a day.
pub fn time(text: &str, zone: &TimeZone) -> Option<ActedAt> {
    if let Some(instant) = instant(text) {
        // Milliseconds are always written, and always zero.
        let rest = SignedDuration::from_millis(if instant.subsec_nanosecond() == 0 { 999 } else { 0 });
        return Some(ActedAt::between(instant, instant.checked_add(rest).unwrap_or(instant)));
    }
    let day: Date = text.trim().parse().ok()?;
    Some(ActedAt::between(zone.to_timestamp(day.into()).ok()?, last_of(day, zone)?))
}

/// A day's last instant.
fn last_of(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    let next = zone.to_timestamp(day.tomorrow().ok()?.into()).ok()?;
    next.checked_sub(SignedDuration::from_millis(1)).ok()
}

fn end_of_day(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    last_of(zone.to_datetime(instant(text)?).date(), zone)
}

/// `2026-03-01T12:00:00.000+0000`: an offset without a colon, which RFC 3339 doesn't have.
pub fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let formats = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M:%S%.f%:z"];
    text.parse().ok().or_else(|| formats.iter().find_map(|format| Timestamp::strptime(format, text).ok()))
}

/// An instant as a date-and-time field takes it.
fn spelled(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
}

/// As `If-Unmodified-Since` has it, in seconds. Parts of one are rounded up, lest every write be late.
pub fn http_date(text: &str) -> Option<String> {
    let at = instant(text)?;
    let at = if at.subsec_nanosecond() == 0 { at } else { at.checked_add(A_SECOND).ok()? };
    Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

fn value_of<'a>(row: &'a Row, name: &str) -> Option<&'a Value> {
    row.get(name).or_else(|| row.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// A field as text; none if it has no value.
pub fn text_of(row: &Row, name: &str) -> Option<String> {
    match value_of(row, name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What is written of a person, without consent. `is_new`: a record can't be made without some names.
pub fn written(settings: &Settings, audience: &SalesforceAudience, person: &Person, is_new: bool) -> Row {
    let mut row = Row::new();
    for field in mapped(settings, audience, person) {
        if field.value == FieldValue::Missing && is_required(audience, &field.name) {
            continue;
        }
        row.insert(field.name.clone(), value(&field.value));
    }
    if is_new {
        for name in audience.object.required() {
            let is_there = row.keys().any(|known| known.eq_ignore_ascii_case(name));
            if !is_there {
                row.insert((*name).to_owned(), json!(settings.placeholder));
            }
        }
    }
    row.insert(audience.object.address_field().to_owned(), json!(person.address.expose()));
    row
}

/// The fields that are the route's, and not the gateway's own.
fn mapped<'a>(
    settings: &'a Settings,
    audience: &'a SalesforceAudience,
    person: &'a Person,
) -> impl Iterator<Item = &'a Field> {
    let own = [
        Some("Id"),
        Some(audience.object.address_field()),
        Some(audience.opt_out_field.as_str()),
        Some(audience.object.standard_opt_out()),
        Some(settings.uid_field.as_str()),
        settings.consent_time_field.as_deref(),
    ];
    let is_own = move |name: &str| own.into_iter().flatten().any(|own| own.eq_ignore_ascii_case(name));
    person.fields.iter().filter(move |field| !is_own(&field.name))
}

fn is_required(audience: &SalesforceAudience, name: &str) -> bool {
    audience.object.required().iter().any(|required| required.eq_ignore_ascii_case(name))
}

fn value(value: &FieldValue) -> Value {
    match value {
        FieldValue::Missing => Value::Null,
        FieldValue::Text(text) => json!(text),
        FieldValue::Flag(flag) => json!(flag),
        FieldValue::Many(texts) => json!(texts.join(";")),
    }
}

/// Whether writing a person's fields would change something.
pub fn differs(settings: &Settings, audience: &SalesforceAudience, record: &Record, person: &Person) -> bool {
    let held = |name: &str| {
        let held = record.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        held.map_or("", |(_, value)| value.as_str())
    };
    if record.fields.iter().any(|(name, _)| name == ANOTHER_ADDRESS) {
        return true;
    }
    let mut fields = mapped(settings, audience, person);
    fields.any(|field| match &field.value {
        FieldValue::Missing => !held(&field.name).is_empty() && !is_required(audience, &field.name),
        FieldValue::Text(text) => !is_same(held(&field.name), text),
        FieldValue::Flag(flag) => !is_same(held(&field.name), &flag.to_string()),
        // The choices of a picklist come back in its own order.
        FieldValue::Many(texts) => {
            let (mut held, mut texts): (Vec<&str>, Vec<&str>) =
                (held(&field.name).split(';').collect(), texts.iter().map(String::as_str).collect());
            held.retain(|text| !text.is_empty());
            held.sort_unstable();
            texts.sort_unstable();
            held != texts
        }
    })
}

/// Whether a value that was read is the one that would be written: white space at the ends is dropped, numbers come back
/// with decimals, times in another spelling.
fn is_same(held: &str, written: &str) -> bool {
    let (held, written) = (held.trim(), written.trim());
    let number = |text: &str| {
        let is_plain = text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'-')) && !text.starts_with("00");
        text.parse::<f64>().ok().filter(|_| is_plain)
    };
    held == written
        || matches!((number(held), number(written)), (Some(held), Some(written)) if held.to_bits() == written.to_bits())
        || matches!((instant(held), instant(written)), (Some(held), Some(written)) if held == written)
}

#[cfg(test)]
mod tests;
