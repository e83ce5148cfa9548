use super::{Desk, header, json_of, until};
use gigya_esp_gateway::sandbox::SimulatedEsp;
use gigya_esp_gateway::sandbox::klaviyo::{ConsentState, KlaviyoSettings, KlaviyoSim};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

async fn account() -> (Desk, KlaviyoSim) {
    let settings = KlaviyoSettings::default();
    let authorization = format!("Klaviyo-API-Key {}", settings.api_key);
    let mut desk = Desk::new(&[("authorization", authorization), ("revision", "2026-07-15".to_owned())]);
    let sim = KlaviyoSim::start(settings, desk.around.clone());
    desk.base = format!("http://{}/api", sim.serve().await.unwrap());
    (desk, sim)
}

const ANN: &str = "ann@example.org";

fn job(kind: &str, consent: &str, list: Option<&str>) -> Value {
    let marketing = json!({ "email": { "marketing": { "consent": consent } } });
    let profile = json!({ "type": "profile", "attributes": { "email": ANN, "subscriptions": marketing } });
    let mut data = json!({ "type": kind, "attributes": { "profiles": { "data": [profile] } } });
    if let Some(list) = list {
        data["relationships"] = json!({ "list": { "data": { "type": "list", "id": list } } });
    }
    json!({ "data": data })
}

async fn subscribe(desk: &Desk, sim: &KlaviyoSim, list: &str) {
    let job = job("profile-subscription-bulk-create-job", "SUBSCRIBED", Some(list));
    assert_eq!(desk.call("POST", "/profile-subscription-bulk-create-jobs", job).await.0, 202);
    until(|| sim.list_reaches(list, ANN)).await;
}

#[tokio::test]
async fn an_import_opts_nobody_in_and_a_profile_is_found_by_either_id() {
    let (desk, sim) = account().await;
    let attributes = json!({ "email": ANN, "external_id": "uid-ann", "first_name": "Ann" });
    let body = json!({ "data": { "type": "profile", "attributes": attributes } });
    assert_eq!(desk.call("POST", "/profile-import", body.clone()).await.0, 201);
    assert_eq!(desk.call("POST", "/profile-import", body).await.0, 200);
    assert_eq!(sim.profile(ANN).unwrap().consent, ConsentState::NeverSubscribed);
    for filter in ["equals(email,%22ann@example.org%22)", "equals(external_id,%22uid-ann%22)"] {
        let path = format!("/profiles/?filter={filter}&additional-fields%5Bprofile%5D=subscriptions");
        let found = desk.get(&path).await.1;
        assert_eq!(
            found["data"][0]["attributes"]["subscriptions"]["email"]["marketing"]["consent"],
            "NEVER_SUBSCRIBED"
        );
    }
    assert_eq!(desk.get("/profiles?filter=equals(email,%22eve@example.org%22)").await.1["data"], json!([]));
}

#[tokio::test]
async fn subscribing_lifts_an_opt_out_of_everything() {
    let (desk, sim) = account().await;
    subscribe(&desk, &sim, "Y6nRLr").await;
    subscribe(&desk, &sim, "Z7oSMs").await;
    assert!(sim.unsubscribe_from_everything(ANN));
    assert!(!sim.list_reaches("Y6nRLr", ANN) && !sim.list_reaches("Z7oSMs", ANN));
    subscribe(&desk, &sim, "Y6nRLr").await;
    assert!(sim.list_reaches("Z7oSMs", ANN), "of which nobody asked");
}

#[tokio::test]
async fn leaving_a_list_that_one_is_not_on_leaves_everything() {
    let (desk, sim) = account().await;
    subscribe(&desk, &sim, "Y6nRLr").await;
    let leave = |list| job("profile-subscription-bulk-delete-job", "UNSUBSCRIBED", Some(list));
    desk.call("POST", "/profile-subscription-bulk-delete-jobs", leave("Y6nRLr")).await;
    until(|| !sim.mails(ANN)).await;
    assert_eq!(sim.profile(ANN).unwrap().consent, ConsentState::Subscribed);
    desk.call("POST", "/profile-subscription-bulk-delete-jobs", leave("Y6nRLr")).await;
    until(|| sim.profile(ANN).unwrap().consent == ConsentState::Unsubscribed).await;
}

#[tokio::test]
async fn webhooks_are_signed_over_the_body_and_then_the_time() {
    let (desk, sim) = account().await;
    subscribe(&desk, &sim, "Y6nRLr").await;
    sim.complain(ANN);
    for sealed in desk.sent(sim.courier()).await {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"simulated-klaviyo-secret-key").unwrap();
        mac.update(&sealed.body);
        mac.update(header(&sealed, "klaviyo-timestamp").as_bytes());
        assert_eq!(hex::encode(mac.finalize().into_bytes()), header(&sealed, "klaviyo-signature"));
        let event = &json_of(&sealed)["data"][0];
        assert!(event["topic"].as_str().unwrap().starts_with("event:klaviyo."));
        assert_eq!(event["payload"]["included"][0]["attributes"]["email"], ANN);
    }
}
