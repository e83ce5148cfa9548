//! What the journal knows of where an account's subscribers are.

use super::gateway::{GigyaSide, RouteEnds};
use crate::domain::{Email, Uid};
use crate::journal::{Entries, Link, LinkChange};

/// The addresses that an account, under its present UID or a former one, was sent to audiences with.
#[derive(Debug, Default)]
pub struct Links {
    held: Vec<Link>,
    /// Whether the journal couldn't be asked: then there may be others.
    pub are_lost: bool,
}

impl Links {
    /// Asks the journal, if there is one.
    pub async fn of(side: &GigyaSide, uids: &[&Uid]) -> Self {
        let Some(journal) = &side.journal else { return Self::default() };
        // An ESP that finds people by their UID needs no telling.
        if side.routes.iter().all(|ends| ends.esp.finds_by_uid()) {
            return Self::default();
        }
        match journal.links(&side.config.name, uids).await {
            Ok(held) => Self { held, are_lost: false },
            Err(fault) => {
                tracing::error!(connection = %side.config.name, %fault, "links can't be read");
                Self { held: Vec::new(), are_lost: true }
            }
        }
    }

    /// The addresses under which a route's audience may hold the account.
    pub fn at<'a>(&'a self, ends: &'a RouteEnds) -> impl Iterator<Item = &'a Email> {
        self.on(ends).map(|link| &link.address)
    }

    /// Whether it is known that a route's audience may hold this account under this address.
    pub fn hold(&self, ends: &RouteEnds, uid: &Uid, address: &Email) -> bool {
        self.on(ends).any(|link| link.uid == *uid && link.address == *address)
    }

    /// What changes with a settled route: addresses that its audience no longer holds the account under, and what was a
    /// former UID's.
    pub fn changes(&self, side: &GigyaSide, ends: &RouteEnds, uid: &Uid, left: &[Email]) -> Vec<LinkChange> {
        let change = |link: Link, holds| LinkChange { gigya: side.config.name.clone(), link, holds };
        let mut changes = Vec::new();
        for link in self.on(ends) {
            let is_left = left.contains(&link.address);
            if link.uid != *uid && !is_left {
                changes.push(change(Link { uid: uid.clone(), ..link.clone() }, true));
            }
            if link.uid != *uid || is_left {
                changes.push(change(link.clone(), false));
            }
        }
        changes
    }

    fn on<'a>(&'a self, ends: &'a RouteEnds) -> impl Iterator<Item = &'a Link> {
        self.held.iter().filter(|link| link.esp == ends.route.esp && link.audience == ends.route.audience)
    }
}

/// Writes down, before anything is sent, that an audience may hold an account under an address. False if it can't be.
pub async fn hold(side: &GigyaSide, ends: &RouteEnds, uid: &Uid, address: &Email) -> bool {
    let Some(journal) = &side.journal else { return true };
    let (esp, audience) = (ends.route.esp.clone(), ends.route.audience.clone());
    let link = Link { uid: uid.clone(), esp, audience, address: address.clone() };
    let change = LinkChange { gigya: side.config.name.clone(), link, holds: true };
    let written = journal.commit(Entries { links: vec![change], ..Entries::default() }).await;
    if let Err(fault) = &written {
        tracing::error!(route = ends.label, %fault, "nobody is opted in or moved, as it can't be written down where they are");
    }
    written.is_ok()
}
