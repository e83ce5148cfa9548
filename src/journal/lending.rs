//! Connections that are lent for one thing each. What doesn't come to its end, because its caller gave up or the database
//! fell silent, takes its connection along: one in the midst of something is never lent again, and nobody waits for one
//! that may never answer.

use super::fault::JournalFault;
use super::health::Health;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection is waited for, and how long what is done with it may take: together below any sender's deadline.
pub const TIME: Duration = Duration::from_secs(1);

/// Lends them.
pub struct Lending {
    pool: AnyPool,
    health: Arc<Health>,
}

/// One that is lent.
pub struct Lent {
    connection: Option<PoolConnection<Any>>,
    health: Arc<Health>,
}

/// What is done with one, in time or not at all.
pub async fn timely<T>(doing: impl Future<Output = Result<T, JournalFault>>) -> Result<T, JournalFault> {
    tokio::time::timeout(TIME, doing).await.unwrap_or_else(|_| Err(JournalFault::late()))
}

impl Lending {
    /// Those of a pool.
    pub fn of(pool: AnyPool) -> Self {
        Self { pool, health: Arc::default() }
    }

    /// Lends one. To be given back with what came of it.
    pub async fn lend(&self) -> Result<Lent, JournalFault> {
        self.health.ask(TIME * 2)?;
        match timely(async { Ok(self.pool.acquire().await?) }).await {
            Ok(connection) => Ok(Lent { connection: Some(connection), health: Arc::clone(&self.health) }),
            Err(fault) => {
                let failed = Err(fault);
                self.health.tell(&failed);
                failed
            }
        }
    }
}

impl Lent {
    /// The connection itself.
    pub fn connection(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("it is there until it is given back")
    }

    /// Gives it back, for others to use if it is still good.
    pub fn back<T>(mut self, done: Result<T, JournalFault>) -> Result<T, JournalFault> {
        self.health.tell(&done);
        if done.as_ref().err().is_none_or(JournalFault::is_about_content) {
            drop(self.connection.take());
        }
        done
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Closed without a word: the server sees that, and the pool may open another one.
            drop(connection.detach());
        }
    }
}
