//! What happens to a list without any webhook: imports of before there was one, webhooks that were switched off,
//! calls that were lost. Each says when it happened, so that it is known who acted last.

use super::CampaignMonitorSim;
use super::list::{List, State, Subscriber};
use jiff::Timestamp;
use std::sync::Arc;

/// A subscriber as they are to be there.
#[derive(Clone, Debug)]
pub struct StockedSubscriber {
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
    /// The state.
    pub state: State,
    /// Since when it is so.
    pub changed: Timestamp,
    /// Custom fields, by name.
    pub fields: Vec<(Arc<str>, String)>,
}

impl CampaignMonitorSim {
    /// Subscribers are there, a million at once perhaps. (Clones of one `Arc` for names of fields save memory.)
    pub fn stock(&self, list: &str, subscribers: impl IntoIterator<Item = StockedSubscriber>) {
        self.drift(list, |list| {
            for stocked in subscribers {
                list.put(Subscriber {
                    email: stocked.email,
                    name: stocked.name,
                    mobile: String::new(),
                    state: stocked.state,
                    changed: stocked.changed,
                    joined: stocked.changed,
                    fields: stocked.fields,
                    consent_to_track: "Unchanged",
                });
            }
        });
    }

    /// Somebody came to be in a state: opted out or in, bounced, was deleted. No webhook told.
    pub fn set_muted_state(&self, list: &str, email: &str, state: State, at: Timestamp) {
        self.drift(list, |list| {
            if let Some(held) = list.get(email).cloned() {
                list.put(Subscriber { state, changed: at, ..held });
            }
        });
    }

    /// A custom field changed, or the name if `field` is `Name`. No webhook told, and no time is kept.
    pub fn set_muted_field(&self, list: &str, email: &str, field: &str, value: &str) {
        self.drift(list, |list| {
            let Some(mut held) = list.get(email).cloned() else { return };
            if field == "Name" {
                value.clone_into(&mut held.name);
            } else {
                held.fields.retain(|(name, _)| **name != *field);
                held.fields.push((field.into(), value.to_owned()));
            }
            list.put(held);
        });
    }

    /// An address changed, and no webhook told.
    pub fn set_muted_address(&self, list: &str, old: &str, new: &str) {
        self.drift(list, |list| {
            if let Some(held) = list.remove(old) {
                list.put(Subscriber { email: new.to_owned(), ..held });
            }
        });
    }

    /// Somebody is gone as if they had never been there. (Deleting leaves them there, in that state.)
    pub fn forget(&self, list: &str, email: &str) {
        self.drift(list, |list| {
            list.remove(email);
        });
    }

    /// Looks at one subscriber after the other, without copying all of them: address, state, custom fields.
    pub fn for_each_subscriber(&self, list: &str, mut look: impl FnMut(&str, State, &[(Arc<str>, String)])) {
        self.drift(list, |list| list.all().for_each(|held| look(&held.email, held.state, &held.fields)));
    }

    fn drift(&self, list: &str, change: impl FnOnce(&mut List)) {
        if let Ok(list) = self.world().list(list) {
            change(list);
        }
    }
}
