//! Where the database is, and how a connection to it begins.

use super::database::OpenError;
use super::fault::JournalFault;
use super::flavour::Flavour;
use super::lending;
use crate::config::JournalStore;
use secrecy::ExposeSecret;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Executor};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// Statements by which a connection begins.
type Statements = &'static [&'static str];

/// A lock is waited for no longer than this, within the time of one commit.
const SQLITE: Statements = &[
    "PRAGMA busy_timeout = 1500",
    // What is committed stays, even if the power fails; readers never wait for the writer, nor it for them.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    // Pages that change often are copied to their place less often.
    "PRAGMA wal_autocheckpoint = 4000",
    // What is deleted is overwritten, so that nobody who was erased is left in the file.
    "PRAGMA secure_delete = ON",
];

/// What takes longer is ended over there: a replica that is gone or frozen in the midst of a commit would hold all others
/// up, as they join their receipts to one chain.
const POSTGRES: Statements = &[
    "SET statement_timeout = '2s'",
    "SET lock_timeout = '1500ms'",
    "SET idle_in_transaction_session_timeout = '3s'",
    // What is committed stays, whatever the server or this user is set to: also if a standby that is waited for takes over.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')",
];

/// A database.
pub struct Server {
    /// The setting that names it.
    pub key: &'static str,
    /// How a transaction begins that will write.
    pub begin: &'static str,
    /// Which of the two it is.
    pub flavour: Flavour,
    options: AnyConnectOptions,
    first: Statements,
}

impl Server {
    /// The one that is configured; makes the file, if it is one that isn't there.
    pub fn of(store: &JournalStore) -> Result<Self, OpenError> {
        if let JournalStore::Sqlite(path) = store {
            make_file(path)?;
        }
        Self::named(store)
    }

    /// The one that is configured, whose file is there, if it is one.
    pub fn existing(store: &JournalStore) -> Result<Self, OpenError> {
        match store {
            JournalStore::Sqlite(path) if !path.exists() => Err(OpenError::NoFile { path: path.display().to_string() }),
            _ => Self::named(store),
        }
    }

    fn named(store: &JournalStore) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let (key, flavour, begin, url, first) = match store {
            JournalStore::Sqlite(path) => {
                // Whoever reads first and writes then could be too late to.
                ("journal.sqlite", Flavour::Sqlite, "BEGIN IMMEDIATE", sqlite_url(path), SQLITE)
            }
            JournalStore::Postgres(url) => {
                ("journal.postgres", Flavour::Postgres, "BEGIN", url.expose_secret().to_owned(), POSTGRES)
            }
        };
        let options = AnyConnectOptions::from_str(&url).map_err(|error| OpenError::Database {
            key,
            fault: error.into(),
            remedy: "write \"postgres://user:password@host/database\" into the variable or file",
        })?;
        Ok(Self { key, begin, flavour, options, first })
    }

    /// A connection that nothing was said on yet.
    pub async fn bare(&self) -> Result<AnyConnection, JournalFault> {
        Ok(self.options.connect().await?)
    }

    /// A connection; `within` so long, or none.
    pub async fn connect(&self, within: Duration) -> Result<AnyConnection, JournalFault> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            self.hurry(&mut connection).await?;
            Ok(connection)
        };
        tokio::time::timeout(within, connecting).await.unwrap_or_else(|_| Err(JournalFault::late()))
    }

    /// Connections that read.
    pub fn pool(&self, most: u32) -> AnyPool {
        let first = self.first;
        let options = AnyPoolOptions::new().max_connections(most).acquire_timeout(lending::TIME);
        // A file is there or it isn't; a server may have gone since.
        let options = options.test_before_acquire(self.flavour == Flavour::Postgres);
        let options = options.after_connect(move |connection, _| Box::pin(begin(connection, first)));
        options.connect_lazy_with(self.options.clone())
    }

    /// Lets a connection's statements take as long as they need.
    pub async fn take_time(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        for setting in ["SET statement_timeout = 0", "SET lock_timeout = 0"] {
            connection.execute(setting).await?;
        }
        Ok(())
    }

    /// Lets them take as long as in the midst of requests.
    pub async fn hurry(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        begin(connection, self.first).await
    }
}

async fn begin(connection: &mut AnyConnection, first: Statements) -> Result<(), sqlx::Error> {
    for statement in first {
        connection.execute(*statement).await?;
    }
    Ok(())
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
