//! A gateway between two systems, each of which has something to tell that it holds back: Ann has opted out in
//! Gigya, Ben by a link in a mail. Whoever can make the gateway believe a webhook about them changes the other side.

use crate::client::{Answer, Client};
use gigya_esp_gateway::sandbox::campaign_monitor::{State, SubscriberView};
use gigya_esp_gateway::sandbox::gigya::{AccountView, GigyaSettings, TokenParts, WebhookVersion};
use gigya_esp_gateway::sandbox::{Sandbox, Setup};
use serde_json::{Value, json};
use std::time::Duration;

pub const NEWSLETTER: &str = "newsletter";
pub const ANN: &str = "ann@example.org";
pub const BEN: &str = "ben@example.org";
/// The nonce of every genuine body here.
pub const NONCE: &str = "nonce-1";
/// Said to whoever isn't believed, whatever the reason.
pub const NOT_VERIFIED: &str = concat!(
    r#"{"type":"urn:problem:gigya-esp-gateway:not-verified","title":"Not verified","status":401,"#,
    r#""detail":"The signature or token is missing, wrong, or too old."}"#
);

pub struct House {
    pub sandbox: Sandbox,
    pub ann: String,
    pub ben: String,
}

/// Both sides, and how often either was called.
#[derive(Debug, PartialEq)]
struct Look {
    gigya_calls: u64,
    campaign_monitor_calls: u64,
    accounts: Vec<AccountView>,
    subscribers: Vec<SubscriberView>,
}

impl House {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// One whose Gigya signs with HMAC.
    pub async fn with_hmac() -> Self {
        let gigya = GigyaSettings { webhooks: WebhookVersion::V1_1, ..GigyaSettings::default() };
        Self::with(Setup { gigya, ..Setup::default() }).await
    }

    pub async fn with(setup: Setup) -> Self {
        let sandbox = Sandbox::start(setup).await.unwrap();
        let gigya = &sandbox.gigya;
        let [ann, ben] = [(ANN, "Ann"), (BEN, "Ben")].map(|(email, name)| {
            let uid = gigya.sign_up(email, name);
            gigya.subscribe(&uid, NEWSLETTER);
            // Version 1 tells no subscriptions, but changes of the profile.
            gigya.set_profile(&uid, "lastName", "Example".into());
            uid
        });
        assert!(sandbox.settled(Duration::from_secs(20)).await);
        for email in [ANN, BEN] {
            assert_eq!(sandbox.campaign_monitor.state(&sandbox.list, email), Some(State::Active));
        }
        gigya.courier().pause(true);
        sandbox.campaign_monitor.courier().pause(true);
        sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
        gigya.unsubscribe(&ann, NEWSLETTER);
        assert!(sandbox.campaign_monitor.unsubscribe_link(&sandbox.list, BEN));
        Self { sandbox, ann, ben }
    }

    pub fn now(&self) -> i64 {
        self.sandbox.clock.now().as_second()
    }

    /// What Gigya would send about Ann.
    pub fn news_of_ann(&self) -> Value {
        self.notification(&[self.event("accountUpdated", &self.ann)])
    }

    pub fn event(&self, kind: &str, uid: &str) -> Value {
        json!({
            "type": kind, "id": "event-1", "callId": "call-1", "version": "2.0", "timestamp": self.now(),
            "apiKey": self.sandbox.gigya.settings().api_key, "data": { "accountType": "full", "uid": uid },
        })
    }

    pub fn notification(&self, events: &[Value]) -> Value {
        json!({ "events": events, "nonce": NONCE, "timestamp": self.now() })
    }

    /// What Campaign Monitor would send about Ben.
    pub fn news_of_ben(&self) -> Value {
        self.callback(&[deactivate(BEN)])
    }

    pub fn callback(&self, events: &[Value]) -> Value {
        json!({ "ListID": self.sandbox.list, "Events": events })
    }

    /// The parts of a genuine token for a body.
    pub fn parts(&self, body: impl AsRef<[u8]>) -> TokenParts {
        self.sandbox.gigya.signer().parts(body.as_ref(), NONCE, self.now())
    }

    /// The header with a genuine token made of these parts.
    pub fn signed(&self, parts: &TokenParts) -> String {
        jwt(&self.sandbox.gigya.signer().token(parts))
    }

