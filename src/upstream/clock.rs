//! What time it is: the second seam to the outside, beside [`Transport`](super::Transport).
//!
//! Deadlines, pauses and rests are counted by Tokio's clock; this one is for times that are compared with what other
//! systems say, as a signature's age. The two may disagree, as any machine's clock may be off.

use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Tells the time of day. Clones tell the same.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl WallClock {
    /// This machine's.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// Any other: one that is off, or simulated.
    pub fn of(time: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(time))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.now()).finish()
    }
}
