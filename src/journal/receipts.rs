//! Receipts: which change reached which system when, for whom, joined to a chain.

use super::chain::{Content, join};
use super::entries::Receipt;
use super::fault::JournalFault;
use super::keys::{Hash, Keys, random};
use super::rows::{micros, pieces, placeholders, text, time};
use crate::domain::Change;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row};

/// The columns of a receipt that its digest is made of, and what else there is of it.
const COLUMNS: &str = "seq, written_at, request, connection, direction, route, event, event_key, change, was_found, person, \
                       address, acted_from, acted_to, received_at, accepted_at, call_id, note, salt, digest, hash, \
                       redeliveries, redelivered_at";

/// What a receipt tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A change that took effect.
    Change(Change),
    /// A person was erased from the journal.
    Erasure,
    /// Old receipts were pruned.
    Pruning,
}

impl Kind {
    /// As it stands in the journal.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Change(change) => change.label(),
            Self::Erasure => "erasure",
            Self::Pruning => "pruning",
        }
    }

    pub(super) fn parse(label: &str) -> Option<Self> {
        let changes = Change::ALL.into_iter().map(Self::Change);
        changes.chain([Self::Erasure, Self::Pruning]).find(|kind| kind.label() == label)
    }
}

/// A receipt as it stands in the journal.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Its place in the chain.
    pub seq: i64,
    /// When it was written.
    pub written: Timestamp,
    /// The id of the request that brought the change, as in logs.
    pub request: String,
    /// The connection that told.
    pub connection: String,
    /// Which way the change went.
    pub direction: String,
    /// Its route.
    pub route: String,
    /// The sender's id of the event.
    pub event: String,
    /// What it tells.
    pub kind: Kind,
    /// Whether the change was found to be in effect already, rather than made by this request.
    pub was_found: bool,
    /// When the person acted: not before, and not after.
    pub acted: (Option<Timestamp>, Option<Timestamp>),
    /// When the gateway was told.
    pub received: Option<Timestamp>,
    /// When the other side had accepted it.
    pub accepted: Option<Timestamp>,
    /// The other side's id of the call.
    pub call_id: Option<String>,
    /// Of erasures and prunings: what they did.
    pub note: Option<String>,
    /// How often the event came again.
    pub redeliveries: i64,
    /// When it last did.
    pub redelivered: Option<Timestamp>,
    /// What is hashed.
    pub(super) row: Stored,
}

/// A receipt's columns as they are hashed.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub written_at: i64,
    pub event_key: i64,
    pub person: Option<Vec<u8>>,
    pub address: Option<Vec<u8>>,
    pub acted_from: Option<i64>,
    pub acted_to: Option<i64>,
    pub received_at: Option<i64>,
    pub accepted_at: Option<i64>,
    pub change: String,
    pub salt: Option<Vec<u8>>,
    pub digest: Vec<u8>,
    pub hash: Vec<u8>,
}

/// A receipt about to be written.
pub(super) struct Draft {
    pub request: String,
    pub connection: String,
    pub direction: String,
    pub route: String,
    pub event: String,
    pub event_key: i64,
    pub kind: Kind,
    pub was_found: bool,
    pub person: Option<Hash>,
    pub address: Option<Hash>,
    pub acted: (Option<i64>, Option<i64>),
    pub received_at: Option<i64>,
    pub accepted_at: Option<i64>,
    pub call_id: Option<String>,
    pub note: Option<String>,
}

impl Draft {
    /// Of a change.
    pub fn of(receipt: &Receipt, was_found: bool, keys: &Keys) -> Self {
        let (person, address) = keys.person(&receipt.person);
        let acted = |time: fn(crate::domain::ActedAt) -> Option<Timestamp>| receipt.acted.and_then(time).map(micros);
        Self {
            request: text(&receipt.request),
            connection: receipt.event.connection.clone(),
            direction: receipt.direction.to_owned(),
            route: receipt.event.route.clone(),
            event: text(&receipt.event.event),
            event_key: keys.event(&receipt.event),
            kind: Kind::Change(receipt.change),
            was_found,
            person,
            address,
            acted: (acted(crate::domain::ActedAt::earliest), acted(crate::domain::ActedAt::latest)),
            received_at: Some(micros(receipt.received)),
            accepted_at: Some(micros(receipt.accepted)),
            call_id: receipt.call_id.as_deref().map(text),
            note: None,
        }
    }

    /// Whether both tell that the same person is out on the same route.
    pub fn tells_the_same(&self, other: &Self) -> bool {
        let is_out = |draft: &Self| matches!(draft.kind, Kind::Change(change) if change.ends_mail());
        let is_same = |one: Option<Hash>, other: Option<Hash>| one.is_some() && one == other;
        is_out(self)
            && is_out(other)
            && self.route == other.route
            && (is_same(self.person, other.person) || is_same(self.address, other.address))
    }

