//! What the journal knows of where an account's subscribers are, and what changes of that while they are worked on.
//!
//! An address is written down before the first call that may make a subscriber of it, each time with a mark of its own
//! (`hold`), and given up only by that mark: whoever has it written down meanwhile keeps it.

use super::gateway::{GigyaSide, RouteEnds};
use crate::domain::{Email, Uid};
use crate::journal::{Entries, JournalFault, Link, LinkChange};
use crate::mutation::{self, Mutation};
use crate::upstream::Deadline;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The addresses that an account, under its present UID or a former one, was sent to audiences with.
#[derive(Debug, Default)]
pub struct Links {
    known: Mutex<Vec<Known>>,
    /// Whether the journal couldn't be asked: then there may be others.
    pub are_lost: bool,
}

#[derive(Debug)]
struct Known {
    link: Link,
    /// Whether the audience no longer holds the account under it.
    leaves: bool,
    /// Whether it is still to be written.
    is_owed: bool,
}

impl Known {
    const fn new(link: Link) -> Self {
        Self { link, leaves: false, is_owed: false }
    }
}

impl Links {
    /// Asks the journal, if there is one. Not for so long that there is no time for what can be done without it.
    pub async fn of(side: &GigyaSide, uids: &[&Uid], deadline: Deadline) -> Self {
        let Some(journal) = &side.journal else { return Self::default() };
        // An ESP that finds people by their UID needs no telling.
        if side.routes.iter().all(|ends| ends.esp.finds_by_uid()) {
            return Self::default();
        }
        let patience = deadline.left().unwrap_or_default() / 3;
        match within(patience, journal.links(&side.config.name, uids)).await {
            Ok(known) => Self { known: Mutex::new(known.into_iter().map(Known::new).collect()), are_lost: false },
            Err(fault) => {
                tracing::error!(connection = %side.config.name, %fault, "links can't be read");
                Self { known: Mutex::default(), are_lost: true }
            }
        }
    }

    /// The addresses under which a route's audience may hold the account.
    pub fn at(&self, ends: &RouteEnds) -> Vec<Email> {
        let mut addresses: Vec<Email> = Vec::new();
        for known in self.known().iter().filter(|known| is_on(known, ends)) {
            if !addresses.contains(&known.link.address) {
                addresses.push(known.link.address.clone());
            }
        }
        addresses
    }

    /// The address that was sent last for the account, to whatever audience; one that wasn't given up, if there is any.
    pub fn last(&self) -> Option<Email> {
        let known = self.known();
        let held = known.iter().find(|known| !known.link.is_left).or(known.first());
        held.map(|known| known.link.address.clone())
    }

    /// Whether it is written down that a route's audience may hold this account under this address.
    pub fn hold(&self, ends: &RouteEnds, uid: &Uid, address: &Email) -> bool {
        self.known().iter().any(|known| is_that(known, ends, uid, address) && !known.link.is_left)
    }

    /// Writes down, before anything is sent, that an audience may hold the account under an address. False if it can't be.
    pub async fn write(
        &self,
        side: &GigyaSide,
        ends: &RouteEnds,
        uid: &Uid,
        address: &Email,
        deadline: Deadline,
    ) -> bool {
        if side.journal.is_none() {
            return true;
        }
        let link = new(ends, uid, address);
        let is_owed = mutation::is(Mutation::WriteLinksAfterwards);
        if !is_owed && !write(side, ends, link.clone(), deadline).await {
            return false;
        }
        if mutation::is(Mutation::ForgetOwnLinks) {
            return true;
        }
        let mut known = self.known();
        known.retain(|known| !is_that(known, ends, uid, address));
        known.push(Known { link, leaves: false, is_owed });
        true
    }

    /// The route's audience holds the account under these addresses, and under none else anymore.
    pub fn are_left_but(&self, ends: &RouteEnds, addresses: &[Email]) {
        for known in self.known().iter_mut().filter(|known| is_on(known, ends)) {
            known.leaves = !addresses.contains(&known.link.address);
        }
    }

    /// What changes with a settled route: addresses that its audience no longer holds the account under, and what was a
    /// former UID's.
    pub fn changes(&self, side: &GigyaSide, ends: &RouteEnds, uid: &Uid) -> Vec<LinkChange> {
        let change = |link: Link, holds| LinkChange { gigya: side.config.name.clone(), link, holds };
        let all = self.known();
        let mut changes = Vec::new();
        for known in all.iter().filter(|known| is_on(known, ends)) {
            let link = &known.link;
            if known.is_owed && !known.leaves {
                changes.push(change(link.clone(), true));
            }
            let is_formers = link.uid != *uid;
            let is_taken_over = all.iter().any(|other| is_that(other, ends, uid, &link.address) && !other.link.is_left);
            if is_formers && !is_taken_over {
                // One that is given up, too: what is said there yet is this account's.
                let taken_over = new(ends, uid, &link.address);
                changes.push(change(taken_over.clone(), true));
                if known.leaves {
                    changes.push(change(taken_over, false));
                }
            }
            if (is_formers || known.leaves) && !link.is_left {
                changes.push(change(link.clone(), false));
            }
        }
        changes
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_on(Known { link, .. }: &Known, ends: &RouteEnds) -> bool {
    link.esp == ends.route.esp && link.audience == ends.route.audience
}

fn is_that(known: &Known, ends: &RouteEnds, uid: &Uid, address: &Email) -> bool {
    is_on(known, ends) && known.link.uid == *uid && known.link.address == *address
}

fn new(ends: &RouteEnds, uid: &Uid, address: &Email) -> Link {
    let (esp, audience) = (ends.route.esp.clone(), ends.route.audience.clone());
    Link { uid: uid.clone(), esp, audience, address: address.clone(), hold: fastrand::i64(..), is_left: false }
}

/// Writes down that an audience may hold another account under an address. False if it can't be.
pub async fn hold(side: &GigyaSide, ends: &RouteEnds, uid: &Uid, address: &Email, deadline: Deadline) -> bool {
    write(side, ends, new(ends, uid, address), deadline).await
}

async fn write(side: &GigyaSide, ends: &RouteEnds, link: Link, deadline: Deadline) -> bool {
    let Some(journal) = &side.journal else { return true };
    let change = LinkChange { gigya: side.config.name.clone(), link, holds: true };
    let entries = Entries { links: vec![change], ..Entries::default() };
    let written = within(deadline.left().unwrap_or_default(), journal.commit(entries)).await;
    if let Err(fault) = &written {
        tracing::error!(route = &*ends.label, %fault, "nobody is opted in or moved, as it can't be written down where they are");
    }
    written.is_ok()
}

/// What the journal answers, unless it takes too long.
pub async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, JournalFault>>,
) -> Result<T, JournalFault> {
    let answer = tokio::time::timeout(patience, asked).await;
    answer.unwrap_or_else(|_| Err(JournalFault::new("it doesn't answer in time")))
}
