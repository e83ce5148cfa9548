//! Links: which addresses were sent to an audience for an account.
//!
//! One that is given up is kept for a day, told apart. Whoever gives it up has found nobody there; but a call that somebody
//! else made before may arrive yet, and if that replica is killed, only the redelivery of its webhook sees to it. That one
//! must still be told where to look.

use super::entries::{Link, LinkChange};
use super::fault::JournalFault;
use super::keys::{Hash, Keys, Sealed};
use super::rows::{micros, pieces, placeholders};
use crate::domain::{Audience, ConnectionName, Email, Uid};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row};
use std::collections::BTreeMap;

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

/// The links of some accounts.
pub async fn of(pool: &AnyPool, keys: &Keys, gigya: &ConnectionName, uids: &[&Uid]) -> Result<Vec<Link>, JournalFault> {
    let mut found = Vec::new();
    for uid in uids {
        let rows = sqlx::query(
            "SELECT esp, audience, sealed, hold, left_at FROM journal_link WHERE person = $1 ORDER BY since DESC",
        )
        .bind(keys.account(gigya, uid).to_vec())
        .fetch_all(pool)
        .await?;
        for row in rows {
            found.push(link(&row, keys)?);
        }
    }
    Ok(found)
}

/// The accounts that an address was sent for; those for which it was given up only if there are no others.
pub async fn uids_at(
    pool: &AnyPool,
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
    .fetch_all(pool)
    .await?;
    let mut found = rows.iter().map(|row| link(row, keys)).collect::<Result<Vec<_>, _>>()?;
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

fn link(row: &AnyRow, keys: &Keys) -> Result<Link, JournalFault> {
    let (esp, audience): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let sealed: Vec<u8> = row.try_get(2)?;
    let (hold, left_at): (i64, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let plain = keys.open(Sealed::Link, &sealed)?;
    let plain: Plain<'_> = serde_json::from_slice(&plain).map_err(|_| JournalFault::unreadable())?;
    let uid = Uid::new(&plain.uid).ok_or(JournalFault::unreadable())?;
    let address = Email::parse(&plain.address).map_err(|_| JournalFault::unreadable())?;
    Ok(Link {
        uid,
        esp: ConnectionName::new(&esp),
        audience: Audience::new(&audience),
        address,
        hold,
        is_left: left_at.is_some(),
    })
}

/// Makes links and gives them up. In the order of their keys, so that two replicas never wait for each other.
pub async fn change(
    connection: &mut AnyConnection,
    keys: &Keys,
    changes: &[LinkChange],
    now: Timestamp,
) -> Result<(), JournalFault> {
    // A statement may hold a key once only. Of several writings of one link, the last counts.
    let (held, left): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.holds);
    let held: BTreeMap<_, _> = held.into_iter().map(|change| (key(keys, change), change)).collect();
    let mut left: Vec<_> = left.into_iter().map(|change| (key(keys, change), change.link.hold)).collect();
    left.sort_unstable();
    let held: Vec<_> = held.iter().collect();
    for piece in pieces(&held) {
        let sql = format!(
            "INSERT INTO journal_link (person, esp, audience, address, gigya, sealed, since, hold) VALUES {} \
             ON CONFLICT (person, esp, audience, address) \
             DO UPDATE SET since = excluded.since, hold = excluded.hold, left_at = NULL",
            placeholders(piece.len(), 8, 0)
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
    for ((person, esp, audience, address), hold) in left {
        sqlx::query(
            "UPDATE journal_link SET left_at = $1 WHERE person = $2 AND esp = $3 AND audience = $4 AND address = $5 \
             AND hold = $6 AND left_at IS NULL",
        )
        .bind(micros(now))
        .bind(person.to_vec())
        .bind(esp.to_owned())
        .bind(audience.to_owned())
        .bind(address.to_vec())
        .bind(hold)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Takes off what was given up long enough ago. Returns how many went.
pub async fn tidy(pool: &AnyPool, now: Timestamp) -> Result<u64, JournalFault> {
    let before = micros(now.saturating_sub(LEFT_IS_KEPT).unwrap_or(Timestamp::MIN));
    let gone = sqlx::query("DELETE FROM journal_link WHERE left_at < $1").bind(before).execute(pool).await?;
    Ok(gone.rows_affected())
}

fn key<'a>(keys: &Keys, LinkChange { gigya, link, .. }: &'a LinkChange) -> (Hash, &'a str, &'a str, Hash) {
    (keys.account(gigya, &link.uid), link.esp.as_str(), link.audience.as_str(), keys.address(&link.address))
}
