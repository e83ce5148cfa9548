//! HMAC-SHA1 (webhooks version 1.0 and 1.1): only with one of the connection's secrets, for this body.

use crate::house::{GIGYA, House, hmac, jwt, post};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::gigya::{Credentials, GigyaSettings, Signer, WebhookVersion};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

/// A connection that takes two secrets, as while they are changed. Its Gigya isn't there.
const ROTATING: &str = r#"
[gigya.rotating]
api_keys = ["4_SimulatedSite"]
base_url = "http://127.0.0.1:9"
user_key = "OtherUserKey"
secret = { env = "GIGYA_SECRET" }
webhook_auth = "hmac-sha1"
webhook_secrets = [{ env = "WEBHOOK_SECRET" }, { env = "GIGYA_SECRET" }]
"#;

#[tokio::test]
async fn a_wrong_signature_is_not_believed() {
    let house = House::with_hmac().await;
    let body = house.news_of_ann().to_string();
    let settings = house.sandbox.gigya.settings();
    let right = house.sandbox.gigya.signer().hmac(body.as_bytes());
    let raw = BASE64_STANDARD.decode(&right).unwrap();
    let secret = BASE64_STANDARD.decode(&settings.webhook_secret).unwrap();
    let sha256 = Hmac::<Sha256>::new_from_slice(&secret).unwrap().chain_update(&body).finalize().into_bytes();
    let undecoded = BASE64_STANDARD.encode(&settings.webhook_secret);
    let cases = [
        ("no header", String::new()),
        ("an empty one", hmac("")),
        ("not base64", hmac("!!!")),
        ("another secret", hmac(&Signer::hmac_with("b3RoZXI=", body.as_bytes()))),
        ("no secret", hmac(&Signer::hmac_with("", body.as_bytes()))),
        ("the secret undecoded", hmac(&Signer::hmac_with(&undecoded, body.as_bytes()))),
        ("cut short", hmac(&BASE64_STANDARD.encode(&raw[..19]))),
        ("one byte of it", hmac(&BASE64_STANDARD.encode(&raw[..1]))),
        ("too long", hmac(&BASE64_STANDARD.encode([raw.as_slice(), &[0]].concat()))),
        ("without its padding", hmac(right.trim_end_matches('='))),
        ("hex", hmac(&hex::encode(&raw))),
        ("SHA-256", hmac(&BASE64_STANDARD.encode(sha256))),
        ("two of them, both right", hmac(&right).repeat(2)),
        ("two in one header", hmac(&format!("{right}, {right}"))),
        ("of another body", hmac(&house.sandbox.gigya.signer().hmac(b"{}"))),
    ];
    for (what, headers) in cases {
        house.disbelieves_gigya(what, &headers, &body).await;
    }
    let other_alphabet = BASE64_URL_SAFE.encode(&raw);
    if other_alphabet != right {
        house.disbelieves_gigya("base64url", &hmac(&other_alphabet), &body).await;
    }
    house.still_works().await;
}

#[tokio::test]
async fn a_signature_is_for_its_body_only() {
    let house = House::with_hmac().await;
    let body = house.news_of_ann().to_string();
    let signature = house.signature(&body);
    for altered in [body.replacen("event-1", "event-2", 1), format!("{body} "), String::new()] {
        house.disbelieves_gigya("altered", &signature, altered).await;
    }
    house.still_works().await;
}

#[tokio::test]
async fn while_secrets_change_both_are_good() {
    let gigya = GigyaSettings { webhooks: WebhookVersion::V1_1, ..GigyaSettings::default() };
    let house = House::with(Setup { gigya, more: ROTATING.to_owned(), ..Setup::default() }).await;
    let body = house.notification(&[house.event("accountLoggedIn", &house.ann)]).to_string();
    let path = "/webhooks/gigya/rotating";
    for secret in [&house.sandbox.gigya.settings().webhook_secret, &Credentials::example().secret] {
        house.shrugs(secret, post(path, &hmac(&Signer::hmac_with(secret, body.as_bytes())), &body)).await;
    }
    let third = hmac(&Signer::hmac_with("dGhpcmQ=", body.as_bytes()));
    house.disbelieves("a third one", post(path, &third, &body)).await;
    // The connection beside it still takes its own only.
    let other = hmac(&Signer::hmac_with(&Credentials::example().secret, body.as_bytes()));
    house.disbelieves_gigya("another connection's", &other, &body).await;
}

#[tokio::test]
async fn a_body_from_long_ago_or_from_the_future_is_not_believed() {
    let house = House::with_hmac().await;
    let mut body = house.news_of_ann();
    for timestamp in [house.now() - 49 * 3600, house.now() + 3600, 0, i64::MIN, i64::MAX] {
        body["timestamp"] = timestamp.into();
        let body = body.to_string();
        house.disbelieves_gigya(&timestamp.to_string(), &house.signature(&body), &body).await;
    }
    house.still_works().await;
}

#[tokio::test]
async fn only_the_connections_own_scheme_counts() {
    let house = House::with_hmac().await;
    let body = house.news_of_ann().to_string();
    let token = jwt(&house.sandbox.gigya.signer().token(&house.parts(&body)));
    house.disbelieves_gigya("a token alone", &token, &body).await;
    house.disbelieves_gigya("a token beside a wrong HMAC", &format!("{token}{}", hmac("d3Jvbmc=")), &body).await;
    assert_eq!(house.sandbox.gigya.faults().calls("accounts.getJWTPublicKey"), 0);
    let harmless = house.notification(&[house.event("accountLoggedIn", &house.ann)]).to_string();
    let both = format!("{}{}", house.signature(&harmless), jwt("wrong"));
    let answer = house.shrugs("a wrong token beside a genuine HMAC", post(GIGYA, &both, &harmless)).await;
    assert_eq!(answer["skipped"], json!(1));
}
