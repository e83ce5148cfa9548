//! Tokens (webhooks version 2.0): only Gigya's own, for this site, for this body, at about this time.

use crate::house::{GIGYA, House, NONCE, NOT_VERIFIED, hmac, jwt, post};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use gigya_esp_gateway::sandbox::gigya::{Signer, TokenParts};
use gigya_esp_gateway::sandbox::{Sandbox, Setup};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const HOUR: i64 = 3600;
/// A second connection; its Gigya isn't there, as nothing here may ask it anything.
const OTHER: &str = r#"
[gigya.other]
api_keys = ["4_OtherSite"]
base_url = "http://127.0.0.1:9"
user_key = "OtherUserKey"
secret = { env = "GIGYA_SECRET" }
webhook_auth = "jwt"
"#;

#[tokio::test]
async fn what_is_no_token_is_not_believed() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let genuine = house.sandbox.gigya.signer().token(&house.parts(&body));
    let cases = [
        ("no header", String::new()),
        ("an empty one", jwt("")),
        ("not a token", jwt("Bearer")),
        ("dots only", jwt("..")),
        ("a token without signature", jwt(genuine.rsplit_once('.').unwrap().0)),
        ("a token of four parts", jwt(&format!("{genuine}.{genuine}"))),
        ("a token in another header", format!("authorization: Bearer {genuine}\r\n")),
        ("a token cut short", jwt(&genuine[..genuine.len() - 1])),
        ("two tokens, both genuine", jwt(&genuine).repeat(2)),
        ("two tokens in one header", jwt(&format!("{genuine}, {genuine}"))),
    ];
    for (what, headers) in cases {
        house.disbelieves_gigya(what, &headers, &body).await;
    }
    house.still_works().await;
}

#[tokio::test]
async fn the_token_does_not_choose_its_algorithm() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let signer = house.sandbox.gigya.signer();
    for algorithm in ["none", "None", "NONE", "", "HS256", "RS512", "RS384", "PS256", "ES256", "EdDSA", "rs256"] {
        let mut parts = house.parts(&body);
        parts.header["alg"] = algorithm.into();
        for (how, token) in [
            ("signed with the site's key", signer.token(&parts)),
            ("unsigned", signer.token_unsigned(&parts)),
            ("signed with the public key as secret", signer.token_confused(&parts)),
        ] {
            house.disbelieves_gigya(&format!("{algorithm}, {how}"), &jwt(&token), &body).await;
        }
    }
    let parts = house.parts(&body);
    for token in [signer.token_unsigned(&parts), signer.token_confused(&parts)] {
        house.disbelieves_gigya("RS256 says the header", &jwt(&token), &body).await;
    }
    let mut parts = house.parts(&body);
    parts.header.as_object_mut().unwrap().remove("alg");
    house.disbelieves_gigya("no algorithm", &house.signed(&parts), &body).await;
    house.still_works().await;
}

#[tokio::test]
async fn the_token_does_not_bring_its_own_key() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let stranger = Signer::new(&house.sandbox.gigya.settings().api_key, "");
    let own = stranger.published(false);
    for (name, value) in [
        ("jwk", own.clone()),
        ("x5c", json!(["MIIB"])),
        ("jku", "http://127.0.0.1:9/keys".into()),
        ("x5u", "http://127.0.0.1:9/certificate".into()),
        ("crit", json!(["exp"])),
    ] {
        let mut parts = house.parts(&body);
        parts.header[name] = value;
        house.disbelieves_gigya(name, &jwt(&stranger.token(&parts)), &body).await;
    }
    house.disbelieves_gigya("another key", &jwt(&stranger.token(&house.parts(&body))), &body).await;
    house.still_works().await;
}

#[tokio::test]
async fn a_token_must_say_which_key() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let mut parts = house.parts(&body);
    parts.header.as_object_mut().unwrap().remove("kid");
    house.disbelieves_gigya("no kid", &house.signed(&parts), &body).await;
    for kid in [json!(""), json!("Unknown"), json!(7), json!(["SimulatedKey1"]), json!("../../etc/passwd")] {
        parts.header["kid"] = kid.clone();
        house.disbelieves_gigya(&format!("kid {kid}"), &house.signed(&parts), &body).await;
    }
    house.still_works().await;
}

#[tokio::test]
async fn a_flood_of_forged_key_ids_costs_one_call() {
    // Nothing was received yet, so no key is known.
    let sandbox = Sandbox::start(Setup::default()).await.unwrap();
    let signer = sandbox.gigya.signer();
    let body = json!({ "events": [], "nonce": NONCE }).to_string();
    let parts = signer.parts(body.as_bytes(), NONCE, sandbox.clock.now().as_second());
    let forge = |index: usize| {
        let mut parts = parts.clone();
        parts.header["kid"] = format!("forged-{index}").into();
        post(GIGYA, &jwt(&signer.token(&parts)), &body)
    };
    let ask = async |request: Vec<u8>| {
        crate::client::Client::connect(sandbox.gateways[0]).await.ask(request).await
    };
    let answers = join_all((0..200).map(|index| ask(forge(index)))).await;
    for answer in answers {
        assert_eq!((answer.status, answer.body.as_str()), (401, NOT_VERIFIED));
    }
    let calls = || (sandbox.gigya.faults().calls("accounts.getJWTPublicKey"), sandbox.gigya.faults().all_calls());
    assert_eq!(calls(), (1, 1));
    // That call has brought the true key along, so the flood keeps nobody out.
    assert_eq!(ask(post(GIGYA, &jwt(&signer.token(&parts)), &body)).await.status, 200);
    assert_eq!(calls(), (1, 1));
}

