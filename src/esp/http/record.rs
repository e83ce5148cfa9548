//! What answers say of somebody, and what several of them amount to.
//!
//! An ESP may keep consent in several places, each with a read of its own. Out at one of them is out; in doubt the latest of
//! several opt-outs counts.

use super::document::Document;
use super::fill::as_text;
use super::moment;
use crate::config::http::{Place, Shape, Standing, Template};
use crate::domain::{ActedAt, OptOutReason};
use crate::domain::{Consent, Email, Uid};
use crate::esp::{Leftover, Record, RecordKey};
use crate::upstream::Fault;
use serde_json::Value;
use std::collections::HashMap;

/// What one answer says of one record.
#[derive(Clone, Debug)]
pub struct Held {
    pub key: Option<String>,
    pub address: Email,
    pub consent: Consent,
    pub uid: Option<Uid>,
    pub fields: Vec<(String, String)>,
}

/// An answer that doesn't say what the description has it say: it may be an error with a success's status, or of an API that
/// has moved on, and tells neither who is there nor how they stand.
#[derive(Debug, PartialEq, Eq)]
pub struct NotUnderstood;

impl From<NotUnderstood> for Fault {
    fn from(_: NotUnderstood) -> Self {
        Self::Unavailable { cause: "answer_not_understood" }
    }
}

/// Everybody in an answer. `asked` is whose address it is if the answer doesn't say; without it, who has none is left out.
pub fn held(shape: &Shape, document: &Document<'_, '_>, asked: Option<&Email>) -> Result<Vec<Held>, NotUnderstood> {
    let rows = match &shape.place {
        Place::At(pointer) => at(pointer, document)?.into_iter().collect(),
        Place::Each(pointer) => rows(pointer, document)?.iter().collect::<Vec<_>>(),
    };
    let rows = rows.into_iter().map(|value| one(shape, &Document { value, ..*document }, asked));
    rows.filter_map(Result::transpose).collect()
}

/// The one record at a place; nobody where that is null, or a list is too short for it. An answer without the place says
/// nothing.
fn at<'v>(pointer: &Template, document: &Document<'v, '_>) -> Result<Option<&'v Value>, NotUnderstood> {
    let pointer = document.known.pointer(pointer).ok_or(NotUnderstood)?;
    let Some((above, _)) = pointer.rsplit_once('/') else { return Ok(Some(document.value)) };
    match (document.value.pointer(&pointer), document.value.pointer(above)) {
        (Some(value), _) => Ok(Some(value).filter(|value| !value.is_null())),
        (None, Some(Value::Array(_))) => Ok(None),
        (None, _) => Err(NotUnderstood),
    }
}

/// The records of a list.
pub fn rows<'v>(pointer: &Template, document: &Document<'v, '_>) -> Result<&'v [Value], NotUnderstood> {
    document.at(pointer).and_then(Value::as_array).map(Vec::as_slice).ok_or(NotUnderstood)
}

/// What a record says of itself; none if its state says that it isn't there, or nobody's address is known.
pub fn one(shape: &Shape, document: &Document<'_, '_>, asked: Option<&Email>) -> Result<Option<Held>, NotUnderstood> {
    if !document.value.is_object() || !shape.needs.iter().all(|pointer| document.has(pointer)) {
        return Err(NotUnderstood);
    }
    let rule = shape.states.iter().find(|rule| document.says(&rule.conditions));
    let standing = match rule {
        Some(rule) => rule.means,
        // A state that isn't known is taken as out; one that isn't told isn't.
        None if shape.states.iter().flat_map(|rule| &rule.conditions).any(|one| document.has(&one.pointer)) => {
            Standing::OptedOut(OptOutReason::Other)
        }
        None => return Err(NotUnderstood),
    };
    let times = rule.map(|rule| &rule.times).filter(|times| !times.is_empty()).unwrap_or(&shape.times);
    let since = || moment::of_consent(times, document);
    let consent = match standing {
        Standing::OptedIn => Consent::OptedIn { since: since() },
        Standing::Pending => Consent::Pending { since: since() },
        Standing::OptedOut(reason) => Consent::OptedOut { since: since(), reason },
        Standing::Unknown => Consent::Unknown,
        Standing::Absent => return Ok(None),
    };
    let stated = shape.address.as_ref().and_then(|pointer| document.text(pointer));
    let address = stated.and_then(|text| Email::parse(&text).ok()).or_else(|| asked.cloned());
    let Some(address) = address else { return Ok(None) };
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
    let uid = text(&shape.uid).and_then(|text| Uid::new(&text));
    Ok(Some(Held { key: text(&shape.key), address, consent, uid, fields }))
}

