//! What a described connection does that no other provider has.

use crate::suite::{Provider, Town, address};
use async_trait::async_trait;
use bytes::Bytes;
use gigya_esp_gateway::config::{Config, Environment};
use gigya_esp_gateway::domain::{Audience, Consent};
use gigya_esp_gateway::esp::{self, Esp, Whom};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::described::DescribedSettings;
use gigya_esp_gateway::upstream::{Deadline, Fault, HttpTransport, Transport, TransportError};
use http::{Request, Response};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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

/// What would undo an opt-out is looked at right before: who left since the first look isn't opted in again.
#[tokio::test]
async fn whom_a_subscribe_could_lift_is_looked_at_right_before() {
    let mut looks = Vec::new();
    for subscribe_lifts in [false, true] {
        let mut town = Town::of(described(DescribedSettings { subscribe_lifts, ..DescribedSettings::default() })).await;
        town.esp().courier().pause(true);
        let gigya = &town.sandbox.gigya;
        let uid = gigya.sign_up(&address("ann"), "ann");
        assert!(gigya.courier().settled(Duration::from_secs(30)).await);
        // One event, of the several that there are.
        gigya.courier().pause(true);
        gigya.subscribe(&uid, "newsletter");
        gigya.courier().forget();
        gigya.courier().pause(false);
        let before = town.esp().faults().calls("get");
        gigya.fire_update_of(&uid);
        assert!(gigya.courier().settled(Duration::from_secs(30)).await);
        looks.push((town.esp().faults().calls("get") - before, town.esp().faults().calls("put")));
        assert!(town.outcomes().contains(&"applied".to_owned()));
    }
    let [(plain, 1), (careful, 1)] = looks[..] else { panic!("each subscribes once: {looks:?}") };
    assert_eq!(careful, plain + 1);
}

/// What the ESP refuses of somebody who is to be taken out is put off, and told to whoever runs the gateway: not settled.
#[tokio::test]
async fn an_unsubscribe_that_is_refused_is_not_settled() {
    let mut town =
        Town::of(described(DescribedSettings { refuses_to_stop: true, ..DescribedSettings::default() })).await;
    let uid = town.subscriber("ann").await;
    town.statuses();
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    let refused = town.next_of("Gigya").await;
    assert_eq!(refused.status, 503);
    assert!(refused.answer.contains("configuration"), "{}", refused.answer);
    town.sandbox.gigya.courier().forget();
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

/// The provider itself, connected to where the town's ESP is.
fn connected(town: &Town) -> Arc<dyn Esp> {
    connected_by(town, Arc::new(HttpTransport::new().unwrap()))
}

fn connected_by(town: &Town, transport: Arc<dyn Transport>) -> Arc<dyn Esp> {
    let outfit = town.sandbox.outfit();
    let environment: Environment = outfit.environment.clone().into_iter().collect();
    let config = Config::parse(&outfit.configuration, Path::new("town.toml"), &environment).unwrap();
    let settings = config.esps.into_values().next().unwrap();
    esp::connect(&settings, transport)
}

/// Answers whatever it is asked by 200 and this.
struct Answers(&'static str);

#[async_trait]
impl Transport for Answers {
    async fn send(&self, _: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, TransportError> {
        Ok(Response::new(Bytes::from_static(self.0.as_bytes())))
    }
}

/// Else `reconcile` would take everybody to be missing there.
#[tokio::test]
async fn a_list_that_is_none_is_not_an_audience_with_nobody_in_it() {
    let town = Town::of(described(DescribedSettings::default())).await;
    let audience = Audience::new("7");
    let nobody = connected_by(&town, Arc::new(Answers(r#"{ "people": [], "total": 0 }"#)));
    assert!(nobody.list(&audience, None, soon()).await.unwrap().parts.is_empty());
    for other in ["null", "[]", "{}", r#"{ "people": null }"#, r#"{ "error": "down for maintenance" }"#] {
        let esp = connected_by(&town, Arc::new(Answers(other)));
        let listed = esp.list(&audience, None, soon()).await.map(|page| page.parts.len());
        assert_eq!(listed, Err(Fault::Unavailable { cause: "answer_not_understood" }), "{other}");
    }
}

fn soon() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(8))
}

#[tokio::test]
async fn what_a_list_tells_of_somebody_is_what_a_look_tells() {
    let mut town = Town::of(described(DescribedSettings::default())).await;
    for name in ["ann", "bea", "cem", "dee", "eva", "fay", "gus"] {
        town.subscriber(name).await;
    }
    assert!(town.esp().unsubscribe_link(&address("bea")) && town.esp().bounce(&address("gus")));
    town.quiet().await;
    let (esp, audience) = (connected(&town), Audience::new("7"));
    assert!(esp.can_list());
    let (mut bookmark, mut parts, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = esp.list(&audience, bookmark.as_ref(), soon()).await.unwrap();
        pages += 1;
        assert_eq!(page.total, (pages == 1).then_some(7));
        parts.extend(page.parts);
        match page.next {
            Some(next) => bookmark = Some(next),
            None => break,
        }
    }
    assert_eq!((pages, parts.len()), (3, 7));
    for part in &parts {
        let listed = esp.combine(&audience, &[&part.said, &part.said]).unwrap();
        let whom = Whom { uids: Vec::new(), addresses: vec![&listed.address], fields: &[] };
        let looked = esp.find(&audience, &whom, soon()).await.unwrap().remove(0);
        assert_eq!((&listed.key, listed.consent, &listed.uid), (&looked.key, looked.consent, &looked.uid));
        assert_eq!(listed.fields, looked.fields);
        assert!(!matches!(listed.consent, Consent::Unknown));
    }
}

/// Runs a command with the town's configuration; its status, and all that it said.
fn command(town: &Town, folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("gateway.toml");
    std::fs::write(&file, &town.sandbox.outfit().configuration).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway"))
        .args(arguments)
        .args(["--config", file.to_str().unwrap()])
        .envs(town.sandbox.outfit().environment.iter().map(|(name, secret)| (name, secret)))
        .env("GATEWAY_SERVER__PUBLIC_URL", "https://gateway.example.com")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconcile_compares_what_can_be_read_as_a_whole_and_refuses_what_can_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut town = Town::of(described(DescribedSettings::default())).await;
    town.subscriber("ann").await;
    let (status, said) = command(&town, folder.path(), &["reconcile"]);
    assert_eq!(status, Some(0), "{said}");
    town.esp().courier().pause(true);
    assert!(town.esp().unsubscribe_link(&address("ann")));
    let (status, said) = command(&town, folder.path(), &["reconcile"]);
    assert!(status == Some(3) && said.contains("untold_opt_out"), "{said}");

    let settings = DescribedSettings { unlisted: true, ..DescribedSettings::default() };
    let town = Town::of(described(settings)).await;
    let (status, said) = command(&town, folder.path(), &["reconcile"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("main/newsletter -> mail/7: not compared"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_told_what_to_enter_and_whether_calls_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::of(described(DescribedSettings::default())).await;
    let (_, said) = command(&town, folder.path(), &["check", "--online"]);
    for expected in [
        "https://gateway.example.com/webhooks/http/mail",
        "x-signature",
        "audience 7: reading",
        "answered as described",
    ] {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(expected), "{expected} in {said}");
    }
    town.esp().faults().set_down(true);
    let (status, said) = command(&town, folder.path(), &["check", "--online"]);
    assert!(status == Some(1) && !said.contains("answered as described"), "{said}");
}