#[tokio::test]
async fn while_gigya_gives_no_keys_nobody_is_refused_for_good() {
    let sandbox = Sandbox::start(Setup::default()).await.unwrap();
    sandbox.gigya.faults().set_down(true);
    let signer = sandbox.gigya.signer();
    let body = json!({ "events": [], "nonce": NONCE }).to_string();
    let parts = signer.parts(body.as_bytes(), NONCE, sandbox.clock.now().as_second());
    let request = post(GIGYA, &jwt(&signer.token(&parts)), &body);
    let answer = crate::client::Client::connect(sandbox.gateways[0]).await.ask(request).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn a_key_that_gigya_gave_up_is_good_for_nothing_and_its_new_one_is() {
    // Nothing was received yet, so the new key is fetched as soon as it is needed. (Else it may take ten seconds,
    // during which webhooks are answered 401 and are sent again.)
    let sandbox = Sandbox::start(Setup::default()).await.unwrap();
    let signer = sandbox.gigya.signer();
    let body = json!({ "events": [], "nonce": NONCE }).to_string();
    let now = sandbox.clock.now().as_second();
    let old = signer.token(&signer.parts(body.as_bytes(), NONCE, now));
    signer.rotate();
    let new = signer.token(&signer.parts(body.as_bytes(), NONCE, now));
    for (token, status) in [(&new, 200), (&old, 401), (&new, 200)] {
        let request = post(GIGYA, &jwt(token), &body);
        assert_eq!(crate::client::Client::connect(sandbox.gateways[0]).await.ask(request).await.status, status);
    }
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched() {
    let house = House::start().await;
    house.sandbox.gigya.signer().rotate();
    // The last fetch was when the house was made; the next one is ten seconds later at the earliest.
    let body = house.news_of_ann().to_string();
    house.disbelieves_gigya("too early", &house.signature(&body), &body).await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    house.believes_gigya().await;
}

#[tokio::test]
async fn a_token_of_another_site_is_not_believed() {
    let house = House::with(Setup { more: OTHER.to_owned(), ..Setup::default() }).await;
    let body = house.news_of_ann().to_string();
    for issuer in [
        "https://fidm.gigya.com/jwt/4_OtherSite/",
        "https://fidm.gigya.com/jwt/4_SimulatedSite",
        "https://fidm.gigya.com/jwt/4_SimulatedSite/?",
        "https://fidm.gigya.com/jwt/4_simulatedsite/",
        "https://fidm.gigya.com.example.org/jwt/4_SimulatedSite/",
        "http://fidm.gigya.com/jwt/4_SimulatedSite/",
        "https://fidm.gigya.com/jwt/{apiKey}/",
        "",
    ] {
        let mut parts = house.parts(&body);
        parts.claims["iss"] = issuer.into();
        house.disbelieves_gigya(issuer, &house.signed(&parts), &body).await;
    }
    let mut parts = house.parts(&body);
    parts.claims.as_object_mut().unwrap().remove("iss");
    house.disbelieves_gigya("no issuer", &house.signed(&parts), &body).await;
    // Genuine, but sent to the other site's connection.
    house.disbelieves("the other connection", post("/webhooks/gigya/other", &house.signature(&body), &body)).await;
    house.still_works().await;
}

#[tokio::test]
async fn a_token_from_long_ago_or_from_the_future_is_not_believed() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let now = house.now();
    for (what, issued, expires) in [
        ("expired 49 hours ago", json!(now - 49 * HOUR), json!(now - 49 * HOUR + 60)),
        ("expired in 1970", json!(0), json!(60)),
        ("from before time", json!(i64::MIN), json!(i64::MIN)),
        ("from tomorrow", json!(now + 24 * HOUR), json!(now + 24 * HOUR + 60)),
        ("from the end of time", json!(i64::MAX), json!(i64::MAX)),
        ("no time", Value::Null, Value::Null),
        ("a text for a time", json!("today"), json!("tomorrow")),
    ] {
        let mut parts = house.parts(&body);
        parts.claims["iat"] = issued;
        parts.claims["exp"] = expires;
        house.disbelieves_gigya(what, &house.signed(&parts), &body).await;
    }
    let mut old = house.news_of_ann();
    for timestamp in [now - 49 * HOUR, now + HOUR, i64::MIN, i64::MAX] {
        old["timestamp"] = timestamp.into();
        let old = old.to_string();
        house.disbelieves_gigya("a fresh token for a body from another time", &house.signature(&old), &old).await;
    }
    house.still_works().await;
}

#[tokio::test]
async fn a_redelivery_with_its_first_token_is_believed() {
    let house = House::start().await;
    let mut body = house.news_of_ann();
    let sent = house.now() - 47 * HOUR;
    body["timestamp"] = sent.into();
    let body = body.to_string();
    let parts = house.sandbox.gigya.signer().parts(body.as_bytes(), NONCE, sent);
    let answer = house.gigya(&house.signed(&parts), &body).await;
    assert_eq!((answer.status, &answer.json()["applied"]), (200, &json!(1)), "{answer:?}");
    let again = house.gigya(&house.signed(&parts), &body).await;
    assert_eq!((again.status, &again.json()["unchanged"]), (200, &json!(1)), "{again:?}");
}

#[tokio::test]
async fn a_token_is_for_its_body_only() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let signature = house.signature(&body);
    for (what, altered) in [
        ("a byte changed", body.replacen("event-1", "event-2", 1)),
        ("a byte more", format!("{body}\n")),
        ("a byte less", body[..body.len() - 1].to_owned()),
        ("nothing at all", String::new()),
        ("another body", house.notification(&[house.event("accountDeleted", &house.ann)]).to_string()),
    ] {
        house.disbelieves_gigya(what, &signature, altered).await;
    }
    for (what, digest) in [
        ("none", Value::Null),
        ("an empty one", json!("")),
        ("no text", json!(7)),
        ("not base64", json!("!")),
        ("of nothing", json!(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest([])))),
        ("cut short", json!(BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..31]))),
        ("the body itself", json!(body)),
    ] {
        let mut parts = house.parts(&body);
        parts.claims["sub"] = digest;
        house.disbelieves_gigya(&format!("digest: {what}"), &house.signed(&parts), &body).await;
    }
    let mut parts = house.parts(&body);
    parts.claims.as_object_mut().unwrap().remove("sub");
    house.disbelieves_gigya("no sub", &house.signed(&parts), &body).await;
    house.still_works().await;
}

