//! Removes what is older than it has to be kept. Receipts go from the chain's beginning on, and one says how far: without
//! it, a beginning that is missing counts as broken.

use super::Journal;
use super::chain::{Beginning, DID_NOT_HOLD};
use super::database::Database;
use super::fault::JournalFault;
use super::keys::Hash;
use super::receipts::{self, Draft, Kind};
use super::rows::micros;
use super::writer::meeting_nobody;
use jiff::Timestamp;
use sqlx::{AnyConnection, Row};

/// Receipts that go in one transaction: webhooks wait for it.
const AT_ONCE: i64 = 5_000;

/// What pruning came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Receipts that went.
    pub receipts: u64,
    /// Events set aside that went.
    pub rejected: u64,
}

impl Database {
    /// Removes receipts that were written, and events that were set aside last, before these times.
    ///
    /// # Errors
    /// If it can't be written. What is gone by then is told of by a receipt; the rest is there still.
    pub async fn prune(&self, receipts: Timestamp, rejected: Timestamp) -> Result<Pruned, JournalFault> {
        self.prune_with(receipts, rejected, "").await
    }

    /// The same, of a journal whose chain is known not to hold: the receipt says that, too.
    ///
    /// # Errors
    /// As there.
    pub async fn prune_broken(&self, receipts: Timestamp, rejected: Timestamp) -> Result<Pruned, JournalFault> {
        self.prune_with(receipts, rejected, DID_NOT_HOLD).await
    }

    async fn prune_with(&self, receipts: Timestamp, rejected: Timestamp, remark: &str) -> Result<Pruned, JournalFault> {
        let sql = "DELETE FROM journal_rejected WHERE last_at < $1";
        let gone = sqlx::query(sql).bind(micros(rejected)).execute(&self.readers).await?.rows_affected();
        let mut pruned = Pruned { receipts: 0, rejected: gone };
        loop {
            let gone = meeting_nobody(async || self.prune_some(receipts, remark).await).await?;
            if gone == 0 {
                return Ok(pruned);
            }
            pruned.receipts += gone;
        }
    }

    async fn prune_some(&self, before: Timestamp, remark: &str) -> Result<u64, JournalFault> {
        let mut transaction = self.readers.begin_with(self.begin).await?;
        let Some((last, hash)) = through(&mut transaction, before).await? else { return Ok(0) };
        let sql = "SELECT seq, hash FROM journal_receipt ORDER BY seq LIMIT 1 OFFSET $1";
        let row = sqlx::query(sql).bind(AT_ONCE - 1).fetch_optional(&mut *transaction).await?;
        let (through, hash) = match row {
            Some(row) if row.try_get::<i64, _>(0)? < last => (row.try_get(0)?, row.try_get(1)?),
            _ => (last, hash),
        };
        let hash = Hash::try_from(hash).map_err(|_| JournalFault::unreadable())?;
        let sql = "DELETE FROM journal_receipt WHERE seq <= $1";
        let gone = sqlx::query(sql).bind(through).execute(&mut *transaction).await?.rows_affected();
        let sql = "UPDATE journal_chain SET first_seq = $1, first_hash = $2 WHERE id = 1";
        sqlx::query(sql).bind(through).bind(hash.to_vec()).execute(&mut *transaction).await?;
        let beginning = Beginning { seq: through, hash };
        let draft = Draft::about_the_journal(Kind::Pruning, format!("{beginning}{remark}"));
        receipts::append_one(&mut transaction, draft, self.now()).await?;
        transaction.commit().await?;
        Ok(gone)
    }
}

/// The last receipt that may go, if any may. Never past one that is young enough: the chain is cut at one place.
pub(super) async fn through(
    connection: &mut AnyConnection,
    before: Timestamp,
) -> Result<Option<(i64, Vec<u8>)>, JournalFault> {
    let row = sqlx::query(
        "SELECT seq, hash FROM journal_receipt WHERE seq < \
         COALESCE((SELECT MIN(seq) FROM journal_receipt WHERE written_at >= $1), \
         (SELECT MAX(seq) + 1 FROM journal_receipt)) ORDER BY seq DESC LIMIT 1",
    )
    .bind(micros(before))
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}
