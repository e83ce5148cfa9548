//! What people, the mail and the company do at Klaviyo, without any API.

use super::KlaviyoSim;
use super::world::{ConsentState, ProfileView};
use crate::sandbox::esp::{Standing, Subscriber};
use crate::sandbox::{Courier, Faults, SimulatedEsp};
use serde_json::Value;

impl KlaviyoSim {
    /// The list that the newsletter goes to.
    #[must_use]
    pub fn list(&self) -> String {
        self.settings().lists.first().cloned().unwrap_or_default()
    }

    /// The profile at an address.
    #[must_use]
    pub fn profile(&self, email: &str) -> Option<ProfileView> {
        self.world().profiles.get(&email.to_lowercase()).cloned()
    }

    /// Whether mail to a list reaches an address.
    #[must_use]
    pub fn list_reaches(&self, list: &str, email: &str) -> bool {
        self.profile(email).is_some_and(|held| held.is_reached(list))
    }

    /// Somebody leaves everything by a link. Whether they could.
    pub fn unsubscribe_from_everything(&self, email: &str) -> bool {
        self.leaves(email, None)
    }

    /// Somebody reports a mail as spam. Whether they could.
    pub fn complain(&self, email: &str) -> bool {
        self.suppressed(email, "SPAM_COMPLAINT", "marked_email_as_spam")
    }

    fn leaves(&self, email: &str, list: Option<&str>) -> bool {
        let could = self.mails(email);
        if could {
            let happened = self.world().unsubscribe(email, list);
            self.publish(happened);
        }
        could
    }

    fn suppressed(&self, email: &str, reason: &'static str, metric: &str) -> bool {
        let could = self.mails(email);
        if could {
            let event = {
                let mut world = self.world();
                world.suppress(email, reason);
                world.event(metric, email, None)
            };
            self.publish(vec![event]);
        }
        could
    }

    fn view(&self, held: ProfileView) -> Option<Subscriber> {
        let list = self.list();
        let is_off = held.list_suppressions.iter().any(|(suppressed, _)| *suppressed == list);
        let is_bounced = held.suppressions.iter().any(|(reason, _)| *reason == "HARD_BOUNCE");
        let (state, standing) = if held.is_reached(&list) {
            ("subscribed", Standing::Mailed)
        } else if is_bounced {
            ("suppressed", Standing::Bounced)
        } else if is_off || !held.suppressions.is_empty() || held.consent == ConsentState::Unsubscribed {
            ("unsubscribed", Standing::OptedOut)
        } else {
            return None;
        };
        let first_name = held.attributes.get("first_name").and_then(Value::as_str).map(str::to_owned);
        Some(Subscriber { email: held.email, state, standing, since: None, first_name, uid: held.external_id })
    }
}

impl SimulatedEsp for KlaviyoSim {
    fn name(&self) -> &'static str {
        "Klaviyo"
    }

    fn slug(&self) -> &'static str {
        "klaviyo"
    }

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    fn people(&self) -> Vec<Subscriber> {
        let all: Vec<_> = self.world().profiles.values().cloned().collect();
        all.into_iter().filter_map(|held| self.view(held)).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.profile(email).and_then(|held| self.view(held)).into_iter().collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        let list = (!self.settings().link_leaves_everything).then(|| self.list());
        self.leaves(email, list.as_deref())
    }

    fn bounce(&self, email: &str) -> bool {
        self.suppressed(email, "HARD_BOUNCE", "bounced_email")
    }

    /// Nobody is told of that.
    fn delete(&self, email: &str) -> bool {
        self.world().profiles.remove(&email.to_lowercase()).is_some()
    }

    fn form_subscribe(&self, email: &str) -> bool {
        let could = !self.mails(email);
        if could {
            let list = self.list();
            let happened = self.world().subscribe(email, Some(&list));
            self.publish(happened);
        }
        could
    }
}
