//! Events that were acknowledged before they were done, and who is finishing them.
//!
//! A lease keeps two replicas from doing the same work. Nothing depends on it: finishing an event twice ends like finishing
//! it once, so a lease that ends too early, or clocks that differ, cost calls and nothing else.

use super::entries::Unfinished;
use super::fault::JournalFault;
use super::keys::{Keys, Sealed};
use super::rejected::Rejected;
use super::rows::{micros, pieces, placeholders, time};
use crate::domain::Reason;
use jiff::{SignedDuration, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row};
use std::time::Duration;
use uuid::Uuid;

/// How long an event that can't be read waits until it is looked at again.
const UNREADABLE_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Which unfinished event. Later ones are greater.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingId(pub String);

/// An unfinished event that is leased.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Which one.
    pub id: PendingId,
    /// Whose lease it is.
    pub owner: String,
    /// The connection that it came from.
    pub connection: String,
    /// Which way it goes.
    pub direction: String,
    /// When the gateway was told.
    pub received: Timestamp,
    /// How often it was tried before.
    pub attempts: i64,
    /// The event, in `forward`'s own notation.
    pub payload: Vec<u8>,
}

/// An unfinished event, for a person to look at.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Which one.
    pub id: PendingId,
    /// The connection that it came from.
    pub connection: String,
    /// Which way it goes.
    pub direction: String,
    /// When the gateway was told.
    pub received: Timestamp,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, unless somebody works on it.
    pub next: Timestamp,
    /// Why it wasn't done, as in answers and logs.
    pub reason: String,
    /// Until when it is somebody's, if it is.
    pub leased_to: Option<Timestamp>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Unfinished events.
    pub unfinished: i64,
    /// When the earliest of these was received.
    pub oldest: Option<Timestamp>,
    /// Events set aside.
    pub rejected: i64,
}

