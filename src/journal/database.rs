//! The database behind the journal: SQLite or PostgreSQL, opened, brought up to date, with its keys unwrapped.

use super::entries::{Entries, Link};
use super::fault::JournalFault;
use super::keys::{Keys, Sealed, Sealer, random};
use super::queue::{Claimed, Waiting};
use super::writer::Writer;
use super::{Journal, links, queue, receipts};
use crate::config::{self, JournalStore};
use crate::domain::{ConnectionName, Email, Reason, Uid};
use crate::telemetry::metrics as meter;
use crate::upstream::WallClock;
use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Connection, Executor, Row};
use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection to the database is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Connections that read at once; one more writes.
const READERS: u32 = 4;

/// The schema, step by step. A step that was shipped is never changed: another one follows it.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "journal", include_str!("migrations/0001_journal.sql"))];

/// A journal in a database.
pub struct Database {
    pub(super) readers: AnyPool,
    pub(super) writer: Writer,
    pub(super) keys: Arc<Keys>,
    /// How a transaction begins that will write.
    pub(super) begin: &'static str,
    clock: WallClock,
}

/// Why a journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be made.
    #[error("journal.sqlite: {path} can't be made: {source}; see that its folder exists and this user may write there")]
    File {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The database can't be reached or used.
    #[error("{key}: {fault}; {remedy}")]
    Database {
        /// The setting that names it.
        key: &'static str,
        /// What went wrong.
        fault: JournalFault,
        /// What to do.
        remedy: &'static str,
    },
    /// It was written by a later version.
    #[error("the journal was brought up to date by a later version of the gateway; run that one")]
    TooNew,
    /// No key fits.
    #[error(
        "journal.keys: none of the keys opens this journal; add the key that it was made with, after the one that is to be used"
    )]
    Keys,
}

impl Database {
    /// Opens the journal, makes it if it isn't there, and brings it up to date.
    ///
    /// # Errors
    /// What has to be set right first.
    pub async fn open(journal: &config::Journal, clock: WallClock) -> Result<Self, OpenError> {
        let opened = open_pools(journal).await?;
        let failed = |fault: JournalFault| opened.failed(fault);
        migrate(&opened).await?;
        let keys = keys(&opened.writer, &journal.keys).await.map_err(failed)?.ok_or(OpenError::Keys)?;
        let keys = Arc::new(keys);
        let begin = opened.begin;
        meter::journal_opened();
        let writer = Writer::start(opened.writer.clone(), begin, Arc::clone(&keys), clock.clone());
        Ok(Self { readers: opened.readers, writer, keys, begin, clock })
    }
}

#[async_trait]
impl Journal for Database {
    async fn links(&self, gigya: &ConnectionName, uids: &[&Uid]) -> Result<Vec<Link>, JournalFault> {
        links::of(&self.readers, &self.keys, gigya, uids).await
    }

    async fn uids_at(&self, gigya: &ConnectionName, address: &Email) -> Result<Vec<Uid>, JournalFault> {
        links::uids_at(&self.readers, &self.keys, gigya, address).await
    }

    async fn was_removed(&self, gigya: &ConnectionName, uid: &Uid) -> Result<bool, JournalFault> {
        receipts::was_removed(&self.readers, &self.keys.account(gigya, uid)).await
    }

    async fn commit(&self, entries: Entries) -> Result<(), JournalFault> {
        if entries.is_empty() { Ok(()) } else { self.writer.write(entries).await }
    }

    async fn claim(&self, owner: &str, lease: Duration, most: usize) -> Result<Vec<Claimed>, JournalFault> {
        queue::claim(&self.readers, &self.keys, owner, self.now(), lease, most).await
    }

    async fn put_off(&self, claimed: &Claimed, reason: Reason, pause: Duration) -> Result<(), JournalFault> {
        queue::put_off(&self.readers, claimed, reason, self.now() + pause).await
    }

    async fn tidy(&self) -> Result<u64, JournalFault> {
        links::tidy(&self.readers, self.now()).await
    }

