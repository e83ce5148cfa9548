//! Gigya's answers with its public keys: `accounts.getJWTPublicKey` answers with the parts of the input, whose texts `KID`
//! and `MODULUS` stand for those of the key that signs.

#![no_main]

use fuzzing::{Answers, deadline, gigya, headers, parts, run, signer};
use gigya_esp_gateway::gigya::{Client, KeyStore, NotVerified, Rejection, Verifier};
use gigya_esp_gateway::upstream::{Upstream, WallClock};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const BODY: &[u8] = br#"{"events":[{"type":"accountUpdated","id":"e1","data":{"uid":"u-ann"}}],"nonce":"n"}"#;
const NOW: i64 = 1_760_000_010;

struct Genuine {
    token: String,
    kid: String,
    modulus: String,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let key = &signer().published(true)["keys"][0];
    let text = |name: &str| key[name].as_str().expect("it is there").to_owned();
    Genuine { token: signer().token(&signer().parts(BODY, "n", NOW)), kid: text("kid"), modulus: text("n") }
});

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let text = text.replace("KID", &GENUINE.kid).replace("MODULUS", &GENUINE.modulus);
    let parts = parts(text.as_bytes());
    let settings = gigya("main");
    let answers = Arc::new(Answers::new(&parts));
    let upstream = Upstream::new("gigya/main".to_owned(), answers.transport(), &settings.common);
    let client = Arc::new(Client::new(settings, upstream, WallClock::system()).expect("credentials are right"));
    let verifier = Verifier::new(settings, KeyStore::new(client, Duration::from_mins(1))).expect("no secrets");
    let now = Timestamp::from_second(NOW).expect("it is a time");
    let opened = run(verifier.open(&headers("x-gigya-sig-jwt", &GENUINE.token), BODY, now, deadline()));
    match opened {
        Ok(notification) => {
            assert!(text.contains(&GENUINE.kid) || text.contains('\\'), "verified by a key that nobody named");
            assert_eq!(notification.events.len(), 1);
        }
        // Nothing is wrong with the token: either its key is there, or not, or another one is in its place.
        Err(Rejection::NoKeys(_) | Rejection::NotVerified(NotVerified::UnknownKey | NotVerified::Wrong)) => {}
        Err(other) => panic!("the token is genuine, and {other:?}"),
    }
    // Asked a second time at once, it makes no second call.
    let asked = answers.asked().len();
    assert!(asked <= 4, "{asked} calls");
});
