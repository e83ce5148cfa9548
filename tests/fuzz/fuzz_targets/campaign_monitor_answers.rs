//! Campaign Monitor's answers: to a look at a subscriber, and to every kind of write. The first part is the person's fields, a
//! line `NAME=VALUE` each.

#![no_main]

use fuzzing::{Answers, LIST, deadline, esp, parts, person, run};
use gigya_esp_gateway::domain::{Audience, Consent, RemovalKind};
use gigya_esp_gateway::esp::{FieldValue, Whom, Written};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::sync::Arc;

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let fields = String::from_utf8_lossy(parts[0]).into_owned();
    understands(&parts[1..]);
    is_no_echo(&fields);
});

/// What any answers at all amount to.
fn understands(parts: &[&[u8]]) {
    let audience = Audience::new(LIST);
    let ann = person(&[("Name", FieldValue::Text("Ann".to_owned())), ("Stores", FieldValue::Missing)]);
    let whom = Whom { uids: vec![&ann.uid], addresses: vec![&ann.address], fields: &ann.fields };
    run(async {
        let answers = Arc::new(Answers::new(parts));
        let found = esp("news", answers.transport()).find(&audience, &whom, deadline()).await;
        let Some(record) = found.unwrap_or_default().into_iter().next() else { return };
        let said = parts.iter().rev().find_map(|part| fuzzing::json_of(fuzzing::split_head(part).2));
        if parts.len() == 1
            && let Some(said) = said
        {
            let state = said["State"].as_str().unwrap_or_default();
            assert_eq!(record.consent.is_opted_in(), state.eq_ignore_ascii_case("active"), "{state}");
        }
        // Each with the same answers from the beginning, at an ESP that nothing is known of.
        let fresh = || {
            let answers = Arc::new(Answers::new(parts));
            (esp("news", answers.transport()), answers)
        };
        let is_done = |written| written == Ok(Written::Done);
        let never_said =
            |answers: &Answers| !parts.iter().take(answers.asked().len()).any(|part| fuzzing::is_success(part));
        let (esp, answers) = fresh();
        let done = esp.opt_out(&audience, &record, deadline()).await;
        assert!(!(is_done(done) && never_said(&answers)), "an opt-out that nobody took");
        for over in [false, true] {
            let (esp, answers) = fresh();
            let done = esp.opt_in(&audience, Some(&record), &ann, over, deadline()).await;
            assert!(!(is_done(done) && never_said(&answers)));
            assert!(!over || answers.asked().len() <= 1, "an opt-out is undone more than once");
            let resubscribes = |body: &[u8]| fuzzing::json_of(body).is_some_and(|sent| sent["Resubscribe"] == true);
            assert!(over || !answers.asked().iter().any(|request| resubscribes(&request.body)));
        }
        let (esp, answers) = fresh();
        let done = esp.update(&audience, &record, &ann, deadline()).await;
        assert!(!(is_done(done) && never_said(&answers)));
        for kind in [RemovalKind::Delete, RemovalKind::Unsubscribe] {
            let (esp, answers) = fresh();
            let done = esp.remove(&audience, &record, kind, deadline()).await;
            assert!(!(is_done(done) && never_said(&answers)), "a removal that nobody took");
        }
        let _ = fresh().0.discard(&audience, &record, deadline()).await;
    });
}

/// What was written and is read again is no change: that alone ends every echo.
fn is_no_echo(fields: &str) {
    let mut named: Vec<(&str, FieldValue)> = Vec::new();
    for (name, value) in fields.lines().filter_map(|line| line.split_once('=')) {
        let folded = |name: &str| name.to_lowercase().replace(|c: char| c.is_whitespace() || c == '[' || c == ']', "");
        let is_new = named.iter().all(|(known, _)| folded(known) != folded(name));
        if folded(name).is_empty() || !is_new {
            continue;
        }
        let value = match value {
            "" => FieldValue::Missing,
            "true" | "false" => FieldValue::Flag(value == "true"),
            _ if value.contains('|') => FieldValue::Many(value.split('|').map(str::to_owned).collect()),
            _ => FieldValue::Text(value.to_owned()),
        };
        named.push((name, value));
    }
    let (audience, ann) = (Audience::new(LIST), person(&named));
    let whom = Whom { uids: vec![&ann.uid], addresses: vec![&ann.address], fields: &ann.fields };
    run(async {
        let answers = Arc::new(Answers::default());
        let esp = esp("news", answers.transport());
        answers.then("{}");
        assert_eq!(esp.opt_in(&audience, None, &ann, false, deadline()).await, Ok(Written::Done));
        let sent = fuzzing::json_of(&answers.asked()[0].body).expect("it is JSON");
        answers.then(held(&sent["Subscribers"][0]).to_string());
        let found = esp.find(&audience, &whom, deadline()).await.expect("it is there");
        assert!(matches!(found[0].consent, Consent::OptedIn { .. }));
        assert!(!esp.differs(&audience, &found[0], &ann), "it would be written again and again: {sent}");
    });
}

/// What is there after a write.
fn held(sent: &Value) -> Value {
    json!({
        "EmailAddress": sent["EmailAddress"], "Name": sent["Name"], "MobileNumber": sent["MobileNumber"],
        "Date": "2026-01-05 10:28:00", "State": "Active", "CustomFields": sent["CustomFields"],
        "ConsentToTrack": sent["ConsentToTrack"], "ConsentToSendSms": sent["ConsentToSendSms"],
    })
}
