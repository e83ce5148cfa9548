//! A list of the simulated Campaign Monitor.

use super::{SimulatedEsp, Standing, Subscriber};
use crate::sandbox::campaign_monitor::{CampaignMonitorSim, State, SubscriberView};
use crate::sandbox::{Courier, Faults};

/// One list.
pub struct CampaignMonitorList {
    sim: CampaignMonitorSim,
    list: String,
}

impl CampaignMonitorList {
    pub fn new(sim: CampaignMonitorSim, list: &str) -> Self {
        Self { sim, list: list.to_owned() }
    }
}

impl SimulatedEsp for CampaignMonitorList {
    fn name(&self) -> &'static str {
        "Campaign Monitor"
    }

    fn slug(&self) -> &'static str {
        "campaign-monitor"
    }

    fn faults(&self) -> &Faults {
        self.sim.faults()
    }

    fn courier(&self) -> &Courier {
        self.sim.courier()
    }

    fn people(&self) -> Vec<Subscriber> {
        self.sim.subscribers(&self.list).into_iter().map(view).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.sim.subscriber(&self.list, email).map(view).into_iter().collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        self.sim.unsubscribe_link(&self.list, email)
    }

    fn bounce(&self, email: &str) -> bool {
        self.sim.bounce(&self.list, email)
    }

    fn delete(&self, email: &str) -> bool {
        self.sim.delete(&self.list, email)
    }

    fn form_subscribe(&self, email: &str) -> bool {
        let could = !self.mails(email);
        if could {
            self.sim.form_subscribe(&self.list, email);
        }
        could
    }
}

fn view(held: SubscriberView) -> Subscriber {
    let field = |name: &str| held.field(name).map(str::to_owned);
    Subscriber {
        state: held.state.name(),
        standing: match held.state {
            State::Active => Standing::Mailed,
            State::Unconfirmed => Standing::Unconfirmed,
            State::Bounced => Standing::Bounced,
            State::Unsubscribed => Standing::OptedOut,
            State::Deleted => Standing::Deleted,
        },
        since: Some(held.changed),
        first_name: field("First Name"),
        uid: field("GigyaUID"),
        email: held.email,
    }
}
