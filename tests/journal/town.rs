//! A town whose gateway keeps a journal. Helpers that read like a story.

use crate::contract::Held;
use crate::store::shelf::Shelf;
use gigya_esp_gateway::config::{Config, JournalStore};
use gigya_esp_gateway::domain::Email;
use gigya_esp_gateway::journal::{Database, Evidence, Journal};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Addresses, Attempt, Sandbox, Setup, Temper};
use gigya_esp_gateway::upstream::WallClock;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use sqlx::{Connection, Row, SqliteConnection};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// The subscription that the sandbox's route is about.
pub const NEWSLETTER: &str = "newsletter";

/// A town with all systems and a gateway with a journal.
pub struct Town {
    pub sandbox: Sandbox,
    pub attempts: broadcast::Receiver<Attempt>,
    pub shelf: Shelf,
    setup: Setup,
}

impl Town {
    pub async fn ordinary() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        Self::keeping(setup, Shelf::sqlite()).await
    }

    /// With the journal in this place.
    pub async fn keeping(setup: Setup, shelf: Shelf) -> Self {
        let setup = match &shelf.store {
            JournalStore::Sqlite(file) => setup.with_journal(file),
            JournalStore::Postgres(url) => setup.with_postgres_journal(url.expose_secret()),
        };
        let sandbox = Sandbox::start(setup.clone(), Held::default()).await.unwrap();
        let attempts = sandbox.attempts.subscribe();
        Self { sandbox, attempts, shelf, setup }
    }

    /// One in which nothing but the journal leads from an account to an address of before: the list has no field for the
    /// UID, and Gigya forgets what an account had.
    pub async fn forgetful() -> Self {
        let town = Self::with(forgetful()).await;
        // An answer that says to come again is followed at once.
        town.sandbox.set_tempers(|temper| Temper {
            first_interval: Duration::from_millis(50),
            longest_interval: Duration::from_millis(200),
            ..temper
        });
        town
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

    /// Waits until every webhook of Gigya's is delivered, while Campaign Monitor's wait.
    pub async fn gigya_is_quiet(&self) {
        assert!(self.sandbox.gigya.courier().settled(Duration::from_secs(30)).await, "Gigya's webhooks are never done");
    }

    /// Waits until every webhook, echoes too, is delivered.
    pub async fn quiet(&self) {
        assert!(self.sandbox.settled(Duration::from_secs(30)).await, "webhooks are never done");
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < Duration::from_mins(1), "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How Campaign Monitor has somebody.
    pub fn esp(&self, name: &str) -> Option<State> {
        self.sandbox.campaign_monitor.state(&self.sandbox.list, &address(name))
    }

    /// How Gigya has an account.
    pub fn gigya(&self, uid: &str) -> Option<bool> {
        self.sandbox.gigya.is_subscribed(uid, NEWSLETTER)
    }

    /// Rows of the table of links that fit a condition.
    pub async fn links(&self, condition: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM journal_link WHERE {condition}");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut self.file().await).await.unwrap();
        row.get(0)
    }

    /// Links that count.
    pub async fn held_links(&self) -> i64 {
        self.links("left_at IS NULL").await
    }

    /// What is left of all links after two days.
    pub async fn links_in_two_days(&self) -> i64 {
        let at = "127.0.0.1:1".parse().unwrap();
        let at = Addresses { gigya: at, campaign_monitor: at, marketing_cloud: at };
        let secrets = self.setup.secrets().into_iter().collect();
        let config = Config::parse(&self.setup.configuration(at), Path::new("later.toml"), &secrets).unwrap();
        let clock = WallClock::of(|| Timestamp::now() + SignedDuration::from_hours(48));
        let later = Database::open(config.journal.as_ref().unwrap(), clock).await.unwrap();
        later.tidy().await.unwrap();
        self.links("TRUE").await
    }

    /// Renames a table of the journal, so that nothing can be read from it or written to it; or the other way around.
    pub async fn rename(&self, table: &str, to: &str) {
        let sql = format!("ALTER TABLE {table} RENAME TO {to}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut self.file().await).await.unwrap();
    }

    /// Takes all links off.
    pub async fn forget_links(&self) {
        sqlx::query("DELETE FROM journal_link").execute(&mut self.file().await).await.unwrap();
    }

    async fn file(&self) -> SqliteConnection {
        let JournalStore::Sqlite(file) = &self.shelf.store else { panic!("not a file") };
        let url = format!("sqlite://{}", file.display());
        SqliteConnection::connect(&url).await.unwrap()
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
            outcomes.extend(self::outcomes(&answer));
        }
        outcomes
    }

    /// Waits until so many events were answered in a way.
    pub async fn until_answered(&mut self, way: &str, times: usize) {
        let waiting = async {
            let mut seen = 0;
            while seen < times {
                seen += self.outcomes().iter().filter(|outcome| *outcome == way).count();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it is never answered so");
    }

    /// Lets a second pass, so that times that are told by the second differ.
    pub fn a_moment_passes(&self) {
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }
}

/// See [`Town::forgetful`].
pub fn forgetful() -> Setup {
    let mut setup = Setup::default();
    setup.gigya.forgets_addresses = true;
    for list in &mut setup.campaign_monitor.lists {
        list.fields.retain(|field| field != "GigyaUID");
    }
    setup
}

/// The outcomes in one answer.
pub fn outcomes(answer: &Attempt) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_str(&answer.answer).unwrap_or_default();
    let events = body["events"].as_array().cloned().unwrap_or_default();
    let outcome = |event: &serde_json::Value| {
        let reason = event["reason"].as_str().map(|reason| format!(":{reason}")).unwrap_or_default();
        format!("{}{reason}", event["outcome"].as_str().unwrap())
    };
    events.iter().map(outcome).collect()
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
