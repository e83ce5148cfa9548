//! What people and the mail do at Campaign Monitor, without any API.

use super::CampaignMonitorSim;
use super::list::{State, Subscriber};
use jiff::Timestamp;
use serde_json::json;

/// A subscriber as a test or a page wants to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriberView {
    /// The address.
    pub email: String,
    /// The state.
    pub state: State,
    /// Since when it is so.
    pub changed: Timestamp,
    /// The name.
    pub name: String,
    /// Custom fields, by name.
    pub fields: Vec<(String, String)>,
}

impl SubscriberView {
    /// The first value of a custom field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl CampaignMonitorSim {
    /// Somebody subscribes by a form.
    pub fn form_subscribe(&self, list: &str, email: &str) {
        let write = json!({ "EmailAddress": email, "ConsentToTrack": "Unchanged" });
        let happened = self.world().add(list, &write, true).unwrap_or_default();
        self.publish(happened);
    }

    /// Somebody follows the link in the confirmation mail of a list with confirmed opt-in.
    pub fn confirm(&self, list: &str, email: &str) {
        let mut world = self.world();
        let now = world.now();
        let Some(list_of_it) = world.lists.get_mut(list) else { return };
        let held = list_of_it.get(email).filter(|held| held.state == State::Unconfirmed).cloned();
        let Some(held) = held else { return };
        list_of_it.put(Subscriber { state: State::Active, changed: now, ..held });
        let event = world.event("Subscribe", list, email, None);
        drop(world);
        self.publish(vec![event]);
    }

    /// Somebody follows the unsubscribe link in a mail. Whether they could: nobody gets mail who isn't active.
    pub fn unsubscribe_link(&self, list: &str, email: &str) -> bool {
        self.deactivated(list, email, State::Unsubscribed)
    }

    /// Somebody reports a mail as spam. (How the state is then called in a webhook is not documented.)
    pub fn complain(&self, list: &str, email: &str) -> bool {
        self.deactivated(list, email, State::Unsubscribed)
    }

    /// A mail comes back.
    pub fn bounce(&self, list: &str, email: &str) -> bool {
        self.deactivated(list, email, State::Bounced)
    }

    /// A person at the company deletes the subscriber.
    pub fn delete(&self, list: &str, email: &str) -> bool {
        self.deactivated(list, email, State::Deleted)
    }

    fn deactivated(&self, list: &str, email: &str, state: State) -> bool {
        let happened = self.world().deactivate(list, email, state);
        let done = happened.is_ok();
        self.publish(happened.unwrap_or_default());
        done
    }

    /// Somebody changes their address in the preference centre.
    pub fn change_address(&self, list: &str, old: &str, new: &str) {
        let write = json!({ "EmailAddress": new, "ConsentToTrack": "Unchanged" });
        let happened = self.world().update(list, old, &write).unwrap_or_default();
        self.publish(happened);
    }

    /// Looks at a subscriber.
    #[must_use]
    pub fn subscriber(&self, list: &str, email: &str) -> Option<SubscriberView> {
        self.world().find(list, email).map(view)
    }

    /// A subscriber's state.
    #[must_use]
    pub fn state(&self, list: &str, email: &str) -> Option<State> {
        self.subscriber(list, email).map(|subscriber| subscriber.state)
    }

    /// Looks at every subscriber of a list.
    #[must_use]
    pub fn subscribers(&self, list: &str) -> Vec<SubscriberView> {
        let mut all: Vec<_> =
            self.world().lists.get(list).map(|list| list.all().map(view).collect()).unwrap_or_default();
        all.sort_by_cached_key(|held: &SubscriberView| held.email.to_ascii_lowercase());
        all
    }
}

fn view(subscriber: &Subscriber) -> SubscriberView {
    SubscriberView {
        email: subscriber.email.clone(),
        state: subscriber.state,
        changed: subscriber.changed,
        name: subscriber.name.clone(),
        fields: subscriber.fields.iter().map(|(key, value)| (key.to_string(), value.clone())).collect(),
    }
}
