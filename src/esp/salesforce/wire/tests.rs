use super::*;
use crate::config::{Config, Esp};
use crate::domain::{Decision, Desired, Reason, decide};
use std::path::Path;

fn settings(lines: &str) -> Settings {
    match read(lines, "").unwrap().esps.into_values().next() {
        Some(Esp::Salesforce(settings)) => *settings,
        other => panic!("{other:?}"),
    }
}

/// A configuration with these lines of its connection, and another route after the first one.
fn read(lines: &str, another: &str) -> Result<Config, crate::config::ConfigErrors> {
    let text = format!(
        "[gigya.main]\napi_keys = [\"1\"]\ndata_center = \"eu1.gigya.com\"\nuser_key = \"1\"\nsecret = {{ env = \"A\" }}\n\
         [salesforce.sales]\nbase_url = \"https://x.my.salesforce.com\"\nclient_id = {{ env = \"A\" }}\n\
         client_secret = {{ env = \"A\" }}\ncallback_secrets = [{{ env = \"A\" }}]\n{lines}\n\
         [[route]]\nsubscription = \"main/1\"\naudience = \"sales/Contact\"\n\
         fields = {{ FirstName = \"profile.firstName\", LastName = \"profile.lastName\", Tiers__c = \"data.tiers\" }}\n{another}"
    );
    let environment = [("A", "0123456789abcdef")].into_iter().collect();
    Config::parse(&text, Path::new("gateway.toml"), &environment)
}

#[test]
fn no_route_maps_a_field_that_says_who_is_out() {
    let with = |fields: &str| {
        let route = format!(
            "[[route]]\nsubscription = \"main/2\"\naudience = \"sales/Contact.News__c\"\nfields = {{ {fields} = \"data.x\" }}"
        );
        read("", &route).err().map(|error| error.to_string())
    };
    assert_eq!(with("Nickname__c"), None);
    let timed = |field: &str| {
        let route = format!(
            "[[route]]\nsubscription = \"main/2\"\naudience = \"sales/Contact.News__c\"\nfields = {{ {field} = \"data.x\" }}"
        );
        read(TIME, &route).err().map(|error| error.to_string())
    };
    assert_eq!(timed("Nickname__c"), None);
    for wrong in ["Time__c", "time__C"] {
        let problem = timed(wrong).unwrap();
        assert!(problem.contains("is the time of consent") && problem.contains("consent_time_field"), "{problem}");
    }
    for wrong in ["HasOptedOutOfEmail", "hasoptedoutofemail", "News__c", "LastModifiedDate"] {
        let problem = with(wrong).unwrap();
        assert!(problem.contains(wrong) && problem.contains("says who is out"), "{problem}");
    }
}

fn audience(settings: &Settings) -> &SalesforceAudience {
    settings.audiences.values().next().unwrap()
}

