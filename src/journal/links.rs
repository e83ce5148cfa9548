//! Links: which addresses were sent to an audience for an account.
//!
//! One that is given up is kept for a day, told apart. Whoever gives it up has found nobody there; but a call that somebody
//! else made before may arrive yet, and if that replica is killed, only the redelivery of its webhook sees to it. That one
//! must still be told where to look.

use super::entries::{Link, LinkChange};
use super::fault::JournalFault;
use super::keys::{Hash, Keys, Sealed};
use super::rows::{micros, pieces, placeholders, statements};
use crate::domain::{Audience, ConnectionName, Email, Uid};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet};

/// How long a link that was given up is told of: longer than a webhook takes to come again.
const LEFT_IS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What is encrypted of a link.
#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    #[serde(borrow)]
    uid: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    address: std::borrow::Cow<'a, str>,
}

/// A link as it stands in the journal.
pub struct Stored {
    esp: String,
    audience: String,
    sealed: Vec<u8>,
    hold: i64,
    is_left: bool,
}

const COLUMNS: &str = "esp, audience, sealed, hold, left_at";

/// The links of some accounts, each account's the latest first.
pub async fn of(connection: &mut AnyConnection, accounts: &[Hash]) -> Result<Vec<(Hash, Stored)>, JournalFault> {
    let mut found = Vec::new();
    for piece in pieces(accounts) {
        let list = placeholders(connection, 1, piece.len());
        let sql = format!("SELECT {COLUMNS}, person FROM journal_link WHERE person IN {list} ORDER BY since DESC");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for account in piece {
            query = query.bind(account.to_vec());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let account: Vec<u8> = row.try_get(5)?;
            let account = account.try_into().map_err(|_| JournalFault::unreadable())?;
            found.push((account, Stored::read(&row)?));
        }
    }
    Ok(found)
}

