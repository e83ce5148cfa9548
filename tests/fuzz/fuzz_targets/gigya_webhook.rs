//! Gigya's webhook body, signed as versions 1.x are: any bytes at all, as Gigya would have signed them.

#![no_main]

use fuzzing::{GIGYA_SECRET, deadline, gigya, headers, json_of, run, says_only_where};
use gigya_esp_gateway::gigya::{
    Client, Event, EventKind, KeyStore, NotVerified, Notification, Rejection, Subject, Verifier,
};
use gigya_esp_gateway::sandbox::gigya::Signer;
use gigya_esp_gateway::upstream::{Upstream, WallClock};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What changes a subscription, or may.
const MATTER: [&str; 8] = [
    "accountCreated",
    "accountRegistered",
    "accountUpdated",
    "accountProgressed",
    "accountMerged",
    "accountUidChanged",
    "accountDeleted",
    "subscriptionUpdated",
];

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let settings = gigya("old");
    let transport = Arc::new(fuzzing::Answers::default()).transport();
    let upstream = Upstream::new("gigya/old".to_owned(), transport, &settings.common);
    let client = Arc::new(Client::new(settings, upstream, WallClock::system()).expect("credentials are right"));
    Verifier::new(settings, KeyStore::new(client, Duration::from_mins(1))).expect("secrets are base64")
});

fn open(body: &[u8], signature: &str) -> Result<Notification, Rejection> {
    let now = Timestamp::from_second(1_760_000_010).expect("it is a time");
    run(VERIFIER.open(&headers("x-gigya-sig-hmac-sha1", signature), body, now, deadline()))
}

fuzz_target!(|body: &[u8]| {
    let opened = open(body, &Signer::hmac_with(GIGYA_SECRET, body));
    for (forged, of) in
        [(Signer::hmac_with("b3RoZXI=", body), body), (Signer::hmac_with(GIGYA_SECRET, &[body, b" "].concat()), body)]
    {
        assert!(matches!(open(of, &forged), Err(Rejection::NotVerified(NotVerified::Wrong))));
    }
    match opened {
        Ok(notification) => is_told_in_full(body, &notification),
        Err(Rejection::Malformed(what)) => {
            assert!(says_only_where(&what), "{what}");
            assert!(!json_of(body).is_some_and(|value| somebody_is_unheard(&value)), "refused with somebody in it");
        }
        Err(Rejection::NotVerified(NotVerified::Stale | NotVerified::ApiKey)) => {}
        Err(other) => panic!("signed as it should be, and {other:?}"),
    }
});

/// The same as Gigya might have spelled it as well.
fn spelled_otherwise(value: &Value) -> Result<Notification, Rejection> {
    let body = serde_json::to_vec_pretty(value).expect("JSON can be written");
    open(&body, &Signer::hmac_with(GIGYA_SECRET, &body))
}

/// Whether an event is about somebody by itself, and isn't heard beside the others.
fn somebody_is_unheard(value: &Value) -> bool {
    let Some(events) = value["events"].as_array() else { return false };
    let is_about_somebody = |event: &Value| {
        let mut alone = value.clone();
        alone["events"] = vec![event.clone()].into();
        let is_known = |event: &Event| matches!(event.kind, EventKind::Changed(_) | EventKind::Deleted(_));
        spelled_otherwise(&alone).is_ok_and(|told| told.events.iter().any(is_known))
    };
    matches!(spelled_otherwise(value), Err(Rejection::Malformed(_))) && events.iter().any(is_about_somebody)
}

fn is_told_in_full(body: &[u8], notification: &Notification) {
    // Numbers in what is ignored may be larger than this knows.
    let Some(value) = json_of(body) else { return };
    // To serde, a notification may be a list of its members, too.
    let Some(sent) = value["events"].as_array() else { return };
    assert_eq!(sent.len(), notification.events.len(), "an event got lost");
    let again = match spelled_otherwise(&value) {
        // An event with a key twice couldn't be read, and was of another site.
        Err(Rejection::NotVerified(NotVerified::ApiKey)) => return,
        again => again.expect("it says the same"),
    };
    for ((sent, event), again) in sent.iter().zip(&notification.events).zip(&again.events) {
        is_understood(sent, again);
        // A key that is there twice is there once when it is written anew.
        assert!(event.kind == again.kind || event.kind == EventKind::Malformed, "{event:?} became {again:?}");
    }
}

/// Whoever is named is looked at: nothing that may be an opt-out is passed over.
fn is_understood(sent: &Value, event: &Event) {
    assert!(event.id.chars().count() <= 64 && !event.id.chars().any(char::is_control));
    let named = |key: &str| sent["data"][key].as_str().is_some_and(|text| !text.trim().is_empty());
    let is = |kind: &str| sent["type"] == kind;
    if !MATTER.iter().any(|kind| is(kind)) {
        return;
    }
    let is_taken = match &event.kind {
        EventKind::Changed(Subject::Account { uid, .. }) => !uid.expose().is_empty() && !is("accountDeleted"),
        EventKind::Changed(Subject::EmailAccount { token }) => !token.is_empty() && !is("accountDeleted"),
        EventKind::Deleted(uid) => !uid.expose().is_empty() && is("accountDeleted"),
        EventKind::Malformed => {
            let is_of_a_site = sent["apiKey"].is_null() || sent["apiKey"].is_string();
            let others = !is("accountDeleted") && (named("emailAccountToken") || moved(sent) && named("newUid"));
            !is_of_a_site || !(named("uid") || others)
        }
        EventKind::Ignored => false,
    };
    assert!(is_taken, "{} became {:?}", sent["type"], event.kind);
}

fn moved(sent: &Value) -> bool {
    sent["type"] == "accountMerged" || sent["type"] == "accountUidChanged"
}
