use super::*;

fn uid(text: &str) -> Uid {
    Uid::new(text).unwrap()
}

fn account(text: &str) -> EventKind {
    EventKind::Changed(Subject::Account { uid: uid(text), formerly: None })
}

/// Shape: SAP Commerce's webhook tests, SAP's Kyma sample, and public descriptions of UID changes.
#[test]
fn version_2_0() {
    let body = include_bytes!("../../../tests/fixtures/gigya/notification-2.0.json");
    let notification = Notification::parse(body).unwrap();
    assert_eq!(notification.nonce.as_deref(), Some("2f9d1a54-3c8e-4d4b-9f0a-7a6b5c4d3e2f"));
    assert_eq!(notification.timestamp, Some(1_760_000_002));
    let kinds: Vec<_> = notification.events.into_iter().map(|event| event.kind).collect();
    let renamed =
        |new: &str, old: &str| EventKind::Changed(Subject::Account { uid: uid(new), formerly: Some(uid(old)) });
    let expected = [
        account("u-created"),
        account("u-registered"),
        account("u-updated"),
        account("u-progressed"),
        renamed("45d0new", "33c0old"),
        renamed("u-new", "u-old"),
        EventKind::Deleted(uid("u-deleted")),
        EventKind::Changed(Subject::EmailAccount { token: "st2.opaque".into() }),
        account("u-consent"),
        EventKind::Ignored,
        EventKind::Ignored,
        EventKind::Ignored,
    ];
    assert_eq!(kinds, expected);
}

/// Shape: notification tests of a public receiver; version 1.0 has no apiKey, callId or version.
#[test]
fn version_1_0() {
    let body = br#"{"events":[{"type":"accountUpdated","id":"e1","timestamp":1450011479,"data":{"uid":"u1"}}],
        "nonce":"n","timestamp":1450011480}"#;
    let event = Notification::parse(body).unwrap().events.remove(0);
    assert_eq!((event.kind, event.api_key, event.call_id), (account("u1"), None, None));
}

#[test]
fn version_1_1_and_both_spellings_of_the_call_id() {
    for key in ["callId", "callID"] {
        let body = format!(
            r#"{{"events":[{{"type":"accountCreated","id":"e1","timestamp":1,"{key}":"c1","version":"1.1",
                "apiKey":"4_k","data":{{"accountType":"lite","uid":"u1"}}}}]}}"#
        );
        let event = Notification::parse(body.as_bytes()).unwrap().events.remove(0);
        assert_eq!(event.call_id.as_deref(), Some("c1"));
        assert_eq!(event.kind, account("u1"));
    }
}

#[test]
fn an_event_of_nobody_is_malformed_and_spoils_no_other() {
    let body = br#"{"events":[{"type":"accountUpdated","data":{}},{"type":"accountDeleted"},
        {"type":"accountUpdated","data":{"uid":" "}},{"type":"accountUpdated","data":{"uid":"u1"}}]}"#;
    let kinds: Vec<_> = Notification::parse(body).unwrap().events.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Malformed, EventKind::Malformed, EventKind::Malformed, account("u1")]);
}

#[test]
fn neither_does_what_is_no_event() {
    for none in ["7", "null", "[]", "{}", r#"{"type":7}"#, r#"{"type":"accountUpdated","apiKey":7}"#] {
        let body =
            format!(r#"{{"events":[{none},{{"type":"accountUpdated","id":7,"callId":[],"data":{{"uid":"u1"}}}}]}}"#);
        let events = Notification::parse(body.as_bytes()).unwrap().events;
        let kinds: Vec<_> = events.into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::Malformed, account("u1")], "{none}");
    }
}

