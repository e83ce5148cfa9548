//! How fast calls may follow each other: what the system asked for counts for every caller at once, and a rate that
//! was configured is shared by all of them. Where the system says "too fast" and not for how long, everybody rests a
//! little, and longer each time that it says so again. A state machine; the time is passed in.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How much of a minute's calls may be made at once: a second's worth.
const BURST: Duration = Duration::from_secs(1);

/// The first rest where no time is told; twice as long each time in a row.
const FIRST_REST: Duration = Duration::from_millis(100);
/// The longest such rest.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// The pace of calls to one system.
#[derive(Debug)]
pub struct Pace {
    /// The time between two calls at the configured rate; zero if there is none.
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// The system asked for no call before this.
    resting_until: Option<Instant>,
    /// How often in a row it said "too fast".
    refusals: u32,
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

    /// Another rate, and what the system asked for so far.
    #[must_use]
    pub fn at_rate(&self, calls_a_minute: usize) -> Self {
        Self { state: Mutex::new(self.lock().clone()), ..Self::new(calls_a_minute) }
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

    /// The system says "too fast", and not for how long. Calls that were under way together are told together: that is
    /// once.
    pub fn refused(&self, now: Instant) {
        let mut state = self.lock();
        if state.resting_until.is_some_and(|until| now < until) {
            return;
        }
        let rest = FIRST_REST.saturating_mul(1 << state.refusals.min(16)).min(LONGEST_REST);
        state.refusals = state.refusals.saturating_add(1);
        state.resting_until = Some(now + rest);
    }

    /// The system answered.
    pub fn answered(&self) {
        self.lock().refusals = 0;
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
    fn where_no_time_is_told_rests_grow_until_there_is_an_answer() {
        let (pace, mut now) = (Pace::new(0), Instant::now());
        let mut rest = FIRST_REST;
        for _ in 0..10 {
            pace.refused(now);
            pace.refused(now);
            assert_eq!(pace.reserve(now, now + LONG), Some(rest), "told together, they are one");
            now += rest;
            rest = (rest * 2).min(LONGEST_REST);
        }
        assert_eq!(rest, LONGEST_REST);
        pace.answered();
        pace.refused(now);
        assert_eq!(pace.reserve(now, now + LONG), Some(FIRST_REST));
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
    fn another_rate_keeps_the_rest_that_was_asked_for() {
        let (pace, now) = (Pace::new(0), Instant::now());
        pace.rest(now, Duration::from_secs(5));
        assert_eq!(pace.at_rate(60).reserve(now, now + LONG), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_call_that_is_not_made_takes_nobodys_turn() {
        let (pace, now) = (Pace::new(60), Instant::now());
        while pace.reserve(now, now + Duration::from_millis(1)).is_some() {}
        assert_eq!(pace.reserve(now, now + Duration::from_millis(1)), None);
        assert_eq!(pace.reserve(now + Duration::from_secs(1), now + LONG), Some(Duration::ZERO));
    }
}
