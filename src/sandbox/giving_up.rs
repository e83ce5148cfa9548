//! When a system stops redelivering a webhook, and when it stops calling altogether for a while.

use std::time::Duration;
use tokio::time::Instant;

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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits after each attempt, in seconds, all of them at `age`.
    fn waits(rule: GivingUp, attempts: u32, age: Duration) -> Vec<Option<u64>> {
        let wait = |number| rule.wait(number, age, SECOND * number, SECOND).map(|wait| wait.as_secs());
        (1..=attempts).map(wait).collect()
    }

    #[test]
    fn a_request_is_put_off_after_its_attempts_and_then_ever_less() {
        let rule = GivingUp::AfterDays { attempts: 3, deferral: SECOND * 16, in_all: SECOND * 100 };
        let expected = [1, 2, 16, 8, 4, 2, 1, 1].map(Some);
        assert_eq!(waits(rule, 8, SECOND), expected);
        assert_eq!(waits(rule, 2, SECOND * 100), [None, None], "its days are over");
    }

    #[test]
    fn a_request_is_lost_after_its_retries() {
        let (within, suspension) = (SECOND, SECOND);
        let rule = GivingUp::AfterRetries { retries: 3, within, suspension, longest_suspension: SECOND };
        assert_eq!(waits(rule, 4, SECOND), [Some(1), Some(2), Some(3), None]);
        assert_eq!(waits(GivingUp::Never, 2, SECOND), [Some(1), Some(2)]);
    }

    #[test]
    fn suspensions_grow_until_a_request_is_answered() {
        let (within, suspension, longest_suspension) = (SECOND * 5, SECOND * 10, SECOND * 30);
        let rule = GivingUp::AfterRetries { retries: 3, within, suspension, longest_suspension };
        let (mut standing, start) = (Standing::default(), Instant::now());
        let suspended_for = |standing: &mut Standing| {
            standing.gave_up(rule, start);
            standing.gave_up(rule, start + SECOND);
            standing.until.map(|until| until.duration_since(start).as_secs() - 1)
        };
        assert_eq!([10, 20, 30, 30].map(Some), [(); 4].map(|()| suspended_for(&mut standing)));
        standing.answered();
        assert_eq!(suspended_for(&mut standing), Some(10));
    }

    #[test]
    fn requests_lost_far_apart_do_not_suspend() {
        let (within, suspension) = (SECOND * 5, SECOND * 10);
        let rule = GivingUp::AfterRetries { retries: 3, within, suspension, longest_suspension: suspension };
        let (mut standing, start) = (Standing::default(), Instant::now());
        standing.gave_up(rule, start);
        standing.gave_up(rule, start + SECOND * 6);
        assert!(!standing.is_suspended(start + SECOND * 6));
        standing.gave_up(rule, start + SECOND * 7);
        assert!(standing.is_suspended(start + SECOND * 7) && !standing.is_suspended(start + SECOND * 17));
    }
}
