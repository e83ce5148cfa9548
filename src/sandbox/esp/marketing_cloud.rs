//! An audience of the simulated Marketing Cloud: everybody there or a publication list, and the data extension that
//! holds their profiles.

use super::{SimulatedEsp, Standing, Subscriber};
use crate::sandbox::marketing_cloud::{MarketingCloudSim, Status, SubscriberView};
use crate::sandbox::{Courier, Faults};
use jiff::Timestamp;

/// One audience.
pub struct MarketingCloudAudience {
    sim: MarketingCloudSim,
    /// The publication list; everybody if none.
    list: Option<String>,
    data_extension: Option<String>,
}

impl MarketingCloudAudience {
    /// `audience` as a route spells it. Mail to a data extension alone is taken for mail to everybody.
    pub fn new(sim: MarketingCloudSim, audience: &str) -> Self {
        let part = |kind: &str| {
            audience.split('+').find_map(|part| part.strip_prefix(kind)?.strip_prefix(':').map(str::to_owned))
        };
        Self { list: part("publication-list"), data_extension: part("data-extension"), sim }
    }

    /// Somebody as this audience has them, if it does.
    fn view(&self, held: SubscriberView) -> Option<Subscriber> {
        let (status, since) = self.status(&held)?;
        let of_row = |extension: &String| self.sim.row(extension, &held.key)?.remove("FirstName");
        let first_name = self.data_extension.as_ref().and_then(of_row);
        Some(Subscriber {
            state: status.name(),
            standing: match status {
                // Mail that came back is tried again, until it has too often.
                Status::Active | Status::Bounced => Standing::Mailed,
                Status::Held => Standing::Bounced,
                Status::Unsubscribed => Standing::OptedOut,
                Status::Deleted => Standing::Deleted,
            },
            since,
            first_name: first_name.or_else(|| held.attribute("First Name").map(str::to_owned)),
            uid: Some(held.key),
            email: held.email,
        })
    }

    /// The status that decides: who is out of everything is out of each list.
    fn status(&self, held: &SubscriberView) -> Option<(Status, Option<Timestamp>)> {
        let everywhere = (held.status, held.unsubscribed);
        let Some(list) = &self.list else { return Some(everywhere) };
        let (_, status, since) = held.lists.iter().find(|(id, ..)| id == list)?;
        let is_out_of_everything = !matches!(held.status, Status::Active | Status::Bounced);
        Some(if is_out_of_everything { everywhere } else { (*status, Some(*since)) })
    }
}

impl SimulatedEsp for MarketingCloudAudience {
    fn name(&self) -> &'static str {
        "Marketing Cloud"
    }

    fn slug(&self) -> &'static str {
        "marketing-cloud"
    }

    fn faults(&self) -> &Faults {
        self.sim.faults()
    }

    fn courier(&self) -> &Courier {
        self.sim.courier()
    }

    fn people(&self) -> Vec<Subscriber> {
        self.sim.subscribers().into_iter().filter_map(|held| self.view(held)).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.sim.subscribers_at(email).into_iter().filter_map(|held| self.view(held)).collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        self.sim.unsubscribe_link(email, self.list.as_deref())
    }

    fn bounce(&self, email: &str) -> bool {
        self.sim.hold(email)
    }

    fn delete(&self, email: &str) -> bool {
        self.sim.administrator_deletes(email)
    }

    /// Such a form knows no Gigya UID, so the address is the subscriber's key.
    fn form_subscribe(&self, email: &str) -> bool {
        let could = !self.mails(email);
        if could {
            self.sim.import(email, email, self.list.as_deref(), Status::Active);
        }
        could
    }
}
