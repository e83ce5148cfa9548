use super::{Desk, header, json_of};
use gigya_esp_gateway::sandbox::SimulatedEsp;
use gigya_esp_gateway::sandbox::brevo::{BrevoSettings, BrevoSim};
use serde_json::{Value, json};

async fn account() -> (Desk, BrevoSim) {
    let settings = BrevoSettings::default();
    let mut desk = Desk::new(&[("api-key", settings.api_key.clone())]);
    let sim = BrevoSim::start(settings, desk.around.clone());
    desk.base = format!("http://{}/v3", sim.serve().await.unwrap());
    (desk, sim)
}

const ANN: &str = "ann@example.org";

fn ann() -> Value {
    json!({ "email": ANN, "ext_id": "uid-ann", "listIds": [7, 8], "updateEnabled": true })
}

#[tokio::test]
async fn a_contact_is_created_once_and_then_updated() {
    let (desk, sim) = account().await;
    assert_eq!(desk.get("/contacts/ann%40example.org").await.1["code"], "document_not_found");
    assert_eq!(desk.call("POST", "/contacts", ann()).await.0, 201);
    assert_eq!(desk.call("POST", "/contacts", ann()).await.0, 204);
    let other = json!({ "email": "eve@example.org", "ext_id": "uid-ann" });
    assert_eq!(desk.call("POST", "/contacts", other).await.1["code"], "duplicate_parameter");
    assert!(sim.contact("eve@example.org").is_none());
    let (status, held) = desk.get("/contacts/uid-ann?identifierType=ext_id").await;
    assert_eq!((status, &held["email"], &held["listIds"]), (200, &json!(ANN), &json!([7, 8])));
}

#[tokio::test]
async fn who_leaves_is_out_of_every_list_until_the_blocklist_is_lifted() {
    let (desk, sim) = account().await;
    desk.call("POST", "/contacts", ann()).await;
    assert!(sim.list_reaches(7, ANN) && sim.unsubscribe_link(ANN) && !sim.unsubscribe_link(ANN));
    desk.call("POST", "/contacts", ann()).await;
    assert!(!sim.list_reaches(7, ANN) && !sim.list_reaches(8, ANN), "a list is no way around the blocklist");
    let lift = json!({ "emailBlacklisted": false, "listIds": [7], "unlinkListIds": [8] });
    assert_eq!(desk.call("PUT", "/contacts/ann%40example.org", lift).await.0, 204);
    assert!(sim.list_reaches(7, ANN) && !sim.list_reaches(8, ANN));
}

#[tokio::test]
async fn an_address_moves_by_an_attribute() {
    let (desk, sim) = account().await;
    desk.call("POST", "/contacts", ann()).await;
    let to = json!({ "attributes": { "EMAIL": "new@example.org", "FIRSTNAME": "Ann" } });
    assert_eq!(desk.call("PUT", "/contacts/ann%40example.org", to).await.0, 204);
    assert!(sim.contact(ANN).is_none());
    let moved = sim.contact("new@example.org").unwrap();
    assert_eq!((moved.ext_id.as_deref(), &moved.attributes["FIRSTNAME"]), (Some("uid-ann"), &json!("Ann")));
}

#[tokio::test]
async fn webhooks_have_a_bearer_token_and_their_times_in_seconds() {
    let (desk, sim) = account().await;
    desk.call("POST", "/contacts", ann()).await;
    sim.unsubscribe_link(ANN);
    sim.delete(ANN);
    let sent = desk.sent(sim.courier()).await;
    assert!(sent.iter().all(|sealed| header(sealed, "authorization") == "Bearer simulated-brevo-callback-token"));
    let find = |event: &str| sent.iter().map(json_of).find(|sent| sent["event"] == event).unwrap();
    let left = find("unsubscribe");
    assert_eq!((&left["email"], &left["list_id"]), (&json!(ANN), &json!([7])));
    assert_eq!(left["ts"].as_i64().unwrap() - left["ts_event"].as_i64().unwrap(), 3600);
    assert_eq!(find("contact_deleted")["email"], json!([ANN]));
    assert_eq!(find("list_addition")["list_id"], json!([7, 8]));
}
