//! When a person acted, as precisely as a system could tell.

use jiff::{SignedDuration, Timestamp};

/// The instant at which a person opted in or out, known exactly, within bounds, or not at all.
///
/// Systems report times to the millisecond, to the second, to the day, in a local time that happened
/// twice when the clocks went back, or not at all. All of these are one thing: a first and a last
/// possible instant, either of which may be missing. Comparing an opt-in by its earliest and an opt-out
/// by its latest instant is what makes the opt-out win wherever the truth can't be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActedAt {
    earliest: Option<Timestamp>,
    latest: Option<Timestamp>,
}

impl ActedAt {
    /// Nothing is known about the time.
    pub const UNKNOWN: Self = Self { earliest: None, latest: None };

    /// Known to the instant.
    #[must_use]
    pub const fn exactly(at: Timestamp) -> Self {
        Self { earliest: Some(at), latest: Some(at) }
    }

    /// Known to lie between two instants, both included. Bounds in the wrong order are swapped.
    #[must_use]
    pub fn between(a: Timestamp, b: Timestamp) -> Self {
        Self { earliest: Some(a.min(b)), latest: Some(a.max(b)) }
    }

    /// Known not to be later than `at`, and nothing else.
    #[must_use]
    pub const fn no_later_than(at: Timestamp) -> Self {
        Self { earliest: None, latest: Some(at) }
    }

    /// Known to lie between two instants, either of which may not be known.
    #[must_use]
    pub fn within(earliest: Option<Timestamp>, latest: Option<Timestamp>) -> Self {
        match (earliest, latest) {
            (Some(earliest), Some(latest)) => Self::between(earliest, latest),
            (earliest, latest) => Self { earliest, latest },
        }
    }

    /// The first instant at which the person can have acted; `None` when it may be any time ago.
    #[must_use]
    pub const fn earliest(self) -> Option<Timestamp> {
        self.earliest
    }

    /// The last instant at which the person can have acted; `None` when it may be as late as now.
    #[must_use]
    pub const fn latest(self) -> Option<Timestamp> {
        self.latest
    }

    /// The same time, allowing that the person acted up to `by` earlier.
    #[must_use]
    pub fn or_earlier_by(self, by: SignedDuration) -> Self {
        Self { earliest: self.earliest.map(|at| at.checked_sub(by).unwrap_or(Timestamp::MIN)), latest: self.latest }
    }

    /// The same time, allowing that the person acted up to `by` later.
    #[must_use]
    pub fn or_later_by(self, by: SignedDuration) -> Self {
        Self { earliest: self.earliest, latest: self.latest.map(|at| at.checked_add(by).unwrap_or(Timestamp::MAX)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn bounds_in_the_wrong_order_are_swapped() {
        assert_eq!(ActedAt::between(at(9), at(3)), ActedAt::between(at(3), at(9)));
    }

    #[test]
    fn allowing_for_an_earlier_act_moves_only_the_first_bound() {
        let time = ActedAt::exactly(at(100)).or_earlier_by(SignedDuration::from_secs(30));
        assert_eq!((time.earliest(), time.latest()), (Some(at(70)), Some(at(100))));
    }

    #[test]
    fn allowing_for_a_later_act_moves_only_the_last_bound() {
        let time = ActedAt::exactly(at(100)).or_later_by(SignedDuration::from_secs(30));
        assert_eq!((time.earliest(), time.latest()), (Some(at(100)), Some(at(130))));
        assert_eq!(ActedAt::UNKNOWN.or_later_by(SignedDuration::from_secs(30)), ActedAt::UNKNOWN);
    }

    #[test]
    fn the_beginning_of_time_is_not_passed() {
        let time = ActedAt::exactly(Timestamp::MIN).or_earlier_by(SignedDuration::from_secs(30));
        assert_eq!(time.earliest(), Some(Timestamp::MIN));
    }
}
