//! The sandbox's page over HTTP, without a browser: what it serves, what it lets one do, what it tells.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Sandbox, Setup, page};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

struct Page {
    sandbox: Arc<Sandbox>,
    address: String,
    client: reqwest::Client,
}

impl Page {
    async fn open() -> Self {
        let sandbox = Arc::new(Sandbox::start(Setup::default()).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, page::router(Arc::clone(&sandbox))).into_future());
        Self { sandbox, address, client: reqwest::Client::new() }
    }

    async fn act(&self, action: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}/act", self.address)).header("content-type", "application/json");
        let answer = request.body(action.to_string()).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn state(&self) -> Value {
        let answer = self.client.get(format!("{}/state", self.address)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn its_files_load_nothing_from_elsewhere() {
    let page = Page::open().await;
    for path in ["/", "/page.css", "/page.js"] {
        let answer = page.client.get(format!("{}{path}", page.address)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{path} names another place");
    }
}

#[tokio::test]
async fn people_act_and_both_sides_follow() {
    let page = Page::open().await;
    assert_eq!(page.act(json!({ "do": "sign_up", "name": "Ann" })).await.0, 204);
    let uid = page.state().await["people"][0]["account"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(page.act(json!({ "do": "subscribe", "uid": uid })).await.0, 204);
    assert!(page.sandbox.settled(Duration::from_secs(10)).await);
    let state = page.state().await;
    let person = &state["people"][0];
    assert_eq!(
        (&person["email"], &person["subscriber"]["state"], &person["step"]),
        (&json!("ann@example.org"), &json!("Active"), &json!("in step"))
    );
    page.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    assert_eq!(page.act(json!({ "do": "unsubscribe_link", "email": "ann@example.org" })).await.0, 204);
    assert!(page.sandbox.settled(Duration::from_secs(10)).await);
    assert_eq!(page.sandbox.gigya.is_subscribed(&uid, "newsletter"), Some(false));
    assert_eq!(page.act(json!({ "do": "form_subscribe", "name": "ben" })).await.0, 204);
    assert_eq!(page.sandbox.campaign_monitor.state(&page.sandbox.list, "ben@example.org"), Some(State::Active));
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let page = Page::open().await;
    assert_eq!(page.act(json!({ "do": "sign_up", "name": "ann" })).await.0, 204);
    for action in [
        json!({ "do": "sign_up", "name": "ann" }),
        json!({ "do": "sign_up", "name": " " }),
        json!({ "do": "sign_up", "name": "x".repeat(41) }),
        json!({ "do": "subscribe", "uid": "nobody" }),
        json!({ "do": "bounce", "email": "nobody@example.org" }),
    ] {
        let (status, body) = page.act(action.clone()).await;
        assert_eq!(status, 400, "{action}");
        assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()), "{action}");
    }
    for nonsense in [json!({ "do": "fly" }), json!({}), json!(3)] {
        assert_eq!(page.act(nonsense.clone()).await.0, 422, "{nonsense}");
    }
}

#[tokio::test]
async fn what_travels_is_told_live() {
    let page = Page::open().await;
    let mut live = page.client.get(format!("{}/live", page.address)).send().await.unwrap();
    page.act(json!({ "do": "sign_up", "name": "ann" })).await;
    let mut told = String::new();
    let heard = async {
        while !(told.contains("event: attempt") && told.contains("accountRegistered") && told.contains("event: state"))
        {
            told.push_str(&String::from_utf8_lossy(&live.chunk().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
}