    /// Of something done to the journal itself.
    pub fn about_the_journal(kind: Kind, note: String) -> Self {
        Self {
            request: String::new(),
            connection: String::new(),
            direction: String::new(),
            route: String::new(),
            event: String::new(),
            event_key: 0,
            kind,
            was_found: false,
            person: None,
            address: None,
            acted: (None, None),
            received_at: None,
            accepted_at: None,
            call_id: None,
            note: Some(note),
        }
    }

    fn digest(&self, salt: &[u8], written_at: i64) -> Hash {
        let hashed = Hashed {
            written_at,
            request: &self.request,
            connection: &self.connection,
            direction: &self.direction,
            route: &self.route,
            event: &self.event,
            event_key: self.event_key,
            change: self.kind.label(),
            was_found: self.was_found,
            person: self.person.as_ref().map(|hash| &hash[..]),
            address: self.address.as_ref().map(|hash| &hash[..]),
            acted: self.acted,
            received_at: self.received_at,
            accepted_at: self.accepted_at,
            call_id: self.call_id.as_deref(),
            note: self.note.as_deref(),
        };
        hashed.digest(salt)
    }
}

/// What a receipt's digest is made of, whether it is about to be written or was read.
struct Hashed<'a> {
    written_at: i64,
    request: &'a str,
    connection: &'a str,
    direction: &'a str,
    route: &'a str,
    event: &'a str,
    event_key: i64,
    change: &'a str,
    was_found: bool,
    person: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    acted: (Option<i64>, Option<i64>),
    received_at: Option<i64>,
    accepted_at: Option<i64>,
    call_id: Option<&'a str>,
    note: Option<&'a str>,
}

impl Hashed<'_> {
    /// In an order that never changes: whoever verifies a receipt years later goes by it.
    fn digest(&self, salt: &[u8]) -> Hash {
        Content::salted(salt)
            .number(Some(self.written_at))
            .text(Some(self.request))
            .text(Some(self.connection))
            .text(Some(self.direction))
            .text(Some(self.route))
            .text(Some(self.event))
            .number(Some(self.event_key))
            .text(Some(self.change))
            .number(Some(i64::from(self.was_found)))
            .bytes(self.person)
            .bytes(self.address)
            .number(self.acted.0)
            .number(self.acted.1)
            .number(self.received_at)
            .number(self.accepted_at)
            .text(self.call_id)
            .text(self.note)
            .digest()
    }
}

impl Evidence {
    /// The digest that it must have; none once its person was erased.
    pub(super) fn digest(&self) -> Option<Hash> {
        let row = &self.row;
        let hashed = Hashed {
            written_at: row.written_at,
            request: &self.request,
            connection: &self.connection,
            direction: &self.direction,
            route: &self.route,
            event: &self.event,
            event_key: row.event_key,
            change: &row.change,
            was_found: self.was_found,
            person: row.person.as_deref(),
            address: row.address.as_deref(),
            acted: (row.acted_from, row.acted_to),
            received_at: row.received_at,
            accepted_at: row.accepted_at,
            call_id: self.call_id.as_deref(),
            note: self.note.as_deref(),
        };
        row.salt.as_deref().map(|salt| hashed.digest(salt))
    }

    /// Its hash in the chain, which covers all before it.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(&self.row.hash)
    }

    /// Whether the person whom it is about was erased.
    #[must_use]
    pub const fn is_erased(&self) -> bool {
        self.row.salt.is_none()
    }

    fn read(row: &AnyRow) -> Result<Self, JournalFault> {
        let stored = Stored {
            written_at: row.try_get("written_at")?,
            event_key: row.try_get("event_key")?,
            person: row.try_get("person")?,
            address: row.try_get("address")?,
            acted_from: row.try_get("acted_from")?,
            acted_to: row.try_get("acted_to")?,
            received_at: row.try_get("received_at")?,
            accepted_at: row.try_get("accepted_at")?,
            change: row.try_get("change")?,
            salt: row.try_get("salt")?,
            digest: row.try_get("digest")?,
            hash: row.try_get("hash")?,
        };
        let was_found: i64 = row.try_get("was_found")?;
        let redelivered: Option<i64> = row.try_get("redelivered_at")?;
        Ok(Self {
            seq: row.try_get("seq")?,
            written: time(stored.written_at),
            request: row.try_get("request")?,
            connection: row.try_get("connection")?,
            direction: row.try_get("direction")?,
            route: row.try_get("route")?,
            event: row.try_get("event")?,
            kind: Kind::parse(&stored.change).ok_or(JournalFault::unreadable())?,
            was_found: was_found != 0,
            acted: (stored.acted_from.map(time), stored.acted_to.map(time)),
            received: stored.received_at.map(time),
            accepted: stored.accepted_at.map(time),
            call_id: row.try_get("call_id")?,
            note: row.try_get("note")?,
            redeliveries: row.try_get("redeliveries")?,
            redelivered: redelivered.map(time),
            row: stored,
        })
    }
}

