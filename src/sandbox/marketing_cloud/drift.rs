//! What happens at Marketing Cloud without any event: imports, administrators, events that were lost. Each says when
//! it happened, so that it is known who acted last.

use super::MarketingCloudSim;
use super::world::{Membership, Status};
use jiff::Timestamp;
use std::sync::Arc;

/// A subscriber as they are to be there.
#[derive(Clone, Debug)]
pub struct StockedContact {
    /// The key.
    pub key: Arc<str>,
    /// The address.
    pub email: String,
    /// The status for everything.
    pub status: Status,
    /// Profile attributes, by name.
    pub attributes: Vec<(Arc<str>, String)>,
    /// Publication lists, with the status there.
    pub lists: Vec<(Arc<str>, Status)>,
    /// Since when all of it is so.
    pub at: Timestamp,
}

impl StockedContact {
    /// Somebody who may be mailed, on no publication list.
    #[must_use]
    pub fn active(key: &str, email: &str, at: Timestamp) -> Self {
        let (key, email) = (key.into(), email.to_owned());
        Self { key, email, status: Status::Active, attributes: Vec::new(), lists: Vec::new(), at }
    }
}

impl MarketingCloudSim {
    /// Subscribers are there, a million at once perhaps. (Clones of one `Arc` for lists' ids save memory.)
    pub fn stock(&self, contacts: impl IntoIterator<Item = StockedContact>) {
        let mut world = self.world();
        for stocked in contacts {
            world.add(&stocked.key, &stocked.email);
            let Some(held) = world.subscribers.get_mut(&stocked.key) else { continue };
            let place = |status| Membership { status, created: stocked.at, modified: stocked.at };
            held.created = stocked.at;
            held.modified = stocked.at;
            held.status = stocked.status;
            held.unsubscribed = (stocked.status == Status::Unsubscribed).then_some(stocked.at);
            held.attributes = stocked.attributes;
            held.lists = stocked.lists.into_iter().map(|(list, status)| (list, place(status))).collect();
        }
    }

    /// Rows are there: their keys, and what is in other columns.
    pub fn stock_rows<'a, C>(&self, data_extension: &str, rows: impl IntoIterator<Item = (&'a str, C)>)
    where
        C: AsRef<[(&'a str, &'a str)]>,
    {
        if let Some(extension) = self.world().extensions.get_mut(data_extension) {
            for (key, columns) in rows {
                extension.put(key, columns.as_ref());
            }
        }
    }

    /// Somebody came to have a status, on a list or for everything. No event told.
    pub fn set_muted_status(&self, key: &str, list: Option<&str>, status: Status, at: Timestamp) {
        let list = list.filter(|list| *list != self.settings().all_subscribers_list);
        if let Some(held) = self.world().subscribers.get_mut(key) {
            match list {
                Some(list) => held.set_list_status(list, status, at),
                None => held.set_status(status, at),
            }
        }
    }

    /// An address changed, and no event told. No time of it is kept.
    pub fn set_muted_address(&self, key: &str, email: &str) {
        self.world().subscribers.set_email(key, email);
    }

    /// A cell of a row changed. No time of it is kept.
    pub fn set_muted_cell(&self, data_extension: &str, key: &str, column: &str, value: &str) {
        self.stock_rows(data_extension, [(key, [(column, value)])]);
    }

    /// Somebody is gone as if they had never been there; their rows stay.
    pub fn forget(&self, key: &str) {
        self.world().subscribers.remove(key);
    }

    /// A row is gone.
    pub fn forget_row(&self, data_extension: &str, key: &str) {
        if let Some(extension) = self.world().extensions.get_mut(data_extension) {
            extension.remove(key);
        }
    }

    /// Looks at one subscriber after the other, without copying all of them: key, address, status for everything,
    /// and status on a list, if one is named and they are on it.
    pub fn for_each_subscriber(&self, list: Option<&str>, mut look: impl FnMut(&str, &str, Status, Option<Status>)) {
        let world = self.world();
        for held in world.visible() {
            let place = list.and_then(|list| held.on(list));
            look(&held.key, &held.email, held.status, place.map(|place| place.status));
        }
    }
}
