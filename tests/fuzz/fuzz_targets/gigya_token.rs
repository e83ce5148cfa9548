//! Gigya's signature header. Four parts: how it is made, a token's header and claims (JSON), and the body.
//! `signed` makes a genuine token of them; `confused` and `unsigned` are forgeries; anything else is a header as it came.

#![no_main]

use fuzzing::{Answers, deadline, gigya, json_of, parts, run, signer};
use gigya_esp_gateway::gigya::{Client, KeyStore, NotVerified, Rejection, Verifier};
use gigya_esp_gateway::sandbox::gigya::TokenParts;
use gigya_esp_gateway::upstream::{Upstream, WallClock};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// When it is received, and how old it may be.
const NOW: i64 = 1_760_000_010;
const OLDEST: i64 = 48 * 3600;
const EARLIEST: i64 = 5 * 60;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let settings = gigya("main");
    let keys = signer().published(true);
    let answers = Answers::default().fixed("accounts.getJWTPublicKey", with_code(keys).to_string());
    let upstream = Upstream::new("gigya/main".to_owned(), Arc::new(answers).transport(), &settings.common);
    let client = Arc::new(Client::new(settings, upstream, WallClock::system()).expect("credentials are right"));
    Verifier::new(settings, KeyStore::new(client, Duration::from_secs(1 << 40))).expect("there are no secrets")
});

fn with_code(mut keys: Value) -> Value {
    keys["errorCode"] = 0.into();
    keys
}

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let [how, header, claims, body] = parts[..] else { return };
    let made = json_of(header).zip(json_of(claims)).map(|(header, claims)| TokenParts { header, claims });
    let genuine = how == b"signed";
    let token = match (how, &made) {
        (b"signed", Some(made)) => signer().token(made),
        (b"confused", Some(made)) => signer().token_confused(made),
        (b"unsigned", Some(made)) => signer().token_unsigned(made),
        (_, Some(_)) | (b"signed" | b"confused" | b"unsigned", None) => return,
        (as_it_came, None) => String::from_utf8_lossy(as_it_came).into_owned(),
    };
    let Ok(value) = HeaderValue::try_from(token) else { return };
    let headers: HeaderMap = [(http::HeaderName::from_static("x-gigya-sig-jwt"), value)].into_iter().collect();
    let now = Timestamp::from_second(NOW).expect("it is a time");
    match run(VERIFIER.open(&headers, body, now, deadline())) {
        Err(Rejection::NotVerified(NotVerified::Missing)) => panic!("the header is there"),
        Err(Rejection::NoKeys(fault)) => panic!("the keys are to be had, and {fault}"),
        Err(_) => {}
        Ok(notification) => {
            let TokenParts { header, claims } = made.expect("nobody but Gigya can sign");
            assert!(genuine, "a forgery was taken");
            assert_eq!(
                (&header["alg"], &header["kid"]),
                (&"RS256".into(), &signer().published(true)["keys"][0]["kid"])
            );
            assert_eq!(claims["iss"], "https://fidm.gigya.com/jwt/4_AbCdEf/");
            let digest = signer().parts(body, "", 0).claims["sub"].clone();
            let stated = claims["sub"].as_str().expect("it has a digest");
            let same =
                stated.trim_end_matches('=').replace('+', "-").replace('/', "_") == digest.as_str().expect("text");
            assert!(same || stated.len() == 64, "of another body");
            let issued = claims["iat"].as_i64().or(claims["exp"].as_i64()).expect("it has a time");
            assert!(
                issued <= NOW + EARLIEST && claims["exp"].as_i64().unwrap_or(issued) >= NOW - OLDEST,
                "not in time"
            );
            if let (Some(jti), Some(nonce)) = (claims["jti"].as_str(), &notification.nonce) {
                assert_eq!(jti, nonce);
            }
        }
    }
});
