//! What a simulated system has around it: the time, and what brings its webhooks to somebody.

use super::carrier::{Carrier, Moment, Post};
use super::{Attempt, Clock};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Told of every webhook event, as it begins and ends to be on its way.
pub type Observer = Arc<dyn Fn(Moment<'_>) + Send + Sync>;

/// What a simulated system has around it. Clones are the same.
#[derive(Clone)]
pub struct Surroundings {
    /// Its clock.
    pub clock: Clock,
    /// Every webhook request, as it is answered.
    pub attempts: broadcast::Sender<Attempt>,
    /// What takes its webhooks to whom they are for.
    pub carrier: Arc<dyn Carrier>,
    /// Who wants to know of each event.
    pub observer: Option<Observer>,
    /// What its chances follow from: which calls fail, which webhooks are late.
    pub seed: u64,
}

impl Surroundings {
    /// The network, and the same chances every time.
    #[must_use]
    pub fn real(clock: Clock, attempts: broadcast::Sender<Attempt>) -> Self {
        Self { clock, attempts, carrier: Arc::new(Post::default()), observer: None, seed: 7 }
    }

    /// The same with chances of its own.
    #[must_use]
    pub fn seeded(&self, seed: u64) -> Self {
        Self { seed, ..self.clone() }
    }
}
