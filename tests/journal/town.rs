//! A town whose gateway keeps a journal. Helpers that read like a story.

use crate::contract::Held;
use gigya_esp_gateway::domain::Email;
use gigya_esp_gateway::journal::{Database, Evidence};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Attempt, Sandbox, Setup};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::broadcast;

/// The subscription that the sandbox's route is about.
pub const NEWSLETTER: &str = "newsletter";

/// A town with all systems and a gateway with a journal.
pub struct Town {
    pub sandbox: Sandbox,
    pub attempts: broadcast::Receiver<Attempt>,
    pub folder: TempDir,
}

impl Town {
    pub async fn ordinary() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = setup.with_journal(&folder.path().join("journal.db"));
        let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
        let attempts = sandbox.attempts.subscribe();
        Self { sandbox, attempts, folder }
    }

    pub fn journal(&self) -> &Database {
        &self.sandbox.journals[0]
    }

    /// Somebody with an account that is opted in, on both sides.
    pub async fn subscriber(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        assert!(self.sandbox.esps.iter().all(|esp| esp.mails(&address(name))), "{name} is subscribed");
        uid
    }

    /// Waits until every webhook, echoes too, is delivered.
    pub async fn quiet(&self) {
        assert!(self.sandbox.settled(Duration::from_secs(30)).await, "webhooks are never done");
    }

    /// How Campaign Monitor has somebody.
    pub fn esp(&self, name: &str) -> Option<State> {
        self.sandbox.campaign_monitor.state(&self.sandbox.list, &address(name))
    }

    /// What the journal has of an address: kind and direction, found ones with a question mark.
    pub async fn receipts(&self, name: &str) -> Vec<String> {
        let receipts = self.journal().receipts_at(&email(name)).await.unwrap();
        receipts.iter().map(brief).collect()
    }

    /// Outcomes in the answers since the last time.
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

fn brief(receipt: &Evidence) -> String {
    let found = if receipt.was_found { "?" } else { "" };
    format!("{}{found} {}", receipt.kind.label(), receipt.direction)
}

pub fn address(name: &str) -> String {
    format!("{name}@example.org")
}

pub fn email(name: &str) -> Email {
    Email::parse(&address(name)).unwrap()
}