/// The last receipt: its place in the chain, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub seq: i64,
    pub hash: Hash,
}

impl Head {
    /// As it stands in the journal.
    pub async fn read(connection: &mut AnyConnection) -> Result<Self, JournalFault> {
        let last = "SELECT seq, hash FROM journal_receipt ORDER BY seq DESC LIMIT 1";
        let beginning = "SELECT first_seq, first_hash FROM journal_chain WHERE id = 1";
        let row = match sqlx::query(last).fetch_optional(&mut *connection).await? {
            Some(row) => row,
            None => sqlx::query(beginning).fetch_one(connection).await?,
        };
        let hash: Vec<u8> = row.try_get(1)?;
        Ok(Self { seq: row.try_get(0)?, hash: hash.try_into().map_err(|_| JournalFault::unreadable())? })
    }

    /// Notes in the journal how far the chain has come, so that it shows if receipts before that go missing.
    pub async fn note(self, connection: &mut AnyConnection) -> Result<(), JournalFault> {
        let sql = "UPDATE journal_chain SET seq = $1, hash = $2 WHERE id = 1 AND seq < $1";
        sqlx::query(sql).bind(self.seq).bind(self.hash.to_vec()).execute(connection).await?;
        Ok(())
    }
}

/// Joins receipts to the chain behind `head`, and says where it ends then. That there is one receipt at each place is all that
/// keeps replicas apart: of two that join theirs to the same head, one is refused, and has to read it again.
pub(super) async fn append(
    connection: &mut AnyConnection,
    drafts: &[Draft],
    now: Timestamp,
    head: Head,
) -> Result<Head, JournalFault> {
    let Head { mut seq, mut hash } = head;
    for piece in pieces(drafts) {
        let rows = placeholders(connection, piece.len(), 23);
        let sql = format!("INSERT INTO journal_receipt ({COLUMNS}) VALUES {rows}");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for draft in piece {
            seq += 1;
            let mut salt = random();
            salt.truncate(16);
            let digest = draft.digest(&salt, micros(now));
            hash = join(&hash, seq, &digest);
            query = query
                .bind(seq)
                .bind(micros(now))
                .bind(draft.request.clone())
                .bind(draft.connection.clone())
                .bind(draft.direction.clone())
                .bind(draft.route.clone())
                .bind(draft.event.clone())
                .bind(draft.event_key)
                .bind(draft.kind.label())
                .bind(i64::from(draft.was_found))
                .bind(draft.person.map(|hash| hash.to_vec()))
                .bind(draft.address.map(|hash| hash.to_vec()))
                .bind(draft.acted.0)
                .bind(draft.acted.1)
                .bind(draft.received_at)
                .bind(draft.accepted_at)
                .bind(draft.call_id.clone())
                .bind(draft.note.clone())
                .bind(salt)
                .bind(digest.to_vec())
                .bind(hash.to_vec())
                .bind(0_i64)
                .bind(None::<i64>);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(Head { seq, hash })
}

/// Joins one receipt about the journal itself to the chain.
pub(super) async fn append_one(
    connection: &mut AnyConnection,
    draft: Draft,
    now: Timestamp,
) -> Result<(), JournalFault> {
    let head = Head::read(connection).await?;
    append(connection, &[draft], now, head).await?.note(connection).await
}

/// Whether an account was taken out by a route.
pub(super) async fn was_removed(
    connection: &mut AnyConnection,
    person: &Hash,
    route: &str,
) -> Result<bool, JournalFault> {
    let sql = "SELECT seq FROM journal_receipt WHERE person = $1 AND route = $2 AND change = 'removal' LIMIT 1";
    let found = sqlx::query(sql).bind(person.to_vec()).bind(route.to_owned()).fetch_optional(connection);
    Ok(found.await?.is_some())
}

/// Receipts by what stands for a person, the earliest first.
pub(super) async fn about(pool: &AnyPool, column: &'static str, hash: &Hash) -> Result<Vec<Evidence>, JournalFault> {
    let sql = format!("SELECT {COLUMNS} FROM journal_receipt WHERE {column} = $1 ORDER BY seq");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_vec()).fetch_all(pool).await?;
    rows.iter().map(Evidence::read).collect()
}

/// Receipts from a place in the chain on, in its order, by their places. What somebody changed may not be readable.
pub(super) async fn after(
    connection: &mut AnyConnection,
    seq: i64,
    most: i64,
) -> Result<Vec<(i64, Option<Evidence>)>, JournalFault> {
    let sql = format!("SELECT {COLUMNS} FROM journal_receipt WHERE seq > $1 ORDER BY seq LIMIT $2");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(seq).bind(most).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("seq")?, Evidence::read(row).ok()))).collect()
}
