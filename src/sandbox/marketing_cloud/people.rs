//! What people, the mail and administrators do at Marketing Cloud, without any API.

use super::MarketingCloudSim;
use super::events::{self, OPEN, Recipient, UNSUBSCRIBE};
use super::world::{Status, Subscriber, Written};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// A subscriber as a test or a page wants to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriberView {
    /// The key.
    pub key: String,
    /// The number.
    pub id: u64,
    /// The address.
    pub email: String,
    /// The status for everything ("master").
    pub status: Status,
    /// Since when everything is off, if it is.
    pub unsubscribed: Option<Timestamp>,
    /// Profile attributes, by name.
    pub attributes: Vec<(String, String)>,
    /// Lists: id, status there, since when it is so.
    pub lists: Vec<(String, Status, Timestamp)>,
}

impl SubscriberView {
    /// A profile attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The status on a list.
    #[must_use]
    pub fn on_list(&self, list: &str) -> Option<Status> {
        self.lists.iter().find(|(id, ..)| id == list).map(|(_, status, _)| *status)
    }
}

impl MarketingCloudSim {
    /// Somebody follows the unsubscribe link in a mail: one that went to a publication list takes them off that,
    /// one that went to everybody takes them off everything. All who are at the address and got the mail are taken
    /// off, with an event each. Whether anybody was: nobody gets mail who isn't mailable.
    pub fn unsubscribe_link(&self, email: &str, list: Option<&str>) -> bool {
        let mut world = self.world();
        let (keys, now) = (world.mailable_at(email, list), world.now());
        let everything = world.all_subscribers_list.clone();
        let list = list.unwrap_or(&everything);
        let ids = keys.iter().filter_map(|key| world.subscribers.get(key)).map(|held| held.id).collect();
        let job = world.new_job(list, ids);
        let mut happened = Vec::new();
        for key in &keys {
            let Some(held) = world.subscribers.get_mut(key) else { continue };
            if list == everything {
                held.set_status(Status::Unsubscribed, now);
            } else {
                held.set_list_status(list, Status::Unsubscribed, now);
            }
            happened.push(events::unsubscribed(self.settings(), now, job, list, &recipient(held)));
        }
        drop(world);
        self.publish(UNSUBSCRIBE, happened);
        !keys.is_empty()
    }

    /// Mail came back three times: held. Fires no event.
    pub fn hold(&self, email: &str) -> bool {
        self.turn_mailable(email, Status::Held)
    }

    /// Somebody reports a mail as spam, and a feedback loop brings it here: off everything. Fires no event.
    pub fn complain(&self, email: &str) -> bool {
        self.turn_mailable(email, Status::Unsubscribed)
    }

    fn turn_mailable(&self, email: &str, status: Status) -> bool {
        let mut world = self.world();
        let (keys, now) = (world.mailable_at(email, None), world.now());
        for key in &keys {
            if let Some(held) = world.subscribers.get_mut(key) {
                held.set_status(status, now);
            }
        }
        !keys.is_empty()
    }

    /// Somebody at this address unsubscribes from the whole platform, all its customers. No API undoes that.
    pub fn unsubscribe_globally(&self, email: &str) {
        self.world().global.insert(email.to_lowercase());
        self.complain(email);
    }

    /// An administrator deletes whoever is at an address. Fires no event.
    pub fn administrator_deletes(&self, email: &str) -> bool {
        let mut world = self.world();
        let keys: Vec<_> = world.subscribers.at(email).map(|held| held.key.clone()).collect();
        keys.iter().filter_map(|key| world.subscribers.remove(key)).count() > 0
    }

    /// An import: somebody is there afterwards, with this address and this status, on a list or for everything.
    /// Fires no event. Somebody who is being deleted is skipped.
    pub fn import(&self, key: &str, email: &str, list: Option<&str>, status: Status) {
        let mut world = self.world();
        if world.is_suppressed(key) {
            return;
        }
        let now = world.now();
        if world.subscribers.get(key).is_none() {
            world.add(key, email);
        }
        world.subscribers.set_email(key, email);
        let Some(held) = world.subscribers.get_mut(key) else { return };
        match list {
            Some(list) if list != self.settings().all_subscribers_list => held.set_list_status(list, status, now),
            _ => held.set_status(status, now),
        }
    }

    /// Somebody opens a mail that went to everybody. Fires an event, of another type.
    pub fn opens_a_mail(&self, email: &str) {
        let mut world = self.world();
        let (list, now) = (world.all_subscribers_list.clone(), world.now());
        let here = world.visible_at(email);
        let here: Vec<_> = here.map(recipient).collect();
        let job = world.new_job(&list, here.iter().map(|recipient| recipient.id).collect());
        drop(world);
        let opened = |recipient| events::opened(self.settings(), now, job, &list, recipient);
        self.publish(OPEN, here.iter().map(opened).collect());
    }

    /// Looks at a subscriber. One who is being deleted is not to be seen.
    #[must_use]
    pub fn subscriber(&self, key: &str) -> Option<SubscriberView> {
        self.world().find(Some(key), None).map(view)
    }

    /// Looks at every subscriber.
    #[must_use]
    pub fn subscribers(&self) -> Vec<SubscriberView> {
        self.world().visible().map(view).collect()
    }

    /// Looks at those who are at an address.
    #[must_use]
    pub fn subscribers_at(&self, email: &str) -> Vec<SubscriberView> {
        self.world().visible_at(email).map(view).collect()
    }

    /// Whether anybody at an address would be sent commercial mail, to a list or to everybody.
    #[must_use]
    pub fn is_mailable(&self, email: &str, list: Option<&str>) -> bool {
        !self.world().mailable_at(email, list).is_empty()
    }

    /// Looks at a row of a data extension.
    #[must_use]
    pub fn row(&self, data_extension: &str, key: &str) -> Option<BTreeMap<String, String>> {
        let world = self.world();
        let extension = world.extensions.get(data_extension)?;
        let row = extension.get(key)?;
        Some(extension.named(row).map(|(column, value)| (column.to_owned(), value.to_owned())).collect())
    }

    /// Tells what was left by a write through the API, if the account is one that does.
    pub(super) fn api_wrote(&self, written: &Written, job: Option<u64>) {
        if !self.settings().api_unsubscribes_fire {
            return;
        }
        let (now, recipient) = (self.inner.around.clock.now(), recipient(&written.subscriber));
        let event = |list: &String| events::unsubscribed(self.settings(), now, job.unwrap_or(0), list, &recipient);
        self.publish(UNSUBSCRIBE, written.left.iter().map(event).collect());
    }

    /// Hands what happened to the callback that wants to know, if there is one. Nobody else ever gets to know.
    fn publish(&self, kind: &str, happened: Vec<Value>) {
        if !self.ens().is_listened_to(kind) {
            return;
        }
        for event in happened {
            self.courier().take(event);
        }
    }
}

fn recipient(held: &Subscriber) -> Recipient {
    Recipient { id: held.id, key: held.key.to_string(), email: held.email.clone() }
}

fn view(held: &Subscriber) -> SubscriberView {
    SubscriberView {
        key: held.key.to_string(),
        id: held.id,
        email: held.email.clone(),
        status: held.status,
        unsubscribed: held.unsubscribed,
        attributes: held.attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        lists: held.lists.iter().map(|(id, place)| (id.to_string(), place.status, place.modified)).collect(),
    }
}
