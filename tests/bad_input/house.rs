//! A gateway with one subscriber on both sides, and senders who mean it well or ill.

use crate::contract::wire::take_request;
use crate::contract::{self, Exchange, Held, Port};
use gigya_esp_gateway::sandbox::gigya::TokenParts;
use gigya_esp_gateway::sandbox::{Faults, Sandbox, Setup};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What everybody hears who isn't believed, on every endpoint and for whatever reason.
const UNVERIFIED: &str = r#"{"type":"urn:problem:gigya-esp-gateway:not-verified","title":"The request is not verified","status":401,"detail":"The signature or token is missing, wrong, or too old."}"#;

pub const JSON: (&str, &str) = ("content-type", "application/json");

pub struct House {
    pub sandbox: Sandbox,
    pub uid: String,
    client: reqwest::Client,
    calls: u64,
}

/// An answer, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl House {
    pub async fn ordinary() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
        let uid = sandbox.gigya.sign_up("ann@example.org", "ann");
        sandbox.gigya.subscribe(&uid, "newsletter");
        assert!(sandbox.settled(Duration::from_secs(10)).await);
        // From here on nothing of its own makes a call, and whatever is forwarded would opt her out.
        sandbox.gigya.courier().pause(true);
        for esp in &sandbox.esps {
            esp.courier().pause(true);
        }
        sandbox.gigya.unsubscribe(&uid, "newsletter");
        let mut house = Self { sandbox, uid, client: reqwest::Client::new(), calls: 0 };
        house.calls = house.all_calls();
        house
    }

    fn all_calls(&self) -> u64 {
        self.sandbox.faults().map(Faults::all_calls).sum()
    }

    pub fn key_fetches(&self) -> u64 {
        self.sandbox.gigya.faults().calls("accounts.getJWTPublicKey")
    }

    /// A notification about the subscriber, as Gigya would send it now.
    pub fn notification(&self) -> Value {
        let now = self.sandbox.clock.now().as_second();
        json!({
            "events": [{
                "type": "accountUpdated", "id": "event-1", "timestamp": now, "callId": "call-1", "version": "2.0",
                "apiKey": self.sandbox.gigya.settings().api_key, "data": { "accountType": "full", "uid": self.uid },
            }],
            "nonce": "nonce-1", "timestamp": now,
        })
    }

    pub fn body(&self) -> Vec<u8> {
        self.notification().to_string().into_bytes()
    }

    /// A token for a body, after something about it was changed.
    pub fn token(&self, body: &[u8], change: impl FnOnce(&mut TokenParts)) -> String {
        let signer = self.sandbox.gigya.signer();
        let mut parts = signer.parts(body, "nonce-1", self.sandbox.clock.now().as_second());
        change(&mut parts);
        signer.token(&parts)
    }

    pub fn valid_token(&self, body: &[u8]) -> String {
        self.token(body, |_| {})
    }

    pub async fn post_to(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = self.client.post(format!("http://{}{path}", self.sandbox.gateways[0])).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = contract::ask(Port::Webhooks, request).await;
        let content_type = answer.header("content-type").unwrap_or_default().to_owned();
        Answer { status: answer.status, content_type, body: answer.body }
    }

    /// Posts to Gigya's endpoint with a token.
    pub async fn post_token(&self, token: &str, body: Vec<u8>) -> Answer {
        self.post_to("/webhooks/gigya/main", &[JSON, ("x-gigya-sig-jwt", token)], body).await
    }

    /// Posts a genuine token with a body that is not what it should be.
    pub async fn post_signed(&self, body: Vec<u8>) -> Answer {
        let token = self.valid_token(&body);
        self.post_token(&token, body).await
    }

    /// The path of Campaign Monitor's callback, token and all.
    pub fn callback_path(&self) -> String {
        let url = self.sandbox.callback_url(0);
        url[url.find("/webhooks").unwrap()..].to_owned()
    }

    /// Writes bytes as they are, and reads what comes back until the end or a while.
    pub async fn raw(&self, bytes: &[u8], then_close: bool) -> String {
        let mut socket = TcpStream::connect(self.sandbox.gateways[0]).await.unwrap();
        let _ = socket.write_all(bytes).await;
        if then_close {
            let _ = socket.shutdown().await;
        }
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(15), socket.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        hold(bytes, &answer);
        answer
    }

    /// Nothing was called, and nothing changed.
    pub fn is_untouched(&self, what: &str) {
        assert_eq!(self.all_calls(), self.calls, "{what}: something was called upstream");
        for esp in &self.sandbox.esps {
            assert!(esp.mails("ann@example.org"), "{what}: something changed at {}", esp.name());
        }
        assert_eq!(self.sandbox.gigya.is_subscribed(&self.uid, "newsletter"), Some(false), "{what}: something changed");
    }

    /// It was refused as not verified: with the one answer that all of these get.
    pub fn is_401(&self, answer: &Answer, what: &str) {
        assert_eq!((answer.status, answer.content_type.as_str()), (401, "application/problem+json"), "{what}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["status"], 401, "{what}");
        assert_eq!(answer.body, UNVERIFIED, "{what}: the body is the same for everybody");
        self.is_untouched(what);
    }

    pub fn is_problem(&self, answer: &Answer, status: u16, what: &str) {
        assert_eq!(
            (answer.status, answer.content_type.as_str()),
            (status, "application/problem+json"),
            "{what}: {answer:?}"
        );
        self.is_untouched(what);
    }
}

/// Holds the first answer to some bytes, if there is one, against the API document.
fn hold(sent: &[u8], answer: &str) {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return };
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    let headers: Vec<_> = lines.map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, length)| length.parse().unwrap());
    let request = take_request(&mut sent.to_vec());
    let request = request.as_ref().map(|(method, target)| (method.as_str(), target.as_str()));
    let length = if request.is_some_and(|(method, _)| method == "HEAD") { Some(0) } else { length };
    let body = &body.as_bytes()[..length.unwrap_or(0)];
    contract::hold(&Exchange { port: Port::Webhooks, request, status, headers: &headers, body });
}
