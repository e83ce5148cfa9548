//! What a person does with a journal: ask it, verify it, erase somebody, prune it.

use super::Journal;
use super::chain::join;
use super::database::Database;
use super::entries::{Entries, Unfinished};
use super::fault::JournalFault;
use super::keys::Hash;
use super::receipts::{self, Draft, Evidence, Kind};
use super::rejected::{self, Rejected, RejectedId};
use super::rows::micros;
use crate::domain::{ConnectionName, Email, Uid};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::BTreeSet;

/// Receipts read at once.
const AT_ONCE: i64 = 1000;

/// What verifying the chain came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Receipts looked at.
    pub receipts: u64,
    /// Those of people who were erased.
    pub erased: u64,
    /// The first place in the chain; greater than one after pruning.
    pub first: i64,
    /// The last place.
    pub last: i64,
    /// The chain's last hash: keep it elsewhere to be able to show that nothing was cut off at the end.
    pub hash: String,
    /// What doesn't hold; empty if all does.
    pub broken: Vec<Broken>,
}

/// Something in the chain that isn't as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where.
    pub seq: i64,
    /// What.
    pub what: &'static str,
}

/// What erasing a person came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Receipts that no longer say whom they are about.
    pub receipts: u64,
    /// Links given up.
    pub links: u64,
    /// Events set aside that were dropped.
    pub rejected: u64,
    /// Unfinished events that were left, as dropping them could lose an opt-out: they go once they are finished.
    pub unfinished: u64,
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

    /// Puts an event set aside among the unfinished ones, for any replica to try again.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn retry(&self, id: &RejectedId, unfinished: Unfinished) -> Result<bool, JournalFault> {
        let mut transaction = self.readers.begin_with(self.begin).await?;
        let dropped = sqlx::query("DELETE FROM journal_rejected WHERE id = $1").bind(id.0.clone());
        if dropped.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let entries = Entries { unfinished: vec![unfinished], ..Entries::default() };
        super::commit::write(&mut transaction, &self.keys, &entries, self.now()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Walks the chain from its beginning to its end.
    ///
    /// # Errors
    /// If it can't be read. What it finds to be wrong is no error.
    pub async fn verify(&self) -> Result<Verified, JournalFault> {
        let mut connection = self.readers.acquire().await?;
        let (first_seq, first_hash, end_seq, end_hash) = ends(&mut connection).await?;
        let mut verified = Verified { first: first_seq + 1, last: first_seq, ..Verified::default() };
        let (mut seq, mut hash) = (first_seq, first_hash);
        let (mut erased, mut accounted) = (BTreeSet::new(), BTreeSet::new());
        while seq < end_seq {
            let some = receipts::after(&mut connection, seq, AT_ONCE).await?;
            if some.is_empty() {
                verified.broken.push(Broken { seq: seq + 1, what: "receipts are missing at the end" });
                break;
            }
            for receipt in some.iter().take_while(|receipt| receipt.seq <= end_seq) {
                if receipt.seq != seq + 1 {
                    verified.broken.push(Broken { seq: seq + 1, what: "receipts are missing before the next" });
                }
                seq = receipt.seq;
                verified.receipts += 1;
                check(receipt, &mut hash, &mut verified.broken);
                if receipt.is_erased() {
                    erased.insert(seq);
                }
                if receipt.kind == Kind::Erasure {
                    accounted.extend(numbers(receipt.note.as_deref().unwrap_or_default()));
                }
            }
            seq = seq.max(some.last().map_or(seq, |receipt| receipt.seq.min(end_seq)));
        }
        for seq in erased.difference(&accounted) {
            verified
                .broken
                .push(Broken { seq: *seq, what: "the person is gone from it, and no erasure tells of that" });
        }
        if verified.broken.is_empty() && hash != end_hash {
            verified.broken.push(Broken { seq, what: "the chain doesn't end where it should" });
        }
        verified.erased = u64::try_from(erased.len()).unwrap_or(u64::MAX);
        verified.last = seq;
        verified.hash = hex::encode(hash);
        Ok(verified)
    }

    /// Erases a person: nothing in the journal leads to them anymore, and a receipt says that it was done.
    ///
    /// # Errors
    /// If it can't be written; then nothing was erased.
    pub async fn forget(
        &self,
        account: Option<(&ConnectionName, &Uid)>,
        addresses: &[Email],
    ) -> Result<Erased, JournalFault> {
        let mut addresses: BTreeSet<Hash> = addresses.iter().map(|address| self.keys.address(address)).collect();
        let mut erased = Erased::default();
        let mut transaction = self.readers.begin_with(self.begin).await?;
        let mut people = BTreeSet::new();
        if let Some((gigya, uid)) = account {
            let person = self.keys.account(gigya, uid);
            people.insert(person);
            // Receipts of calls that told of an address alone.
            for table in ["journal_link", "journal_receipt"] {
                let sql = format!("SELECT DISTINCT address FROM {table} WHERE person = $1 AND address IS NOT NULL");
                for row in sqlx::query(AssertSqlSafe(sql)).bind(person.to_vec()).fetch_all(&mut *transaction).await? {
                    let address: Vec<u8> = row.try_get(0)?;
                    addresses.extend(Hash::try_from(address).ok());
                }
            }
        }
        let mut seqs = BTreeSet::new();
        let by_person = people.iter().map(|hash| ("person", hash));
        for (column, hash) in by_person.chain(addresses.iter().map(|hash| ("address", hash))) {
            // Somebody else's with the same address is theirs.
            let others =
                if column == "address" && !people.is_empty() { " AND (person IS NULL OR person = $2)" } else { "" };
            let person = people.first().map(|hash| hash.to_vec());
            let sql = format!("SELECT seq FROM journal_receipt WHERE {column} = $1{others}");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_vec());
            let query = if others.is_empty() { query } else { query.bind(person.clone()) };
            for row in query.fetch_all(&mut *transaction).await? {
                seqs.insert(row.try_get::<i64, _>(0)?);
            }
            for (table, count) in [("journal_link", &mut erased.links), ("journal_rejected", &mut erased.rejected)] {
                let sql = format!("DELETE FROM {table} WHERE {column} = $1{others}");
                let query = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_vec());
                let query = if others.is_empty() { query } else { query.bind(person.clone()) };
                *count += query.execute(&mut *transaction).await?.rows_affected();
            }
            let sql = format!("SELECT COUNT(*) FROM journal_pending WHERE {column} = $1{others}");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_vec());
            let query = if others.is_empty() { query } else { query.bind(person) };
            let left: i64 = query.fetch_one(&mut *transaction).await?.try_get(0)?;
            erased.unfinished += u64::try_from(left).unwrap_or_default();
        }
        for seq in &seqs {
            let sql = "UPDATE journal_receipt SET person = NULL, address = NULL, salt = NULL, event = '', event_key = 0, \
                       call_id = NULL WHERE seq = $1";
            sqlx::query(sql).bind(*seq).execute(&mut *transaction).await?;
        }
        erased.receipts = u64::try_from(seqs.len()).unwrap_or(u64::MAX);
        let draft = Draft::about_the_journal(Kind::Erasure, ranges(&seqs));
        receipts::append(&mut transaction, &[draft], self.now()).await?;
        transaction.commit().await?;
        Ok(erased)
    }

    /// Removes what is older: receipts and events set aside. Receipts go from the chain's beginning on, and one says how far.
    /// Returns how many receipts and events went.
    ///
    /// # Errors
    /// If it can't be written; then nothing went.
    pub async fn prune(
        &self,
        receipts_before: Timestamp,
        rejected_before: Timestamp,
    ) -> Result<(u64, u64), JournalFault> {
        let mut transaction = self.readers.begin_with(self.begin).await?;
        let sql = "DELETE FROM journal_rejected WHERE last_at < $1";
        let rejected = sqlx::query(sql).bind(micros(rejected_before)).execute(&mut *transaction).await?.rows_affected();
        // Never past one that is young enough: the chain is cut at one place.
        let row = sqlx::query(
            "SELECT seq, hash FROM journal_receipt WHERE seq < \
             COALESCE((SELECT MIN(seq) FROM journal_receipt WHERE written_at >= $1), \
             (SELECT seq + 1 FROM journal_chain WHERE id = 1)) ORDER BY seq DESC LIMIT 1",
        )
        .bind(micros(receipts_before))
        .fetch_optional(&mut *transaction)
        .await?;
        let mut pruned = 0;
        if let Some(row) = row {
            let (through, hash): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            let sql = "DELETE FROM journal_receipt WHERE seq <= $1";
            pruned = sqlx::query(sql).bind(through).execute(&mut *transaction).await?.rows_affected();
            let sql = "UPDATE journal_chain SET first_seq = $1, first_hash = $2 WHERE id = 1";
            sqlx::query(sql).bind(through).bind(hash.clone()).execute(&mut *transaction).await?;
            let note = format!("receipts up to {through}, whose hash is {}", hex::encode(hash));
            let draft = Draft::about_the_journal(Kind::Pruning, note);
            receipts::append(&mut transaction, &[draft], self.now()).await?;
        }
        transaction.commit().await?;
        Ok((pruned, rejected))
    }
}

