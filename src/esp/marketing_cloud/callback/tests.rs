use super::*;

/// Composed from the documented members, and from what public receivers read besides.
const EVENTS: &str = include_str!("../../../../tests/fixtures/marketing_cloud/unsubscribes.json");

fn events() -> Vec<Event> {
    match parse(EVENTS.as_bytes()).unwrap() {
        Callback::Events(events) => events,
        other @ Callback::Handshake(_) => panic!("{other:?}"),
    }
}

fn told(event: &Event) -> &Unsubscribed {
    match &event.what {
        What::Unsubscribed(told) => told,
        other => panic!("{other:?}"),
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_documented_unsubscribe_is_understood() {
    let events = events();
    let told = told(&events[0]);
    // Not the date beside it, which is six hours earlier.
    assert_eq!(told.at, ActedAt::exactly(instant("2025-11-24T16:00:00.123Z")));
    assert_eq!(told.list.as_deref(), Some("69238"));
    assert_eq!(told.subscriber_id.as_deref(), Some("178363503"));
    assert_eq!(told.subscriber_key, None);
    assert_eq!(told.address.as_ref().unwrap().expose(), "ann@example.org");
    assert_eq!(events[0].business_unit.as_deref(), Some("1476456"));
}

#[test]
fn a_subscriber_key_and_a_joined_composite_are_understood_and_a_time_in_seconds_is_a_whole_second() {
    let events = events();
    let told = told(&events[1]);
    assert_eq!(told.subscriber_key.as_deref(), Some("u-ben"));
    assert_eq!((told.list.as_deref(), told.subscriber_id.as_deref()), (Some("70001"), Some("178363504")));
    let second = ActedAt::between(instant("2025-11-24T16:00:01Z"), instant("2025-11-24T16:00:01.999Z"));
    assert_eq!(told.at, second);
    assert_eq!(events[1].business_unit.as_deref(), Some("1476456"), "in quotes");
}

#[test]
fn what_is_missing_is_unknown() {
    let events = events();
    let told = told(&events[2]);
    assert_eq!(told.at, ActedAt::UNKNOWN);
    assert_eq!((told.list.as_deref(), told.subscriber_id.as_deref()), (Some("3"), Some("4")), "numbers");
    assert!(told.address.is_none());
}

#[test]
fn other_categories_are_none_of_our_concern() {
    let events = events();
    assert!(events[3..6].iter().all(|event| matches!(event.what, What::Ignored)));
    assert!(matches!(events[6].what, What::Malformed), "an unsubscribe of nobody");
}

#[test]
fn an_event_has_the_same_id_when_it_comes_again_and_another_has_another() {
    let (once, again) = (events(), events());
    assert!(once.iter().zip(&again).all(|(a, b)| a.id == b.id));
    let ids: std::collections::BTreeSet<_> = once.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), once.len());
}

#[test]
fn a_verification_is_told_from_events() {
    let body = br#" {"callbackId":"c-1","verificationKey":"k-1"} "#;
    let Callback::Handshake(handshake) = parse(body).unwrap() else { panic!("no handshake") };
    assert_eq!((handshake.callback_id.as_str(), handshake.verification_key.as_str()), ("c-1", "k-1"));
    let alone = br#"{"eventCategoryType":"EngagementEvents.EmailOpen"}"#;
    assert!(matches!(parse(alone).unwrap(), Callback::Events(events) if events.len() == 1));
    assert!(matches!(parse(b"[]").unwrap(), Callback::Events(events) if events.is_empty()));
}

#[test]
fn what_is_no_callback_is_refused_without_quoting_it() {
    let deep = "[".repeat(100_000);
    for body in ["", "canary", "\"canary\"", "7", "{\"canary\":1}", &deep] {
        let what = parse(body.as_bytes()).unwrap_err();
        assert!(!what.contains("canary"), "{what}");
    }
    assert!(parse(b"\xff\xfe").is_err());
}

#[test]
fn an_odd_event_keeps_no_other_one_from_being_heard() {
    let body =
        format!("[null, 7, {{}}, {{\"eventCategoryType\":1}}, {}", EVENTS.trim_start().strip_prefix('[').unwrap());
    let Callback::Events(events) = parse(body.as_bytes()).unwrap() else { panic!("no events") };
    assert!(events[..4].iter().all(|event| matches!(event.what, What::Malformed)));
    assert!(matches!(events[4].what, What::Unsubscribed(_)));
    assert_eq!(events.len(), 11);
}
