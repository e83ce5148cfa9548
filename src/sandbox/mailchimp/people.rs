//! What people, the mail and the company do at Mailchimp, without any API.

use super::MailchimpSim;
use super::world::{MemberView, Status, member_id};
use crate::sandbox::esp::{Standing, Subscriber};
use crate::sandbox::{Courier, Faults, SimulatedEsp};
use serde_json::{Value, json};

impl MailchimpSim {
    /// The list that the newsletter goes to.
    #[must_use]
    pub fn list(&self) -> String {
        self.settings().lists.first().cloned().unwrap_or_default()
    }

    /// The member of a list at an address.
    #[must_use]
    pub fn member(&self, list: &str, email: &str) -> Option<MemberView> {
        self.world().lists.get(list)?.get(&email.to_lowercase()).cloned()
    }

    /// Somebody reports a mail as spam. Whether they could.
    pub fn complain(&self, email: &str) -> bool {
        self.leaves(email, Status::Unsubscribed, "abuse")
    }

    /// Somebody who is subscribed is no longer, for good as far as the API is concerned.
    fn leaves(&self, email: &str, status: Status, reason: &str) -> bool {
        let (list, key) = (self.list(), email.to_lowercase());
        let happened = {
            let mut world = self.world();
            let now = world.clock.now();
            let held = world.lists.get_mut(&list).and_then(|list| list.get_mut(&key));
            let Some(held) = held.filter(|held| held.status == Status::Subscribed) else { return false };
            held.status = status;
            held.changed = now;
            held.in_compliance_state = true;
            if status == Status::Cleaned {
                let mut event = world.event("cleaned", &list, &key);
                event["data[reason]"] = json!(reason);
                event
            } else {
                let mut event = world.left(&list, &key, "unsub", reason);
                event["data[campaign_id]"] = json!("cb398d21d2");
                event
            }
        };
        self.publish(vec![happened]);
        true
    }
}

fn view(held: MemberView) -> Subscriber {
    let text = |tag: &str| held.merge_fields.get(tag).and_then(Value::as_str).map(str::to_owned);
    Subscriber {
        state: held.status.name(),
        standing: match held.status {
            Status::Subscribed => Standing::Mailed,
            Status::Pending => Standing::Unconfirmed,
            Status::Cleaned => Standing::Bounced,
            Status::Unsubscribed | Status::Transactional => Standing::OptedOut,
            Status::Archived => Standing::Deleted,
        },
        since: None,
        first_name: text("FNAME"),
        uid: text("GIGYAUID"),
        email: held.email,
    }
}

impl SimulatedEsp for MailchimpSim {
    fn name(&self) -> &'static str {
        "Mailchimp"
    }

    fn slug(&self) -> &'static str {
        "mailchimp"
    }

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    fn people(&self) -> Vec<Subscriber> {
        let world = self.world();
        world.lists.get(&self.list()).into_iter().flat_map(|list| list.values().cloned()).map(view).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.member(&self.list(), email).map(view).into_iter().collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        self.leaves(email, Status::Unsubscribed, "manual")
    }

    fn bounce(&self, email: &str) -> bool {
        self.leaves(email, Status::Cleaned, "hard")
    }

    fn delete(&self, email: &str) -> bool {
        let happened = self.world().archive(&self.list(), &email.to_lowercase());
        let could = happened.is_ok();
        self.publish(happened.unwrap_or_default());
        could
    }

    /// The one way back for somebody who left by themselves.
    fn form_subscribe(&self, email: &str) -> bool {
        let could = !self.mails(email);
        if could {
            let list = self.list();
            let happened = {
                let mut world = self.world();
                if let Some(held) = world.lists.get_mut(&list).and_then(|list| list.get_mut(&email.to_lowercase())) {
                    held.in_compliance_state = false;
                }
                let body = json!({ "email_address": email, "status": "subscribed" });
                world.put(&list, &member_id(email), &body).map(|(_, happened)| happened)
            };
            self.publish(happened.unwrap_or_default());
        }
        could
    }
}
