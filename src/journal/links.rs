//! Links: which addresses were sent to an audience for an account.

use super::entries::{Link, LinkChange};
use super::fault::JournalFault;
use super::keys::{Hash, Keys, Sealed};
use super::rows::{micros, pieces, placeholders, statements};
use crate::domain::{Audience, ConnectionName, Email, Uid};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::BTreeMap;

/// What is encrypted of a link.
#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    #[serde(borrow)]
    uid: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    address: std::borrow::Cow<'a, str>,
}

/// The links of some accounts.
pub async fn of(
    connection: &mut AnyConnection,
    keys: &Keys,
    gigya: &ConnectionName,
    uids: &[&Uid],
) -> Result<Vec<Link>, JournalFault> {
    let mut found = Vec::new();
    for uid in uids {
        let rows = sqlx::query("SELECT esp, audience, sealed FROM journal_link WHERE person = $1")
            .bind(keys.account(gigya, uid).to_vec())
            .fetch_all(&mut *connection)
            .await?;
        for row in rows {
            found.push(link(&row, keys)?);
        }
    }
    Ok(found)
}

/// The accounts that an address was sent for.
pub async fn uids_at(
    connection: &mut AnyConnection,
    keys: &Keys,
    gigya: &ConnectionName,
    address: &Email,
) -> Result<Vec<Uid>, JournalFault> {
    let rows = sqlx::query(
        "SELECT esp, audience, sealed FROM journal_link WHERE address = $1 AND gigya = $2 ORDER BY since DESC",
    )
    .bind(keys.address(address).to_vec())
    .bind(gigya.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let mut uids: Vec<Uid> = Vec::new();
    for row in rows {
        let uid = link(&row, keys)?.uid;
        if !uids.contains(&uid) {
            uids.push(uid);
        }
    }
    Ok(uids)
}

fn link(row: &AnyRow, keys: &Keys) -> Result<Link, JournalFault> {
    let (esp, audience): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let sealed: Vec<u8> = row.try_get(2)?;
    let plain = keys.open(Sealed::Link, &sealed)?;
    let plain: Plain<'_> = serde_json::from_slice(&plain).map_err(|_| JournalFault::unreadable())?;
    let uid = Uid::new(&plain.uid).ok_or(JournalFault::unreadable())?;
    let address = Email::parse(&plain.address).map_err(|_| JournalFault::unreadable())?;
    Ok(Link { uid, esp: ConnectionName::new(&esp), audience: Audience::new(&audience), address })
}

/// Links made and given up, by their keys: two replicas that write in this order never wait for each other.
pub struct Changes<'a>(BTreeMap<Key<'a>, &'a LinkChange>);

type Key<'a> = (Hash, &'a str, &'a str, Hash);

impl<'a> Changes<'a> {
    /// Of several changes of one link, the last counts: a statement may hold a key once only.
    pub fn of(keys: &Keys, changes: &'a [LinkChange]) -> Self {
        Self(changes.iter().map(|change| (key(keys, change), change)).collect())
    }

    /// How many statements it takes to write them.
    pub fn statements(&self) -> usize {
        let held = self.0.values().filter(|change| change.holds).count();
        statements(held) + self.0.len() - held
    }

    /// Writes them.
    pub async fn write(&self, connection: &mut AnyConnection, keys: &Keys, now: Timestamp) -> Result<(), JournalFault> {
        let held: Vec<_> = self.0.iter().filter(|(_, change)| change.holds).collect();
        for piece in pieces(&held) {
            let sql = format!(
                "INSERT INTO journal_link (person, esp, audience, address, gigya, sealed, since) VALUES {} \
                 ON CONFLICT (person, esp, audience, address) DO UPDATE SET since = excluded.since",
                placeholders(piece.len(), 7, 0)
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
                    .bind(micros(now));
            }
            query.execute(&mut *connection).await?;
        }
        for (person, esp, audience, address) in self.0.iter().filter(|(_, change)| !change.holds).map(|(key, _)| key) {
            sqlx::query("DELETE FROM journal_link WHERE person = $1 AND esp = $2 AND audience = $3 AND address = $4")
                .bind(person.to_vec())
                .bind((*esp).to_owned())
                .bind((*audience).to_owned())
                .bind(address.to_vec())
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

fn key<'a>(keys: &Keys, LinkChange { gigya, link, .. }: &'a LinkChange) -> Key<'a> {
    (keys.account(gigya, &link.uid), link.esp.as_str(), link.audience.as_str(), keys.address(&link.address))
}