/// Writes unfinished events down.
pub(super) async fn add(
    connection: &mut AnyConnection,
    keys: &Keys,
    unfinished: &[Unfinished],
    now: Timestamp,
) -> Result<(), JournalFault> {
    for piece in pieces(unfinished) {
        let sql = format!(
            "INSERT INTO journal_pending (id, connection, direction, person, address, queue, sealed, received_at, attempts, \
             next_at, reason, owner, leased_to) VALUES {}",
            placeholders(connection, piece.len(), 13)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for event in piece {
            let (person, address) = keys.person(&event.person);
            query = query
                .bind(Uuid::now_v7().to_string())
                .bind(event.connection.clone())
                .bind(event.direction)
                .bind(person.map(|hash| hash.to_vec()))
                .bind(address.map(|hash| hash.to_vec()))
                .bind(keys.queue(&event.connection, &event.person, &event.payload).to_vec())
                .bind(keys.seal(Sealed::Pending, &event.payload))
                .bind(micros(event.received))
                .bind(0_i64)
                .bind(micros(now))
                .bind(event.reason.label())
                .bind(String::new())
                .bind(0_i64);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes down an event that was set aside; the one that is set aside stays. `owner` has it for the lease, or nobody.
pub(super) async fn add_rejected(
    connection: &mut AnyConnection,
    keys: &Keys,
    rejected: &Rejected,
    now: Timestamp,
    owner: &str,
    leased_to: Timestamp,
) -> Result<PendingId, JournalFault> {
    let id = Uuid::now_v7().to_string();
    let sql = "SELECT COALESCE(address, person) FROM journal_rejected WHERE id = $1";
    let row = sqlx::query(sql).bind(rejected.id.0.clone()).fetch_optional(&mut *connection).await?;
    let who: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    let queue = keys.queue_of(&rejected.event.connection, who.as_deref(), &rejected.payload);
    sqlx::query(
        "INSERT INTO journal_pending (id, connection, direction, person, address, queue, sealed, received_at, attempts, \
         next_at, reason, owner, leased_to) \
         SELECT $1, connection, direction, person, address, $2, $3, first_at, 0, $4, reason, \
         $5, $6 FROM journal_rejected WHERE id = $7",
    )
    .bind(id.clone())
    .bind(queue.to_vec())
    .bind(keys.seal(Sealed::Pending, &rejected.payload))
    .bind(micros(now))
    .bind(owner.to_owned())
    .bind(micros(leased_to))
    .bind(rejected.id.0.clone())
    .execute(connection)
    .await?;
    Ok(PendingId(id))
}

const COLUMNS: &str = "id, connection, direction, received_at, attempts, next_at, reason, leased_to";

/// Unfinished events, the earliest first, at most so many.
pub(super) async fn all(pool: &AnyPool, most: i64, now: Timestamp) -> Result<Vec<Pending>, JournalFault> {
    let sql = format!("SELECT {COLUMNS} FROM journal_pending ORDER BY received_at, id LIMIT $1");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(most).fetch_all(pool).await?;
    rows.iter().map(|row| pending(row, now)).collect()
}

/// One of them.
pub(super) async fn one(pool: &AnyPool, id: &PendingId, now: Timestamp) -> Result<Option<Pending>, JournalFault> {
    let sql = format!("SELECT {COLUMNS} FROM journal_pending WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.0.clone()).fetch_optional(pool).await?;
    row.as_ref().map(|row| pending(row, now)).transpose()
}

fn pending(row: &AnyRow, now: Timestamp) -> Result<Pending, JournalFault> {
    let (received, next, leased_to): (i64, i64, i64) =
        (row.try_get("received_at")?, row.try_get("next_at")?, row.try_get("leased_to")?);
    Ok(Pending {
        id: PendingId(row.try_get("id")?),
        connection: row.try_get("connection")?,
        direction: row.try_get("direction")?,
        received: time(received),
        attempts: row.try_get("attempts")?,
        next: time(next),
        reason: row.try_get("reason")?,
        leased_to: Some(time(leased_to)).filter(|until| *until > now),
    })
}

/// Takes finished ones off.
pub(super) async fn remove(connection: &mut AnyConnection, finished: &[PendingId]) -> Result<(), JournalFault> {
    let mut ids: Vec<_> = finished.iter().map(|id| id.0.as_str()).collect();
    ids.sort_unstable();
    for id in ids {
        sqlx::query("DELETE FROM journal_pending WHERE id = $1").bind(id.to_owned()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Leases what is due and nobody works on; of one person's events, the earliest only. What can't be read is put off, and stays:
/// it was acknowledged, and the key that opens it may come back.
pub(super) async fn claim(
    connection: &mut AnyConnection,
    keys: &Keys,
    owner: &str,
    now: Timestamp,
    lease: Duration,
    most: usize,
) -> Result<Vec<Claimed>, JournalFault> {
    let due = sqlx::query(
        "SELECT id, connection, direction, sealed, received_at, attempts, leased_to FROM journal_pending AS one \
         WHERE next_at <= $1 AND leased_to <= $1 AND NOT EXISTS \
         (SELECT 1 FROM journal_pending AS earlier WHERE earlier.queue = one.queue AND earlier.id < one.id) \
         ORDER BY next_at LIMIT $2",
    )
    .bind(micros(now))
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    let leased_to = now.saturating_add(SignedDuration::try_from(lease).unwrap_or_default()).unwrap_or(now);
    let (mut claimed, mut unreadable) = (Vec::new(), 0_u64);
    for row in due {
        let sealed: Vec<u8> = row.try_get(3)?;
        let Ok(payload) = keys.open(Sealed::Pending, &sealed) else {
            unreadable += put_off_unreadable(connection, &row, now).await?;
            continue;
        };
        let (id, before, received): (String, i64, i64) = (row.try_get(0)?, row.try_get(6)?, row.try_get(4)?);
        // Only who finds the lease as it was read gets it.
        let sql = "UPDATE journal_pending SET owner = $1, leased_to = $2 WHERE id = $3 AND leased_to = $4";
        let taken = sqlx::query(sql).bind(owner.to_owned()).bind(micros(leased_to)).bind(id.clone()).bind(before);
        if taken.execute(&mut *connection).await?.rows_affected() == 0 {
            continue;
        }
        claimed.push(Claimed {
            id: PendingId(id),
            owner: owner.to_owned(),
            connection: row.try_get(1)?,
            direction: row.try_get(2)?,
            received: time(received),
            attempts: row.try_get(5)?,
            payload,
        });
    }
    if unreadable > 0 {
        tracing::error!(
            events = unreadable,
            "unfinished events can't be read and are put off for an hour: they were changed, or written with another key; \
             restore the journal's keys, or journal_pending, from a backup"
        );
    }
    Ok(claimed)
}

/// Puts one off, unless somebody else did meanwhile; how many were.
async fn put_off_unreadable(connection: &mut AnyConnection, row: &AnyRow, now: Timestamp) -> Result<u64, JournalFault> {
    let (id, before): (String, i64) = (row.try_get(0)?, row.try_get(6)?);
    let sql = "UPDATE journal_pending SET attempts = attempts + 1, reason = $1, next_at = $2 \
               WHERE id = $3 AND leased_to = $4 AND next_at <= $5";
    let put_off = sqlx::query(sql)
        .bind(Reason::JournalUnavailable.label())
        .bind(micros(now.saturating_add(UNREADABLE_FOR).unwrap_or(now)))
        .bind(id)
        .bind(before)
        .bind(micros(now));
    Ok(put_off.execute(connection).await?.rows_affected())
}

/// Gives one back, unless somebody else has it by now.
pub(super) async fn put_off(
    connection: &mut AnyConnection,
    claimed: &Claimed,
    reason: Reason,
    next: Timestamp,
) -> Result<(), JournalFault> {
    let sql = "UPDATE journal_pending SET attempts = attempts + 1, reason = $1, next_at = $2, owner = '', leased_to = 0 \
               WHERE id = $3 AND owner = $4";
    let update = sqlx::query(sql).bind(reason.label()).bind(micros(next)).bind(claimed.id.0.clone());
    update.bind(claimed.owner.clone()).execute(connection).await?;
    Ok(())
}

/// How much waits.
pub(super) async fn waiting(connection: &mut AnyConnection) -> Result<Waiting, JournalFault> {
    let row = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM journal_pending), (SELECT MIN(received_at) FROM journal_pending), \
         (SELECT COUNT(*) FROM journal_rejected)",
    )
    .fetch_one(connection)
    .await?;
    let oldest: Option<i64> = row.try_get(1)?;
    Ok(Waiting { unfinished: row.try_get(0)?, oldest: oldest.map(time), rejected: row.try_get(2)? })
}
