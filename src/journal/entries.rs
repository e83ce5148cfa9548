//! What is written to the journal, in plain values. Hashing and encryption happen behind the interface.

use super::queue::PendingId;
use crate::domain::{ActedAt, Audience, Change, ConnectionName, Email, Reason, Uid};
use jiff::Timestamp;

/// Everything that one request has to have written before it is answered. All of it is, or none.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// Links made and given up.
    pub links: Vec<LinkChange>,
    /// Changes that took effect.
    pub receipts: Vec<Receipt>,
    /// Events that found everything to be so already.
    pub seen: Vec<Seen>,
    /// Events that a person must look at.
    pub rejected: Vec<SetAside>,
    /// Events to be finished later.
    pub unfinished: Vec<Unfinished>,
    /// Unfinished ones that are done by this.
    pub finished: Vec<PendingId>,
}

impl Entries {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
            && self.receipts.is_empty()
            && self.seen.is_empty()
            && self.rejected.is_empty()
            && self.unfinished.is_empty()
            && self.finished.is_empty()
    }

    /// These and those.
    pub fn append(&mut self, mut other: Self) {
        self.take_up(&mut other);
    }

    /// Takes those in, too; says how many of each there were before.
    pub(super) fn take_up(&mut self, other: &mut Self) -> [usize; 6] {
        let before = [
            self.links.len(),
            self.receipts.len(),
            self.seen.len(),
            self.rejected.len(),
            self.unfinished.len(),
            self.finished.len(),
        ];
        self.links.append(&mut other.links);
        self.receipts.append(&mut other.receipts);
        self.seen.append(&mut other.seen);
        self.rejected.append(&mut other.rejected);
        self.unfinished.append(&mut other.unfinished);
        self.finished.append(&mut other.finished);
        before
    }

    /// Gives back what was taken in last, when there were so many before.
    pub(super) fn give_back(&mut self, before: &[usize; 6]) -> Self {
        Self {
            links: self.links.split_off(before[0]),
            receipts: self.receipts.split_off(before[1]),
            seen: self.seen.split_off(before[2]),
            rejected: self.rejected.split_off(before[3]),
            unfinished: self.unfinished.split_off(before[4]),
            finished: self.finished.split_off(before[5]),
        }
    }
}

/// An address under which an audience may hold an account's subscriber, as the gateway sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account.
    pub uid: Uid,
    /// The ESP connection.
    pub esp: ConnectionName,
    /// The audience there.
    pub audience: Audience,
    /// The address.
    pub address: Email,
    /// Which writing of it this is, a number by chance. It is given up only if nobody wrote it anew meanwhile.
    pub hold: i64,
    /// Whether it was given up a while ago: a call that was on its way then may have arrived since.
    pub is_left: bool,
}

/// A link made or given up.
#[derive(Clone, Debug)]
pub struct LinkChange {
    /// The account's Gigya connection.
    pub gigya: ConnectionName,
    /// The link.
    pub link: Link,
    /// Whether the audience may hold the subscriber under the address from now on; else it is given up, unless its
    /// `hold` is another one by now. Of one commit, links are made first, then given up.
    pub holds: bool,
}

/// Whom something is about, as far as it is known. Never written but as hashes.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// The account, with its Gigya connection.
    pub account: Option<(ConnectionName, Uid)>,
    /// The address.
    pub address: Option<Email>,
}

/// A change that took effect.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Which event it was for.
    pub event: EventKey,
    /// The id of the request that brought it, as in logs.
    pub request: String,
    /// Which way it went.
    pub direction: &'static str,
    /// What was changed.
    pub change: Change,
    /// Whom it is about.
    pub person: Person,
    /// When the person acted, where that is known.
    pub acted: Option<ActedAt>,
    /// When the gateway was told.
    pub received: Timestamp,
    /// When the other side had accepted it.
    pub accepted: Timestamp,
    /// The other side's id of the call.
    pub call_id: Option<String>,
}

/// One event on one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventKey {
    /// The connection that it came from.
    pub connection: String,
    /// The sender's id of it. May be empty: then it can't be told from others.
    pub event: String,
    /// The route's label.
    pub route: String,
}

/// An event that found everything to be so already: one that comes again, an echo, or a change that took effect before
/// this gateway could write it down.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What a receipt of it says, should there be none yet.
    pub receipt: Receipt,
    /// Whether it tells of somebody who is out.
    pub is_out: bool,
}

/// An event that a person must look at.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// Which one.
    pub event: EventKey,
    /// Which way it went.
    pub direction: &'static str,
    /// Why.
    pub reason: Reason,
    /// Whom it is about.
    pub person: Person,
    /// The event, in `forward`'s own notation.
    pub payload: Vec<u8>,
}

/// An event to be finished later.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// The connection that it came from.
    pub connection: String,
    /// Which way it goes.
    pub direction: &'static str,
    /// Whom it is about: one person's from one connection are finished in order.
    pub person: Person,
    /// When the gateway was told.
    pub received: Timestamp,
    /// Why it isn't done.
    pub reason: Reason,
    /// The event, in `forward`'s own notation.
    pub payload: Vec<u8>,
}
