//! Events set aside for a person to look at.

use super::entries::{EventKey, SetAside};
use super::fault::JournalFault;
use super::keys::{Keys, Sealed};
use super::rows::{micros, pieces, placeholders, text, time};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row};
use std::collections::BTreeMap;

/// Which event set aside: the same one each time that it is rejected again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedId(pub String);

/// An event set aside, as it stands in the journal.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Which one.
    pub id: RejectedId,
    /// When it was set aside first.
    pub first: Timestamp,
    /// When it was last.
    pub last: Timestamp,
    /// How often it was.
    pub times: i64,
    /// Which event it is.
    pub event: EventKey,
    /// Which way it went.
    pub direction: String,
    /// Why, as in answers and logs.
    pub reason: String,
    /// The event, in `forward`'s own notation.
    pub payload: Vec<u8>,
}

const COLUMNS: &str = "id, first_at, last_at, times, connection, direction, route, event, reason, sealed";

/// Sets events aside.
pub(super) async fn set_aside(
    connection: &mut AnyConnection,
    keys: &Keys,
    rejected: &[SetAside],
    now: Timestamp,
) -> Result<(), JournalFault> {
    // A statement may hold an id once only: of several events with the same one, the last counts.
    let mut by_id: BTreeMap<String, (&SetAside, i64)> = BTreeMap::new();
    for rejected in rejected {
        let (last, times) = by_id.entry(id(keys, rejected)).or_insert((rejected, 0));
        (*last, *times) = (rejected, *times + 1);
    }
    for piece in pieces(&Vec::from_iter(by_id)) {
        let sql = format!(
            "INSERT INTO journal_rejected \
             (id, first_at, last_at, times, connection, direction, route, event, reason, person, address, sealed) VALUES {} \
             ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, times = journal_rejected.times + excluded.times, \
             reason = excluded.reason, sealed = excluded.sealed",
            placeholders(connection, piece.len(), 12)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (id, (rejected, times)) in piece {
            let (person, address) = keys.person(&rejected.person);
            query = query
                .bind(id.clone())
                .bind(micros(now))
                .bind(micros(now))
                .bind(*times)
                .bind(rejected.event.connection.clone())
                .bind(rejected.direction)
                .bind(rejected.event.route.clone())
                .bind(text(&rejected.event.event))
                .bind(rejected.reason.label())
                .bind(person.map(|hash| hash.to_vec()))
                .bind(address.map(|hash| hash.to_vec()))
                .bind(keys.seal(Sealed::Rejected, &rejected.payload));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// What an event is called: by its key, else by what it says.
fn id(keys: &Keys, rejected: &SetAside) -> String {
    let key = match keys.event(&rejected.event) {
        0 => {
            let event = hex::encode(&rejected.payload);
            keys.event(&EventKey { event, ..rejected.event.clone() })
        }
        key => key,
    };
    format!("{key:016x}")
}

/// All of them, the earliest first.
pub(super) async fn all(pool: &AnyPool, keys: &Keys) -> Result<Vec<Rejected>, JournalFault> {
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM journal_rejected ORDER BY first_at, id")));
    rows.fetch_all(pool).await?.iter().map(|row| read(row, keys)).collect()
}

/// One of them.
pub(super) async fn one(pool: &AnyPool, keys: &Keys, id: &RejectedId) -> Result<Option<Rejected>, JournalFault> {
    let sql = format!("SELECT {COLUMNS} FROM journal_rejected WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.0.clone()).fetch_optional(pool).await?;
    row.as_ref().map(|row| read(row, keys)).transpose()
}

fn read(row: &AnyRow, keys: &Keys) -> Result<Rejected, JournalFault> {
    let sealed: Vec<u8> = row.try_get("sealed")?;
    let (first, last): (i64, i64) = (row.try_get("first_at")?, row.try_get("last_at")?);
    Ok(Rejected {
        id: RejectedId(row.try_get("id")?),
        first: time(first),
        last: time(last),
        times: row.try_get("times")?,
        event: EventKey {
            connection: row.try_get("connection")?,
            event: row.try_get("event")?,
            route: row.try_get("route")?,
        },
        direction: row.try_get("direction")?,
        reason: row.try_get("reason")?,
        payload: keys.open(Sealed::Rejected, &sealed)?,
    })
}

/// Takes one off; whether it was there.
pub(super) async fn drop_one(pool: &AnyPool, id: &RejectedId) -> Result<bool, JournalFault> {
    let dropped = sqlx::query("DELETE FROM journal_rejected WHERE id = $1").bind(id.0.clone()).execute(pool).await?;
    Ok(dropped.rows_affected() > 0)
}
