//! How much may be removed because accounts seem to be gone or deactivated: a broken search must not empty a list.
//!
//! Opt-outs have no limit: each is read at its own account before it is carried out, and none is ever held back.

use super::plan::Plan;
use super::tally::Tally;
use crate::forward::Difference;

/// What may be removed in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// So many, at most.
    pub removals: u64,
    /// So many of a hundred subscribers, at most; from ten on, as of few any is a large share.
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
        "{found} removals are {share:.1} % of {subscribers} subscribers, more than the {limit} % that one run may remove: see \
         whether the search or the site's keys are broken, and if they are right, raise --max-removal-percent"
    )]
    TooLargeAShare {
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
    /// Whether the plan's removals may be carried out.
    pub(super) fn check(&self, plan: &Plan, tally: &Tally) -> Result<(), Withheld> {
        let kinds = Difference::ALL.into_iter().filter(|difference| difference.is_removal());
        let found: u64 = kinds.map(|difference| plan.count(difference)).sum();
        if found > self.removals {
            return Err(Withheld::TooMany { found, limit: self.removals });
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of millions needs no more digits")]
        let share = 100.0 * found as f64 / tally.subscribers.max(1) as f64;
        if found >= FEW && share > self.removals_in_percent {
            let (subscribers, limit) = (tally.subscribers, self.removals_in_percent);
            return Err(Withheld::TooLargeAShare { found, subscribers, share, limit });
        }
        Ok(())
    }
}
