//! Erases a person: nothing in the journal leads to them anymore, and a receipt says that it was done.

use super::Journal;
use super::chain::Ranges;
use super::database::Database;
use super::fault::JournalFault;
use super::keys::Hash;
use super::receipts::{self, Draft, Kind};
use super::writer::meeting_nobody;
use crate::domain::{ConnectionName, Email, Uid};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::BTreeSet;

/// Whom to erase.
#[derive(Clone, Debug)]
pub enum Whom {
    /// An account, with what is known of its addresses alone. What is another account's with the same address stays.
    Account(ConnectionName, Uid),
    /// An address, whosever it is, and nothing that is known of accounts otherwise.
    Address(Email),
}

/// What there is of a person to erase, or was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasable {
    /// Receipts, which no longer say then whom they are about.
    pub receipts: u64,
    /// Links that nothing unfinished needs.
    pub links: u64,
    /// Of these, links that aren't given up: a list may hold the address still, and without its link nobody takes it out
    /// when the account is deleted.
    pub held: u64,
    /// Links that are left: of an account or an address that something unfinished is about, which may need them to find
    /// whom to take out.
    pub kept: u64,
    /// Events set aside.
    pub rejected: u64,
    /// Unfinished events. They are left, as dropping them could lose an opt-out; once they are finished, there are receipts
    /// of them.
    pub unfinished: u64,
    /// With an address: other receipts of the accounts that had it.
    pub others: u64,
}

/// That something unfinished is about a link's account or address.
const IS_NEEDED: &str = "EXISTS (SELECT 1 FROM journal_pending AS pending \
                         WHERE pending.person = journal_link.person OR pending.address = journal_link.address)";

