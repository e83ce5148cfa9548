//! Where a test's journal stands, who is written about in it, and a way past the journal to its tables.

use gigya_esp_gateway::config;
use gigya_esp_gateway::config::JournalStore;
use gigya_esp_gateway::domain::{ActedAt, Audience, Change, ConnectionName, Email, Reason, Uid};
use gigya_esp_gateway::journal::{
    Database, Entries, EventKey, Link, LinkChange, OpenError, Person, Receipt, Seen, SetAside, Unfinished,
};
use gigya_esp_gateway::upstream::WallClock;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Executor, Row};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub const KEY: &str = "first key 0123456789abcdef0123456789";
pub const OTHER_KEY: &str = "other key 0123456789abcdef0123456789";

/// A place for one journal, empty at first.
pub struct Shelf {
    pub store: JournalStore,
    time: Arc<Mutex<Timestamp>>,
    folder: TempDir,
}

/// Runs a test on each database that is there.
pub async fn on_each(test: impl AsyncFn(Shelf)) {
    test(Shelf::sqlite()).await;
    if let Some(shelf) = Shelf::postgres().await {
        test(shelf).await;
    }
}

impl Shelf {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::at(JournalStore::Sqlite(folder.path().join("journal.db")), folder)
    }

    /// A database of its own at the server that the environment names, if it does.
    pub async fn postgres() -> Option<Self> {
        let server = std::env::var("JOURNAL_TEST_POSTGRES").ok()?;
        let name = format!("journal_{}", uuid::Uuid::now_v7().simple());
        raw(&server).await.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let (before, parameters) = server.split_once('?').unwrap_or((&server, ""));
        let (host, _) = before.rsplit_once('/').expect("the URL names a database");
        let url = format!("{host}/{name}?{parameters}");
        Some(Self::at(JournalStore::Postgres(url.into()), tempfile::tempdir().unwrap()))
    }

    fn at(store: JournalStore, folder: TempDir) -> Self {
        let time = Timestamp::from_second(1_700_000_000).unwrap();
        Self { store, time: Arc::new(Mutex::new(time)), folder }
    }

    /// The same, reached in another way.
    pub fn elsewhere(&self, store: JournalStore) -> Self {
        Self { store, time: Arc::clone(&self.time), folder: tempfile::tempdir().unwrap() }
    }

    /// What the server calls the database.
    pub fn database(&self) -> String {
        let JournalStore::Postgres(url) = &self.store else { panic!("it is a file") };
        url::Url::parse(url.expose_secret()).unwrap().path().trim_start_matches('/').to_owned()
    }

    /// A connection to the server, not to any journal there.
    pub async fn server() -> AnyConnection {
        raw(&std::env::var("JOURNAL_TEST_POSTGRES").unwrap()).await
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.store, JournalStore::Sqlite(_))
    }

    pub fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("journal.db")
    }

    pub async fn open(&self) -> Database {
        self.open_with(&[KEY]).await.unwrap()
    }

    pub async fn open_with(&self, keys: &[&str]) -> Result<Database, OpenError> {
        Database::open(&self.settings(keys), self.clock()).await
    }

    pub fn settings(&self, keys: &[&str]) -> config::Journal {
        config::Journal {
            store: self.store.clone(),
            keys: keys.iter().map(|key| (*key).into()).collect(),
            keep_receipts: Duration::MAX,
            keep_rejected: Duration::MAX,
        }
    }

    pub fn clock(&self) -> WallClock {
        let time = Arc::clone(&self.time);
        WallClock::of(move || *time.lock().unwrap())
    }

    pub fn now(&self) -> Timestamp {
        *self.time.lock().unwrap()
    }

    /// Lets time pass.
    pub fn after(&self, time: Duration) {
        *self.time.lock().unwrap() += SignedDuration::try_from(time).unwrap();
    }

    /// A connection past the journal.
    pub async fn raw(&self) -> AnyConnection {
        match &self.store {
            JournalStore::Sqlite(file) => raw(&format!("sqlite://{}", file.display())).await,
            JournalStore::Postgres(url) => raw(url.expose_secret()).await,
        }
    }

    /// One number, asked for past the journal.
    pub async fn number(&self, sql: &'static str) -> i64 {
        self.raw().await.fetch_one(sql).await.unwrap().try_get(0).unwrap()
    }
}

async fn raw(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnectOptions::from_str(url).unwrap().connect().await.unwrap()
}

pub fn main() -> ConnectionName {
    ConnectionName::new("main")
}

pub fn uid(name: &str) -> Uid {
    Uid::new(name).unwrap()
}

pub fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.org")).unwrap()
}

pub fn person(name: &str) -> Person {
    Person { account: Some((main(), uid(name))), address: Some(email(name)) }
}

pub fn key(event: &str) -> EventKey {
    EventKey { connection: "main".to_owned(), event: event.to_owned(), route: "main/newsletter -> news/a".to_owned() }
}

/// That somebody was opted out.
pub fn receipt(name: &str, event: &str) -> Receipt {
    let at = Timestamp::from_second(1_600_000_000).unwrap();
    Receipt {
        event: key(event),
        request: "request".to_owned(),
        direction: "gigya_to_esp",
        change: Change::OptOut,
        person: person(name),
        acted: Some(ActedAt::exactly(at)),
        received: at,
        accepted: at,
        call_id: Some("call".to_owned()),
    }
}

pub fn opted_out(name: &str, event: &str) -> Entries {
    Entries { receipts: vec![receipt(name, event)], ..Entries::default() }
}

/// That somebody was found to be out.
pub fn found_out(name: &str, event: &str) -> Entries {
    Entries { seen: vec![Seen { receipt: receipt(name, event), is_out: true }], ..Entries::default() }
}

pub fn link(name: &str, address: &str) -> Link {
    let (esp, audience) = (ConnectionName::new("news"), Audience::new("a"));
    Link { uid: uid(name), esp, audience, address: email(address), hold: 7, is_left: false }
}

/// The same, once it was given up.
pub fn left(link: Link) -> Link {
    Link { is_left: true, ..link }
}

pub fn linked(link: Link, holds: bool) -> Entries {
    Entries { links: vec![LinkChange { gigya: main(), link, holds }], ..Entries::default() }
}

pub fn set_aside(name: &str, event: &str, reason: Reason) -> Entries {
    let payload = format!("payload of {event}").into_bytes();
    let direction = "gigya_to_esp";
    let rejected = SetAside { event: key(event), direction, reason, person: person(name), payload };
    Entries { rejected: vec![rejected], ..Entries::default() }
}

pub fn unfinished(name: &str, payload: &str) -> Entries {
    Entries { unfinished: vec![waiting(name, "main", payload)], ..Entries::default() }
}

pub fn waiting(name: &str, connection: &str, payload: &str) -> Unfinished {
    Unfinished {
        connection: connection.to_owned(),
        direction: "gigya_to_esp",
        person: person(name),
        received: Timestamp::from_second(1_600_000_000).unwrap(),
        reason: Reason::Unavailable,
        payload: payload.as_bytes().to_vec(),
    }
}
