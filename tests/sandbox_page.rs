//! The sandbox's page, over HTTP as a browser has it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod contract;

use contract::Held;
use gigya_esp_gateway::domain::Reason;
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::marketing_cloud::Status;
use gigya_esp_gateway::sandbox::{Esps, Sandbox, Setup, Witness, page};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
/// What the page calls Campaign Monitor, and Marketing Cloud.
const CM: &str = "campaign-monitor";
const MC: &str = "marketing-cloud";

/// A sandbox with its page.
struct Desk {
    sandbox: Arc<Sandbox>,
    held: Held,
    url: String,
    client: reqwest::Client,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.held.concludes(); // the page's server has the sandbox to the end
    }
}

impl Desk {
    async fn set() -> Self {
        Self::with(Esps::CampaignMonitor).await
    }

    async fn with(esps: Esps) -> Self {
        let held = Held::default();
        let sandbox = Arc::new(Sandbox::start(Setup::with_esps(esps), held.clone()).await.unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = page::router(Arc::clone(&sandbox));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { sandbox, held, url, client: reqwest::Client::new() }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    async fn act(&self, action: Value) -> Response {
        let request = self.client.post(format!("{}/act", self.url)).header("content-type", "application/json");
        request.body(action.to_string()).send().await.unwrap()
    }

    /// Does something that can be done, and waits until it has arrived.
    async fn done(&self, action: Value) {
        let answer = self.act(action.clone()).await;
        assert_eq!(answer.status(), 204, "{action}");
        assert!(self.sandbox.settled(PATIENCE).await, "{action}");
        // Times at the ESP are told by the second.
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }

    async fn state(&self) -> Value {
        serde_json::from_str(&self.get("/state").send().await.unwrap().text().await.unwrap()).unwrap()
    }

    async fn uid(&self) -> String {
        self.state().await["people"][0]["accounts"][0]["uid"].as_str().unwrap().to_owned()
    }

    /// How Campaign Monitor has somebody.
    fn esp(&self, email: &str) -> Option<State> {
        self.sandbox.campaign_monitor.state(&self.sandbox.list, email)
    }
}

#[tokio::test]
async fn the_page_is_served_and_closed_to_everything_else() {
    let desk = Desk::set().await;
    for (path, media_type) in [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        let answer = desk.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let headers = answer.headers();
        assert!(headers["content-type"].to_str().unwrap().starts_with(media_type), "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("https://") && !text.contains("onclick"), "{path} brings nothing from elsewhere");
    }
    assert_eq!(desk.get("/elsewhere").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn every_reason_that_there_is_is_explained() {
    let script = Desk::set().await.get("/page.js").send().await.unwrap().text().await.unwrap();
    for reason in Reason::ALL {
        assert!(script.contains(&format!(": {}\"", reason.label())), "{reason}");
    }
}

#[tokio::test]
async fn another_sites_page_cannot_act_here() {
    let desk = Desk::set().await;
    // A name that somebody else points at this machine.
    let rebound = desk.get("/state").header("host", "evil.example:7070").send().await.unwrap();
    assert_eq!(rebound.status(), 403);
    for host in ["localhost:7070", "127.0.0.1:1", "[::1]:7070"] {
        assert_eq!(desk.get("/state").header("host", host).send().await.unwrap().status(), 200, "{host}");
    }
    // What a page may send elsewhere without asking first.
    let form = desk.client.post(format!("{}/act", desk.url)).header("content-type", "text/plain");
    let answer = form.body(r#"{"do":"sign_up","name":"eve"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert!(desk.sandbox.gigya.accounts().is_empty());
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_a_reason() {
    let desk = Desk::set().await;
    desk.done(json!({ "do": "sign_up", "name": "ann" })).await;
    let impossible = [
        json!({ "do": "sign_up", "name": "ann" }),
        json!({ "do": "sign_up", "name": " " }),
        json!({ "do": "sign_up", "name": "?" }),
        json!({ "do": "sign_up", "name": "x".repeat(100) }),
        json!({ "do": "subscribe", "uid": "nobody" }),
        json!({ "do": "unsubscribe_link", "esp": CM, "email": "nobody@example.org" }),
        json!({ "do": "unsubscribe_link", "esp": "another", "email": "ann@example.org" }),
        json!({ "do": "weather", "system": "another", "kind": "fine" }),
    ];
    for action in impossible {
        let answer = desk.act(action.clone()).await;
        assert_eq!(answer.status(), 400, "{action}");
        let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(!told["error"].as_str().unwrap().is_empty(), "{action}");
    }
    for action in [json!({ "do": "dance" }), json!({ "name": "ann" }), json!([]), json!({ "do": "subscribe" })] {
        let status = desk.act(action.clone()).await.status();
        assert!(status.is_client_error(), "{action}: {status}");
    }
    let state = desk.state().await;
    assert_eq!(state["people"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_action_does_what_it_says() {
    let desk = Desk::set().await;
    desk.done(json!({ "do": "sign_up", "name": "ann" })).await;
    let uid = desk.uid().await;
    let state = desk.state().await;
    assert_eq!(state["people"][0]["email"], "ann@example.org");
    assert_eq!(state["people"][0]["step"], "in step");

    let (ann, anna) = ("ann@example.org", "anna@example.org");
    desk.done(json!({ "do": "subscribe", "uid": uid })).await;
    assert_eq!(desk.esp(ann), Some(State::Active));
    desk.done(json!({ "do": "first_name", "uid": uid, "name": "Anna" })).await;
    assert_eq!(desk.state().await["people"][0]["esps"][CM]["subscribers"][0]["first_name"], "Anna");
    desk.done(json!({ "do": "unsubscribe", "uid": uid })).await;
    assert_eq!(desk.esp(ann), Some(State::Unsubscribed));
    desk.done(json!({ "do": "subscribe", "uid": uid })).await;
    desk.done(json!({ "do": "rename", "uid": uid, "name": "anna" })).await;
    assert_eq!((desk.esp(ann), desk.esp(anna)), (None, Some(State::Active)));
    desk.done(json!({ "do": "unsubscribe_link", "esp": CM, "email": anna })).await;
    assert_eq!(desk.state().await["people"][0]["accounts"][0]["opted_in"], false);
    desk.done(json!({ "do": "subscribe", "uid": uid })).await;
    desk.done(json!({ "do": "bounce", "esp": CM, "email": anna })).await;
    let person = &desk.state().await["people"][0];
    assert_eq!(person["step"], "out of step");
    assert!(person["esps"][CM]["why"].is_string());
    desk.done(json!({ "do": "deactivate", "uid": uid })).await;
    assert_eq!(desk.esp(anna), Some(State::Deleted));
    desk.done(json!({ "do": "activate", "uid": uid })).await;
    assert_eq!(desk.state().await["people"][0]["step"], "out of step");
    desk.done(json!({ "do": "delete", "uid": uid })).await;
    assert!(desk.sandbox.gigya.accounts().is_empty());

    desk.done(json!({ "do": "sign_up_lite", "name": "ben" })).await;
    assert!(desk.sandbox.gigya.accounts()[0].is_lite);
    desk.done(json!({ "do": "form_subscribe", "esp": CM, "name": "dan" })).await;
    assert_eq!(desk.esp("dan@example.org"), Some(State::Active));
    desk.done(json!({ "do": "delete_at_esp", "esp": CM, "email": "dan@example.org" })).await;
    assert_eq!(desk.esp("dan@example.org"), Some(State::Deleted));
}

#[tokio::test]
async fn the_page_has_a_place_for_each_esp_that_takes_part() {
    for (esps, title, there) in [
        (Esps::CampaignMonitor, "Gigya and Campaign Monitor in step", [true, false]),
        (Esps::MarketingCloud, "Gigya and Marketing Cloud in step", [false, true]),
        (Esps::Both, "Gigya, Campaign Monitor and Marketing Cloud in step", [true, true]),
    ] {
        let desk = Desk::with(esps).await;
        let page = desk.get("/").send().await.unwrap().text().await.unwrap();
        assert!(page.contains(&format!("<title>{title}</title>")), "{esps:?}");
        assert!(!page.contains(['{', '}']), "something was left to fill in");
        let state = desk.state().await;
        for (slug, there) in [CM, MC].into_iter().zip(there) {
            assert_eq!(page.contains(&format!("id=\"people-{slug}\"")), there, "{esps:?} {slug}");
            assert_eq!(page.contains(&format!("href=\"#{slug}\"")), there, "{esps:?} {slug}");
            assert_eq!(state["weather"][slug].is_string(), there, "{esps:?} {slug}");
            let action = json!({ "do": "form_subscribe", "esp": slug, "name": "ann" });
            assert_eq!(desk.act(action).await.status(), if there { 204 } else { 400 }, "{esps:?} {slug}");
        }
    }
}

#[tokio::test]
async fn what_is_done_at_one_esp_reaches_the_other() {
    let desk = Desk::with(Esps::Both).await;
    let ann = "ann@example.org";
    desk.done(json!({ "do": "sign_up", "name": "ann" })).await;
    let uid = desk.uid().await;
    for (esp, other) in [(CM, MC), (MC, CM)] {
        desk.done(json!({ "do": "subscribe", "uid": uid })).await;
        let person = &desk.state().await["people"][0];
        for slug in [CM, MC] {
            assert_eq!(person["esps"][slug]["subscribers"][0]["mailed"], true, "{slug} of {person}");
        }
        desk.done(json!({ "do": "unsubscribe_link", "esp": esp, "email": ann })).await;
        let person = &desk.state().await["people"][0];
        assert_eq!(person["esps"][other]["subscribers"][0]["state"], "Unsubscribed", "{other} of {person}");
        assert_eq!(
            (person["accounts"][0]["opted_in"].as_bool(), person["step"].as_str()),
            (Some(false), Some("in step"))
        );
    }
}

#[tokio::test]
async fn marketing_cloud_has_the_same_actions() {
    let desk = Desk::with(Esps::MarketingCloud).await;
    let (ann, anna) = ("ann@example.org", "anna@example.org");
    desk.done(json!({ "do": "sign_up", "name": "ann" })).await;
    let uid = desk.uid().await;
    let status = || desk.sandbox.marketing_cloud.subscriber(&uid).map(|held| (held.email, held.status));
    desk.done(json!({ "do": "subscribe", "uid": uid })).await;
    assert_eq!(status(), Some((ann.to_owned(), Status::Active)));
    desk.done(json!({ "do": "first_name", "uid": uid, "name": "Anna" })).await;
    assert_eq!(desk.state().await["people"][0]["esps"][MC]["subscribers"][0]["first_name"], "Anna");
    // The key stays, and the address changes in place.
    desk.done(json!({ "do": "rename", "uid": uid, "name": "anna" })).await;
    assert_eq!(status(), Some((anna.to_owned(), Status::Active)));
    desk.done(json!({ "do": "bounce", "esp": MC, "email": anna })).await;
    assert_eq!(status(), Some((anna.to_owned(), Status::Held)));
    let person = &desk.state().await["people"][0];
    assert!(person["esps"][MC]["why"].is_string(), "Marketing Cloud tells nobody: {person}");
    assert_eq!(desk.act(json!({ "do": "unsubscribe_link", "esp": MC, "email": anna })).await.status(), 400);
    desk.done(json!({ "do": "delete_at_esp", "esp": MC, "email": anna })).await;
    assert_eq!(status(), None);
    let person = &desk.state().await["people"][0];
    assert!(person["esps"][MC]["why"].as_str().unwrap().contains("next change"), "{person}");
    desk.done(json!({ "do": "first_name", "uid": uid, "name": "Annie" })).await;
    assert_eq!(status(), Some((anna.to_owned(), Status::Active)));
    desk.done(json!({ "do": "form_subscribe", "esp": MC, "name": "dan" })).await;
    assert!(desk.sandbox.marketing_cloud.is_mailable("dan@example.org", None));
    assert_eq!(desk.act(json!({ "do": "form_subscribe", "esp": MC, "name": "dan" })).await.status(), 400);
}

#[tokio::test]
async fn a_system_can_be_broken_and_mended() {
    let desk = Desk::with(Esps::Both).await;
    for system in ["gigya", CM, MC] {
        for kind in ["slow", "failing", "stormy", "down", "fine"] {
            desk.done(json!({ "do": "weather", "system": system, "kind": kind })).await;
            assert_eq!(desk.state().await["weather"][system], kind);
        }
    }
}

#[tokio::test]
async fn what_travels_is_streamed_live() {
    let desk = Desk::set().await;
    let mut live = desk.get("/live").send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    desk.act(json!({ "do": "sign_up", "name": "ann" })).await;
    desk.act(json!({ "do": "subscribe", "uid": desk.uid().await })).await;
    let mut heard = String::new();
    let all = async {
        while let Some(chunk) = live.chunk().await.unwrap() {
            heard.push_str(std::str::from_utf8(&chunk).unwrap());
            let attempt =
                heard.split("\n\n").find(|event| event.contains("event: attempt") && event.contains("applied"));
            if let (Some(attempt), true) = (attempt, heard.contains("\"state\":\"Active\"")) {
                return attempt.to_owned();
            }
        }
        String::new()
    };
    let attempt = tokio::time::timeout(PATIENCE, all).await.unwrap();
    let data = attempt.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let attempt: Value = serde_json::from_str(data).unwrap();
    assert_eq!((attempt["sender"].as_str(), attempt["status"].as_u64()), (Some("Gigya"), Some(200)));
    assert!(attempt["number"].as_u64() >= Some(1) && !attempt["types"].as_array().unwrap().is_empty());
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command with each of the other ESPs: what somebody says at one side shows at the other one.
#[tokio::test]
async fn the_command_has_the_other_esps_too() {
    let folder = tempfile::tempdir().unwrap();
    for slug in ["salesforce", "braze", "brevo", "klaviyo", "mailchimp", "sendgrid"] {
        let mut page = Running(
            Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway"))
                .args(["sandbox", "--port", "0", "--esp", slug])
                // What it leaves behind goes with the test.
                .env("TMPDIR", folder.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let mut said = BufReader::new(page.0.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        let client = reqwest::Client::new();
        let act = async |action: Value| {
            let request = client.post(format!("{url}act")).header("content-type", "application/json");
            assert_eq!(request.body(action.to_string()).send().await.unwrap().status(), 204, "{slug}: {action}");
        };
        // Until the page shows of ann what it is to show; her UID.
        let until = async |is_so: &dyn Fn(&Value) -> bool| {
            let shown = async {
                loop {
                    let state = client.get(format!("{url}state")).send().await.unwrap().text().await.unwrap();
                    let state: Value = serde_json::from_str(&state).unwrap();
                    if is_so(&state["people"][0]) {
                        return state["people"][0]["accounts"][0]["uid"].as_str().unwrap().to_owned();
                    }
                    tokio::task::yield_now().await;
                }
            };
            let shown = tokio::time::timeout(PATIENCE, shown).await;
            if let Ok(uid) = shown {
                return uid;
            }
            let state = client.get(format!("{url}state")).send().await.unwrap().text().await.unwrap();
            panic!("{slug}: it never shows: {state}")
        };
        act(json!({ "do": "sign_up", "name": "ann" })).await;
        let uid = until(&|ann| ann["accounts"][0].is_object()).await;
        act(json!({ "do": "subscribe", "uid": uid })).await;
        // Both sides at rest: a second event of the same opt-in may still be under way.
        until(&|ann| ann["esps"][slug]["subscribers"][0]["mailed"] == true && ann["step"] == "in step").await;
        act(json!({ "do": "unsubscribe_link", "esp": slug, "email": "ann@example.org" })).await;
        until(&|ann| ann["accounts"][0]["opted_in"] == false).await;
    }
}