#[tokio::test]
async fn a_digest_may_be_spelt_in_the_usual_ways() {
    let house = House::start().await;
    let body = house.notification(&[house.event("accountLoggedIn", &house.ann)]).to_string();
    let digest = Sha256::digest(&body);
    for spelling in [
        BASE64_URL_SAFE_NO_PAD.encode(digest),
        BASE64_URL_SAFE.encode(digest),
        BASE64_STANDARD.encode(digest),
        hex::encode(digest),
        hex::encode_upper(digest),
    ] {
        let mut parts = house.parts(&body);
        parts.claims["sub"] = spelling.clone().into();
        house.shrugs(&spelling, post(GIGYA, &house.signed(&parts), &body)).await;
    }
}

#[tokio::test]
async fn a_token_is_for_its_nonce_only() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let mut parts = house.parts(&body);
    parts.claims["jti"] = "nonce-2".into();
    house.disbelieves_gigya("another nonce", &house.signed(&parts), &body).await;
    house.still_works().await;
}

#[tokio::test]
async fn an_event_of_a_site_that_is_not_listed_is_not_believed() {
    let house = House::start().await;
    let mut stranger = house.event("accountUpdated", &house.ann);
    stranger["apiKey"] = "4_NotListed".into();
    let own = house.event("accountUpdated", &house.ann);
    for events in [vec![stranger.clone()], vec![own.clone(), stranger.clone()], vec![stranger, own]] {
        let body = house.notification(&events).to_string();
        house.disbelieves_gigya("a site that isn't listed", &house.signature(&body), &body).await;
    }
    house.still_works().await;
}

#[tokio::test]
async fn only_the_connections_own_scheme_counts() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    // Even with the right secret.
    let other = hmac(&house.sandbox.gigya.signer().hmac(body.as_bytes()));
    house.disbelieves_gigya("HMAC alone", &other, &body).await;
    let forged = jwt(&house.sandbox.gigya.signer().token_unsigned(&house.parts(&body)));
    house.disbelieves_gigya("HMAC beside a forged token", &format!("{other}{forged}"), &body).await;
    // A wrong one of the other scheme takes nothing away.
    let harmless = house.notification(&[house.event("accountLoggedIn", &house.ann)]).to_string();
    let both = format!("{}{}", house.signature(&harmless), hmac("wrong"));
    house.shrugs("a wrong HMAC beside a genuine token", post(GIGYA, &both, &harmless)).await;
}

#[tokio::test]
async fn a_token_of_more_than_8_kib_is_not_looked_at() {
    let house = House::start().await;
    let body = house.news_of_ann().to_string();
    let mut parts: TokenParts = house.parts(&body);
    parts.claims["padding"] = "x".repeat(8 << 10).into();
    house.disbelieves_gigya("8 KiB of padding", &house.signed(&parts), &body).await;
    house.still_works().await;
}
