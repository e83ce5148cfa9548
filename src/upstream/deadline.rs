//! The instant by which a whole webhook must be answered.

use std::time::Duration;
use tokio::time::Instant;

/// When a request must be answered. Every call made for it shares this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    end: Instant,
    /// How long there was from the beginning.
    whole: Duration,
}

impl Deadline {
    /// `time` after `start`.
    #[must_use]
    pub fn after(start: Instant, time: Duration) -> Self {
        Self { end: start + time, whole: time }
    }

    /// The instant itself.
    #[must_use]
    pub const fn at(self) -> Instant {
        self.end
    }

    /// How much time is left; `None` once there is none.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.left_at(Instant::now())
    }

    /// The same at this instant.
    #[must_use]
    pub fn left_at(self, now: Instant) -> Option<Duration> {
        self.end.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Whether so little is left, an eighth, that nothing should be begun that must be seen to afterwards.
    #[must_use]
    pub fn is_nearly_over(self) -> bool {
        !self.allows(self.whole / 8)
    }

    /// Whether a pause of this length leaves any time for work.
    #[must_use]
    pub fn allows(self, pause: Duration) -> bool {
        self.left().is_some_and(|left| pause < left)
    }
}
