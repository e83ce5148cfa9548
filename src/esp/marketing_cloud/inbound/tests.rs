use super::*;
use crate::esp::marketing_cloud::testing::{KEY, settings};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;

const EVENTS: &str = include_str!("../../../../tests/fixtures/marketing_cloud/unsubscribes.json");
const HANDSHAKE: &str = r#"{"callbackId":"c-1","verificationKey":"k-1"}"#;

fn signed(body: &str) -> HeaderMap {
    use base64::Engine;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let text = base64::prelude::BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let mut headers = HeaderMap::new();
    headers.insert("x-sfmc-ens-signature", HeaderValue::from_str(&text).unwrap());
    headers
}

fn opened(settings: &Settings, headers: &HeaderMap, body: &str) -> String {
    match open(settings, headers, body.as_bytes()) {
        Ok(Callback::Handshake(_)) => "handshake".to_owned(),
        Ok(Callback::Events(events)) => format!("{} events", events.len()),
        Err(refused) => format!("{refused:?}"),
    }
}

#[test]
fn events_must_be_signed() {
    let settings = settings("", &["all-subscribers"]);
    assert_eq!(opened(&settings, &signed(EVENTS), EVENTS), "7 events");
    assert_eq!(opened(&settings, &HeaderMap::new(), EVENTS), "NotVerified(\"signature_missing\")");
    assert_eq!(opened(&settings, &signed("other"), EVENTS), "NotVerified(\"signature_wrong\")");
    // What isn't believed isn't parsed.
    assert_eq!(opened(&settings, &HeaderMap::new(), "not JSON"), "NotVerified(\"signature_missing\")");
    assert!(opened(&settings, &signed("not JSON"), "not JSON").starts_with("Malformed"));
}

#[test]
fn events_must_be_of_a_business_unit_that_the_connection_names() {
    let other = settings("business_units = [\"7\"]", &["all-subscribers"]);
    let foreign = r#"[{"eventCategoryType":"EngagementEvents.EmailOpen","mid":1476456}]"#;
    assert_eq!(opened(&other, &signed(foreign), foreign), "NotVerified(\"business_unit\")");
    let both = settings("business_units = [\"7\", \"1476456\"]", &["all-subscribers"]);
    assert_eq!(opened(&both, &signed(EVENTS), EVENTS), "7 events");
    let one_of_many = EVENTS.replacen("\"mid\":1476456", "\"mid\":8", 1);
    assert_eq!(opened(&both, &signed(&one_of_many), &one_of_many), "7 events", "which keeps the others from nothing");
}

#[test]
fn a_verification_is_taken_while_one_is_expected_and_not_else() {
    let registering = settings("registering = true", &["all-subscribers"]);
    assert_eq!(opened(&registering, &HeaderMap::new(), HANDSHAKE), "handshake");
    assert_eq!(opened(&registering, &signed("other"), HANDSHAKE), "handshake", "a key that isn't known yet");
    let padded = format!("{HANDSHAKE}{}", " ".repeat(5000));
    assert_eq!(opened(&registering, &HeaderMap::new(), &padded), "NotVerified(\"signature_missing\")");
    assert_eq!(opened(&registering, &HeaderMap::new(), EVENTS), "NotVerified(\"signature_missing\")");
    assert_eq!(opened(&registering, &HeaderMap::new(), "{}"), "NotVerified(\"signature_missing\")");
    assert_eq!(opened(&registering, &signed(EVENTS), EVENTS), "7 events", "while a second one is registered");

    let settings = settings("", &["all-subscribers"]);
    assert_eq!(opened(&settings, &HeaderMap::new(), HANDSHAKE), "NotVerified(\"signature_missing\")");
    assert_eq!(opened(&settings, &signed(HANDSHAKE), HANDSHAKE), "NotVerified(\"handshake_not_expected\")");
}

/// Which audiences somebody left: by the mail's list, and by how the subscriber stands at All Subscribers.
#[test]
fn what_somebody_left() {
    let lists = ["publication-list:69238", "publication-list:7+data-extension:K"];
    let with_all = ["publication-list:69238", "all-subscribers+data-extension:K"];
    let left = |lines: &str, audiences: &[&str], list: Option<&str>, status: Option<&str>| {
        let told = Unsubscribed {
            at: crate::domain::ActedAt::UNKNOWN,
            list: list.map(ToOwned::to_owned),
            subscriber_id: None,
            subscriber_key: None,
            address: None,
        };
        let row = status.map(|status| Row { status: Some(status.to_owned()), ..Row::default() });
        let found = super::audiences(&settings(lines, audiences), &told, row.as_ref());
        found.iter().map(|audience| audience.as_str().to_owned()).collect::<Vec<_>>()
    };
    let all = ["publication-list:69238", "publication-list:7+data-extension:K"];
    assert_eq!(left("", &lists, Some("69238"), Some("Active")), ["publication-list:69238"]);
    assert_eq!(left("", &lists, Some("7"), Some("Held")), ["publication-list:7+data-extension:K"]);
    assert_eq!(left("", &lists, Some("69238"), Some("Unsubscribed")), all, "everything, wherever the link was");
    assert_eq!(left("", &lists, Some("1"), Some("Unsubscribed")), all);
    assert_eq!(left("", &lists, Some("1"), Some("Active")), [""; 0], "a list that no route is about");
    assert_eq!(left("all_subscribers_list = \"1\"", &lists, Some("1"), Some("Active")), all, "by the callback alone");
    assert_eq!(left("", &lists, Some("69238"), None), ["publication-list:69238"]);
    assert_eq!(left("", &lists, Some("1"), None), all, "nobody can tell, so the doubt is the opt-out's");
    assert_eq!(left("", &lists, None, None), all);
    assert_eq!(left("", &with_all, Some("69238"), Some("Active")), ["publication-list:69238"]);
    // It may be All Subscribers, whose status isn't to be seen yet.
    assert_eq!(left("", &with_all, Some("1"), Some("Active")), ["all-subscribers+data-extension:K"]);
    assert_eq!(left("all_subscribers_list = \"2\"", &with_all, Some("1"), Some("Active")), [""; 0]);
    assert_eq!(left("", &["data-extension:K"], Some("1"), Some("Active")), ["data-extension:K"]);
    assert_eq!(left("", &["data-extension:K"], Some("1"), Some("Unsubscribed")), ["data-extension:K"]);
}
