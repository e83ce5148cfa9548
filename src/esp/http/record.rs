//! What answers say of somebody, and what several of them amount to.
//!
//! An ESP may keep consent in several places, each with a read of its own. Out at one of them is out; in doubt the latest of
//! several opt-outs counts.

use super::document::Document;
use super::fill::as_text;
use super::moment;
use crate::config::http::{Place, Shape, Standing};
use crate::domain::{ActedAt, OptOutReason};
use crate::domain::{Consent, Email, Uid};
use crate::esp::{Leftover, Record, RecordKey};
use serde_json::Value;

/// What one answer says of one record.
#[derive(Clone, Debug)]
pub struct Held {
    pub key: Option<String>,
    pub address: Email,
    pub consent: Consent,
    pub uid: Option<Uid>,
    pub fields: Vec<(String, String)>,
}

/// Whether an answer has the place that a description says records are in, so that it can say that there are none. An error with
/// a success's status hasn't.
pub fn is_of_shape(shape: &Shape, document: &Document<'_, '_>) -> bool {
    match &shape.place {
        Place::Each(pointer) => document.at(pointer).is_some_and(Value::is_array),
        Place::At(pointer) => {
            let Some(pointer) = document.known.pointer(pointer) else { return true };
            let Some((above, _)) = pointer.rsplit_once('/') else { return true };
            document.value.pointer(above).is_some_and(|above| above.is_object() || above.is_array())
        }
    }
}