/// JSON, and beyond what can be read.
const UNREADABLE: [&str; 3] = [r#""\ud800""#, "1e999", r#"{"a":["\udfff"]}"#];

#[test]
fn no_opt_out_hangs_on_what_nobody_asks_an_event_for() {
    for odd in UNREADABLE {
        for member in ["extra", "version", "id", "callId", "callID", "timestamp"] {
            let body =
                format!(r#"{{"events":[{{"type":"subscriptionUpdated","data":{{"uid":"u1"}},"{member}":{odd}}}]}}"#);
            let event = Notification::parse(body.as_bytes()).unwrap().events.remove(0);
            assert_eq!((event.kind, event.id.as_str(), event.said), (account("u1"), "", None), "{member} {odd}");
        }
    }
}

#[test]
fn what_an_event_says_twice_or_cannot_be_read_is_kept_as_it_was_sent() {
    let twice = ["\"subscriptionUpdated\"", "{\"uid\":\"u2\"}", "\"4_k\"", "\"e1\"", "null"];
    let twice = ["type", "data", "apiKey", "id", "timestamp"].into_iter().zip(twice);
    let event = r#""type":"subscriptionUpdated","id":"e0","apiKey":"4_k","timestamp":1,"data":{"uid":"u1"}"#;
    let twice = twice.map(|(member, value)| format!("{{{event},\"{member}\":{value}}}"));
    let unread = UNREADABLE.into_iter().flat_map(|odd| {
        let (kind, data) = (r#""type":"accountUpdated","#, r#""data":{"uid":"u1"},"#);
        [("type", data.to_owned()), ("data", kind.to_owned()), ("apiKey", format!("{kind}{data}"))]
            .map(|(member, others)| format!("{{{others}\"{member}\":{odd}}}"))
    });
    for event in twice.chain(unread) {
        let body = format!(r#"{{"events":[{event},{{"type":"accountUpdated","data":{{"uid":"u9"}}}}]}}"#);
        let events = Notification::parse(body.as_bytes()).unwrap().events;
        assert_eq!((&events[0].kind, events[0].said.as_deref()), (&EventKind::Malformed, Some(&*event)));
        assert_eq!(events[1].kind, account("u9"));
    }
}

#[test]
fn a_body_with_nothing_else_is_refused() {
    for none in ["7", "{}", r#"{"id":"canary"}"#, "7,null"] {
        let error = Notification::parse(format!(r#"{{"events":[{none}]}}"#).as_bytes()).unwrap_err();
        assert_eq!(error, "not a Gigya notification: none of its events has the shape of one");
    }
    assert!(Notification::parse(br#"{"events":[]}"#).unwrap().events.is_empty());
}

#[test]
fn a_time_is_a_whole_number_however_it_is_written() {
    let time = |text: &str| {
        Notification::parse(format!("{{\"events\":[],\"timestamp\":{text}}}").as_bytes()).map(|whole| whole.timestamp)
    };
    assert_eq!(time("1900000000.0"), Ok(Some(1_900_000_000)));
    assert_eq!(time("1.9e9"), Ok(Some(1_900_000_000)));
    assert_eq!(time("null"), Ok(None));
    assert_eq!(time("1e300"), Ok(Some(i64::MAX)));
    assert_eq!(time("-99999999999999999999"), Ok(Some(i64::MIN)));
    for odd in ["1.5", "\"1900000000\"", "true", "[]"] {
        assert!(time(odd).is_err(), "{odd}");
    }
}

#[test]
fn what_is_no_notification_is_refused_with_its_place_and_without_quoting_it() {
    let deep = "[".repeat(100_000);
    let cases: [(&[u8], &str); 7] = [
        (b"", "not JSON, at line 1 column 0"),
        (b"canary@example.org", "not JSON, at line 1 column 1"),
        (b"{\"events\":\"canary@example.org\"}", "not a Gigya notification, at line 1 column 30"),
        (b"{}", "not a Gigya notification, at line 1 column 2"),
        (b"{\"events\":[],\"events\":[]}", "not a Gigya notification, at line 1 column 22"),
        (b"{\"events\":[{\"type\":\"\xff\"}]}", "not JSON, at line 1 column 20"),
        (deep.as_bytes(), "not JSON, at line 1 column 100000"),
    ];
    for (body, expected) in cases {
        let message = Notification::parse(body).unwrap_err();
        assert!(!message.contains("canary"), "{message}");
        let kind = expected.split(',').next().unwrap();
        assert!(message.starts_with(kind), "{message}: {}", String::from_utf8_lossy(&body[..body.len().min(40)]));
    }
}
