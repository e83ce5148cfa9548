//! Marketing Cloud's event notification, signed, and its answers to who that is.

#![no_main]

use fuzzing::{Answers, deadline, ens_signature, esp, headers, json_of, parts, run, says_only_where};
use gigya_esp_gateway::domain::{Outcome, Reason};
use gigya_esp_gateway::esp::{NotTaken, Notice, Received, What};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::Arc;

const HEADER: &str = "x-sfmc-ens-signature";

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let body = parts[0];
    let esp = esp("crm", Arc::new(Answers::new(&parts[1..])).transport());
    let of_another = headers(HEADER, &ens_signature(&[body, b" "].concat()));
    let forged = run(esp.receive(None, &of_another, body, deadline()));
    assert!(matches!(forged, Err(NotTaken::NotVerified("signature_wrong"))));
    match run(esp.receive(None, &headers(HEADER, &ens_signature(body)), body, deadline())) {
        Err(NotTaken::Malformed(what)) => assert!(says_only_where(&what), "{what}"),
        Err(NotTaken::NotVerified("handshake_not_expected" | "business_unit")) => {}
        Err(other) => panic!("signed as it should be, and {other:?}"),
        Ok(Received::Handshake) => panic!("none is expected"),
        Ok(Received::Notices(notices)) => {
            let value = json_of(body).expect("nothing else is taken");
            let sent = value.as_array().map_or_else(|| std::slice::from_ref(&value), Vec::as_slice);
            assert_eq!(sent.len(), notices.len(), "an event got lost");
            for (sent, notice) in sent.iter().zip(&notices) {
                is_heard(sent, notice);
            }
        }
    }
});

/// An unsubscribe of somebody is an opt-out, or is put off, or is recorded: never passed over.
fn is_heard(sent: &Value, notice: &Notice) {
    assert!(notice.id.len() == 24 && notice.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let unit = match &sent["mid"] {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let is_ours = unit.is_empty() || unit == "1476456";
    let is_unsubscribe = is_ours && sent["eventCategoryType"] == "EngagementEvents.EmailUnsubscribe";
    match &notice.news {
        Ok(news) => {
            assert!(is_unsubscribe, "{sent} became news");
            assert!(matches!(news.what, What::OptedOut { .. }));
        }
        Err(Outcome::Deferred(_) | Outcome::Rejected(Reason::NoAddress)) => assert!(is_unsubscribe),
        Err(Outcome::Rejected(_)) => {
            let number = &sent["composite"]["subscriberId"];
            // Digits alone: Rust takes a sign for part of a number, too.
            let is_number = |id: &str| id.bytes().all(|byte| byte.is_ascii_digit()) && id.parse::<u64>().is_ok();
            let is_numbered = number.is_u64() || number.as_str().is_some_and(is_number);
            assert!(!(is_unsubscribe && is_numbered), "{sent} was refused");
        }
        Err(Outcome::Skipped(_)) => assert!(!is_unsubscribe, "{sent} was passed over"),
        Err(other) => panic!("{other:?} before anything was done"),
    }
}
