use super::{Desk, header, json_of, until};
use gigya_esp_gateway::sandbox::SimulatedEsp;
use gigya_esp_gateway::sandbox::braze::{BrazeSettings, BrazeSim};
use serde_json::{Value, json};

async fn workspace() -> (Desk, BrazeSim) {
    let settings = BrazeSettings::default();
    let mut desk = Desk::new(&[("authorization", format!("Bearer {}", settings.api_key))]);
    let sim = BrazeSim::start(settings, desk.around.clone());
    desk.base = format!("http://{}", sim.serve().await.unwrap());
    (desk, sim)
}

const ANN: &str = "ann@example.org";

fn user(uid: &str, group: &str) -> Value {
    let groups = json!([{ "subscription_group_id": group, "subscription_state": "subscribed" }]);
    json!({ "attributes": [{ "external_id": uid, "email": ANN, "first_name": "Ann", "subscription_groups": groups }] })
}

#[tokio::test]
async fn a_user_is_made_and_subscribed_by_one_call() {
    let (desk, sim) = workspace().await;
    let path = format!("/subscription/status/get?subscription_group_id={}&external_id=uid-ann", sim.group());
    assert_eq!(desk.get(&path).await.1["status"]["uid-ann"], "Unknown");
    assert_eq!(desk.call("POST", "/users/track", user("uid-ann", &sim.group())).await.0, 201);
    until(|| sim.mails(ANN)).await;
    assert_eq!(desk.get(&path).await.1["status"]["uid-ann"], "Subscribed");
    assert_eq!(desk.call("POST", "/users/track", user("uid-ann", "no such group")).await.0, 400);
}

#[tokio::test]
async fn users_with_one_address_leave_together_if_it_is_said_so() {
    let (desk, sim) = workspace().await;
    for uid in ["uid-1", "uid-2"] {
        desk.call("POST", "/users/track", user(uid, &sim.group())).await;
    }
    until(|| sim.people().len() == 2).await;
    let leave = |whom: &str, value: &str| {
        let group =
            json!({ "subscription_group_id": sim.group(), "subscription_state": "unsubscribed", whom: [value] });
        desk.call("POST", "/v2/subscription/status/set", json!({ "subscription_groups": [group] }))
    };
    leave("external_ids", "uid-1").await;
    assert!(sim.mails(ANN), "the other one is");
    let both = desk.get(&format!("/subscription/user/status?email={ANN}")).await.1;
    let state = |nth: usize| &both["users"][nth]["subscription_groups"][0]["status"];
    assert_eq!((state(0), state(1)), (&json!("Unsubscribed"), &json!("Subscribed")));
    leave("emails", ANN).await;
    assert!(!sim.mails(ANN));
}

#[tokio::test]
async fn an_export_tells_who_is_not_there() {
    let (desk, sim) = workspace().await;
    desk.call("POST", "/users/track", user("uid-ann", &sim.group())).await;
    until(|| sim.mails(ANN)).await;
    assert!(sim.unsubscribe_from_everything(ANN));
    let (_, found) = desk.call("POST", "/users/export/ids", json!({ "external_ids": ["uid-ann", "uid-eve"] })).await;
    assert_eq!(
        (&found["users"][0]["email_subscribe"], &found["invalid_user_ids"]),
        (&json!("unsubscribed"), &json!(["uid-eve"]))
    );
}

#[tokio::test]
async fn the_webhook_says_what_its_campaign_was_told_to() {
    let (desk, sim) = workspace().await;
    desk.call("POST", "/users/track", user("uid-ann", &sim.group())).await;
    until(|| sim.mails(ANN)).await;
    sim.unsubscribe_link(ANN);
    let sent = desk.sent(sim.courier()).await;
    let left = sent.last().unwrap();
    assert_eq!(header(left, "authorization"), "Bearer simulated-braze-callback-token");
    let said = json_of(left);
    assert_eq!((&said["type"], &said["external_id"]), (&json!("unsubscribed"), &json!("uid-ann")));
}