/// The records that these are parts of: one an address, or one a key, of which those that have none are parts of all.
pub fn records(held: Vec<Held>, one_an_address: bool) -> Vec<Record> {
    let mut groups: Vec<Vec<Held>> = Vec::new();
    let mut at_address: HashMap<Email, Vec<usize>> = HashMap::new();
    let mut of_key: HashMap<String, usize> = HashMap::new();
    let (keyed, loose): (Vec<_>, Vec<_>) = held.into_iter().partition(|held| one_an_address || held.key.is_some());
    for held in keyed {
        let known = match &held.key {
            Some(key) if !one_an_address => of_key.get(key).copied(),
            _ => at_address.get(&held.address).and_then(|groups| groups.first().copied()),
        };
        let group = known.unwrap_or_else(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if known.is_none() {
            at_address.entry(held.address.clone()).or_default().push(group);
            of_key.extend(held.key.clone().map(|key| (key, group)));
        }
        groups[group].push(held);
    }
    for held in loose {
        let known = at_address.entry(held.address.clone()).or_default();
        if known.is_empty() {
            known.push(groups.len());
            groups.push(Vec::new());
        }
        for group in known {
            groups[*group].push(held.clone());
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
    use crate::config::http::{Condition, StateRule, Test};
    use jiff::Timestamp;
    use serde_json::json;

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

    fn shape(place: Place) -> Shape {
        let rule = |pointer: &str, text: &str, means| StateRule {
            conditions: vec![Condition {
                pointer: Template::literal(pointer),
                test: Test::Equals(vec![Template::literal(text)]),
            }],
            means,
            times: Vec::new(),
        };
        Shape {
            place,
            key: None,
            address: Some(Template::literal("/email")),
            uid: None,
            fields: Vec::new(),
            needs: vec![Template::literal("/id")],
            states: vec![rule("/state", "in", Standing::OptedIn), rule("/blocked", "false", Standing::Unknown)],
            times: Vec::new(),
        }
    }

    fn said(place: Place, value: &Value) -> Result<Vec<Consent>, NotUnderstood> {
        let known = crate::esp::http::fill::Known::default();
        let held = held(&shape(place), &Document { value, known: &known }, None)?;
        Ok(held.into_iter().map(|held| held.consent).collect())
    }

    #[test]
    fn a_state_that_no_rule_knows_is_an_opt_out_and_one_that_is_not_told_is_nothing() {
        let one = |value: Value| said(Place::At(Template::literal("")), &value);
        let out = Consent::OptedOut { since: ActedAt::UNKNOWN, reason: OptOutReason::Other };
        let within = Consent::OptedIn { since: ActedAt::UNKNOWN };
        assert_eq!(one(json!({ "id": 1, "email": "a@x", "state": "in" })), Ok(vec![within]));
        for state in [json!("paused"), json!(5), json!(["in"])] {
            assert_eq!(one(json!({ "id": 1, "email": "a@x", "state": state })), Ok(vec![out]));
        }
        assert_eq!(one(json!({ "id": 1, "email": "a@x", "blocked": true })), Ok(vec![out]));
        for nothing in [
            json!(null),
            json!([]),
            json!("in"),
            json!({ "error": "down for maintenance" }),
            json!({ "id": 1, "email": "a@x" }),
            json!({ "id": 1, "email": "a@x", "state": null }),
            json!({ "email": "a@x", "state": "in" }),
        ] {
            assert_eq!(one(nothing.clone()), Err(NotUnderstood), "{nothing}");
        }
    }

    #[test]
    fn nobody_is_where_a_record_could_be_and_is_not() {
        let at = |place: &str, value: Value| said(Place::At(Template::literal(place)), &value).map(|held| held.len());
        assert_eq!(at("/data", json!({ "data": null })), Ok(0));
        assert_eq!(at("/data/0", json!({ "data": [] })), Ok(0));
        assert_eq!(at("/0", json!([])), Ok(0));
        assert_eq!(at("/data", json!({ "errors": ["x"] })), Err(NotUnderstood));
        assert_eq!(at("/data/0", json!({ "data": "none" })), Err(NotUnderstood));
        assert_eq!(at("/data/0", json!({ "data": {} })), Err(NotUnderstood));
        let each = |value: Value| said(Place::Each(Template::literal("/all")), &value).map(|held| held.len());
        assert_eq!(each(json!({ "all": [] })), Ok(0));
        for wrong in [json!({}), json!({ "all": {} }), json!({ "all": [null] }), json!({ "all": [{ "id": 1 }] })] {
            assert_eq!(each(wrong.clone()), Err(NotUnderstood), "{wrong}");
        }
    }

    #[test]
    fn an_opt_out_of_unknown_time_is_the_latest() {
        let unknown = Consent::OptedOut { since: ActedAt::UNKNOWN, reason: OptOutReason::Other };
        assert_eq!(which_counts(unknown, out(5)), unknown);
        assert_eq!(which_counts(out(5), unknown), unknown);
    }
}
