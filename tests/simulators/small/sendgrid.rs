use super::{Desk, header, json_of, until};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gigya_esp_gateway::sandbox::SimulatedEsp;
use gigya_esp_gateway::sandbox::sendgrid::{SendgridSettings, SendgridSim};
use serde_json::{Value, json};

async fn account() -> (Desk, SendgridSim) {
    let settings = SendgridSettings::default();
    let mut desk = Desk::new(&[("authorization", format!("Bearer {}", settings.api_key))]);
    let sim = SendgridSim::start(settings, desk.around.clone());
    desk.base = format!("http://{}/v3", sim.serve().await.unwrap());
    (desk, sim)
}

const ANN: &str = "ann@example.org";

async fn upsert(desk: &Desk, sim: &SendgridSim) -> u16 {
    let contact = json!({ "email": ANN, "external_id": "uid-ann", "first_name": "Ann" });
    let body = json!({ "list_ids": [sim.settings().list], "contacts": [contact] });
    desk.call("PUT", "/marketing/contacts", body).await.0
}

#[tokio::test]
async fn contacts_are_queued_and_found_by_their_address() {
    let (desk, sim) = account().await;
    let search = || desk.call("POST", "/marketing/contacts/search/emails", json!({ "emails": [ANN] }));
    assert_eq!(search().await.0, 404);
    assert_eq!(upsert(&desk, &sim).await, 202);
    until(|| sim.mails(ANN)).await;
    let (status, found) = search().await;
    assert_eq!((status, &found["result"][ANN]["contact"]["external_id"]), (200, &json!("uid-ann")));
}

#[tokio::test]
async fn a_suppression_is_an_addresss_and_no_write_of_a_contact_lifts_it() {
    let (desk, sim) = account().await;
    let out = json!({ "recipient_emails": [ANN] });
    assert_eq!(desk.call("POST", "/asm/groups/101/suppressions", out).await.0, 201);
    upsert(&desk, &sim).await;
    let of = format!("/asm/suppressions/{ANN}");
    assert_eq!(desk.get(&of).await.1["suppressions"][0]["suppressed"], true);
    assert_eq!(desk.get(&of).await.1["suppressions"][1]["suppressed"], false);
    let lift = format!("/asm/groups/101/suppressions/{ANN}");
    assert_eq!(desk.call("DELETE", &lift, Value::Null).await.0, 204);
    until(|| sim.mails(ANN)).await;
    assert_eq!(desk.get(&format!("/asm/suppressions/global/{ANN}")).await.1, json!({}));
    assert!(sim.unsubscribe_from_everything(ANN) && !sim.mails(ANN));
    assert_eq!(desk.get(&format!("/asm/suppressions/global/{ANN}")).await.1["recipient_email"], ANN);
}

#[tokio::test]
async fn a_group_that_is_not_there_is_everything() {
    let (desk, sim) = account().await;
    desk.call("POST", "/asm/groups/999/suppressions", json!({ "recipient_emails": [ANN] })).await;
    assert!(sim.is_out_of_everything(ANN));
}

#[tokio::test]
async fn events_are_signed_with_the_key_that_the_account_shows() {
    let (desk, sim) = account().await;
    upsert(&desk, &sim).await;
    until(|| sim.mails(ANN)).await;
    assert!(sim.unsubscribe_link(ANN));
    let sent = desk.sent(sim.courier()).await;
    let [sealed] = &sent[..] else { panic!("{}", sent.len()) };
    let event = &json_of(sealed)[0];
    assert_eq!((&event["event"], &event["asm_group_id"]), (&json!("group_unsubscribe"), &json!(101)));
    let key = BASE64_STANDARD.decode(sim.verification_key()).unwrap();
    let signature = BASE64_STANDARD.decode(header(sealed, "x-twilio-email-event-webhook-signature")).unwrap();
    let mut signed = header(sealed, "x-twilio-email-event-webhook-timestamp").as_bytes().to_vec();
    signed.extend(&sealed.body);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&signed, &signature).unwrap();
}