/// A condition that a row of the person meets, and the hash in it.
type Criterion = (&'static str, Vec<u8>);

impl Database {
    /// What there is of a person.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn erasable(&self, whom: &Whom) -> Result<Erasable, JournalFault> {
        let mut look = self.without_hurry(self.flavour.look()).await?;
        let criteria = self.criteria(&mut look, whom).await?;
        let links = Links::find(&mut look, &criteria).await?;
        let mut found = Erasable {
            receipts: count(select(&mut look, "seq", "journal_receipt", &criteria).await?.len()),
            links: links.free,
            held: links.held,
            kept: links.kept,
            rejected: count(select(&mut look, "id", "journal_rejected", &criteria).await?.len()),
            unfinished: count(select(&mut look, "id", "journal_pending", &criteria).await?.len()),
            others: 0,
        };
        if let Whom::Address(address) = whom {
            let sql = "SELECT COUNT(*) FROM journal_receipt WHERE (address IS NULL OR address <> $1) AND person IN \
                       (SELECT person FROM journal_receipt WHERE address = $2)";
            let address = self.keys.address(address).to_vec();
            let others: i64 =
                sqlx::query(sql).bind(address.clone()).bind(address).fetch_one(&mut *look).await?.try_get(0)?;
            found.others = u64::try_from(others).unwrap_or_default();
        }
        Ok(found)
    }

    /// Erases a person, all of it or nothing.
    ///
    /// # Errors
    /// If it can't be written; then nothing was erased.
    pub async fn forget(&self, whom: &Whom) -> Result<Erasable, JournalFault> {
        meeting_nobody(async || self.forget_once(whom).await).await
    }

    async fn forget_once(&self, whom: &Whom) -> Result<Erasable, JournalFault> {
        let mut transaction = self.readers.begin_with(self.begin).await?;
        let criteria = self.criteria(&mut transaction, whom).await?;
        let mut seqs = BTreeSet::new();
        for row in select(&mut transaction, "seq", "journal_receipt", &criteria).await? {
            seqs.insert(row.try_get::<i64, _>(0)?);
        }
        for seq in &seqs {
            let sql = "UPDATE journal_receipt SET person = NULL, address = NULL, salt = NULL, request = '', event = '', \
                       event_key = 0, call_id = NULL WHERE seq = $1";
            sqlx::query(sql).bind(*seq).execute(&mut *transaction).await?;
        }
        let links = Links::find(&mut transaction, &criteria).await?;
        let erased = Erasable {
            receipts: count(seqs.len()),
            links: delete(&mut transaction, "journal_link", &format!("NOT {IS_NEEDED}"), &criteria).await?,
            held: links.held,
            kept: links.kept,
            rejected: delete(&mut transaction, "journal_rejected", "1 = 1", &criteria).await?,
            unfinished: count(select(&mut transaction, "id", "journal_pending", &criteria).await?.len()),
            others: 0,
        };
        if (erased.receipts, erased.links, erased.rejected) != (0, 0, 0) {
            let draft = Draft::about_the_journal(Kind::Erasure, Ranges::of(&seqs).to_string());
            receipts::append_one(&mut transaction, draft, self.now()).await?;
        }
        transaction.commit().await?;
        if let Some(statement) = self.flavour.after_erasing() {
            // A reader in the way delays it to the next time that the log begins anew.
            let _ = sqlx::query(statement).execute(&self.readers).await;
        }
        Ok(erased)
    }

    /// By which conditions, each with a hash, a person's rows are found.
    async fn criteria(&self, connection: &mut AnyConnection, whom: &Whom) -> Result<Vec<Criterion>, JournalFault> {
        let (gigya, uid) = match whom {
            Whom::Address(address) => return Ok(vec![("address = $1", self.keys.address(address).to_vec())]),
            Whom::Account(gigya, uid) => (gigya, uid),
        };
        let person = self.keys.account(gigya, uid).to_vec();
        let mut addresses: BTreeSet<Hash> = BTreeSet::new();
        for table in ["journal_link", "journal_receipt", "journal_rejected", "journal_pending"] {
            let sql = format!("SELECT DISTINCT address FROM {table} WHERE person = $1 AND address IS NOT NULL");
            for row in sqlx::query(AssertSqlSafe(sql)).bind(person.clone()).fetch_all(&mut *connection).await? {
                let address: Vec<u8> = row.try_get(0)?;
                addresses.extend(Hash::try_from(address).ok());
            }
        }
        let alone = addresses.into_iter().map(|address| ("person IS NULL AND address = $1", address.to_vec()));
        Ok(std::iter::once(("person = $1", person)).chain(alone).collect())
    }
}

async fn select(
    connection: &mut AnyConnection,
    column: &str,
    table: &str,
    criteria: &[Criterion],
) -> Result<Vec<AnyRow>, JournalFault> {
    let mut rows = Vec::new();
    for (condition, hash) in criteria {
        let sql = format!("SELECT {column} FROM {table} WHERE {condition}");
        rows.extend(sqlx::query(AssertSqlSafe(sql)).bind(hash.clone()).fetch_all(&mut *connection).await?);
    }
    Ok(rows)
}

/// A person's links, counted.
#[derive(Default)]
struct Links {
    free: u64,
    held: u64,
    kept: u64,
}

impl Links {
    async fn find(connection: &mut AnyConnection, criteria: &[Criterion]) -> Result<Self, JournalFault> {
        let columns = format!("CASE WHEN {IS_NEEDED} THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END, left_at");
        let mut links = Self::default();
        for row in select(connection, &columns, "journal_link", criteria).await? {
            let (is_needed, left_at): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            if is_needed == 0 {
                links.free += 1;
                links.held += u64::from(left_at.is_none());
            } else {
                links.kept += 1;
            }
        }
        Ok(links)
    }
}

async fn delete(
    connection: &mut AnyConnection,
    table: &str,
    and: &str,
    criteria: &[Criterion],
) -> Result<u64, JournalFault> {
    let mut gone = 0;
    for (condition, hash) in criteria {
        let sql = format!("DELETE FROM {table} WHERE {condition} AND {and}");
        gone += sqlx::query(AssertSqlSafe(sql)).bind(hash.clone()).execute(&mut *connection).await?.rows_affected();
    }
    Ok(gone)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