fn check(receipt: &Evidence, hash: &mut Hash, broken: &mut Vec<Broken>) {
    let seq = receipt.seq;
    let mut wrong = |what| broken.push(Broken { seq, what });
    let Ok(digest) = Hash::try_from(receipt.row.digest.clone()) else { return wrong("its digest is no digest") };
    if receipt.digest().is_some_and(|must_be| must_be != digest) {
        wrong("its content is not what was written");
    }
    let joined = join(hash, seq, &digest);
    if receipt.row.hash != joined {
        wrong("it doesn't follow from the one before");
    }
    // Go on from what is there, so that one change is told once.
    *hash = Hash::try_from(receipt.row.hash.clone()).unwrap_or(joined);
}

async fn ends(connection: &mut AnyConnection) -> Result<(i64, Hash, i64, Hash), JournalFault> {
    let sql = "SELECT first_seq, first_hash, seq, hash FROM journal_chain WHERE id = 1";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    let hash = |at: usize| -> Result<Hash, JournalFault> {
        let hash: Vec<u8> = row.try_get(at)?;
        hash.try_into().map_err(|_| JournalFault::unreadable())
    };
    Ok((row.try_get(0)?, hash(1)?, row.try_get(2)?, hash(3)?))
}

/// `1-3,7` for 1, 2, 3 and 7.
fn ranges(numbers: &BTreeSet<i64>) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text = |(first, last): &(i64, i64)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

fn numbers(ranges: &str) -> BTreeSet<i64> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    ranges.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_ranges_and_back() {
        for (set, text) in [(vec![], ""), (vec![1, 2, 3, 7], "1-3,7"), (vec![5], "5"), (vec![1, 3, 4], "1,3-4")] {
            let set: BTreeSet<i64> = set.into_iter().collect();
            assert_eq!(ranges(&set), text);
            assert_eq!(numbers(text), set);
        }
    }
}
