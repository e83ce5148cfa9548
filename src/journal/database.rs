//! The database behind the journal: SQLite or PostgreSQL, opened, brought up to date, with its keys unwrapped.

use super::entries::{Entries, Link};
use super::fault::JournalFault;
use super::flavour::Flavour;
use super::keys::{Keys, Sealed, Sealer, random};
use super::lending::{Lending, timely};
use super::place::Place;
use super::queue::{Claimed, Waiting};
use super::reader::Reader;
use super::server::Server;
use super::wrapped::{Locked, NAMES, Unwrapped};
use super::writer::Writer;
use super::{Journal, links, queue, receipts};
use crate::config;
use crate::domain::{ConnectionName, Email, Reason, Uid};
use crate::telemetry::metrics as meter;
use crate::upstream::WallClock;
use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection, Row};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Connections that read at once; one more writes.
const READERS: u32 = 4;
/// How long others may hold the database up that is about to be opened.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited before it is tried once more.
const PAUSE: Duration = Duration::from_millis(50);

/// The schema, step by step. A step that was shipped is never changed: another one follows it.
pub(super) const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "journal", include_str!("migrations/0001_journal.sql"))];

/// A journal in a database.
pub struct Database {
    pub(super) readers: AnyPool,
    lending: Arc<Lending>,
    reader: Reader,
    writer: Writer,
    pub(super) keys: Arc<Keys>,
    /// How a transaction begins that will write.
    pub(super) begin: &'static str,
    pub(super) flavour: Flavour,
    place: Place,
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
    /// The file isn't there.
    #[error(
        "journal.sqlite: there is no {path}: the gateway makes it when it starts; is this the configuration that it runs with?"
    )]
    NoFile {
        /// Which file.
        path: String,
    },
    /// There is something, or nothing, and no journal.
    #[error(
        "{key}: there is no journal in it: the gateway makes one when it starts; is this the configuration that it runs with?"
    )]
    NotMade {
        /// The setting that names it.
        key: &'static str,
    },
    /// A former version has it.
    #[error("the journal is of a former version of the gateway; start this version once, which brings it up to date")]
    TooOld,
    /// It was written by a later version.
    #[error("the journal was brought up to date by a later version of the gateway; run that one")]
    TooNew,
    /// No key fits.
    #[error(
        "journal.keys: none of the keys opens this journal; add the key that it was made with, after the one that is to be used"
    )]
    Keys,
    /// What is in it was written with keys that are gone.
    #[error(
        "the journal has entries, and its table journal_key lacks the keys that they were written with: nobody would be found in \
         it; restore journal_key from the same backup as the other tables, or begin an empty journal"
    )]
    KeysGone,
}

impl OpenError {
    /// Whether waiting may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Database { fault, .. } if fault.is_absence())
    }
}

impl Database {
    /// Opens the journal, makes it if it isn't there, and brings it up to date.
    ///
    /// # Errors
    /// What has to be set right first.
    pub async fn open(journal: &config::Journal, clock: WallClock) -> Result<Self, OpenError> {
        let server = Server::of(&journal.store)?;
        let asked = Instant::now();
        let (connection, keys) = loop {
            match begin(&server, &journal.keys).await {
                // Others that begin at the same time are done soon.
                Err(OpenError::Database { fault, .. }) if fault.is_locked() && asked.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                begun => break begun?,
            }
        };
        Ok(Self::with(server, connection, keys, Place::of(&journal.store), clock))
    }

    /// With a connection to it that writes.
    pub(super) fn with(server: Server, connection: AnyConnection, keys: Keys, place: Place, clock: WallClock) -> Self {
        let keys = Arc::new(keys);
        let (begin_with, flavour) = (server.begin, server.flavour);
        let readers = server.pool(READERS);
        meter::journal_opened();
        let writer = Writer::start(server, connection, Arc::clone(&keys), clock.clone());
        let lending = Arc::new(Lending::of(readers.clone()));
        let reader = Reader::start(Arc::clone(&lending), Arc::clone(&keys));
        Self { lending, reader, readers, writer, keys, begin: begin_with, flavour, place, clock }
    }
}

/// A connection to a journal that is up to date, and its keys.
async fn begin(server: &Server, configured: &[SecretString]) -> Result<(AnyConnection, Keys), OpenError> {
    let failed = |fault| unusable(server.key, fault);
    let mut connection = server.connect(PATIENCE).await.map_err(failed)?;
    migrate(&mut connection, server).await?;
    let keys = keys(&mut connection, server.begin, configured).await.map_err(failed)??;
    Ok((connection, keys))
}

#[async_trait]
impl Journal for Database {
    async fn links(&self, gigya: &ConnectionName, uids: &[&Uid]) -> Result<Vec<Link>, JournalFault> {
        self.place.check()?;
        self.reader.links(uids.iter().map(|uid| self.keys.account(gigya, uid)).collect()).await
    }

    async fn uids_at(&self, gigya: &ConnectionName, address: &Email) -> Result<Vec<Uid>, JournalFault> {
        let mut lent = self.lending.lend().await?;
        let uids = timely(links::uids_at(lent.connection(), &self.keys, gigya, address)).await;
        lent.back(uids)
    }

    async fn was_removed(&self, gigya: &ConnectionName, uid: &Uid, route: &str) -> Result<bool, JournalFault> {
        let mut lent = self.lending.lend().await?;
        let removed = timely(receipts::was_removed(lent.connection(), &self.keys.account(gigya, uid), route)).await;
        lent.back(removed)
    }

