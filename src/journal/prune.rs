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
        let mut transaction = self.without_hurry(self.begin).await?;
        let sql = "DELETE FROM journal_rejected WHERE last_at < $1";
        let gone = sqlx::query(sql).bind(micros(rejected)).execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        let mut pruned = Pruned { receipts: 0, rejected: gone };
        while let Some(through) = self.first_to_go(receipts).await? {
            let gone = meeting_nobody(async || self.prune_through(through, remark).await).await?;
            if gone == 0 {
                break;
            }
            pruned.receipts += gone;
        }
        Ok(pruned)
    }

    /// Of the first receipts, the last that may go, if any may. Never past one that is young enough: the chain is cut at one
    /// place. What somebody put before the beginning goes together with what follows it; by itself it would be asked for again
    /// and again.
    async fn first_to_go(&self, before: Timestamp) -> Result<Option<Beginning>, JournalFault> {
        let sql = "SELECT seq, hash, written_at FROM journal_receipt \
                   WHERE seq > (SELECT first_seq FROM journal_chain WHERE id = 1) ORDER BY seq LIMIT $1";
        let rows = sqlx::query(sql).bind(AT_ONCE).fetch_all(&self.readers).await?;
        let mut last = None;
        for row in &rows {
            if row.try_get::<i64, _>(2)? >= micros(before) {
                break;
            }
            last = Some(row);
        }
        let Some(last) = last else { return Ok(None) };
        let hash = Hash::try_from(last.try_get::<Vec<u8>, _>(1)?).map_err(|_| JournalFault::unreadable())?;
        Ok(Some(Beginning { seq: last.try_get(0)?, hash }))
    }

    /// Removes receipts up to a place, and says so; nothing if somebody else has by now. What others wait for, the end of the
    /// chain and the note of it, is taken in the order in which all do.
    async fn prune_through(&self, through: Beginning, remark: &str) -> Result<u64, JournalFault> {
        let mut transaction = self.readers.begin_with(self.begin).await?;
        let draft = Draft::about_the_journal(Kind::Pruning, format!("{through}{remark}"));
        receipts::append_one(&mut transaction, draft, self.now()).await?;
        let sql = "UPDATE journal_chain SET first_seq = $1, first_hash = $2 WHERE id = 1 AND first_seq < $1";
        let cut = sqlx::query(sql).bind(through.seq).bind(through.hash.to_vec()).execute(&mut *transaction).await?;
        if cut.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(0);
        }
        let sql = "DELETE FROM journal_receipt WHERE seq <= $1";
        let gone = sqlx::query(sql).bind(through.seq).execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(gone)
    }
}

/// How many receipts may go.
pub(super) async fn count(connection: &mut AnyConnection, before: Timestamp) -> Result<i64, JournalFault> {
    let row = sqlx::query(
        "SELECT COUNT(*) FROM journal_receipt WHERE seq < \
         COALESCE((SELECT MIN(seq) FROM journal_receipt WHERE written_at >= $1), \
         (SELECT MAX(seq) + 1 FROM journal_receipt))",
    )
    .bind(micros(before))
    .fetch_one(connection)
    .await?;
    Ok(row.try_get(0)?)
}
