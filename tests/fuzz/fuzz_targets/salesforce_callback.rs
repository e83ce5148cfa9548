//! Outbound Messages and JSON callbacks of Salesforce: whatever comes, nothing of it is quoted, it ends, and no event of it gets
//! lost. What records say can't be read here, so nothing may be settled that names one.

#![no_main]

use fuzzing::{Answers, CALLBACK_TOKEN, deadline, esp, run, says_only_where};
use gigya_esp_gateway::esp::{Esp, NotTaken, Notice, Received};
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::{Arc, LazyLock};

static ESP: LazyLock<Arc<dyn Esp>> = LazyLock::new(|| esp("sales", Arc::new(Answers::default()).transport()));

fn receive(token: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Notice>, NotTaken> {
    let token = token.map(Into::into);
    let received = run(ESP.receive(token.as_ref(), headers, body, deadline()));
    received.map(|received| match received {
        Received::Notices(notices) => notices,
        Received::Handshake => panic!("there is none"),
    })
}

fn hold(received: Result<Vec<Notice>, NotTaken>) -> Option<Vec<Notice>> {
    match received {
        Err(NotTaken::Malformed(what)) => {
            assert!(says_only_where(&what), "{what}");
            None
        }
        Err(NotTaken::NotVerified(why)) => {
            assert_eq!(why, "organization", "the token is right");
            None
        }
        Err(other) => panic!("the token is right, and {other:?}"),
        Ok(notices) => {
            for notice in &notices {
                assert!(!notice.id.contains('@'));
                // What can't be understood is kept.
                let is_rejected = notice.news.as_ref().is_err_and(|outcome| outcome.label() == "rejected");
                assert_eq!(notice.said.is_some(), is_rejected);
            }
            Some(notices)
        }
    }
}

fuzz_target!(|body: &[u8]| {
    let none = HeaderMap::new();
    let another = receive(Some("another-token-than-ours"), &none, body);
    assert_eq!(another.err(), Some(NotTaken::NotVerified("token_wrong")));
    hold(receive(Some(CALLBACK_TOKEN), &none, body));

    let bearer = HeaderValue::try_from(format!("Bearer {CALLBACK_TOKEN}")).expect("a token can be sent");
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    if let Some(notices) = hold(receive(None, &headers, body)) {
        let records = match serde_json::from_slice(body).expect("else it is malformed") {
            Value::Array(records) => records.len(),
            _ => 1,
        };
        assert!(notices.len() >= records, "an event got lost");
    }
});
