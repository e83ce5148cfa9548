use super::*;
use crate::config::{Common, OnDeadline, SubscribeWith};
use crate::domain::ConnectionName;
use std::time::Duration;

pub fn settings() -> Settings {
    Settings {
        name: ConnectionName::new("news"),
        common: Common {
            deadline: Duration::from_secs(8),
            on_deadline: OnDeadline::Defer,
            attempt_timeout: Duration::from_secs(4),
            max_concurrent_calls: 8,
            max_calls_per_minute: 0,
            clocks_may_differ: Duration::ZERO,
            content_types: Vec::new(),
        },
        api_key: "key".into(),
        client_id: None,
        callback_tokens: vec!["a-long-callback-token-0123456789".into()],
        time_zone: TimeZone::get("Europe/Berlin").unwrap(),
        base_url: "https://api.createsend.com/api/v3.3".parse().unwrap(),
        uid_field: "GigyaUID".to_owned(),
        subscribe_with: SubscribeWith::Import,
    }
}

fn person(fields: Vec<(&str, FieldValue)>) -> Person {
    Person {
        address: Email::parse("ada@example.org").unwrap(),
        uid: Uid::new("u-1").unwrap(),
        fields: fields.into_iter().map(|(name, value)| Field { name: name.to_owned(), value }).collect(),
    }
}

fn text(text: &str) -> FieldValue {
    FieldValue::Text(text.to_owned())
}

/// Shape: the vendor's answer to `GET /subscribers/{list}.json`, as in its SDKs' fixtures.
fn record() -> Record {
    let body = include_str!("../../../../tests/fixtures/campaign_monitor/subscriber.json");
    serde_json::from_str::<WireSubscriber>(body).unwrap().into_record(&settings()).unwrap()
}

fn bounds(text: &str, zone: &str) -> (String, String) {
    let time = acted_at(Some(text), &TimeZone::get(zone).unwrap());
    (time.earliest().unwrap().to_string(), time.latest().unwrap().to_string())
}

#[test]
fn reads_a_subscriber() {
    let record = record();
    assert_eq!(record.address.expose(), "ada@example.org");
    assert_eq!(record.uid, Uid::new("u-1"));
    let Consent::OptedIn { since } = record.consent else { panic!("{:?}", record.consent) };
    assert_eq!(since.earliest().unwrap().to_string(), "2026-01-05T09:28:00Z");
}

#[test]
fn a_local_time_is_somewhere_within_its_second() {
    let expected = ("2026-01-14T10:32:00Z".to_owned(), "2026-01-14T10:32:00.999Z".to_owned());
    assert_eq!(bounds("2026-01-14 11:32:00", "Europe/Berlin"), expected);
    let summer = ("2026-07-14T09:32:00Z".to_owned(), "2026-07-14T09:32:00.999Z".to_owned());
    assert_eq!(bounds("2026-07-14 11:32:00", "Europe/Berlin"), summer);
}

#[test]
fn a_time_with_its_zone_is_exact() {
    for text in ["2026-01-14T10:32:00Z", "2026-01-14 11:32:00+01:00", "2026-01-14T05:32-05", "20260114T1032z"] {
        let exact = "2026-01-14T10:32:00Z".to_owned();
        assert_eq!(bounds(text, "Australia/Sydney"), (exact.clone(), exact), "{text}");
    }
}

