//! What people, the mail and the company do at Brevo, without any API.

use super::BrevoSim;
use super::world::ContactView;
use crate::sandbox::esp::{Standing, Subscriber};
use crate::sandbox::{Courier, Faults, SimulatedEsp};
use jiff::Timestamp;
use serde_json::{Value, json};

impl BrevoSim {
    /// The contact at an address.
    #[must_use]
    pub fn contact(&self, email: &str) -> Option<ContactView> {
        self.world().contacts.get(&email.to_ascii_lowercase()).cloned()
    }

    /// The list that the newsletter goes to.
    #[must_use]
    pub fn list(&self) -> u64 {
        self.settings().lists.first().copied().unwrap_or_default()
    }

    /// Whether campaigns to a list reach an address.
    #[must_use]
    pub fn list_reaches(&self, list: u64, email: &str) -> bool {
        self.contact(email).is_some_and(|held| !held.blocked && held.lists.contains(&list))
    }

    /// A person at the company puts a contact on a list.
    pub fn put_on(&self, list: u64, email: &str) {
        let happened = self.world().write(&email.to_ascii_lowercase(), &json!({ "listIds": [list] }));
        self.publish(happened.unwrap_or_default());
    }

    /// Somebody leaves one list on a page of preferences. Which event tells of it isn't documented; here the contact changed.
    pub fn leaves_one(&self, list: u64, email: &str) {
        let key = email.to_ascii_lowercase();
        let happened = {
            let mut world = self.world();
            if let Some(held) = world.contacts.get_mut(&key).filter(|held| held.lists.contains(&list)) {
                held.left.insert(list);
            }
            world.write(&key, &json!({ "unlinkListIds": [list] }))
        };
        self.publish(happened.unwrap_or_default());
    }

    /// Somebody reports a mail as spam. Whether they could.
    pub fn complain(&self, email: &str) -> bool {
        self.blocked(email, "spam", |held, now| held.complained.push(now))
    }

    /// Puts somebody on the blocklist if they are mailed, and tells why.
    fn blocked(&self, email: &str, event: &str, note: impl Fn(&mut ContactView, Timestamp)) -> bool {
        if !self.list_reaches(self.list(), email) {
            return false;
        }
        let happened = {
            let mut world = self.world();
            let now = world.clock.now();
            let Some(held) = world.contacts.get_mut(&email.to_ascii_lowercase()) else { return false };
            held.blocked = true;
            held.modified = now;
            note(held, now);
            let lists = if event == "unsubscribe" { vec![self.list()] } else { Vec::new() };
            world.about_mail(event, email, &lists)
        };
        self.publish(vec![happened]);
        true
    }

    fn view(&self, held: ContactView) -> Option<Subscriber> {
        let is_on = held.lists.contains(&self.list());
        let (state, standing) = match (held.blocked, is_on) {
            (true, _) if !held.bounced.is_empty() => ("blocked", Standing::Bounced),
            (true, _) => ("blocked", Standing::OptedOut),
            (false, true) => ("on the list", Standing::Mailed),
            (false, false) => return None,
        };
        let first_name = held.attributes.get("FIRSTNAME").and_then(Value::as_str).map(str::to_owned);
        Some(Subscriber { email: held.email, state, standing, since: None, first_name, uid: held.ext_id })
    }
}

impl SimulatedEsp for BrevoSim {
    fn name(&self) -> &'static str {
        "Brevo"
    }

    fn slug(&self) -> &'static str {
        "brevo"
    }

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    fn people(&self) -> Vec<Subscriber> {
        let all: Vec<_> = self.world().contacts.values().cloned().collect();
        all.into_iter().filter_map(|held| self.view(held)).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.contact(email).and_then(|held| self.view(held)).into_iter().collect()
    }

    /// Puts them on the blocklist: the link in a campaign is one for everything.
    fn unsubscribe_link(&self, email: &str) -> bool {
        self.blocked(email, "unsubscribe", |held, now| held.by_user.push(now))
    }

    fn bounce(&self, email: &str) -> bool {
        self.blocked(email, "hard_bounce", |held, now| held.bounced.push(now))
    }

    fn delete(&self, email: &str) -> bool {
        let happened = self.world().delete(&email.to_ascii_lowercase());
        let was_there = happened.is_ok();
        self.publish(happened.unwrap_or_default());
        was_there
    }

    /// That such a form takes somebody off the blocklist is our reading.
    fn form_subscribe(&self, email: &str) -> bool {
        let could = !self.mails(email);
        if could {
            let body = json!({
                "email": email, "listIds": [self.list()], "updateEnabled": true, "emailBlacklisted": false,
            });
            let happened = self.world().create(&body).map(|(_, happened)| happened);
            self.publish(happened.unwrap_or_default());
        }
        could
    }
}
