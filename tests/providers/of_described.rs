//! What a described connection does that no other provider has.

use crate::suite::{Provider, Town, address};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::described::DescribedSettings;
use serde_json::json;

fn described(settings: DescribedSettings) -> Provider {
    Provider::new(Setup::with_further(settings))
}

#[tokio::test]
async fn somebody_who_opts_in_there_opts_in_in_gigya_where_the_route_says_so() {
    let route = "accept_opt_ins = true\ncreate_lite_accounts = true".to_owned();
    let town = Town::of(described(DescribedSettings { route, ..DescribedSettings::default() })).await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.quiet().await;
    assert!(town.esp().form_subscribe(&address("ann")));
    assert!(town.esp().form_subscribe(&address("bea")));
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(true));
    assert_eq!(town.sandbox.gigya.accounts().len(), 2, "bea has a lite account");
}

#[tokio::test]
async fn bounces_and_deletions_count_as_the_route_and_the_rules_say() {
    let route = "forward_bounces = true".to_owned();
    let mut town = Town::of(described(DescribedSettings { route, ..DescribedSettings::default() })).await;
    let (ann, bea) = (town.subscriber("ann").await, town.subscriber("bea").await);
    assert!(town.esp().bounce(&address("ann")) && town.esp().delete(&address("bea")));
    town.quiet().await;
    assert_eq!((town.gigya_says(&ann), town.gigya_says(&bea)), (Some(false), Some(false)));
    assert!(!town.mails("ann") && !town.mails("bea"));
}

#[tokio::test]
async fn the_calls_of_a_subscribe_that_could_lift_an_opt_out_are_not_made() {
    let settings = DescribedSettings { subscribe_lifts: true, ..DescribedSettings::default() };
    let mut town = Town::of(described(settings)).await;
    let uid = town.subscriber("ann").await;
    let puts = town.esp().faults().calls("put");
    town.esp().courier().pause(true);
    assert!(town.esp().unsubscribe_link(&address("ann")));
    town.a_while_passes();
    for _ in 0..3 {
        town.sandbox.gigya.fire_update_of(&uid);
    }
    assert!(town.sandbox.gigya.courier().settled(std::time::Duration::from_secs(30)).await);
    assert_eq!(town.esp().faults().calls("put"), puts);
    assert!(!town.mails("ann"));
}

#[tokio::test]
async fn what_the_description_does_not_know_is_set_aside_and_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::with_further(DescribedSettings::default()).with_journal(&folder.path().join("journal"));
    let mut town = Town::of(Provider::new(setup)).await;
    town.subscriber("ann").await;
    // An event by an API that has moved on.
    let event = json!({ "id": "e1", "type": "left_by_phone", "email": address("ann"), "audience": 7, "at": 1 });
    let body = json!({ "events": [event] }).to_string();
    let (time, signature) = sign(&body);
    let url = format!("http://{}/webhooks/http/mail", town.sandbox.gateways[0]);
    let request = reqwest::Client::new()
        .post(&url)
        .header("content-type", "application/json")
        .header("x-timestamp", &time)
        .header("x-signature", &signature)
        .body(body);
    let answer = crate::contract::ask(crate::contract::Port::Webhooks, request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("\"rejected\":1") && answer.body.contains("malformed"), "{}", answer.body);
}

/// As the ESP signs.
fn sign(body: &str) -> (String, String) {
    use aws_lc_rs::hmac;
    let time = jiff::Timestamp::now().as_second().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"simulated-described-callback-secret");
    let made = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    (time, hex::encode(made))
}
