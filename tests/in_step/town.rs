//! Helpers that read like a story.

use crate::contract::Held;
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Attempt, Sandbox, Setup};
use std::time::Duration;
use tokio::sync::broadcast;

/// The subscription that the sandbox's route is about.
pub const NEWSLETTER: &str = "newsletter";

/// A town with all systems and the gateway.
pub struct Town {
    pub sandbox: Sandbox,
    pub attempts: broadcast::Receiver<Attempt>,
}

impl Town {
    pub async fn ordinary() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
        let attempts = sandbox.attempts.subscribe();
        Self { sandbox, attempts }
    }

    /// Somebody with an account that is opted in, on both sides.
    pub async fn subscriber(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        assert!(self.everybody_mails(name), "{name} is subscribed");
        uid
    }

    /// Waits until every webhook, echoes too, is delivered.
    pub async fn quiet(&self) {
        assert!(self.sandbox.settled(Duration::from_secs(30)).await, "webhooks are never done");
    }

    /// Whether every ESP mails somebody.
    pub fn everybody_mails(&self, name: &str) -> bool {
        self.sandbox.esps.iter().all(|esp| esp.mails(&address(name)))
    }

    /// How Campaign Monitor has somebody.
    pub fn esp(&self, name: &str) -> Option<State> {
        self.sandbox.campaign_monitor.state(&self.sandbox.list, &address(name))
    }

    /// How Gigya has an account.
    pub fn gigya(&self, uid: &str) -> Option<bool> {
        self.sandbox.gigya.is_subscribed(uid, NEWSLETTER)
    }

    /// Somebody follows the unsubscribe link in a mail from Campaign Monitor.
    pub fn follows_the_unsubscribe_link(&self, name: &str) {
        assert!(self.sandbox.campaign_monitor.unsubscribe_link(&self.sandbox.list, &address(name)));
    }

    /// What the gateway answered since the last time this was asked: sender, status, body.
    pub fn answers(&mut self) -> Vec<Attempt> {
        std::iter::from_fn(|| self.attempts.try_recv().ok()).collect()
    }

    /// Outcomes in the answers since the last time: `applied`, `skipped:newer_opt_out`, ...
    pub fn outcomes(&mut self) -> Vec<String> {
        let mut outcomes = Vec::new();
        for answer in self.answers() {
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