fn row(value: Value) -> Row {
    value.as_object().cloned().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const TIME: &str = "consent_time_field = \"Time__c\"\ntime_zone = \"Europe/Berlin\"";

#[test]
fn times_are_read_as_precisely_as_they_are_told() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    for (text, earliest, latest) in [
        ("2026-03-01T12:00:00.000+0000", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.999Z"),
        ("2026-03-01T12:00:00.000+0100", "2026-03-01T11:00:00Z", "2026-03-01T11:00:00.999Z"),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.999Z"),
        ("2026-03-01", "2026-02-28T23:00:00Z", "2026-03-01T22:59:59.999Z"),
        // The clocks go forward: a day of 23 hours.
        ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59.999Z"),
    ] {
        let read = time(text, &berlin).unwrap();
        assert_eq!((read.earliest(), read.latest()), (Some(at(earliest)), Some(at(latest))), "{text}");
    }
    for text in ["", "soon", "2026-13-01", "12:00"] {
        assert_eq!(time(text, &berlin), None, "{text}");
    }
    assert_eq!(spelled(at("2026-03-01T12:00:00.5Z")), "2026-03-01T12:00:00.000+0000");
    assert_eq!(http_date("2026-03-01T12:00:00.000+0000").as_deref(), Some("Sun, 01 Mar 2026 12:00:00 GMT"));
}

#[test]
fn without_a_time_an_opt_out_counts_to_the_end_of_its_day_and_an_opt_in_as_older_than_anything() {
    let settings = settings("");
    let held = |out: bool| {
        consent(
            &settings,
            audience(&settings),
            &row(json!({ "HasOptedOutOfEmail": out, "LastModifiedDate": "2026-03-01T12:00:00.000+0000" })),
        )
    };
    let opted_in = |text| Desired::Consent(Consent::OptedIn { since: ActedAt::exactly(at(text)) });
    let refused = Decision::Refuse(Reason::NewerOptOut);
    assert_eq!(decide(opted_in("2026-03-01T23:59:59Z"), held(true)), refused);
    assert_eq!(decide(opted_in("2026-03-02T00:00:00Z"), held(true)), Decision::OptIn { over_opt_out: true });
    let long_ago =
        Consent::OptedOut { since: ActedAt::exactly(at("2001-01-01T00:00:00Z")), reason: OptOutReason::Unsubscribed };
    assert_eq!(decide(Desired::Consent(long_ago), held(false)), Decision::OptOut);
}

#[test]
fn with_a_time_that_counts_and_the_day_where_it_is_empty() {
    let settings = settings(TIME);
    let of = |time: Value| {
        let row = json!({
            "HasOptedOutOfEmail": true, "Time__c": time, "LastModifiedDate": "2026-03-01T12:00:00.000+0000",
        });
        consent(&settings, audience(&settings), &row.as_object().cloned().unwrap()).since().unwrap()
    };
    assert_eq!(of(json!("2026-02-01T00:00:00.000+0000")).earliest(), Some(at("2026-02-01T00:00:00Z")));
    assert_eq!(of(Value::Null), ActedAt::no_later_than(at("2026-03-01T22:59:59.999Z")));
}

#[test]
fn what_is_not_a_plain_no_is_out() {
    let settings = settings("");
    for (said, is_in) in [(json!(false), true), (json!(true), false), (Value::Null, false), (json!("false"), false)] {
        let held = consent(&settings, audience(&settings), &row(json!({ "HasOptedOutOfEmail": said })));
        assert_eq!(held.is_opted_in(), is_in, "{said}");
    }
    // A field that isn't told, as it is hidden, says nothing that anybody may be mailed by.
    assert!(!consent(&settings, audience(&settings), &Row::new()).is_opted_in());
}

#[test]
fn a_record_without_an_address_is_nobody_who_could_be_mailed() {
    let settings = settings("");
    let of = |value| record(&settings, audience(&settings), &row(value));
    assert!(of(json!({ "Id": "0035e00000ZkM3hAAF", "Email": "ann@example.org" })).is_some());
    for value in [
        json!({ "Id": "0035e00000ZkM3hAAF" }),
        json!({ "Id": "0035e00000ZkM3hAAF", "Email": null }),
        json!({ "Id": "x' OR", "Email": "ann@example.org" }),
        json!({ "Email": "ann@example.org" }),
    ] {
        assert!(of(value.clone()).is_none(), "{value}");
    }
}

fn person(fields: &[(&str, FieldValue)]) -> Person {
    let fields = fields.iter().map(|(name, value)| Field { name: (*name).to_owned(), value: value.clone() });
    Person { address: Email::parse("ann@example.org").unwrap(), uid: Uid::new("u1").unwrap(), fields: fields.collect() }
}

#[test]
fn neither_checkbox_nor_uid_is_written_by_a_mapping_and_required_names_stay() {
    let settings = settings(TIME);
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let person = person(&[
        ("FirstName", FieldValue::Missing),
        ("LastName", FieldValue::Missing),
        ("hasoptedoutofemail", FieldValue::Flag(false)),
        ("Gigya_UID__c", text("another")),
        ("Time__c", text("2030-01-01")),
        ("Tiers__c", FieldValue::Many(vec!["a".to_owned(), "b".to_owned()])),
    ]);
    let expected = json!({ "FirstName": null, "Tiers__c": "a;b", "Email": "ann@example.org" });
    assert_eq!(Value::Object(written(&settings, audience(&settings), &person, false)), expected);
    let new = written(&settings, audience(&settings), &person, true);
    assert_eq!((&new["LastName"], new.len()), (&json!("-"), 4));
}

#[test]
fn only_what_would_change_differs() {
    let settings = settings("");
    let held = row(json!({
        "Id": "0035e00000ZkM3hAAF", "Email": "ann@example.org", "FirstName": "Ann", "LastName": "-", "Tiers__c": "b;a",
    }));
    let record = record(&settings, audience(&settings), &held).unwrap();
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let many = |texts: &[&str]| FieldValue::Many(texts.iter().map(ToString::to_string).collect());
    for (name, value, expected) in [
        ("FirstName", text(" Ann "), false),
        ("FirstName", text("Anna"), true),
        ("FirstName", FieldValue::Missing, true),
        ("LastName", FieldValue::Missing, false),
        ("Tiers__c", many(&["a", "b"]), false),
        ("Tiers__c", many(&["a"]), true),
        ("Tiers__c", many(&[]), true),
    ] {
        let found = differs(&settings, audience(&settings), &record, &person(&[(name, value.clone())]));
        assert_eq!(found, expected, "{name} {value:?}");
    }
    for (held, written, same) in
        [("12.0", "12", true), ("12", "12.5", false), ("007", "7", false), ("true", "true", true), ("", "0", false)]
    {
        assert_eq!(is_same(held, written), same, "{held} {written}");
    }
}

#[test]
fn a_box_ticked_by_hand_is_as_new_as_the_record_where_only_the_gateway_writes_the_time() {
    let stamped = json!({ "HasOptedOutOfEmail": true, "Time__c": "2026-03-01T12:00:00.000+0000",
        "LastModifiedDate": "2026-03-05T09:00:00.000+0000" });
    let latest = |settings: &Settings| {
        let consent = consent(settings, audience(settings), &row(stamped.clone()));
        assert!(matches!(consent, Consent::OptedOut { .. }));
        consent.since().and_then(ActedAt::latest)
    };
    assert_eq!(latest(&settings(TIME)), Some(at("2026-03-05T09:00:01Z")));
    let kept = settings(&format!("{TIME}\nwrite_consent_time = false"));
    assert_eq!(latest(&kept), Some(at("2026-03-01T12:00:00.999Z")), "Salesforce keeps it, whoever ticks");
}

#[test]
fn a_box_unticked_by_hand_is_no_opt_in_of_the_time_beside_it_where_only_the_gateway_writes_that() {
    let since = |settings: &Settings, time: &str, changed: Value| {
        let held = json!({ "HasOptedOutOfEmail": false, "Time__c": time, "LastModifiedDate": changed });
        let consent = consent(settings, audience(settings), &row(held));
        assert!(consent.is_opted_in());
        consent.since().and_then(ActedAt::earliest)
    };
    let (settings, kept) = (settings(TIME), settings(&format!("{TIME}\nwrite_consent_time = false")));
    let told = "2026-03-01T12:00:00.000+0000";
    for (changed, is_known) in [
        (json!("2026-03-01T12:00:00.000+0000"), true),
        (json!("2026-03-01T12:00:59.000+0000"), true),
        (json!("2026-03-01T11:59:30.000+0000"), true),
        (json!("2026-03-01T12:02:00.000+0000"), false),
        (json!("2026-03-05T09:00:00.000+0000"), false),
        // A time that is ahead of the change that wrote it is nobody's.
        (json!("2026-02-01T12:00:00.000+0000"), false),
        (Value::Null, false),
    ] {
        let known = Some(at("2026-03-01T12:00:00Z"));
        assert_eq!(since(&settings, told, changed.clone()), known.filter(|_| is_known), "{changed}");
        assert_eq!(since(&kept, told, changed), known, "Salesforce keeps it, whoever unticks");
    }
    let day = json!("2026-03-01T12:00:00.000+0000");
    assert_eq!(since(&settings, "2026-03-01", day.clone()), None, "a day is not the time of one write");
    assert_eq!(since(&kept, "2026-03-01", day), Some(at("2026-02-28T23:00:00Z")));
}

/// A form of one newsletter would else be an opt-in to all others that the person is in there, and may have left in Gigya.
#[test]
fn a_time_that_several_checkboxes_share_is_no_opt_ins() {
    let route = |box_of: &str, lines: &str| {
        format!("[[route]]\nsubscription = \"main/2\"\naudience = \"sales/{box_of}\"\n{lines}")
    };
    for (box_of, is_known) in [("Contact.News__c", false), ("Contact.HasOptedOutOfEmail", true), ("Lead.News__c", true)]
    {
        let config = read(TIME, &route(box_of, "")).unwrap();
        let Some(Esp::Salesforce(settings)) = config.esps.into_values().next() else { panic!("it is one") };
        let held = json!({ "HasOptedOutOfEmail": false, "Time__c": "2026-03-01T12:00:00.000+0000",
            "LastModifiedDate": "2026-03-01T12:00:00.000+0000" });
        let contacts = SalesforceAudience::parse("Contact").unwrap();
        assert_eq!(is_told(consent(&settings, &contacts, &row(held))), is_known, "{box_of}");
        let refused = read(TIME, &route(box_of, "accept_opt_ins = true")).err().map(|error| error.to_string());
        let is_refused = refused.as_ref().is_some_and(|said| said.contains("share the time of consent"));
        assert_eq!((is_refused, refused.is_none()), (!is_known, is_known), "{refused:?}");
    }
}

/// Whoever unticks a box right after the gateway has ticked it doesn't opt in by the time that the gateway wrote.
#[test]
fn what_the_gateway_writes_is_believed_of_an_opt_in_and_never_of_an_opt_out_that_is_unticked_since() {
    let settings = settings(TIME);
    let now = spelled(Timestamp::now());
    for (is_out, is_known) in [(false, true), (true, false)] {
        let held = json!({ "HasOptedOutOfEmail": false, "Time__c": stamp(is_out), "LastModifiedDate": now });
        assert_eq!(is_told(consent(&settings, audience(&settings), &row(held))), is_known, "{is_out}");
    }
}

/// What a message says of a record that is gone: when the box was ticked isn't in it.
#[test]
fn a_tick_whose_change_has_no_time_may_be_as_late_as_now() {
    let (settings, kept) = (settings(TIME), settings(&format!("{TIME}\nwrite_consent_time = false")));
    let latest = |settings: &Settings| {
        let held = json!({ "HasOptedOutOfEmail": "true", "Time__c": "2020-03-01T12:00:00.000+0000" });
        consent(settings, audience(settings), &row(held)).since().unwrap().latest()
    };
    assert_eq!(latest(&settings), None);
    assert_eq!(latest(&kept), Some(at("2020-03-01T12:00:00.999Z")));
}

#[test]
fn email_opt_out_holds_for_a_checkbox_of_ones_own_too() {
    let settings = settings(TIME);
    let own = SalesforceAudience::parse("Contact.News__c").unwrap();
    let said = |news: Value, all: Value| {
        let row = row(
            json!({ "Id": "0035e00000ZkM3hAAF", "Email": "ann@example.org", "News__c": news, "HasOptedOutOfEmail": all }),
        );
        (matches!(consent(&settings, &own, &row), Consent::OptedOut { .. }), is_out_of_everything(&own, &row))
    };
    assert_eq!(said(json!(false), json!(false)), (false, false));
    assert_eq!(said(json!(true), json!(false)), (true, false));
    assert_eq!(said(json!(false), json!(true)), (true, true));
    let standard = row(json!({ "HasOptedOutOfEmail": true }));
    assert!(!is_out_of_everything(audience(&settings), &standard), "there it is the checkbox itself");
}
