//! Tokens that are not what they should be.

use crate::contract::Held;
use crate::house::{House, JSON};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::gigya::{Signer, TokenParts};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn a_genuine_one_is_accepted() {
    let house = House::ordinary().await;
    let answer = house.post_signed(house.body()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let summary: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&summary["received"], &summary["applied"]), (&json!(1), &json!(1)));
    assert_eq!(summary["events"][0]["id"], "event-1");
    let state = house.sandbox.campaign_monitor.state(&house.sandbox.list, "ann@example.org");
    assert_eq!(state, Some(State::Unsubscribed));
}

#[tokio::test]
async fn every_other_is_refused_with_the_same_answer() {
    type Change = fn(&mut TokenParts);
    let changes: [(&str, Change); 20] = [
        ("genuine, and larger than any token is", |parts| parts.claims["padding"] = "x".repeat(9_000).into()),
        ("a chain of certificates in the header, and no key id", |parts| {
            parts.header["x5c"] = json!(["MIIB"]);
            parts.header["kid"] = Value::Null;
        }),
        ("issued at the end of time", |parts| parts.claims["iat"] = i64::MAX.into()),
        ("expired at the beginning of time", |parts| {
            parts.claims["iat"] = i64::MIN.into();
            parts.claims["exp"] = i64::MIN.into();
        }),
        ("another algorithm in the header, RS512", |parts| parts.header["alg"] = "RS512".into()),
        ("another algorithm in the header, PS256", |parts| parts.header["alg"] = "PS256".into()),
        ("another algorithm in the header, ES256", |parts| parts.header["alg"] = "ES256".into()),
        ("no algorithm", |parts| parts.header["alg"] = Value::Null),
        ("no key id", |parts| parts.header["kid"] = Value::Null),
        ("another site's issuer", |parts| parts.claims["iss"] = "https://fidm.gigya.com/jwt/4_Other/".into()),
        ("an issuer that begins right", |parts| {
            parts.claims["iss"] = "https://fidm.gigya.com/jwt/4_SimulatedSite/.evil.example/".into();
        }),
        ("no issuer", |parts| parts.claims["iss"] = Value::Null),
        ("older than two days", |parts| {
            parts.claims["iat"] = (parts.claims["iat"].as_i64().unwrap() - 49 * 3600).into();
            parts.claims["exp"] = (parts.claims["exp"].as_i64().unwrap() - 49 * 3600).into();
        }),
        ("from the future", |parts| {
            parts.claims["iat"] = (parts.claims["iat"].as_i64().unwrap() + 3600).into();
            parts.claims["exp"] = (parts.claims["exp"].as_i64().unwrap() + 3600).into();
        }),
        ("without any time", |parts| {
            parts.claims["iat"] = Value::Null;
            parts.claims["exp"] = Value::Null;
        }),
        ("without a digest", |parts| parts.claims["sub"] = Value::Null),
        ("another body's digest", |parts| {
            parts.claims["sub"] = BASE64_URL_SAFE.encode(Sha256::digest(b"another body")).into();
        }),
        ("a digest that is none", |parts| parts.claims["sub"] = "not a digest".into()),
        ("an empty digest", |parts| parts.claims["sub"] = "".into()),
        ("another notification's nonce", |parts| parts.claims["jti"] = "nonce-2".into()),
    ];
    let house = House::ordinary().await;
    let body = house.body();
    let first = house.post_token("", body.clone()).await;
    for (what, change) in changes {
        let answer = house.post_token(&house.token(&body, change), body.clone()).await;
        house.is_401(&answer, what);
        assert_eq!(answer, first, "{what}: the same answer as for every other");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let house = House::ordinary().await;
    let body = house.body();
    let valid = house.valid_token(&body);
    let long = "x".repeat(9_000);
    for token in [
        "",
        " ",
        ".",
        "..",
        "...",
        "a.b.c",
        "Bearer x",
        &long,
        &valid[..valid.len() - 3],
        &format!("{valid}A"),
        &format!("Bearer {valid}"),
    ] {
        house.is_401(&house.post_token(token, body.clone()).await, &format!("{token:.20}"));
    }
    let without = house.post_to("/webhooks/gigya/main", &[JSON], body.clone()).await;
    house.is_401(&without, "no header at all");
    let headers = [JSON, ("x-gigya-sig-jwt", valid.as_str()), ("x-gigya-sig-jwt", valid.as_str())];
    house.is_401(&house.post_to("/webhooks/gigya/main", &headers, body).await, "two headers");
}

#[tokio::test]
async fn an_unsigned_token_is_refused() {
    let house = House::ordinary().await;
    let body = house.body();
    let signer = house.sandbox.gigya.signer();
    for algorithm in ["none", "None", "NONE", "RS256"] {
        let mut parts = signer.parts(&body, "nonce-1", house.sandbox.clock.now().as_second());
        parts.header["alg"] = algorithm.into();
        let answer = house.post_token(&signer.token_unsigned(&parts), body.clone()).await;
        house.is_401(&answer, algorithm);
    }
}

#[tokio::test]
async fn a_token_signed_with_the_public_key_is_refused() {
    let house = House::ordinary().await;
    let body = house.body();
    let signer = house.sandbox.gigya.signer();
    for algorithm in ["HS256", "RS256"] {
        let mut parts = signer.parts(&body, "nonce-1", house.sandbox.clock.now().as_second());
        parts.header["alg"] = algorithm.into();
        house.is_401(&house.post_token(&signer.token_confused(&parts), body.clone()).await, algorithm);
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_not_used() {
    let house = House::ordinary().await;
    let body = house.body();
    let stranger = Signer::new(&house.sandbox.gigya.settings().api_key, "c2VjcmV0");
    let mut parts = stranger.parts(&body, "nonce-1", house.sandbox.clock.now().as_second());
    house.is_401(&house.post_token(&stranger.token(&parts), body.clone()).await, "a stranger's signature");
    parts.header["jwk"] = stranger.published(false);
    house.is_401(&house.post_token(&stranger.token(&parts), body.clone()).await, "with the stranger's key in it");
    parts.header["jku"] = "https://stranger.example/keys".into();
    house.is_401(&house.post_token(&stranger.token(&parts), body).await, "with an address of keys in it");
}

#[tokio::test]
async fn a_body_changed_by_one_byte_is_refused() {
    let house = House::ordinary().await;
    let body = house.body();
    let token = house.valid_token(&body);
    for place in [0, 1, body.len() / 2, body.len() - 1] {
        let mut changed = body.clone();
        changed[place] ^= 1;
        house.is_401(&house.post_token(&token, changed).await, &format!("byte {place}"));
    }
    let longer = [body.as_slice(), b" "].concat();
    house.is_401(&house.post_token(&token, longer).await, "one byte more");
}

#[tokio::test]
async fn a_token_of_another_connection_is_refused() {
    let other = "[gigya.other]\napi_keys = [\"4_Other\"]\nbase_url = \"http://127.0.0.1:9\"\nuser_key = \"k\"\n\
                 secret = { env = \"GIGYA_SECRET\" }";
    let house = House::with(Setup { more: other.to_owned(), ..Setup::default() }).await;
    let body = house.body();
    let token = house.valid_token(&body);
    let headers = [JSON, ("x-gigya-sig-jwt", token.as_str())];
    house.is_401(&house.post_to("/webhooks/gigya/other", &headers, body).await, "the other connection");
}

#[tokio::test]
async fn an_event_of_a_site_that_is_not_listed_is_refused() {
    let house = House::ordinary().await;
    let mut notification = house.notification();
    let mut stranger = notification["events"][0].clone();
    stranger["apiKey"] = "4_Other".into();
    notification["events"].as_array_mut().unwrap().push(stranger);
    house.is_401(&house.post_signed(notification.to_string().into_bytes()).await, "one of two events");
}

#[tokio::test]
async fn the_other_schemes_signature_does_not_count() {
    let house = House::ordinary().await;
    let body = house.body();
    let hmac = house.sandbox.gigya.signer().hmac(&body);
    let headers = [JSON, ("x-gigya-sig-hmac-sha1", hmac.as_str())];
    house.is_401(&house.post_to("/webhooks/gigya/main", &headers, body).await, "HMAC where JWT is configured");
}

#[tokio::test]
async fn a_stale_body_is_refused_under_a_fresh_token() {
    let house = House::ordinary().await;
    let mut notification = house.notification();
    notification["timestamp"] = (notification["timestamp"].as_i64().unwrap() - 49 * 3600).into();
    house.is_401(&house.post_signed(notification.to_string().into_bytes()).await, "49 hours");
}

#[tokio::test]
async fn a_redelivery_may_carry_its_first_token() {
    let house = House::ordinary().await;
    let body = house.body();
    let token = house.token(&body, |parts| {
        parts.claims["iat"] = (parts.claims["iat"].as_i64().unwrap() - 47 * 3600).into();
        parts.claims["exp"] = (parts.claims["exp"].as_i64().unwrap() - 47 * 3600).into();
    });
    assert_eq!(house.post_token(&token, body).await.status, 200);
}

#[tokio::test]
async fn the_digest_may_be_spelled_in_other_ways() {
    let house = House::ordinary().await;
    let body = house.body();
    let digest = Sha256::digest(&body);
    for spelled in
        [BASE64_URL_SAFE.encode(digest), BASE64_STANDARD.encode(digest), hex::encode(digest), hex::encode_upper(digest)]
    {
        let token = house.token(&body, |parts| parts.claims["sub"] = spelled.clone().into());
        assert_eq!(house.post_token(&token, body.clone()).await.status, 200, "{spelled}");
    }
}

#[tokio::test]
async fn a_flood_of_forged_key_ids_costs_one_fetch_at_most() {
    let house = House::ordinary().await;
    let before = house.key_fetches();
    let body = house.body();
    let forged: Vec<_> =
        (0..200).map(|n| house.token(&body, |parts| parts.header["kid"] = format!("forged-{n}").into())).collect();
    let answers =
        futures_util::future::join_all(forged.iter().map(|token| house.post_token(token, body.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 401 && *answer == answers[0]));
    assert!(house.key_fetches() - before <= 1, "{} fetches", house.key_fetches() - before);
    assert_eq!(house.post_signed(body).await.status, 200, "and a genuine one is accepted all the while");
}

#[tokio::test]
async fn a_new_key_of_gigyas_is_fetched() {
    // The gateway has no keys yet, so nothing keeps it from fetching.
    let mut setup = Setup::default();
    setup.gigya.double_opt_in = vec!["newsletter".to_owned()];
    let sandbox = gigya_esp_gateway::sandbox::Sandbox::start(setup, Held::default()).await.unwrap();
    sandbox.gigya.signer().rotate();
    let uid = sandbox.gigya.sign_up("ann@example.org", "ann");
    assert!(sandbox.settled(std::time::Duration::from_secs(10)).await);
    assert!(sandbox.gigya.account(&uid).is_some());
    assert_eq!(sandbox.gigya.faults().calls("accounts.getJWTPublicKey"), 1);
}

#[tokio::test]
async fn without_gigyas_keys_nothing_is_believed_and_nothing_lost() {
    let sandbox = gigya_esp_gateway::sandbox::Sandbox::start(Setup::default(), Held::default()).await.unwrap();
    let mut attempts = sandbox.attempts.subscribe();
    sandbox.gigya.faults().set_down(true);
    sandbox.gigya.sign_up("ann@example.org", "ann");
    let first = attempts.recv().await.unwrap();
    assert_eq!(first.status, 503, "it can't be verified now, which is not the sender's fault");
}
