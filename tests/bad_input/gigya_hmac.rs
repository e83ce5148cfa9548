//! HMAC signatures that are not what they should be.

use crate::house::{Answer, House, JSON};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::gigya::{Signer, WebhookVersion};
use hmac::{Hmac, KeyInit, Mac};

async fn house() -> House {
    let mut setup = Setup::default();
    setup.gigya.webhooks = WebhookVersion::V1_1;
    House::with(setup).await
}

async fn post(house: &House, signature: &str, body: Vec<u8>) -> Answer {
    house.post_to("/webhooks/gigya/main", &[JSON, ("x-gigya-sig-hmac-sha1", signature)], body).await
}

#[tokio::test]
async fn a_genuine_one_is_accepted() {
    let house = house().await;
    let body = house.body();
    let answer = post(&house, &house.sandbox.gigya.signer().hmac(&body), body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn every_other_is_refused_with_the_same_answer() {
    let house = house().await;
    let body = house.body();
    let genuine = house.sandbox.gigya.signer().hmac(&body);
    let key = BASE64_STANDARD.decode(&house.sandbox.gigya.settings().webhook_secret).unwrap();
    let mut sha256 = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    sha256.update(&body);
    let cases = [
        ("empty", String::new()),
        ("another secret", Signer::hmac_with("b3RoZXI=", &body)),
        ("another body", house.sandbox.gigya.signer().hmac(b"{}")),
        ("cut short", genuine[..20].to_owned()),
        ("padding left out", genuine.trim_end_matches('=').to_owned()),
        ("not base64", "*".repeat(28)),
        ("hex", hex::encode(BASE64_STANDARD.decode(&genuine).unwrap())),
        ("SHA-256", BASE64_STANDARD.encode(sha256.finalize().into_bytes())),
        ("twenty zeros", BASE64_STANDARD.encode([0; 20])),
    ];
    let first = post(&house, "", body.clone()).await;
    for (what, signature) in cases {
        let answer = post(&house, &signature, body.clone()).await;
        house.is_401(&answer, what);
        assert_eq!(answer, first, "{what}");
    }
    let mut changed = body;
    changed[10] ^= 1;
    house.is_401(&post(&house, &genuine, changed).await, "one byte changed");
}

#[tokio::test]
async fn a_token_does_not_count_where_hmac_is_configured() {
    let house = house().await;
    let body = house.body();
    let token = house.valid_token(&body);
    house.is_401(&house.post_token(&token, body).await, "JWT where HMAC is configured");
}

#[tokio::test]
async fn a_notification_of_long_ago_or_of_the_future_is_refused() {
    let house = house().await;
    for hours in [-49, 1] {
        let mut notification = house.notification();
        notification["timestamp"] = (notification["timestamp"].as_i64().unwrap() + hours * 3600).into();
        let body = notification.to_string().into_bytes();
        let answer = post(&house, &house.sandbox.gigya.signer().hmac(&body), body).await;
        house.is_401(&answer, &format!("{hours} hours"));
    }
}

#[tokio::test]
async fn several_secrets_are_valid_at_once() {
    let mut setup = Setup::default();
    setup.gigya.webhooks = WebhookVersion::V1_1;
    let other = "YW5vdGhlci1zZWNyZXQ=";
    let folder = std::env::temp_dir().join(format!("gateway-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("other"), other).unwrap();
    setup.webhook_secrets =
        format!("[{{ env = \"WEBHOOK_SECRET\" }}, {{ file = \"{}\" }}]", folder.join("other").display());
    let house = House::with(setup).await;
    let body = house.body();
    assert_eq!(post(&house, &Signer::hmac_with(other, &body), body.clone()).await.status, 200);
    assert_eq!(post(&house, &house.sandbox.gigya.signer().hmac(&body), body).await.status, 200);
    std::fs::remove_dir_all(&folder).unwrap();
}
