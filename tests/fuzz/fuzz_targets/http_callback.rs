//! The callback of an ESP that is only described: whatever comes, no opt-out in it is lost, and nothing of it is quoted.

#![no_main]

use fuzzing::{Answers, CALLBACK_TOKEN, deadline, esp, json_of, run, says_only_where};
use gigya_esp_gateway::domain::Email;
use gigya_esp_gateway::esp::{Esp, NotTaken, Notice, Received, What};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::{Arc, LazyLock};

static ESP: LazyLock<Arc<dyn Esp>> = LazyLock::new(|| esp("mail", Arc::new(Answers::default()).transport()));

fn receive(token: &str, body: &[u8]) -> Result<Vec<Notice>, NotTaken> {
    let received = run(ESP.receive(Some(&token.into()), &HeaderMap::new(), body, deadline()));
    received.map(|received| match received {
        Received::Notices(notices) => notices,
        Received::Handshake => panic!("there is none"),
    })
}

fuzz_target!(|body: &[u8]| {
    assert_eq!(receive("another-token-than-ours", body).err(), Some(NotTaken::NotVerified("token_wrong")));
    let value = json_of(body);
    match receive(CALLBACK_TOKEN, body) {
        Err(NotTaken::Malformed(what)) => {
            assert!(says_only_where(&what), "{what}");
            let leaves = |value: &Value| events_of(value).iter().any(|event| leaving(event).is_some());
            assert!(!value.is_some_and(|value| leaves(&value)), "refused with an opt-out in it");
        }
        Err(other) => panic!("the token is right, and {other:?}"),
        Ok(notices) => {
            for notice in &notices {
                assert!(!notice.id.is_empty() && !notice.id.contains('@'));
                // What can't be understood is kept as it was.
                assert_eq!(
                    notice.said.is_some(),
                    notice.news.as_ref().is_err_and(|outcome| outcome.label() == "rejected")
                );
            }
            let value = value.expect("else it is malformed");
            let events = events_of(&value);
            assert!(notices.len() >= events.len(), "an event got lost");
            for address in events.iter().filter_map(|event| leaving(event)) {
                let is_told = notices.iter().any(|notice| {
                    let news = notice.news.as_ref().ok();
                    news.is_some_and(|news| news.address == address && matches!(news.what, What::OptedOut { .. }))
                });
                assert!(is_told, "an opt-out got lost");
            }
        }
    }
});

/// The events, where the description has them.
fn events_of(value: &Value) -> Vec<&Value> {
    match &value["events"] {
        Value::Array(events) => events.iter().collect(),
        event @ Value::Object(_) => vec![event],
        _ => Vec::new(),
    }
}

/// Who leaves the one audience, or all.
fn leaving(event: &Value) -> Option<Email> {
    let is_ours = match &event["list"] {
        Value::Null => true,
        Value::String(text) => text == "7" || text.is_empty(),
        Value::Number(number) => number.to_string() == "7",
        _ => false,
    };
    (event["type"] == "stop" && is_ours).then(|| Email::parse(event["email"].as_str()?).ok())?
}
