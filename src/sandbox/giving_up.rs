//! When a system stops redelivering a webhook, and when it stops calling altogether for a while.

use std::time::{Duration, Instant};

/// When a system gives up on a request that isn't answered well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GivingUp {
    /// Never, as Gigya and Campaign Monitor.
    #[default]
    Never,
    /// After a few quick attempts the request is put off, then sent again at shrinking intervals for days
    /// (Marketing Cloud's newer rule).
    AfterDays {
        /// Attempts at the temper's growing intervals.
        attempts: u32,
        /// How long it is then put off. Each further wait is half as long, down to the temper's first interval.
        deferral: Duration,
        /// How long after the first attempt it is sent for the last time.
        in_all: Duration,
    },
    /// After a few retries the request is lost, and so is for a while everything else, if requests are lost in a
    /// row (Marketing Cloud's older rule).
    AfterRetries {
        /// Attempts after the first one.
        retries: u32,
        /// Two requests lost in a row within this time suspend the receiver.
        within: Duration,
        /// How long the first suspension lasts. Each further one is twice as long, until a request is answered well.
        suspension: Duration,
        /// The longest suspension.
        longest_suspension: Duration,
    },
}

impl GivingUp {
    /// How long to wait after the failed attempt `number`, the first having been made `age` ago; none to give up.
    /// `growing` is the temper's own next interval, `shortest` its first.
    pub(super) fn wait(self, number: u32, age: Duration, growing: Duration, shortest: Duration) -> Option<Duration> {
        match self {
            Self::Never => Some(growing),
            Self::AfterDays { in_all, .. } if age >= in_all => None,
            Self::AfterDays { attempts, .. } if number < attempts => Some(growing),
            Self::AfterDays { attempts, deferral, .. } => {
                Some((deferral / (1 << (number - attempts).min(16))).max(shortest))
            }
            Self::AfterRetries { retries, .. } => (number <= retries).then_some(growing),
        }
    }
}

/// How a receiver stands with a system that suspends.
#[derive(Debug, Default)]
pub(super) struct Standing {
    lost: Option<Instant>,
    suspensions: u32,
    until: Option<Instant>,
}

impl Standing {
    pub(super) fn is_suspended(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    pub(super) fn answered(&mut self) {
        self.lost = None;
        self.suspensions = 0;
    }

    /// A request was lost. (That a lost request, and not each attempt, is a failure that counts is our reading:
    /// otherwise the second retry would never be made.)
    pub(super) fn gave_up(&mut self, rule: GivingUp, now: Instant) {
        let GivingUp::AfterRetries { within, suspension, longest_suspension, .. } = rule else { return };
        match self.lost {
            Some(last) if now.duration_since(last) <= within => {
                let length = suspension.saturating_mul(1 << self.suspensions.min(16)).min(longest_suspension);
                self.suspensions += 1;
                self.until = Some(now + length);
                self.lost = None;
            }
            _ => self.lost = Some(now),
        }
    }
}
