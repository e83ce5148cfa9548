//! What a person asks a journal, and what becomes of events that were set aside.

use super::Journal;
use super::database::Database;
use super::fault::JournalFault;
use super::queue::{self, Claimed, Pending, PendingId};
use super::receipts::{self, Evidence};
use super::rejected::{self, Rejected, RejectedId};
use super::rows::{micros, time};
use crate::domain::{ConnectionName, Email, Uid};
use jiff::Timestamp;
use sqlx::{Any, Row, Transaction};
use std::time::Duration;

/// How much there is in a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Receipts.
    pub receipts: i64,
    /// When the earliest of them was written.
    pub first: Option<Timestamp>,
    /// When the latest was.
    pub last: Option<Timestamp>,
    /// Links.
    pub links: i64,
    /// Events set aside.
    pub rejected: i64,
    /// When the earliest of these was set aside.
    pub oldest_rejected: Option<Timestamp>,
    /// Unfinished events.
    pub unfinished: i64,
    /// When the earliest of these was received.
    pub oldest_unfinished: Option<Timestamp>,
    /// Bytes in the database.
    pub bytes: i64,
}

impl Database {
    /// What the journal has of an address, the earliest first.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn receipts_at(&self, address: &Email) -> Result<Vec<Evidence>, JournalFault> {
        receipts::about(&self.readers, "address", &self.keys.address(address)).await
    }

    /// What the journal has of an account, the earliest first.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn receipts_of(&self, gigya: &ConnectionName, uid: &Uid) -> Result<Vec<Evidence>, JournalFault> {
        receipts::about(&self.readers, "person", &self.keys.account(gigya, uid)).await
    }

    /// Events set aside, the earliest first.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn rejected(&self) -> Result<Vec<Rejected>, JournalFault> {
        rejected::all(&self.readers, &self.keys).await
    }

    /// One event set aside.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn rejected_one(&self, id: &RejectedId) -> Result<Option<Rejected>, JournalFault> {
        rejected::one(&self.readers, &self.keys, id).await
    }

    /// Drops an event set aside; whether it was there.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn drop_rejected(&self, id: &RejectedId) -> Result<bool, JournalFault> {
        rejected::drop_one(&self.readers, id).await
    }

    /// Puts an event set aside among the unfinished ones, to be tried again: by any replica, or by `owner` alone until the
    /// lease ends. None if it isn't there anymore.
    ///
    /// # Errors
    /// If it can't be written; then it is set aside still.
    pub async fn retry(
        &self,
        rejected: &Rejected,
        owner: Option<(&str, Duration)>,
    ) -> Result<Option<Claimed>, JournalFault> {
        let mut transaction = self.readers.begin_with(self.begin).await?;
        let now = self.now();
        let (owner, lease) = owner.unwrap_or(("", Duration::ZERO));
        let leased_to = if owner.is_empty() { Timestamp::UNIX_EPOCH } else { now + lease };
        let id = queue::add_rejected(&mut transaction, &self.keys, rejected, now, owner, leased_to).await?;
        let dropped = sqlx::query("DELETE FROM journal_rejected WHERE id = $1").bind(rejected.id.0.clone());
        if dropped.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(None);
        }
        transaction.commit().await?;
        Ok(Some(Claimed {
            id,
            owner: owner.to_owned(),
            connection: rejected.event.connection.clone(),
            direction: rejected.direction.clone(),
            received: rejected.first,
            attempts: 0,
            payload: rejected.payload.clone(),
        }))
    }

    /// Unfinished events, the earliest first, at most so many.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn unfinished(&self, most: i64) -> Result<Vec<Pending>, JournalFault> {
        queue::all(&self.readers, most, self.now()).await
    }

    /// One unfinished event; none once it is finished.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn unfinished_one(&self, id: &PendingId) -> Result<Option<Pending>, JournalFault> {
        queue::one(&self.readers, id, self.now()).await
    }

    /// How much there is.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn census(&self) -> Result<Census, JournalFault> {
        let mut look = self.without_hurry(self.flavour.look()).await?;
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM journal_receipt), (SELECT written_at FROM journal_receipt ORDER BY seq LIMIT 1), \
             (SELECT written_at FROM journal_receipt ORDER BY seq DESC LIMIT 1), (SELECT COUNT(*) FROM journal_link), \
             (SELECT COUNT(*) FROM journal_rejected), (SELECT MIN(first_at) FROM journal_rejected), \
             (SELECT COUNT(*) FROM journal_pending), (SELECT MIN(received_at) FROM journal_pending)",
        )
        .fetch_one(&mut *look)
        .await?;
        let at = |column: usize| row.try_get::<Option<i64>, _>(column).map(|at| at.map(time));
        Ok(Census {
            receipts: row.try_get(0)?,
            first: at(1)?,
            last: at(2)?,
            links: row.try_get(3)?,
            rejected: row.try_get(4)?,
            oldest_rejected: at(5)?,
            unfinished: row.try_get(6)?,
            oldest_unfinished: at(7)?,
            bytes: sqlx::query(self.flavour.size()).fetch_one(&mut *look).await?.try_get(0)?,
        })
    }

    /// How many receipts were written, and events set aside last, before these times: what pruning would remove.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn older_than(&self, receipts: Timestamp, rejected: Timestamp) -> Result<super::Pruned, JournalFault> {
        let mut look = self.without_hurry(self.flavour.look()).await?;
        let receipts = super::prune::count(&mut look, receipts).await?;
        let sql = "SELECT COUNT(*) FROM journal_rejected WHERE last_at < $1";
        let rejected: i64 = sqlx::query(sql).bind(micros(rejected)).fetch_one(&mut *look).await?.try_get(0)?;
        let [receipts, rejected] = [receipts, rejected].map(|count| u64::try_from(count).unwrap_or_default());
        Ok(super::Pruned { receipts, rejected })
    }

    /// A transaction for a person who asks, whose statements take as long as they need: a webhook's would be given up.
    pub(super) async fn without_hurry(&self, begin: &'static str) -> Result<Transaction<'static, Any>, JournalFault> {
        let mut transaction = self.readers.begin_with(begin).await?;
        if let Some(setting) = self.flavour.without_hurry() {
            sqlx::query(setting).execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }
}
