//! What a replica remembers of its own doings since it was started, for the status page: counts, times and the last
//! outcomes. A few kilobytes, whatever comes in; nothing depends on it.

use super::intake::EventOutcome;
use super::record::Told;
use super::status::{AgesStatus, ArrivalsStatus, Counts, Recent, Refused};
use crate::domain::ConnectionName;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many outcomes are remembered.
const LAST_OUTCOMES: usize = 100;
/// How many of a route's opt-outs are remembered with their ages.
const LAST_AGES: usize = 100;

/// What is remembered.
#[derive(Debug, Default)]
pub struct Board(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By connection.
    arrivals: BTreeMap<ConnectionName, Arrivals>,
    /// By the route's label.
    tallies: BTreeMap<Arc<str>, Tally>,
    /// The latest first.
    outcomes: VecDeque<(Instant, Recent)>,
}

#[derive(Debug, Default)]
struct Arrivals {
    believed: u64,
    last: Option<Instant>,
    refused: u64,
    last_refused: Option<(Instant, String)>,
}

#[derive(Debug, Default)]
struct Tally {
    counts: Counts,
    last: Option<Instant>,
    opt_outs: u64,
    ages: VecDeque<Duration>,
    worst_age: Duration,
}

impl Board {
    /// A connection's webhook arrived and was believed.
    pub fn webhook_arrived(&self, connection: &ConnectionName, now: Instant) {
        let mut inner = self.lock();
        let arrivals = inner.arrivals.entry(connection.clone()).or_default();
        arrivals.believed += 1;
        arrivals.last = Some(now);
    }

    /// A connection's webhook was not believed; `reason` is one of few.
    pub fn webhook_refused(&self, connection: &ConnectionName, reason: &str, now: Instant) {
        let mut inner = self.lock();
        let arrivals = inner.arrivals.entry(connection.clone()).or_default();
        arrivals.refused += 1;
        arrivals.last_refused = Some((now, reason.to_owned()));
    }

    /// An event is settled.
    pub fn settled(
        &self,
        event: &EventOutcome,
        told: &Told<'_>,
        opt_out_age: Option<Duration>,
        (now, at): (Instant, Timestamp),
    ) {
        let mut inner = self.lock();
        if let Some(route) = &event.route {
            let tally = inner.tallies.entry(Arc::clone(route)).or_default();
            tally.counts.add(event.outcome);
            tally.last = Some(now);
            if let Some(age) = opt_out_age {
                tally.opt_outs += 1;
                tally.worst_age = tally.worst_age.max(age);
                tally.ages.truncate(LAST_AGES - 1);
                tally.ages.push_front(age);
            }
        }
        inner.outcomes.truncate(LAST_OUTCOMES - 1);
        let recent = Recent {
            ago: Duration::ZERO,
            at,
            direction: told.direction,
            connection: told.connection.clone(),
            route: event.route.clone(),
            outcome: event.outcome,
            change: told.effect.change,
            subscriber: told.subscriber.clone(),
            opt_out_age,
        };
        inner.outcomes.push_front((now, recent));
    }

    /// What came in for a connection.
    pub fn arrivals(&self, connection: &str, now: Instant) -> ArrivalsStatus {
        let inner = self.lock();
        let Some(arrivals) = inner.arrivals.get(connection) else { return ArrivalsStatus::default() };
        let last_refused = arrivals.last_refused.as_ref();
        ArrivalsStatus {
            believed: arrivals.believed,
            last: arrivals.last.map(|at| now.saturating_duration_since(at)),
            refused: arrivals.refused,
            last_refused: last_refused
                .map(|(at, reason)| Refused { ago: now.saturating_duration_since(*at), reason: reason.clone() }),
        }
    }

    /// What became of a route's events: how many ended how, when the last one did, and how old opt-outs were.
    pub fn tally(&self, route: &str, now: Instant) -> (Counts, Option<Duration>, Option<AgesStatus>) {
        let inner = self.lock();
        let Some(tally) = inner.tallies.get(route) else { return Default::default() };
        let last = tally.last.map(|at| now.saturating_duration_since(at));
        let mut ages: Vec<_> = tally.ages.iter().copied().collect();
        ages.sort_unstable();
        let summary = ages.get(ages.len() / 2).map(|median| AgesStatus {
            opt_outs: tally.opt_outs,
            latest: tally.ages[0],
            median: *median,
            worst: tally.worst_age,
        });
        (tally.counts, last, summary)
    }

    /// The last outcomes, the latest first.
    pub fn outcomes(&self, now: Instant) -> Vec<Recent> {
        let inner = self.lock();
        let with_age =
            |(at, recent): &(Instant, Recent)| Recent { ago: now.saturating_duration_since(*at), ..recent.clone() };
        inner.outcomes.iter().map(with_age).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Change, Outcome, Reason};
    use crate::forward::effect::Effect;
    use crate::forward::record::Direction;

    fn settle(board: &Board, outcome: Outcome, age: Option<Duration>, now: Instant) {
        let change = age.map(|_| Change::OptOut);
        let effect = Effect { outcome, change, acted: None, found: None };
        let direction = Direction::EspToGigya;
        let told = Told { connection: &ConnectionName::new("news"), direction, to: "main", subscriber: None, effect };
        let event = EventOutcome { id: "e".to_owned(), route: Some("route".into()), outcome };
        board.settled(&event, &told, age, (now, Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_route_has_its_counts_and_the_ages_of_its_opt_outs() {
        let (board, now) = (Board::default(), Instant::now());
        for seconds in [9, 1, 2] {
            settle(&board, Outcome::Applied, Some(Duration::from_secs(seconds)), now);
        }
        settle(&board, Outcome::Skipped(Reason::NewerOptIn), None, now);
        let (counts, last, ages) = board.tally("route", now + Duration::from_secs(5));
        assert_eq!((counts.applied, counts.skipped, counts.deferred), (3, 1, 0));
        assert_eq!(last, Some(Duration::from_secs(5)));
        let seconds = Duration::from_secs;
        assert_eq!(ages, Some(AgesStatus { opt_outs: 3, latest: seconds(2), median: seconds(2), worst: seconds(9) }));
        assert_eq!(board.tally("another", now), (Counts::default(), None, None));
    }

    #[test]
    fn only_the_last_outcomes_and_ages_are_kept_and_the_worst_age_for_good() {
        let (board, now) = (Board::default(), Instant::now());
        settle(&board, Outcome::Applied, Some(Duration::from_hours(1)), now);
        for _ in 0..LAST_OUTCOMES + LAST_AGES {
            settle(&board, Outcome::Applied, Some(Duration::from_secs(1)), now + Duration::from_secs(1));
        }
        let outcomes = board.outcomes(now + Duration::from_secs(3));
        assert_eq!(outcomes.len(), LAST_OUTCOMES);
        assert_eq!(outcomes[0].ago, Duration::from_secs(2));
        let ages = board.tally("route", now).2.unwrap();
        assert_eq!((ages.median, ages.worst), (Duration::from_secs(1), Duration::from_hours(1)));
        assert_eq!(board.lock().tallies["route"].ages.len(), LAST_AGES);
    }
}