    async fn commit(&self, entries: Entries) -> Result<(), JournalFault> {
        if entries.is_empty() {
            return Ok(());
        }
        self.place.check()?;
        self.writer.write(entries).await
    }

    async fn claim(&self, owner: &str, lease: Duration, most: usize) -> Result<Vec<Claimed>, JournalFault> {
        self.place.check()?;
        let mut lent = self.lending.lend().await?;
        let claimed = timely(queue::claim(lent.connection(), &self.keys, owner, self.now(), lease, most)).await;
        lent.back(claimed)
    }

    async fn put_off(&self, claimed: &Claimed, reason: Reason, pause: Duration) -> Result<(), JournalFault> {
        let mut lent = self.lending.lend().await?;
        let put_off = timely(queue::put_off(lent.connection(), claimed, reason, self.now() + pause)).await;
        lent.back(put_off)
    }

    async fn tidy(&self) -> Result<u64, JournalFault> {
        let mut all = 0;
        loop {
            let mut lent = self.lending.lend().await?;
            let tidied = timely(links::tidy(lent.connection(), self.now())).await;
            match lent.back(tidied)? {
                0 => return Ok(all),
                some => all += some,
            }
        }
    }

    async fn waiting(&self) -> Result<Waiting, JournalFault> {
        let mut lent = self.lending.lend().await?;
        let waiting = timely(queue::waiting(lent.connection())).await;
        lent.back(waiting)
    }

    /// What is in SQLite's log of writes goes to the file, so that a copy of the file is a copy of the journal.
    async fn close(&self) {
        let Some(statement) = self.flavour.after_erasing() else { return };
        if let Err(error) = sqlx::query(statement).execute(&self.readers).await {
            tracing::warn!(fault = %JournalFault::from(error), "the journal's log of writes stays beside its file");
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

pub(super) fn unusable(key: &'static str, fault: JournalFault) -> OpenError {
    let remedy = if key == "journal.sqlite" {
        "see that the file is a journal, that this user may write it and its folder, and that the disk has room"
    } else {
        "see that the server runs, that the URL names it, and that its user may make tables there"
    };
    OpenError::Database { key, fault, remedy }
}

/// One at a time: of replicas that begin together, the others wait, and find it done.
async fn migrate(connection: &mut AnyConnection, server: &Server) -> Result<(), OpenError> {
    use sqlx::SqlSafeStr;
    let step = |(version, name, sql): (i64, &'static str, &'static str)| {
        let sql = sqlx::AssertSqlSafe(sql).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    };
    let migrator = Migrator::with_migrations(MIGRATIONS.into_iter().map(step).collect());
    let failed = |error: sqlx::Error| unusable(server.key, error.into());
    let migrated = if server.flavour.locks_migrations() {
        server.take_time(connection).await.map_err(failed)?;
        let migrated = migrator.run(&mut *connection).await;
        server.hurry(connection).await.map_err(failed)?;
        migrated
    } else {
        let mut transaction = connection.begin_with(server.begin).await.map_err(failed)?;
        let migrated = migrator.run(&mut *transaction).await;
        transaction.commit().await.map_err(failed)?;
        migrated
    };
    migrated.map_err(|error| match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => OpenError::TooNew,
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(error),
        _ => unusable(server.key, JournalFault::new("its tables can't be brought up to date")),
    })
}

/// Whether something was written, and not with the keys that are there. Asked in one statement, as others may be making the
/// keys just now.
async fn are_keys_gone(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    let some = |table: &str| format!("(SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT 1) AS {table}_row)");
    let rows = ["journal_receipt", "journal_link", "journal_rejected", "journal_pending"].map(some).join(" + ");
    let sql = format!("SELECT (SELECT COUNT(*) FROM journal_key), {rows}");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(connection).await?;
    let (keys, rows): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(keys < 2 && rows > 0)
}

/// The journal's own keys: made if there is nothing yet, wrapped anew if the configured key is another one.
async fn keys(
    connection: &mut AnyConnection,
    begin: &'static str,
    configured: &[SecretString],
) -> Result<Result<Keys, OpenError>, JournalFault> {
    let sealers: Vec<_> = configured.iter().map(Sealer::configured).collect::<Result<_, _>>()?;
    let Some(first) = sealers.first() else { return Ok(Err(OpenError::Keys)) };
    let mut transaction = connection.begin_with(begin).await?;
    if are_keys_gone(&mut transaction).await? {
        return Ok(Err(OpenError::KeysGone));
    }
    for name in NAMES {
        // Of replicas that begin together, the first one's stay.
        sqlx::query("INSERT INTO journal_key (name, wrapped) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(first.seal(Sealed::Key, &random()))
            .execute(&mut *transaction)
            .await?;
    }
    let unwrapped = match Unwrapped::read(&mut transaction, &sealers).await? {
        Ok(unwrapped) => unwrapped,
        Err(Locked::Missing) => return Ok(Err(OpenError::KeysGone)),
        Err(Locked::Keys) => return Ok(Err(OpenError::Keys)),
    };
    for (name, key) in unwrapped.by_another_key() {
        sqlx::query("UPDATE journal_key SET wrapped = $1 WHERE name = $2")
            .bind(first.seal(Sealed::Key, key))
            .bind(name)
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query("INSERT INTO journal_chain (id, seq, hash, first_seq, first_hash) VALUES (1, 0, $1, 0, $1) ON CONFLICT (id) DO NOTHING")
        .bind(super::chain::BEGINNING.to_vec())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    unwrapped.into_keys().map(Ok)
}
