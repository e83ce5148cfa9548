//! What people, the mail and the company do at Braze, without any API.

use super::BrazeSim;
use super::world::{UserView, World};
use crate::sandbox::esp::{Standing, Subscriber};
use crate::sandbox::{Courier, Faults, SimulatedEsp};
use serde_json::{Value, json};

impl BrazeSim {
    /// The group that the newsletter is sent with.
    #[must_use]
    pub fn group(&self) -> String {
        self.settings().groups.first().cloned().unwrap_or_default()
    }

    /// The user with an external id.
    #[must_use]
    pub fn user(&self, external_id: &str) -> Option<UserView> {
        self.world().users.get(external_id).cloned()
    }

    /// Somebody leaves everything by a link. Whether they could.
    pub fn unsubscribe_from_everything(&self, email: &str) -> bool {
        self.each_reached(email, |world, id| {
            let now = world.clock.now();
            if let Some(user) = world.users.get_mut(id) {
                "unsubscribed".clone_into(&mut user.email_subscribe);
                user.unsubscribed = Some(now);
            }
            Some(world.event("unsubscribed", id, None))
        })
    }

    /// Somebody reports a mail as spam, which is the same to Braze. Whether they could.
    pub fn complain(&self, email: &str) -> bool {
        self.unsubscribe_from_everything(email)
    }

    /// Does something to every user with an address to whom mail of the group goes.
    fn each_reached(&self, email: &str, work: impl Fn(&mut World, &str) -> Option<Value>) -> bool {
        let group = self.group();
        let mut happened = Vec::new();
        let ids: Vec<String> = {
            let mut world = self.world();
            let users = world.users.iter().filter(|(_, user)| user.has(email) && user.is_reached(&group));
            let ids: Vec<_> = users.map(|(id, _)| id.clone()).collect();
            happened.extend(ids.iter().filter_map(|id| work(&mut world, id)));
            ids
        };
        self.publish(happened);
        !ids.is_empty()
    }

    fn view(&self, user: UserView) -> Option<Subscriber> {
        let group = self.group();
        let (state, standing) = if user.is_reached(&group) {
            ("subscribed", Standing::Mailed)
        } else if user.bounced {
            ("bounced", Standing::Bounced)
        } else if user.email_subscribe == "unsubscribed" || user.groups.get(&group) == Some(&false) {
            ("unsubscribed", Standing::OptedOut)
        } else {
            return None;
        };
        let first_name = user.attributes.get("first_name").and_then(Value::as_str).map(str::to_owned);
        let email = user.email.unwrap_or_default();
        Some(Subscriber { email, state, standing, since: None, first_name, uid: user.external_id })
    }
}

impl SimulatedEsp for BrazeSim {
    fn name(&self) -> &'static str {
        "Braze"
    }

    fn slug(&self) -> &'static str {
        "braze"
    }

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    fn people(&self) -> Vec<Subscriber> {
        let all: Vec<_> = self.world().users.values().cloned().collect();
        all.into_iter().filter_map(|user| self.view(user)).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        let all: Vec<_> = self.world().users.values().filter(|user| user.has(email)).cloned().collect();
        all.into_iter().filter_map(|user| self.view(user)).collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        let group = self.group();
        self.each_reached(email, |world, id| world.set(id, &group, false))
    }

    fn bounce(&self, email: &str) -> bool {
        self.each_reached(email, |world, id| {
            world.users.get_mut(id)?.bounced = true;
            Some(world.event("bounced", id, None))
        })
    }

    /// Nobody is told of that.
    fn delete(&self, email: &str) -> bool {
        let mut world = self.world();
        let before = world.users.len();
        world.users.retain(|_, user| !user.has(email));
        world.users.len() < before
    }

    /// Such a form knows no Gigya UID, so the user has no external id.
    fn form_subscribe(&self, email: &str) -> bool {
        let could = !self.mails(email);
        if could {
            let groups = json!([{ "subscription_group_id": self.group(), "subscription_state": "subscribed" }]);
            let attributes = json!({ "external_id": email, "email": email, "email_subscribe": "subscribed", "subscription_groups": groups });
            let happened = self.world().track(&attributes);
            self.publish(happened);
        }
        could
    }
}