    /// The header that this house's Gigya would sign a body with.
    pub fn signature(&self, body: impl AsRef<[u8]>) -> String {
        match self.sandbox.gigya.settings().webhooks {
            WebhookVersion::V2_0 => self.signed(&self.parts(body)),
            WebhookVersion::V1_0 | WebhookVersion::V1_1 => hmac(&self.sandbox.gigya.signer().hmac(body.as_ref())),
        }
    }

    /// Where Campaign Monitor's callbacks go.
    pub fn callback_path(&self) -> String {
        let url = self.sandbox.callback_url(0);
        url[url.find("/webhooks").unwrap()..].to_owned()
    }

    /// Sends bytes on a connection of their own.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        Client::connect(self.sandbox.gateways[0]).await.ask(request).await
    }

    /// Posts to the Gigya connection.
    pub async fn gigya(&self, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask(post(GIGYA, headers, body)).await
    }

    /// Posts to the Campaign Monitor connection.
    pub async fn campaign_monitor(&self, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask(post(&self.callback_path(), headers, body)).await
    }

    /// Sends what must be refused as a problem of this name, with no call made and nothing changed.
    pub async fn refuses(&self, what: &str, (status, problem): (u16, &str), request: impl AsRef<[u8]>) -> Answer {
        let before = self.look();
        let answer = self.ask(request).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{what}: {answer:?}");
        assert_eq!(self.look(), before, "{what}");
        answer
    }

    /// Sends what must not be believed.
    pub async fn disbelieves(&self, what: &str, request: impl AsRef<[u8]>) {
        let answer = self.refuses(what, (401, "not-verified"), request).await;
        assert_eq!(answer.body, NOT_VERIFIED, "{what}");
        assert_eq!(answer.header("content-length"), Some(NOT_VERIFIED.len().to_string().as_str()), "{what}");
    }

    /// Sends a webhook about Ann to the Gigya connection that must not be believed.
    pub async fn disbelieves_gigya(&self, what: &str, headers: &str, body: impl AsRef<[u8]>) {
        self.disbelieves(what, post(GIGYA, headers, body)).await;
    }

    /// Sends what is harmless but genuine: answered 200, and nothing changes.
    pub async fn shrugs(&self, what: &str, request: impl AsRef<[u8]>) -> Value {
        let (before, answer) = (self.look(), self.ask(request).await);
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        let after = self.look();
        assert_eq!((after.accounts, after.subscribers), (before.accounts, before.subscribers), "{what}");
        answer.json()
    }

    /// How often anything was called at Gigya.
    pub fn gigya_calls(&self) -> u64 {
        self.sandbox.gigya.faults().all_calls()
    }

    /// Nothing of what was refused before has hurt: the genuine thing still goes through, both ways.
    pub async fn still_works(&self) {
        self.believes_gigya().await;
        let answer = self.campaign_monitor(JSON, self.news_of_ben().to_string()).await;
        assert_eq!((answer.status, &answer.json()["applied"]), (200, &json!(1)), "{answer:?}");
        assert_eq!(self.sandbox.gigya.is_subscribed(&self.ben, NEWSLETTER), Some(false));
    }

    /// A genuine webhook about Ann arrives and is forwarded.
    pub async fn believes_gigya(&self) {
        let body = self.news_of_ann().to_string();
        let answer = self.gigya(&self.signature(&body), &body).await;
        assert_eq!((answer.status, &answer.json()["applied"]), (200, &json!(1)), "{answer:?}");
        assert_eq!(self.sandbox.campaign_monitor.state(&self.sandbox.list, ANN), Some(State::Unsubscribed));
    }

    fn look(&self) -> Look {
        Look {
            gigya_calls: self.gigya_calls(),
            campaign_monitor_calls: self.sandbox.campaign_monitor.faults().all_calls(),
            accounts: self.sandbox.gigya.accounts(),
            subscribers: self.sandbox.campaign_monitor.subscribers(&self.sandbox.list),
        }
    }
}

pub const GIGYA: &str = "/webhooks/gigya/main";
pub const JSON: &str = "content-type: application/json\r\n";

/// A request with its body's length, headers given as lines.
pub fn post(path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn jwt(token: &str) -> String {
    format!("x-gigya-sig-jwt: {token}\r\n")
}

pub fn hmac(signature: &str) -> String {
    format!("x-gigya-sig-hmac-sha1: {signature}\r\n")
}

/// An unsubscription, as Campaign Monitor tells it.
pub fn deactivate(email: &str) -> Value {
    json!({ "Type": "Deactivate", "EmailAddress": email, "State": "Unsubscribed", "CustomFields": [] })
}
