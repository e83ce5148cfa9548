//! A town with Gigya, the gateway, and one guest.

use super::guests::Provider;
use crate::contract::Held;
use gigya_esp_gateway::sandbox::shipped::Shipped;
use gigya_esp_gateway::sandbox::{Attempt, Sandbox, Setup, SimulatedEsp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// The subscription that the route is about.
pub const NEWSLETTER: &str = "newsletter";

pub struct Town {
    pub sandbox: Sandbox,
    pub esp: Arc<dyn SimulatedEsp>,
    attempts: broadcast::Receiver<Attempt>,
}

impl Town {
    pub async fn of(provider: Provider) -> Self {
        Self::with(provider.shipped()).await
    }

    /// With further lines for the route.
    pub async fn routed(provider: Provider, route: &str) -> Self {
        Self::with(provider.shipped().routed(route)).await
    }

    pub async fn with(shipped: Shipped) -> Self {
        let sandbox = Sandbox::start(Setup::with_further(shipped), Held::default()).await.unwrap();
        let (esp, attempts) = (Arc::clone(&sandbox.esps[0]), sandbox.attempts.subscribe());
        Self { sandbox, esp, attempts }
    }

    /// Somebody with an account that is opted in, on both sides.
    pub async fn subscriber(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        assert!(self.mails(name), "{name} is subscribed at {}", self.esp.name());
        uid
    }

    /// The same where callbacks can't arrive.
    pub async fn subscriber_without_echo(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        assert!(self.sandbox.gigya.courier().settled(Duration::from_mins(1)).await);
        assert!(self.mails(name));
        self.esp.courier().forget();
        uid
    }

    /// Waits until every webhook, echoes too, is delivered.
    pub async fn quiet(&self) {
        let name = self.esp.name();
        assert!(self.sandbox.settled(Duration::from_mins(1)).await, "{name}: webhooks are never done");
    }

    /// Waits until something that was only queued over there is so.
    pub async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                tokio::task::yield_now().await;
            }
        };
        let name = self.esp.name();
        assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "{name}: it is never so");
    }

    pub fn mails(&self, name: &str) -> bool {
        self.esp.mails(&address(name))
    }

    pub fn gigya(&self, uid: &str) -> Option<bool> {
        self.sandbox.gigya.is_subscribed(uid, NEWSLETTER)
    }

    pub fn follows_the_unsubscribe_link(&self, name: &str) {
        assert!(self.esp.unsubscribe_link(&address(name)), "{}", self.esp.name());
    }

    /// Outcomes in the answers since the last time: `applied`, `skipped:newer_opt_out`, ...
    pub fn outcomes(&mut self) -> Vec<String> {
        let mut outcomes = Vec::new();
        while let Ok(answer) = self.attempts.try_recv() {
            let body: serde_json::Value = serde_json::from_str(&answer.answer).unwrap_or_default();
            for event in body["events"].as_array().into_iter().flatten() {
                let outcome = event["outcome"].as_str().unwrap();
                let reason = event["reason"].as_str().map(|reason| format!(":{reason}")).unwrap_or_default();
                outcomes.push(format!("{outcome}{reason}"));
            }
        }
        outcomes
    }

    /// Lets a second pass, so that times that are told by the second differ.
    pub fn a_moment_passes(&self) {
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }
}

pub fn address(name: &str) -> String {
    format!("{name}@example.org")
}
