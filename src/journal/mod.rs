//! The journal: what a gateway without memory can't know.
//!
//! | what | why |
//! | --- | --- |
//! | links | which addresses an account was sent to each audience with, so that a changed address takes its subscriber along and a deleted account can be taken out |
//! | receipts | which change reached which system when; pseudonymous, joined by a chain of hashes |
//! | set aside | events that can never be forwarded, for a person to look at |
//! | unfinished | events that were acknowledged at the sender's deadline and are still to be done |
//!
//! [`Journal`] is the interface, [`Database`] what stands behind it: SQLite on one machine, PostgreSQL for many replicas;
//! the same schema, the same code. No address and no UID is readable in it: they are found by keyed hash and kept
//! encrypted. Imports `telemetry`, `config` and `domain`.

mod accounts;
mod admin;
mod chain;
mod commit;
mod database;
mod entries;
mod existing;
mod fault;
mod flavour;
mod forget;
mod gather;
mod health;
mod keys;
mod known;
mod lending;
mod links;
mod opening;
mod place;
mod prune;
mod queue;
mod reader;
mod receipts;
mod rejected;
mod rows;
mod server;
mod verify;
mod wrapped;
mod writer;

pub use admin::Census;
pub use database::{Database, OpenError};
pub use entries::{Entries, EventKey, Link, LinkChange, Person, Receipt, Seen, SetAside, Unfinished};
pub use fault::JournalFault;
pub use forget::{Erasable, Whom};
pub use opening::open;
pub use prune::Pruned;
pub use queue::{Claimed, Pending, PendingId, Waiting};
pub use receipts::{Evidence, Kind};
pub use rejected::{Rejected, RejectedId};
pub use verify::{Broken, Noted, Verified};

use crate::domain::{ConnectionName, Email, Reason, Uid};
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

/// What `forward` needs of a journal. Every write is durable when it returns.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The addresses that were sent to any audience for these UIDs of a Gigya connection, the latest first; among them those
    /// that were given up within the last day.
    async fn links(&self, gigya: &ConnectionName, uids: &[&Uid]) -> Result<Vec<Link>, JournalFault>;

    /// The UIDs of a Gigya connection for which an address was sent to any audience; those for which it was given up only
    /// if there are no others.
    async fn uids_at(&self, gigya: &ConnectionName, address: &Email) -> Result<Vec<Uid>, JournalFault>;

    /// Whether an account was taken out by a route before, as receipts have it.
    async fn was_removed(&self, gigya: &ConnectionName, uid: &Uid, route: &str) -> Result<bool, JournalFault>;

    /// Leaves everything in order before the process ends.
    async fn close(&self) {}

    /// Writes all of it, or none.
    async fn commit(&self, entries: Entries) -> Result<(), JournalFault>;

    /// Takes unfinished events that are due, at most `most`, for `owner` alone until the lease ends. Of one person's from one
    /// connection, the earliest only.
    async fn claim(&self, owner: &str, lease: Duration, most: usize) -> Result<Vec<Claimed>, JournalFault>;

    /// Gives one back that couldn't be finished now, for after `pause`.
    async fn put_off(&self, claimed: &Claimed, reason: Reason, pause: Duration) -> Result<(), JournalFault>;

    /// Takes off links that were given up long enough ago. Returns how many.
    async fn tidy(&self) -> Result<u64, JournalFault>;

    /// How much waits to be finished, or to be looked at.
    async fn waiting(&self) -> Result<Waiting, JournalFault>;

    /// The time by which the journal counts.
    fn now(&self) -> Timestamp;
}