/// Everybody in an answer. `asked` is whose address it is if the answer doesn't say; without it, who has none is left out.
pub fn held(shape: &Shape, document: &Document<'_, '_>, asked: Option<&Email>) -> Vec<Held> {
    match &shape.place {
        Place::At(pointer) => {
            let value = document.at(pointer);
            value.and_then(|value| one(shape, &Document { value, ..*document }, asked)).into_iter().collect()
        }
        Place::Each(pointer) => {
            let rows = document.at(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            rows.iter().filter_map(|value| one(shape, &Document { value, ..*document }, asked)).collect()
        }
    }
}

/// What a record says of itself; none if its state says that it isn't there, or nobody's address is known.
pub fn one(shape: &Shape, document: &Document<'_, '_>, asked: Option<&Email>) -> Option<Held> {
    let rule = shape.states.iter().find(|rule| document.says(&rule.conditions));
    let times = rule.map(|rule| &rule.times).filter(|times| !times.is_empty()).unwrap_or(&shape.times);
    let since = || moment::of_consent(times, document);
    // A state that isn't known is taken as out.
    let consent = match rule.map_or(Standing::OptedOut(OptOutReason::Other), |rule| rule.means) {
        Standing::OptedIn => Consent::OptedIn { since: since() },
        Standing::Pending => Consent::Pending { since: since() },
        Standing::OptedOut(reason) => Consent::OptedOut { since: since(), reason },
        Standing::Unknown => Consent::Unknown,
        Standing::Absent => return None,
    };
    let stated = shape.address.as_ref().and_then(|pointer| document.text(pointer));
    let address = stated.and_then(|text| Email::parse(&text).ok()).or_else(|| asked.cloned())?;
    let text = |pointer: &Option<_>| pointer.as_ref().and_then(|pointer| document.text(pointer));
    let mut fields = Vec::new();
    for object in shape.fields.iter().filter_map(|pointer| document.at(pointer)?.as_object()) {
        for (name, value) in object {
            match value {
                Value::Array(items) => {
                    fields.extend(items.iter().filter_map(|item| Some((name.clone(), as_text(item)?))));
                }
                value => fields.extend(as_text(value).map(|text| (name.clone(), text))),
            }
        }
    }
    Some(Held {
        key: text(&shape.key),
        address,
        consent,
        uid: text(&shape.uid).and_then(|text| Uid::new(&text)),
        fields,
    })
}

/// The records that these are parts of: one an address, or one a key, of which those that have none are parts of all.
pub fn records(held: Vec<Held>, one_an_address: bool) -> Vec<Record> {
    let mut groups: Vec<Vec<Held>> = Vec::new();
    let (keyed, loose): (Vec<_>, Vec<_>) = held.into_iter().partition(|held| one_an_address || held.key.is_some());
    for held in keyed {
        let is_same = |other: &Held| if one_an_address { other.address == held.address } else { other.key == held.key };
        match groups.iter_mut().find(|group| is_same(&group[0])) {
            Some(group) => group.push(held),
            None => groups.push(vec![held]),
        }
    }
    for held in loose {
        let mut is_part = false;
        for group in groups.iter_mut().filter(|group| group[0].address == held.address) {
            group.push(held.clone());
            is_part = true;
        }
        if !is_part {
            groups.push(vec![held]);
        }
    }
    groups.into_iter().filter_map(together).collect()
}

fn together(parts: Vec<Held>) -> Option<Record> {
    let consent = parts.iter().map(|part| part.consent).reduce(which_counts)?;
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?;
    for part in parts {
        whole.key = whole.key.or(part.key);
        whole.uid = whole.uid.or(part.uid);
        // What is there twice, as on two pages of a list, is one field.
        let known: Vec<String> = whole.fields.iter().map(|(name, _)| name.clone()).collect();
        whole.fields.extend(part.fields.into_iter().filter(|(name, _)| !known.contains(name)));
    }
    let key = whole.key.unwrap_or_else(|| whole.address.expose().to_owned());
    Some(Record {
        key: RecordKey(key.into()),
        address: whole.address,
        consent,
        uid: whole.uid,
        fields: whole.fields,
        levels: Vec::new(),
        leftover: Leftover::Nothing,
    })
}

/// Out at one place is out.
fn which_counts(one: Consent, other: Consent) -> Consent {
    const fn weight(consent: &Consent) -> u8 {
        match consent {
            Consent::Unknown => 0,
            Consent::Pending { .. } => 1,
            Consent::OptedIn { .. } => 2,
            Consent::OptedOut { .. } => 3,
        }
    }
    match weight(&one).cmp(&weight(&other)) {
        std::cmp::Ordering::Less => other,
        std::cmp::Ordering::Greater => one,
        std::cmp::Ordering::Equal => match (one, other) {
            // A time that isn't known may be just now.
            (Consent::OptedOut { since, .. }, _) if since.latest().is_none() => one,
            (_, Consent::OptedOut { since: ActedAt::UNKNOWN, .. }) => other,
            (one, other) => one.or_later(other),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn part(key: Option<&str>, address: &str, consent: Consent) -> Held {
        let address = Email::parse(address).unwrap();
        Held { key: key.map(ToOwned::to_owned), address, consent, uid: None, fields: Vec::new() }
    }

    fn out(second: i64) -> Consent {
        let since = ActedAt::exactly(Timestamp::from_second(second).unwrap());
        Consent::OptedOut { since, reason: OptOutReason::Unsubscribed }
    }

    fn within() -> Consent {
        Consent::OptedIn { since: ActedAt::exactly(Timestamp::from_second(900).unwrap()) }
    }

    #[test]
    fn out_at_one_place_is_out_and_the_latest_counts() {
        let parts = vec![part(Some("1"), "a@x", within()), part(None, "A@x", out(5)), part(None, "a@x", out(9))];
        let records = records(parts, true);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].key.0.as_ref(), records[0].consent), ("1", out(9)));
    }

    #[test]
    fn what_has_no_key_is_part_of_all_at_its_address() {
        let parts = vec![
            part(Some("1"), "a@x", within()),
            part(Some("2"), "a@x", within()),
            part(Some("3"), "b@x", within()),
            part(None, "a@x", out(5)),
            part(None, "c@x", out(7)),
        ];
        let records: Vec<_> = records(parts, false).into_iter().map(|record| (record.key.0, record.consent)).collect();
        let expected = [("1", out(5)), ("2", out(5)), ("3", within()), ("c@x", out(7))];
        assert_eq!(records, expected.map(|(key, consent)| (key.into(), consent)));
    }

    #[test]
    fn an_opt_out_of_unknown_time_is_the_latest() {
        let unknown = Consent::OptedOut { since: ActedAt::UNKNOWN, reason: OptOutReason::Other };
        assert_eq!(which_counts(unknown, out(5)), unknown);
        assert_eq!(which_counts(out(5), unknown), unknown);
    }
}
