//! What receipts say of events that found everything to be so already: those that come again are counted, and who was out
//! without a receipt of it gets one.

use super::entries::Seen;
use super::fault::JournalFault;
use super::keys::{Hash, Keys};
use super::receipts::Kind;
use super::rows::{list, micros, pieces, placeholder, statements};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What is known of events that found everything to be so already.
#[derive(Default)]
pub struct Known<'a> {
    /// Those that have a receipt, by how often each came again: once, nearly always.
    again: BTreeMap<i64, Vec<i64>>,
    /// Those that need one: of people who are out, of whom the last receipt on that route doesn't say so.
    pub without: Vec<&'a Seen>,
}

impl Known<'_> {
    /// How many statements it takes to count them.
    pub fn statements(&self) -> usize {
        self.again.values().map(|keys| statements(keys.len())).sum()
    }

    /// Counts those that came again.
    pub async fn count(&self, connection: &mut AnyConnection, now: Timestamp) -> Result<(), JournalFault> {
        for (times, keys) in &self.again {
            for piece in pieces(keys) {
                let sql = format!(
                    "UPDATE journal_receipt SET redeliveries = redeliveries + {}, redelivered_at = {} WHERE event_key IN {}",
                    placeholder(connection, 1),
                    placeholder(connection, 2),
                    list(connection, 2, piece.len())
                );
                let mut query = sqlx::query(AssertSqlSafe(sql)).bind(*times).bind(micros(now));
                for key in piece {
                    query = query.bind(*key);
                }
                query.execute(&mut *connection).await?;
            }
        }
        Ok(())
    }
}

/// Looks which of some events have a receipt.
pub async fn look_up<'a>(
    connection: &mut AnyConnection,
    keys: &Keys,
    seen: &'a [Seen],
) -> Result<Known<'a>, JournalFault> {
    if seen.is_empty() {
        return Ok(Known::default());
    }
    let mut times: BTreeMap<i64, i64> = BTreeMap::new();
    for seen in seen {
        let key = keys.event(&seen.receipt.event);
        if key != 0 {
            *times.entry(key).or_default() += 1;
        }
    }
    let known = have_receipts(connection, &times.keys().copied().collect::<Vec<_>>()).await?;
    let mut again: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (key, times) in times.iter().filter(|(key, _)| known.contains(*key)) {
        again.entry(*times).or_default().push(*key);
    }
    let is_news = |seen: &&Seen| seen.is_out && !known.contains(&keys.event(&seen.receipt.event));
    let news: Vec<_> = seen.iter().filter(is_news).collect();
    Ok(Known { again, without: without_opt_out(connection, keys, news).await? })
}

/// Which of these events have one.
async fn have_receipts(connection: &mut AnyConnection, event_keys: &[i64]) -> Result<HashSet<i64>, JournalFault> {
    let mut known = HashSet::new();
    for piece in pieces(event_keys) {
        let list = list(connection, 0, piece.len());
        let sql = format!("SELECT event_key FROM journal_receipt WHERE event_key IN {list}");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for key in piece {
            query = query.bind(*key);
        }
        for row in query.fetch_all(&mut *connection).await? {
            known.insert(row.try_get::<i64, _>(0)?);
        }
    }
    Ok(known)
}

/// Those of whom the last receipt on that route doesn't say that they are out: their account's, else their address's.
async fn without_opt_out<'a>(
    connection: &mut AnyConnection,
    keys: &Keys,
    seen: Vec<&'a Seen>,
) -> Result<Vec<&'a Seen>, JournalFault> {
    let mut open: Vec<_> = seen.into_iter().map(|seen| (seen, keys.person(&seen.receipt.person))).collect();
    let mut without = Vec::new();
    for (column, of) in [("person", 0), ("address", 1)] {
        let hash = |(person, address): (Option<Hash>, Option<Hash>)| if of == 0 { person } else { address };
        let hashes: BTreeSet<Hash> = open.iter().filter_map(|(_, who)| hash(*who)).collect();
        let last = last_changes(connection, column, &Vec::from_iter(hashes)).await?;
        let told = |(seen, who): &(&Seen, _)| Some(*last.get(&hash(*who)?)?.get(&seen.receipt.event.route)?);
        without.extend(open.iter().filter(|one| told(one) == Some(false)).map(|(seen, _)| *seen));
        open.retain(|one| told(one).is_none());
    }
    without.extend(open.into_iter().map(|(seen, _)| seen));
    Ok(without)
}

/// Whether the last receipt on each route says that the person is out.
async fn last_changes(
    connection: &mut AnyConnection,
    column: &'static str,
    hashes: &[Hash],
) -> Result<HashMap<Hash, HashMap<String, bool>>, JournalFault> {
    let mut told: HashMap<Hash, HashMap<String, bool>> = HashMap::new();
    for piece in pieces(hashes) {
        let list = list(connection, 0, piece.len());
        let sql = format!(
            "SELECT {column}, route, change FROM journal_receipt WHERE seq IN (SELECT MAX(seq) FROM journal_receipt \
             WHERE {column} IN {list} AND change <> 'profile' GROUP BY {column}, route)"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for hash in piece {
            query = query.bind(hash.to_vec());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let (hash, change): (Vec<u8>, String) = (row.try_get(0)?, row.try_get(2)?);
            let hash = Hash::try_from(hash).map_err(|_| JournalFault::unreadable())?;
            let is_out = matches!(Kind::parse(&change), Some(Kind::Change(change)) if change.ends_mail());
            told.entry(hash).or_default().insert(row.try_get(1)?, is_out);
        }
    }
    Ok(told)
}
