//! Gigya's webhook body, signed as versions 1.x are: any bytes at all, as Gigya would have signed them.

#![no_main]

use fuzzing::{GIGYA_SECRET, config, deadline, gigya, headers, json_of, run, says_only_where};
use gigya_esp_gateway::gigya::{
    Client, Event, EventKind, KeyStore, NotVerified, Notification, Rejection, Subject, Verifier,
};
use gigya_esp_gateway::sandbox::gigya::Signer;
use gigya_esp_gateway::upstream::Upstream;
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
    let client = Arc::new(Client::new(settings, upstream).expect("credentials are right"));
    Verifier::new(settings, KeyStore::new(client, Duration::from_secs(60))).expect("secrets are base64")
});

fn open(body: &[u8], signature: &str) -> Result<Notification, Rejection> {
    let now = Timestamp::from_second(1_760_000_010).expect("it is a time");
    run(VERIFIER.open(&headers("x-gigya-sig-hmac-sha1", signature), body, now, deadline()))
}

fuzz_target!(|body: &[u8]| {
    assert!(!config().gigya.is_empty());
    let opened = open(body, &Signer::hmac_with(GIGYA_SECRET, body));
    for (forged, of) in
        [(Signer::hmac_with("b3RoZXI=", body), body), (Signer::hmac_with(GIGYA_SECRET, &[body, b" "].concat()), body)]
    {
        assert!(matches!(open(of, &forged), Err(Rejection::NotVerified(NotVerified::Wrong))));
    }
    match opened {
        Ok(notification) => is_told_in_full(body, &notification),
        Err(Rejection::Malformed(what)) => assert!(says_only_where(&what), "{what}"),
        Err(Rejection::NotVerified(NotVerified::Stale | NotVerified::ApiKey)) => {}
        Err(other) => panic!("signed as it should be, and {other:?}"),
    }
});

fn is_told_in_full(body: &[u8], notification: &Notification) {
    // Numbers in what is ignored may be larger than this knows.
    let Some(value) = json_of(body) else { return };
    let sent = value["events"].as_array().expect("without events it is none");
    assert_eq!(sent.len(), notification.events.len(), "an event got lost");
    for (sent, event) in sent.iter().zip(&notification.events) {
        is_understood(sent, event);
    }
    // As Gigya might have spelled it as well.
    let again = serde_json::to_vec_pretty(&value).expect("JSON can be written");
    let again = open(&again, &Signer::hmac_with(GIGYA_SECRET, &again)).expect("it says the same");
    assert_eq!(format!("{notification:?}"), format!("{again:?}"));
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
            !named("uid") && (is("accountDeleted") || !(named("emailAccountToken") || moved(sent) && named("newUid")))
        }
        EventKind::Ignored => false,
    };
    assert!(is_taken, "{} became {:?}", sent["type"], event.kind);
}

fn moved(sent: &Value) -> bool {
    sent["type"] == "accountMerged" || sent["type"] == "accountUidChanged"
}
