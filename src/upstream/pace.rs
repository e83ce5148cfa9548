//! How fast calls may follow each other: what the system asked for counts for every caller at once, and a rate that
//! was configured is shared by all of them. A state machine; the time is passed in.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much of a minute's calls may be made at once: a second's worth.
const BURST: Duration = Duration::from_secs(1);

/// The pace of calls to one system.
#[derive(Debug)]
pub struct Pace {
    /// The time between two calls at the configured rate; zero if there is none.
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The system asked for no call before this.
    resting_until: Option<Instant>,
    /// When the configured rate has caught up with the calls made.
    caught_up: Option<Instant>,
}

impl Pace {
    /// At most `calls_a_minute`; 0 for as fast as the system takes it.
    #[must_use]
    pub fn new(calls_a_minute: usize) -> Self {
        let interval = match u32::try_from(calls_a_minute) {
            Ok(0) | Err(_) => Duration::ZERO,
            Ok(calls) => Duration::from_mins(1) / calls,
        };
        Self { interval, state: Mutex::default() }
    }

    /// Reserves a call and says how long to wait for it; `None` if that would be until `latest` or longer, and then
    /// nothing is reserved.
    #[must_use]
    pub fn reserve(&self, now: Instant, latest: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let rested = state.resting_until.map_or(now, |until| until.max(now));
        let caught_up = state.caught_up.map_or(now, |caught_up| caught_up.max(now));
        let due = rested.max(caught_up.checked_sub(BURST).unwrap_or(now));
        if due >= latest && due > now {
            return None;
        }
        if !self.interval.is_zero() {
            state.caught_up = Some(caught_up + self.interval);
        }
        Some(due - now)
    }

    /// The system asks for no call within `pause`.
    pub fn rest(&self, now: Instant, pause: Duration) {
        let mut state = self.lock();
        let until = now + pause;
        state.resting_until = Some(state.resting_until.map_or(until, |before| before.max(until)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn without_a_rate_nobody_waits() {
        let (pace, now) = (Pace::new(0), Instant::now());
        assert!((0..10_000).all(|_| pace.reserve(now, now + LONG) == Some(Duration::ZERO)));
    }

    #[test]
    fn a_rest_is_everybodys_and_the_longest_counts() {
        let (pace, now) = (Pace::new(0), Instant::now());
        pace.rest(now, Duration::from_secs(5));
        pace.rest(now, Duration::from_secs(2));
        assert_eq!(pace.reserve(now, now + LONG), Some(Duration::from_secs(5)));
        assert_eq!(pace.reserve(now + Duration::from_secs(4), now + LONG), Some(Duration::from_secs(1)));
        assert_eq!(pace.reserve(now + Duration::from_secs(5), now + LONG), Some(Duration::ZERO));
    }

    #[test]
    fn who_has_no_time_for_the_rest_is_told_at_once() {
        let (pace, now) = (Pace::new(0), Instant::now());
        pace.rest(now, Duration::from_secs(5));
        assert_eq!(pace.reserve(now, now + Duration::from_secs(5)), None);
    }

    #[test]
    fn a_rate_is_kept_after_a_second_s_worth() {
        let (pace, now) = (Pace::new(600), Instant::now());
        let waits: Vec<_> = (0..21).map(|_| pace.reserve(now, now + LONG).unwrap()).collect();
        assert!(waits[..11].iter().all(Duration::is_zero), "ten a second, at once");
        assert_eq!(waits[20], Duration::from_secs(1));
    }

    #[test]
    fn a_call_that_is_not_made_takes_nobodys_turn() {
        let (pace, now) = (Pace::new(60), Instant::now());
        while pace.reserve(now, now + Duration::from_millis(1)).is_some() {}
        assert_eq!(pace.reserve(now, now + Duration::from_millis(1)), None);
        assert_eq!(pace.reserve(now + Duration::from_secs(1), now + LONG), Some(Duration::ZERO));
    }
}
