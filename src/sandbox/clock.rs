//! The simulators' clock: this machine's, or one that runs with Tokio's; moved as a test needs it.

use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::Instant;

/// Tells the time. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds by which it was moved.
    moved: Arc<AtomicI64>,
    /// What it said when Tokio's clock said this; it is this machine's else.
    started: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// A clock that says `start` now, and from then on runs with Tokio's: where that is simulated, so is this.
    #[must_use]
    pub fn simulated(start: Timestamp) -> Self {
        Self { moved: Arc::default(), started: Some((start, Instant::now())) }
    }

    /// Another clock, which is ahead of this one for ever, or behind.
    #[must_use]
    pub fn ahead_by(&self, by: SignedDuration) -> Self {
        let other = Self { moved: Arc::new(AtomicI64::new(self.moved.load(Ordering::Relaxed))), started: self.started };
        other.advance(by);
        other
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.started.map_or_else(Timestamp::now, |(at, then)| {
            let since = SignedDuration::try_from(then.elapsed()).unwrap_or_default();
            at.checked_add(since).unwrap_or(at)
        });
        let moved = SignedDuration::from_millis(self.moved.load(Ordering::Relaxed));
        now.checked_add(moved).unwrap_or(now)
    }

    /// Lets time pass, or turns it back.
    pub fn advance(&self, by: SignedDuration) {
        self.moved.fetch_add(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }
}