#[test]
fn an_hour_that_happened_twice_is_both() {
    let (first, last) = bounds("2026-10-25 02:30:00", "Europe/Berlin");
    assert_eq!((first.as_str(), last.as_str()), ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00.999Z"));
}

#[test]
fn an_hour_that_did_not_happen_is_around_the_gap() {
    let (first, last) = bounds("2026-03-29 02:30:00", "Europe/Berlin");
    assert_eq!((first.as_str(), last.as_str()), ("2026-03-29T00:30:00Z", "2026-03-29T01:30:00.999Z"));
}

#[test]
fn a_date_alone_is_the_whole_day_over_there() {
    let (first, last) = bounds("2026-01-14", "Australia/Sydney");
    assert_eq!((first.as_str(), last.as_str()), ("2026-01-13T13:00:00Z", "2026-01-14T12:59:59.999Z"));
}

#[test]
fn a_time_that_cannot_be_read_is_unknown() {
    let zone = TimeZone::UTC;
    for nonsense in [None, Some(""), Some("soon"), Some("2026-13-45 00:00:00"), Some("0000-00-00")] {
        assert_eq!(acted_at(nonsense, &zone), ActedAt::UNKNOWN, "{nonsense:?}");
    }
}

#[test]
fn only_active_may_be_mailed() {
    let since = ActedAt::UNKNOWN;
    assert!(consent("Active", since).is_opted_in());
    assert!(consent("active", since).is_opted_in());
    assert_eq!(consent("Unconfirmed", since), Consent::Pending { since });
    let table = [
        ("Unsubscribed", OptOutReason::Unsubscribed),
        ("Bounced", OptOutReason::Bounced),
        ("Deleted", OptOutReason::Deleted),
        ("Suppressed", OptOutReason::Suppressed),
        ("Spam", OptOutReason::Complained),
        ("SomethingNew", OptOutReason::Other),
        ("", OptOutReason::Other),
    ];
    for (state, reason) in table {
        assert_eq!(consent(state, since), Consent::OptedOut { since, reason }, "{state}");
    }
}

#[test]
fn names_compare_as_keys_or_as_names() {
    assert_eq!(folded("[subscriptiondate]"), folded("Subscription Date"));
}

#[test]
fn writes_what_the_route_maps_and_always_the_uid() {
    let person = person(vec![
        ("Name", text("Ada L")),
        ("[city]", text("Paris")),
        ("interests", FieldValue::Many(vec!["books".into(), "music".into()])),
        ("vip", FieldValue::Flag(true)),
        ("ConsentToTrack", FieldValue::Flag(false)),
        ("ConsentToSendSms", text("yes")),
        ("MobileNumber", text("+14155550123")),
        ("nothing", FieldValue::Missing),
    ]);
    let wire = serde_json::to_value(write(&person, None, &settings())).unwrap();
    let expected = serde_json::json!({
        "EmailAddress": "ada@example.org", "Name": "Ada L", "MobileNumber": "+14155550123",
        "CustomFields": [
            { "Key": "GigyaUID", "Value": "u-1" },
            { "Key": "city", "Value": "Paris" },
            { "Key": "interests", "Value": "books" }, { "Key": "interests", "Value": "music" },
            { "Key": "vip", "Value": "true" },
        ],
        "ConsentToTrack": "No", "ConsentToSendSms": "Yes",
    });
    assert_eq!(wire, expected);
}

#[test]
fn consent_to_track_is_left_as_it_is_unless_mapped_to_something_that_can_be_read() {
    for value in [FieldValue::Missing, text("perhaps"), text("unchanged")] {
        let person = person(vec![("ConsentToTrack", value)]);
        assert_eq!(write(&person, None, &settings()).consent_to_track, "Unchanged");
    }
    assert_eq!(write(&person(vec![]), None, &settings()).consent_to_track, "Unchanged");
}

#[test]
fn a_long_value_is_cut_at_250_characters_not_bytes() {
    let (person, settings) = (person(vec![("note", text(&"é".repeat(300)))]), settings());
    let wire = write(&person, None, &settings);
    assert_eq!(wire.custom_fields[1].value.chars().count(), 250);
}

#[test]
fn a_value_that_is_gone_is_cleared_where_there_is_one() {
    let (gone, settings) = (person(vec![("age", FieldValue::Missing), ("never set", FieldValue::Missing)]), settings());
    let cleared = WireField { key: "age".into(), value: "".into(), clear: Some(true) };
    assert_eq!(write(&gone, Some(&record()), &settings).custom_fields[1..], [cleared]);
}

#[test]
fn the_same_in_another_spelling_is_no_difference() {
    let same = person(vec![
        ("Name", text("Ada L")),
        ("SubscriptionDate", text("2026/03/09")),
        ("age", text("24")),
        ("interests", FieldValue::Many(vec!["music".into(), "books".into()])),
        ("ConsentToTrack", text("yes")),
        ("never set", FieldValue::Missing),
    ]);
    let two_names = person(vec![("interests", text("music")), ("[Interests]", text("books"))]);
    assert!(!differs(&record(), &two_names, &settings()));
    assert!(!differs(&record(), &same, &settings()));
}

#[test]
fn any_other_value_is_a_difference() {
    let cases = [
        ("Name", text("Ada Lovelace")),
        ("age", text("25")),
        ("age", FieldValue::Missing),
        ("interests", FieldValue::Many(vec!["music".into()])),
        ("new field", text("x")),
        ("ConsentToTrack", text("no")),
    ];
    for (name, value) in cases {
        assert!(differs(&record(), &person(vec![(name, value)]), &settings()), "{name}");
    }
    let mut other_uid = person(vec![]);
    other_uid.uid = Uid::new("u-2").unwrap();
    assert!(differs(&record(), &other_uid, &settings()));
}
