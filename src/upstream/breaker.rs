//! Leaves a failing system alone for a while. A state machine; the time is passed in.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that open the breaker. Enough that a burst of bad luck on an upstream that fails one
/// call in twenty never does (one in 10^13), few enough that a dead one is noticed within a second or two.
const FAILURES_TO_OPEN: u32 = 10;
/// How long it stays open the first time; twice as long each time the trial call fails too.
const FIRST_REST: Duration = Duration::from_millis(500);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// Whether calls are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All of them.
    Closed = 0,
    /// One, on trial.
    HalfOpen = 1,
    /// None.
    Open = 2,
}

/// Counts failures in a row and, past a limit, refuses calls for a growing time; then lets one through on trial.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    rest: Duration,
    on_trial: bool,
}

/// Leave to make one call. Dropped without [`Pass::settle`], as when a request is cancelled, it counts for
/// nothing, and a trial call is given back.
#[must_use]
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    trial: bool,
    settled: bool,
}

impl Breaker {
    /// Leave to make a call now; `None` while the breaker is open, or another call is on trial.
    pub fn admit(&self, now: Instant) -> Option<Pass<'_>> {
        let mut inner = self.lock();
        let trial = match &mut inner.open {
            None => false,
            Some(open) if now < open.until || open.on_trial => return None,
            Some(open) => {
                open.on_trial = true;
                true
            }
        };
        Some(Pass { breaker: self, trial, settled: false })
    }

    /// The state at this instant.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.lock().open {
            None => BreakerState::Closed,
            Some(open) if now < open.until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Says how the call went. Returns whether the breaker opened or closed because of it.
    pub fn settle(mut self, healthy: bool, now: Instant) -> bool {
        self.settled = true;
        let mut inner = self.breaker.lock();
        if healthy {
            inner.failures = 0;
            // Calls admitted before it opened may still succeed; only the trial call closes it.
            return self.trial && inner.open.take().is_some();
        }
        inner.failures = inner.failures.saturating_add(1);
        let rest = match inner.open {
            Some(open) if self.trial => (open.rest * 2).min(LONGEST_REST),
            Some(_) => return false,
            None if inner.failures >= FAILURES_TO_OPEN => FIRST_REST,
            None => return false,
        };
        inner.open = Some(Open { until: now + rest, rest, on_trial: false });
        true
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial
            && !self.settled
            && let Some(open) = &mut self.breaker.lock().open
        {
            open.on_trial = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for call in 1..=FAILURES_TO_OPEN {
            let changed = breaker.admit(now).unwrap().settle(false, now);
            assert_eq!(changed, call == FAILURES_TO_OPEN, "call {call}");
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_not_before() {
        let now = Instant::now();
        let breaker = opened(now);
        assert_eq!(breaker.state(now), BreakerState::Open);
        assert!(breaker.admit(now).is_none());
    }

    #[test]
    fn one_success_between_failures_keeps_it_closed() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for call in 0..100 {
            let healthy = call % 5 == 0;
            assert!(!breaker.admit(now).unwrap().settle(healthy, now));
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    #[test]
    fn lets_one_call_through_on_trial_and_closes_when_it_succeeds() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + FIRST_REST;
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        let trial = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_none(), "a second call during the trial");
        assert!(trial.settle(true, later));
        assert_eq!(breaker.state(later), BreakerState::Closed);
    }

    #[test]
    fn rests_twice_as_long_when_the_trial_fails_up_to_a_limit() {
        let mut now = Instant::now();
        let breaker = opened(now);
        let mut rest = FIRST_REST;
        for _ in 0..10 {
            now += rest;
            assert!(breaker.admit(now).unwrap().settle(false, now));
            rest = (rest * 2).min(LONGEST_REST);
            assert!(breaker.admit(now + rest.saturating_sub(Duration::from_millis(1))).is_none());
        }
        assert_eq!(rest, LONGEST_REST);
    }

    #[test]
    fn a_cancelled_trial_is_given_back() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + FIRST_REST;
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_some());
    }

    #[test]
    fn a_late_success_of_an_old_call_does_not_close_it() {
        let now = Instant::now();
        let breaker = Breaker::default();
        let old = breaker.admit(now).unwrap();
        for _ in 0..FAILURES_TO_OPEN {
            breaker.admit(now).unwrap().settle(false, now);
        }
        assert!(!old.settle(true, now));
        assert_eq!(breaker.state(now), BreakerState::Open);
    }
}
