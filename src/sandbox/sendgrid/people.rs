//! What people, the mail and the company do at SendGrid, without any API.

use super::SendgridSim;
use super::world::World;
use crate::sandbox::esp::{Standing, Subscriber};
use crate::sandbox::{Courier, Faults, SimulatedEsp};
use jiff::Timestamp;
use serde_json::{Value, json};

impl SendgridSim {
    /// The group that the newsletter is sent with.
    #[must_use]
    pub fn group(&self) -> u64 {
        self.settings().groups.first().copied().unwrap_or_default()
    }

    /// Whether an address is out of a group.
    #[must_use]
    pub fn is_out_of(&self, group: u64, email: &str) -> bool {
        self.world().groups.get(&group).is_some_and(|held| held.contains_key(&email.to_lowercase()))
    }

    /// Whether an address is out of everything.
    #[must_use]
    pub fn is_out_of_everything(&self, email: &str) -> bool {
        self.world().everything.contains_key(&email.to_lowercase())
    }

    /// Somebody reports a mail as spam. Whether they could.
    pub fn complain(&self, email: &str) -> bool {
        self.leaves(email, "spamreport", None, |world, email, now| {
            world.spam_reports.insert(email, now);
        })
    }

    /// Somebody leaves a group by a link. Whether they could.
    pub fn leaves_group(&self, group: u64, email: &str) -> bool {
        self.leaves(email, "group_unsubscribe", Some(group), |world, email, now| {
            world.groups.entry(group).or_default().insert(email, now);
        })
    }

    /// Somebody leaves everything by a link. Whether they could.
    pub fn unsubscribe_from_everything(&self, email: &str) -> bool {
        self.leaves(email, "unsubscribe", None, |world, email, now| {
            world.everything.insert(email, now);
        })
    }

    fn leaves(
        &self,
        email: &str,
        event: &str,
        group: Option<u64>,
        note: impl Fn(&mut World, String, Timestamp),
    ) -> bool {
        if !self.mails(email) {
            return false;
        }
        let event = {
            let mut world = self.world();
            let now = world.clock.now();
            note(&mut world, email.to_lowercase(), now);
            world.event(event, email, group)
        };
        self.publish(event);
        true
    }

    fn view(&self, world: &World, email: &str) -> Option<Subscriber> {
        let (key, group) = (email.to_lowercase(), self.group());
        let contact = world.contacts.get(&key);
        let is_out = world.groups.get(&group).is_some_and(|held| held.contains_key(&key));
        let (state, standing) = if world.reaches(&self.settings().list, group, email) {
            ("on the list", Standing::Mailed)
        } else if is_out || world.everything.contains_key(&key) || world.spam_reports.contains_key(&key) {
            ("suppressed", Standing::OptedOut)
        } else if world.bounces.contains_key(&key) {
            ("bounced", Standing::Bounced)
        } else {
            return None;
        };
        let text = |name: &str| contact.and_then(|held| held.fields.get(name)).and_then(Value::as_str);
        let (first_name, uid) = (text("first_name").map(str::to_owned), text("external_id").map(str::to_owned));
        Some(Subscriber { email: key, state, standing, since: None, first_name, uid })
    }
}

impl SimulatedEsp for SendgridSim {
    fn name(&self) -> &'static str {
        "SendGrid"
    }

    fn slug(&self) -> &'static str {
        "sendgrid"
    }

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    fn people(&self) -> Vec<Subscriber> {
        let world = self.world();
        world.contacts.keys().filter_map(|email| self.view(&world, email)).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.view(&self.world(), email).into_iter().collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        self.leaves_group(self.group(), email)
    }

    fn bounce(&self, email: &str) -> bool {
        self.leaves(email, "bounce", None, |world, email, now| {
            world.bounces.insert(email, now);
        })
    }

    /// Nobody is told of that.
    fn delete(&self, email: &str) -> bool {
        self.world().contacts.remove(&email.to_lowercase()).is_some()
    }

    /// On the preferences page, as far as the group is concerned; by a form, as far as the list is.
    fn form_subscribe(&self, email: &str) -> bool {
        let could = !self.mails(email);
        if could {
            let group = self.group();
            let event = {
                let mut world = self.world();
                world.upsert(&json!({ "list_ids": [self.settings().list], "contacts": [{ "email": email }] }));
                let was_out = world.groups.get_mut(&group).and_then(|held| held.remove(&email.to_lowercase()));
                was_out.map(|_| world.event("group_resubscribe", email, Some(group)))
            };
            if let Some(event) = event {
                self.publish(event);
            }
        }
        could
    }
}
