//! The audience of the simulated ESP of nobody in particular.

use super::{SimulatedEsp, Standing, Subscriber};
use crate::sandbox::described::{DescribedSim, Person, State};
use crate::sandbox::{Courier, Faults};

/// Its audience.
pub struct DescribedAudience(DescribedSim);

impl DescribedAudience {
    pub fn new(sim: DescribedSim) -> Self {
        Self(sim)
    }
}

impl SimulatedEsp for DescribedAudience {
    fn name(&self) -> &'static str {
        "Described"
    }

    fn slug(&self) -> &'static str {
        "http"
    }

    fn faults(&self) -> &Faults {
        self.0.faults()
    }

    fn courier(&self) -> &Courier {
        self.0.courier()
    }

    fn people(&self) -> Vec<Subscriber> {
        self.0.people().into_iter().map(view).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.people().into_iter().filter(|person| person.email.eq_ignore_ascii_case(email)).collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        self.0.happens(email, State::Stopped, &[State::Active])
    }

    fn bounce(&self, email: &str) -> bool {
        self.0.happens(email, State::Bounced, &[State::Active])
    }

    fn delete(&self, email: &str) -> bool {
        self.0.delete(email)
    }

    fn form_subscribe(&self, email: &str) -> bool {
        self.0.happens(email, State::Active, &[State::Stopped, State::Bounced, State::Complained])
    }
}

fn view(person: Person) -> Subscriber {
    Subscriber {
        state: person.state.name(),
        standing: match person.state {
            State::Active => Standing::Mailed,
            State::Bounced => Standing::Bounced,
            State::Stopped | State::Complained => Standing::OptedOut,
        },
        since: Some(person.since),
        first_name: person.field("first_name"),
        uid: person.field("gigya_uid"),
        email: person.email,
    }
}