    async fn waiting(&self) -> Result<Waiting, JournalFault> {
        queue::waiting(&self.readers).await
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A database, opened.
struct Opened {
    key: &'static str,
    begin: &'static str,
    writer: AnyPool,
    readers: AnyPool,
}

impl Opened {
    fn failed(&self, fault: JournalFault) -> OpenError {
        unusable(self.key, fault)
    }
}

fn unusable(key: &'static str, fault: JournalFault) -> OpenError {
    let remedy = if key == "journal.sqlite" {
        "see that the file is a journal, that this user may write it and its folder, and that the disk has room"
    } else {
        "see that the server runs, that the URL names it, and that its user may make tables there"
    };
    OpenError::Database { key, fault, remedy }
}

async fn open_pools(journal: &config::Journal) -> Result<Opened, OpenError> {
    sqlx::any::install_default_drivers();
    let (key, begin, url, first): (_, _, _, &'static [&'static str]) = match &journal.store {
        JournalStore::Sqlite(path) => {
            make_file(path)?;
            // What is committed stays, even if the power fails; readers never wait for the writer, nor it for them.
            let first = &["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 3000"];
            // Whoever reads first and writes then could be too late to.
            ("journal.sqlite", "BEGIN IMMEDIATE", sqlite_url(path), first)
        }
        JournalStore::Postgres(url) => {
            let first = &[
                "SET statement_timeout = '5s'",
                "SET lock_timeout = '3s'",
                "SET idle_in_transaction_session_timeout = '10s'",
            ];
            ("journal.postgres", "BEGIN", url.expose_secret().to_owned(), first)
        }
    };
    let bad_url = |error: sqlx::Error| unusable(key, error.into());
    let options = AnyConnectOptions::from_str(&url).map_err(bad_url)?;
    let pool = |most| {
        AnyPoolOptions::new().max_connections(most).min_connections(1).acquire_timeout(PATIENCE).after_connect(
            move |connection, _| {
                Box::pin(async move {
                    for statement in first {
                        connection.execute(*statement).await?;
                    }
                    Ok(())
                })
            },
        )
    };
    let writer = pool(1).connect_with(options.clone()).await.map_err(bad_url)?;
    let readers = pool(READERS).connect_with(options).await.map_err(bad_url)?;
    Ok(Opened { key, begin, writer, readers })
}

/// Makes the file, readable by this user alone, if it isn't there.
fn make_file(path: &Path) -> Result<(), OpenError> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(path);
    made.map(drop).map_err(|source| OpenError::File { path: path.display().to_string(), source })
}

fn sqlite_url(path: &Path) -> String {
    let path = path.to_string_lossy();
    let encoded = percent_encoding::utf8_percent_encode(&path, percent_encoding::NON_ALPHANUMERIC).to_string();
    format!("sqlite://{}?mode=rw", encoded.replace("%2F", "/"))
}

async fn migrate(opened: &Opened) -> Result<(), OpenError> {
    let step = |(version, name, sql): (i64, &'static str, &'static str)| {
        let sql = sqlx::AssertSqlSafe(sql).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    };
    use sqlx::SqlSafeStr;
    let migrator = Migrator::with_migrations(MIGRATIONS.into_iter().map(step).collect());
    migrator.run(&opened.writer).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::VersionMissing(_) | sqlx::migrate::MigrateError::VersionTooNew(..) => {
            OpenError::TooNew
        }
        sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
            opened.failed(error.into())
        }
        _ => opened.failed(JournalFault::new("its tables can't be brought up to date")),
    })
}

/// The journal's own keys: made if there are none, wrapped anew if the configured key is another one. None if no
/// configured key opens them.
async fn keys(pool: &AnyPool, configured: &[secrecy::SecretString]) -> Result<Option<Keys>, JournalFault> {
    let sealers: Vec<_> = configured.iter().map(Sealer::configured).collect::<Result<_, _>>()?;
    let Some(first) = sealers.first() else { return Ok(None) };
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    for name in ["lookup", "data"] {
        // Of replicas that begin together, the first one's stay.
        sqlx::query("INSERT INTO journal_key (name, wrapped) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(first.seal(Sealed::Key, &random()))
            .execute(&mut *transaction)
            .await?;
    }
    let mut unwrapped = Vec::new();
    for name in ["lookup", "data"] {
        let row =
            sqlx::query("SELECT wrapped FROM journal_key WHERE name = $1").bind(name).fetch_one(&mut *transaction);
        let wrapped: Vec<u8> = row.await?.try_get(0)?;
        let opened =
            sealers.iter().enumerate().find_map(|(at, sealer)| Some((at, sealer.open(Sealed::Key, &wrapped).ok()?)));
        let Some((by, key)) = opened else { return Ok(None) };
        if by > 0 {
            sqlx::query("UPDATE journal_key SET wrapped = $1 WHERE name = $2")
                .bind(first.seal(Sealed::Key, &key))
                .bind(name)
                .execute(&mut *transaction)
                .await?;
        }
        unwrapped.push(key);
    }
    sqlx::query("INSERT INTO journal_chain (id, seq, hash, first_seq, first_hash) VALUES (1, 0, $1, 0, $1) ON CONFLICT (id) DO NOTHING")
        .bind(super::chain::BEGINNING.to_vec())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let data = unwrapped.pop().unwrap_or_default();
    let lookup = unwrapped.pop().unwrap_or_default();
    Keys::new(lookup, &data).map(Some)
}
