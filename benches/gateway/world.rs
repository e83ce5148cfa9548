//! The gateway between the simulators, and Gigya's notifications as they are sent to it.

use crate::process::Gateway;
use crate::tls::{self, Protocol};
use futures_util::StreamExt;
use gigya_esp_gateway::sandbox::gigya::{Signer, WebhookVersion};
use gigya_esp_gateway::sandbox::{Nobody, Sandbox, Setup, Weather};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const NEWSLETTER: &str = "newsletter";
/// What is mapped at Campaign Monitor: a name of two, as is usual, and a field.
const ROUTE: &str =
    r#"fields = { Name = "{profile.firstName} {profile.lastName}", "First Name" = "profile.firstName" }"#;

/// What is measured, where nothing else is asked for.
pub fn ordinary() -> Setup {
    Setup { route: ROUTE.to_owned(), ..Setup::default() }
}

/// The simulators, in this process, and the gateway, in its own.
pub struct World {
    pub sandbox: Sandbox,
    pub gateway: Gateway,
    http: reqwest::Client,
    _folder: TempDir,
}

/// One signed notification.
#[derive(Clone)]
pub struct Notification {
    pub header: (&'static str, String),
    pub body: String,
}

/// Calls that the simulators got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Of an account, at Gigya.
    pub reads: u64,
    /// Of a subscriber, at Campaign Monitor.
    pub looks: u64,
    /// There.
    pub writes: u64,
    /// At Gigya.
    pub writes_to_gigya: u64,
    /// Of any kind, at both.
    pub all: u64,
}

impl Calls {
    /// Those since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            looks: self.looks - before.looks,
            writes: self.writes - before.writes,
            writes_to_gigya: self.writes_to_gigya - before.writes_to_gigya,
            all: self.all - before.all,
        }
    }
}

impl World {
    /// Starts all of it; a protocol has the upstreams speak TLS. No webhook is delivered but what is sent from here.
    pub async fn start(setup: Setup, journal: bool, encrypted: Option<Protocol>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = if journal { setup.with_journal(&folder.path().join("journal.db")) } else { setup };
        let (mut sandbox, mut outfit) = Sandbox::simulators(setup, Nobody).await.unwrap();
        let mut command = Command::new(binary());
        command.env_clear();
        if let Some(protocol) = encrypted {
            let certificate = tls::Certificate::make(folder.path());
            outfit.configuration = tls::put_before(&outfit.configuration, &certificate, protocol).await;
            command.env("SSL_CERT_FILE", &certificate.file);
        }
        let configuration = folder.path().join("gateway.toml");
        std::fs::write(&configuration, &outfit.configuration).unwrap();
        command.args(["serve", "--config"]).arg(&configuration).envs(outfit.environment);
        let http = reqwest::Client::new(); // takes a while, which isn't the gateway's
        let gateway = Gateway::start(command);
        sandbox.gateways.push(gateway.address);
        Self { sandbox, gateway, http, _folder: folder }
    }

    /// People sign up.
    pub fn people(&self, many: usize) -> Vec<String> {
        (0..many).map(|n| self.sandbox.gigya.sign_up(&address(n), "Ann")).collect()
    }

    /// They opt in or out.
    pub fn set(&self, uids: &[String], subscribed: bool) {
        for uid in uids {
            if subscribed {
                self.sandbox.gigya.subscribe(uid, NEWSLETTER);
            } else {
                self.sandbox.gigya.unsubscribe(uid, NEWSLETTER);
            }
        }
    }

    /// Lets every answer take that long.
    pub fn slow_down(&self, latency: Duration) {
        for system in self.sandbox.faults() {
            system.set(Weather { latency, ..Weather::default() });
        }
    }

    /// One notification with an event for each of these accounts.
    pub fn notify<'a>(&self, uids: impl IntoIterator<Item = &'a String>) -> Notification {
        let gigya = &self.sandbox.gigya;
        let (settings, now) = (gigya.settings(), self.sandbox.clock.now().as_second());
        let event = |uid: &String| {
            serde_json::json!({
                "type": "subscriptionUpdated", "id": uuid::Uuid::new_v4().to_string(), "timestamp": now, "callId": "c",
                "version": if settings.webhooks == WebhookVersion::V2_0 { "2.0" } else { "1.1" },
                "apiKey": settings.api_key, "data": { "accountType": "full", "uid": uid },
            })
        };
        let events: Vec<Value> = uids.into_iter().map(event).collect();
        let nonce = uuid::Uuid::new_v4().to_string();
        let body = serde_json::json!({ "events": events, "nonce": nonce, "timestamp": now }).to_string();
        let header = if settings.webhooks == WebhookVersion::V2_0 {
            let parts = gigya.signer().parts(body.as_bytes(), &nonce, now);
            ("x-gigya-sig-jwt", gigya.signer().token(&parts))
        } else {
            ("x-gigya-sig-hmac-sha1", Signer::hmac_with(&settings.webhook_secret, body.as_bytes()))
        };
        Notification { header, body }
    }

    /// Sends one; it is answered 200. Returns the answer and how long it took.
    pub async fn send(&self, notification: Notification) -> (Value, Duration) {
        let (name, signature) = notification.header;
        let request = self.http.post(self.sandbox.gigya_url(0)).header("content-type", "application/json");
        let begun = Instant::now();
        let answer = request.header(name, signature).body(notification.body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{text}");
        (serde_json::from_str(&text).unwrap(), begun.elapsed())
    }

    /// Sends all, so many at once; returns the gateway's processor time, in microseconds.
    pub async fn send_all(&self, notifications: Vec<Notification>, at_once: usize) -> f64 {
        let before = self.gateway.processor_nanos();
        let each = notifications.into_iter().map(|one| self.send(one));
        futures_util::stream::iter(each).buffer_unordered(at_once).for_each(async |_| {}).await;
        (self.gateway.processor_nanos() - before) as f64 / 1000.0
    }

    /// The calls so far.
    pub fn calls(&self) -> Calls {
        let (gigya, esp) = (self.sandbox.gigya.faults(), self.sandbox.campaign_monitor.faults());
        let writes = ["add", "import", "update", "unsubscribe", "delete", "suppress"];
        Calls {
            reads: gigya.calls("accounts.getAccountInfo"),
            looks: esp.calls("get"),
            writes: writes.iter().map(|write| esp.calls(write)).sum(),
            writes_to_gigya: gigya.calls("accounts.setAccountInfo"),
            all: gigya.all_calls() + esp.all_calls(),
        }
    }
}

/// Somebody's address.
pub fn address(n: usize) -> String {
    format!("p{n}@example.org")
}

/// The build that is measured: this benchmark's own, or another one's.
pub fn binary() -> String {
    let own = env!("CARGO_BIN_EXE_gigya-esp-gateway");
    assert!(Path::new(own).exists());
    std::env::var("GATEWAY_BINARY").unwrap_or_else(|_| own.to_owned())
}
