//! A journal as whoever asks it opens it. It must be there: nothing is made, brought up to date or wrapped anew by asking,
//! and somebody else's database is left as it is.

use super::database::{Database, MIGRATIONS, OpenError, PATIENCE, unusable};
use super::fault::JournalFault;
use super::keys::{Keys, Sealer};
use super::place::Place;
use super::server::Server;
use super::wrapped::{Locked, Unwrapped};
use crate::config;
use crate::upstream::WallClock;
use secrecy::SecretString;
use sqlx::{AnyConnection, Connection, Row};

/// Tables that every journal has: those that are looked for.
pub(super) const TABLES: i64 = 3;

impl Database {
    /// Opens a journal that is there, and changes nothing in it by that.
    ///
    /// # Errors
    /// If there is none, if another version of the gateway or another key is its own, or if it can't be used.
    pub async fn open_existing(journal: &config::Journal, clock: WallClock) -> Result<Self, OpenError> {
        let server = Server::existing(&journal.store)?;
        let failed = |fault| unusable(server.key, fault);
        let keys = tokio::time::timeout(PATIENCE, look(&server, &journal.keys));
        let keys = keys.await.map_err(|_| failed(JournalFault::late()))??;
        let connection = server.connect(PATIENCE).await.map_err(failed)?;
        Ok(Self::with(server, connection, keys, Place::of(&journal.store), clock))
    }
}

/// The keys of a journal that is of this version.
async fn look(server: &Server, configured: &[SecretString]) -> Result<Keys, OpenError> {
    let failed = |fault| unusable(server.key, fault);
    // A connection that is set up as the gateway's would turn somebody else's file into another kind of file.
    let mut connection = server.bare().await.map_err(failed)?;
    let looked = async {
        if number(&mut connection, server.flavour.tables()).await.map_err(failed)? < TABLES {
            return Err(OpenError::NotMade { key: server.key });
        }
        let sql = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
        let version = number(&mut connection, sql).await.map_err(failed)?;
        let newest = MIGRATIONS.last().map_or(0, |(version, _, _)| *version);
        match version.cmp(&newest) {
            std::cmp::Ordering::Less => Err(OpenError::TooOld),
            std::cmp::Ordering::Greater => Err(OpenError::TooNew),
            std::cmp::Ordering::Equal => keys(&mut connection, server, configured).await,
        }
    };
    let looked = looked.await;
    // Should this fail, it is gone anyway.
    let _ = connection.close().await;
    looked
}

async fn number(connection: &mut AnyConnection, sql: &'static str) -> Result<i64, JournalFault> {
    Ok(sqlx::query(sql).fetch_one(connection).await?.try_get(0)?)
}

/// The journal's own keys, as they are wrapped.
async fn keys(connection: &mut AnyConnection, server: &Server, configured: &[SecretString]) -> Result<Keys, OpenError> {
    let failed = |fault| unusable(server.key, fault);
    let sealers: Vec<_> = configured.iter().map(Sealer::configured).collect::<Result<_, _>>().map_err(failed)?;
    match Unwrapped::read(connection, &sealers).await.map_err(failed)? {
        Ok(unwrapped) => unwrapped.into_keys().map_err(failed),
        Err(Locked::Keys) => Err(OpenError::Keys),
        Err(Locked::Missing) => {
            // The chain's beginning is written together with them.
            let begun = number(connection, "SELECT COUNT(*) FROM journal_chain").await.map_err(failed)?;
            Err(if begun == 0 { OpenError::NotMade { key: server.key } } else { OpenError::KeysGone })
        }
    }
}
