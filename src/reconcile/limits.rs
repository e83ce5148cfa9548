//! How much may be removed because accounts seem to be gone or deactivated: a broken search must not empty a list. Nobody is
//! removed who wasn't counted here.
//!
//! Opt-outs have no limit: each is read at its own account before it is carried out, and none is ever held back.

use super::tally::Tally;
use std::collections::BTreeMap;

/// What may be removed in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// So many, at most.
    pub removals: u64,
    /// So many of a hundred subscribers of one route, at most; from ten on, as of few any is a large share.
    pub removals_in_percent: f64,
}

/// Below this many removals no share is too large.
const FEW: u64 = 10;

/// Why nobody is removed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Withheld {
    /// More than may be in one run.
    #[error(
        "{found} removals are more than the {limit} that one run may make: look at them, and if they are right, raise --max-removals"
    )]
    TooMany {
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
    },
    /// More than may be of all.
    #[error(
        "{found} removals are {share:.1} % of {subscribers} subscribers of {route}, more than the {limit} % that one run may \
         remove: see whether the search or the site's keys are broken, and if they are right, raise --max-removal-percent"
    )]
    TooLargeAShare {
        /// Of this route.
        route: String,
        /// Found.
        found: u64,
        /// Of so many.
        subscribers: u64,
        /// In percent.
        share: f64,
        /// Allowed, in percent.
        limit: f64,
    },
}

impl Limits {
    /// Whether what was found may be removed.
    pub(super) fn check(&self, tally: &Tally) -> Result<(), Withheld> {
        let mut by_route: BTreeMap<&str, u64> = BTreeMap::new();
        for ((route, difference), count) in &tally.found {
            if difference.is_removal() {
                *by_route.entry(route).or_default() += count;
            }
        }
        let found = by_route.values().sum();
        if found > self.removals {
            return Err(Withheld::TooMany { found, limit: self.removals });
        }
        // Of each route by itself: beside a large list, all of a small one is a small share.
        for (route, found) in by_route {
            let subscribers = tally.held.get(route).copied().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "a share of millions needs no more digits")]
            let share = 100.0 * found as f64 / subscribers.max(1) as f64;
            if found >= FEW && share > self.removals_in_percent {
                let (route, limit) = (route.to_owned(), self.removals_in_percent);
                return Err(Withheld::TooLargeAShare { route, found, subscribers, share, limit });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::Difference;

    fn tally(routes: &[(&str, u64, u64)]) -> Tally {
        let mut tally = Tally::default();
        for (route, held, orphans) in routes {
            tally.held.insert((*route).to_owned(), *held);
            tally.found.insert(((*route).to_owned(), Difference::Orphan), *orphans);
            tally.found.insert(((*route).to_owned(), Difference::LateOptOut), 1_000_000);
        }
        tally
    }

    const LIMITS: Limits = Limits { removals: 1_000, removals_in_percent: 1.0 };

    #[test]
    fn few_may_go_and_opt_outs_do_not_count() {
        assert_eq!(LIMITS.check(&tally(&[("large", 100_000, 1_000), ("tiny", 9, 0)])), Ok(()));
        assert_eq!(LIMITS.check(&tally(&[("small", 9, 9)])), Ok(()));
    }

    #[test]
    fn no_more_than_may_go_in_all() {
        let too_many = LIMITS.check(&tally(&[("large", 1_000_000, 600), ("other", 1_000_000, 401)]));
        assert_eq!(too_many, Err(Withheld::TooMany { found: 1_001, limit: 1_000 }));
    }

    #[test]
    fn a_small_list_is_not_emptied_beside_a_large_one() {
        let withheld = LIMITS.check(&tally(&[("large", 4_000, 0), ("small", 30, 30)])).unwrap_err();
        assert!(matches!(&withheld, Withheld::TooLargeAShare { route, found: 30, .. } if route == "small"));
        assert!(withheld.to_string().contains("100.0 % of 30 subscribers of small"), "{withheld}");
    }
}
