use super::{Desk, header};
use gigya_esp_gateway::sandbox::SimulatedEsp;
use gigya_esp_gateway::sandbox::mailchimp::{MailchimpSettings, MailchimpSim, member_id};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

async fn account(settings: MailchimpSettings) -> (Desk, MailchimpSim) {
    use base64::Engine;
    let user = base64::prelude::BASE64_STANDARD.encode(format!("any:{}", settings.api_key));
    let mut desk = Desk::new(&[("authorization", format!("Basic {user}"))]);
    let sim = MailchimpSim::start(settings, desk.around.clone());
    desk.base = format!("http://{}/3.0/lists/{}", sim.serve().await.unwrap(), sim.list());
    (desk, sim)
}

const ANN: &str = "Ann@example.org";

fn path() -> String {
    format!("/members/{}", member_id(ANN))
}

fn new() -> Value {
    json!({ "email_address": ANN, "status_if_new": "subscribed", "merge_fields": { "GIGYAUID": "uid-ann" } })
}

#[test]
fn an_id_is_of_the_address_in_small_letters() {
    assert_eq!(member_id("Urist.McVankab@freddiesjokes.com"), member_id("urist.mcvankab@freddiesjokes.com"));
    assert_eq!(member_id(""), "d41d8cd98f00b204e9800998ecf8427e");
}

#[tokio::test]
async fn a_status_if_new_changes_nobody_who_is_there() {
    let (desk, sim) = account(MailchimpSettings::default()).await;
    assert_eq!(desk.get(&path()).await.0, 404);
    assert_eq!(desk.call("PUT", &path(), new()).await.1["status"], "subscribed");
    let leave = json!({ "status": "unsubscribed" });
    assert_eq!(desk.call("PATCH", &path(), leave).await.1["status"], "unsubscribed");
    assert_eq!(desk.call("PUT", &path(), new()).await.1["status"], "unsubscribed");
    assert_eq!(desk.call("PUT", &path(), json!({ "status": "subscribed" })).await.1["status"], "subscribed");
    assert!(sim.mails(ANN));
}

#[tokio::test]
async fn who_left_by_themselves_comes_back_by_a_form_only() {
    let (desk, sim) = account(MailchimpSettings::default()).await;
    desk.call("PUT", &path(), new()).await;
    assert!(sim.unsubscribe_link(ANN));
    let (status, refused) = desk.call("PUT", &path(), json!({ "status": "subscribed" })).await;
    assert_eq!((status, &refused["title"]), (400, &json!("Member In Compliance State")));
    assert!(sim.form_subscribe(ANN) && sim.mails(ANN));
}

#[tokio::test]
async fn deleting_archives_and_forgetting_is_for_good() {
    let (desk, _sim) = account(MailchimpSettings::default()).await;
    desk.call("PUT", &path(), new()).await;
    let none = Value::Null;
    assert_eq!(desk.call("DELETE", &path(), none.clone()).await.0, 204);
    assert_eq!(desk.call("DELETE", &path(), none.clone()).await.0, 405);
    assert_eq!(desk.get(&path()).await.1["status"], "archived");
    assert_eq!(desk.get("/members").await.1["total_items"], 0);
    let forget = format!("{}/actions/delete-permanent", path());
    assert_eq!(desk.call("POST", &forget, none).await.0, 204);
    assert_eq!(desk.call("PUT", &path(), new()).await.1["title"], "Forgotten Email Not Subscribed");
}

#[tokio::test]
async fn webhooks_are_forms_and_signed() {
    let (desk, sim) = account(MailchimpSettings::default()).await;
    desk.call("PUT", &path(), new()).await;
    sim.unsubscribe_link(ANN);
    let sent = desk.sent(sim.courier()).await;
    let left = sent.iter().map(|sealed| url::form_urlencoded::parse(&sealed.body).into_owned().collect::<Vec<_>>());
    let left = left.into_iter().find(|form| form.contains(&("type".to_owned(), "unsubscribe".to_owned()))).unwrap();
    for (key, value) in [("data[email]", ANN), ("data[merges][GIGYAUID]", "uid-ann"), ("data[reason]", "manual")] {
        assert!(left.contains(&(key.to_owned(), value.to_owned())), "{key}");
    }
    for sealed in &sent {
        let (at, signature) = header(sealed, "x-mailchimp-signature").split_once(",v1=").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"simulated-mailchimp-signing-secret").unwrap();
        mac.update(at.strip_prefix("t=").unwrap().as_bytes());
        mac.update(b".");
        mac.update(&sealed.body);
        assert_eq!(hex::encode(mac.finalize().into_bytes()), signature);
    }
}

#[tokio::test]
async fn old_webhooks_are_not_signed_and_may_be_deaf_to_the_api() {
    let settings = MailchimpSettings { signing_secret: None, tells_of_api: false, ..MailchimpSettings::default() };
    let (desk, sim) = account(settings).await;
    desk.call("PUT", &path(), new()).await;
    sim.bounce(ANN);
    let sent = desk.sent(sim.courier()).await;
    assert_eq!((sent.len(), header(&sent[0], "x-mailchimp-signature")), (1, ""));
    assert!(String::from_utf8_lossy(&sent[0].body).contains("type=cleaned"));
}