/// The accounts that an address was sent for; those for which it was given up only if there are no others.
pub async fn uids_at(
    connection: &mut AnyConnection,
    keys: &Keys,
    gigya: &ConnectionName,
    address: &Email,
) -> Result<Vec<Uid>, JournalFault> {
    let rows = sqlx::query(
        "SELECT esp, audience, sealed, hold, left_at FROM journal_link WHERE address = $1 AND gigya = $2 \
         ORDER BY since DESC",
    )
    .bind(keys.address(address).to_vec())
    .bind(gigya.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let open = |row| Stored::read(row).and_then(|stored| stored.open(keys));
    let mut found = rows.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    if found.iter().any(|link| !link.is_left) {
        found.retain(|link| !link.is_left);
    }
    let mut uids: Vec<Uid> = Vec::new();
    for Link { uid, .. } in found {
        if !uids.contains(&uid) {
            uids.push(uid);
        }
    }
    Ok(uids)
}

/// Whose link it is, by what is encrypted of it.
pub fn uid(keys: &Keys, sealed: &[u8]) -> Result<Uid, JournalFault> {
    let plain = keys.open(Sealed::Link, sealed)?;
    let plain: Plain<'_> = serde_json::from_slice(&plain).map_err(|_| JournalFault::unreadable())?;
    Uid::new(&plain.uid).ok_or(JournalFault::unreadable())
}

impl Stored {
    fn read(row: &AnyRow) -> Result<Self, JournalFault> {
        let left_at: Option<i64> = row.try_get(4)?;
        Ok(Self {
            esp: row.try_get(0)?,
            audience: row.try_get(1)?,
            sealed: row.try_get(2)?,
            hold: row.try_get(3)?,
            is_left: left_at.is_some(),
        })
    }

    /// With its UID and address.
    pub fn open(&self, keys: &Keys) -> Result<Link, JournalFault> {
        let plain = keys.open(Sealed::Link, &self.sealed)?;
        let plain: Plain<'_> = serde_json::from_slice(&plain).map_err(|_| JournalFault::unreadable())?;
        Ok(Link {
            uid: Uid::new(&plain.uid).ok_or(JournalFault::unreadable())?,
            esp: ConnectionName::new(&self.esp),
            audience: Audience::new(&self.audience),
            address: Email::parse(&plain.address).map_err(|_| JournalFault::unreadable())?,
            hold: self.hold,
            is_left: self.is_left,
        })
    }
}

/// Links made and given up, by their keys: two replicas that write in this order never wait for each other.
pub struct Changes<'a> {
    /// A statement may hold a key once only: of several writings of one link, the last counts.
    held: BTreeMap<Key<'a>, &'a LinkChange>,
    /// Those that are given up by the same commit, so that they are told of for a while. Not where there is one already:
    /// somebody else may have gone back to the address.
    passing: BTreeMap<Key<'a>, &'a LinkChange>,
    left: BTreeSet<(Key<'a>, i64)>,
}

type Key<'a> = (Hash, &'a str, &'a str, Hash);

impl<'a> Changes<'a> {
    /// In their order.
    pub fn of(keys: &Keys, changes: &'a [LinkChange]) -> Self {
        let (held, left): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.holds);
        let left: BTreeSet<_> = left.into_iter().map(|change| (key(keys, change), change.link.hold)).collect();
        let held = held.into_iter().map(|change| (key(keys, change), change));
        let (mut passing, held): (BTreeMap<_, _>, BTreeMap<_, _>) =
            held.partition(|(key, change)| left.contains(&(*key, change.link.hold)));
        passing.retain(|key, _| !held.contains_key(key));
        Self { held, passing, left }
    }

    /// How many statements it takes to write them.
    pub fn statements(&self) -> usize {
        statements(self.held.len()) + statements(self.passing.len()) + self.left.len()
    }

    /// Writes them: what is made first, then what is given up.
    pub async fn write(&self, connection: &mut AnyConnection, keys: &Keys, now: Timestamp) -> Result<(), JournalFault> {
        let anew = "DO UPDATE SET since = excluded.since, hold = excluded.hold, left_at = NULL";
        hold(connection, keys, now, &self.held, anew).await?;
        hold(connection, keys, now, &self.passing, "DO NOTHING").await?;
        for ((person, esp, audience, address), hold) in &self.left {
            sqlx::query(
                "UPDATE journal_link SET left_at = $1 WHERE person = $2 AND esp = $3 AND audience = $4 AND address = $5 \
                 AND hold = $6 AND left_at IS NULL",
            )
            .bind(micros(now))
            .bind(person.to_vec())
            .bind((*esp).to_owned())
            .bind((*audience).to_owned())
            .bind(address.to_vec())
            .bind(*hold)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

/// Writes links; what else, where there is one already.
async fn hold(
    connection: &mut AnyConnection,
    keys: &Keys,
    now: Timestamp,
    held: &BTreeMap<Key<'_>, &LinkChange>,
    otherwise: &'static str,
) -> Result<(), JournalFault> {
    for piece in pieces(&Vec::from_iter(held)) {
        let sql = format!(
            "INSERT INTO journal_link (person, esp, audience, address, gigya, sealed, since, hold) VALUES {} \
             ON CONFLICT (person, esp, audience, address) {otherwise}",
            placeholders(connection, piece.len(), 8)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for ((person, esp, audience, address), LinkChange { gigya, link, .. }) in piece {
            let plain = Plain { uid: link.uid.expose().into(), address: link.address.expose().into() };
            let plain = serde_json::to_vec(&plain).expect("two texts can be written as JSON");
            query = query
                .bind(person.to_vec())
                .bind((*esp).to_owned())
                .bind((*audience).to_owned())
                .bind(address.to_vec())
                .bind(gigya.as_str().to_owned())
                .bind(keys.seal(Sealed::Link, &plain))
                .bind(micros(now))
                .bind(link.hold);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes off some of what was given up long enough ago: as much as is done soon, the first first. Returns how many went.
pub async fn tidy(connection: &mut AnyConnection, now: Timestamp) -> Result<u64, JournalFault> {
    let before = micros(now.saturating_sub(LEFT_IS_KEPT).unwrap_or(Timestamp::MIN));
    let sql = "DELETE FROM journal_link WHERE left_at <= (SELECT MAX(left_at) FROM \
               (SELECT left_at FROM journal_link WHERE left_at < $1 ORDER BY left_at LIMIT 1000) AS first_ones)";
    Ok(sqlx::query(sql).bind(before).execute(connection).await?.rows_affected())
}

fn key<'a>(keys: &Keys, LinkChange { gigya, link, .. }: &'a LinkChange) -> Key<'a> {
    (keys.account(gigya, &link.uid), link.esp.as_str(), link.audience.as_str(), keys.address(&link.address))
}
