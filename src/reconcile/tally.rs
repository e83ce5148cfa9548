//! How many differ in which way, what became of them, and a sample to look at.

use super::plan::Finding;
use crate::domain::Outcome;
use crate::forward::{Difference, Healed};
use std::collections::BTreeMap;

/// Of each kind at each route, so many are kept to be shown.
const SAMPLE: usize = 5;

/// Some of those that were found.
#[derive(Clone)]
pub struct Sample {
    /// How they differ.
    pub difference: Difference,
    /// Who, and where.
    pub finding: Finding,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sample({:?}, hidden)", self.difference)
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Accounts read.
    pub accounts: u64,
    /// Subscribers that the audiences hold, in whatever state.
    pub subscribers: u64,
    /// The same by route.
    pub held: BTreeMap<String, u64>,
    /// Calls made to read both sides.
    pub calls: u64,
    /// How many were found, by route and kind.
    pub found: BTreeMap<(String, Difference), u64>,
    /// What became of those that were worked on, by route, kind, and outcome with reason.
    pub healed: BTreeMap<(String, Difference, String), u64>,
    /// How many of them are settled, and how many left to be done.
    pub settled: u64,
    /// How many couldn't be done now.
    pub left: u64,
    /// Some of each.
    pub samples: Vec<Sample>,
    /// Whom to tell of each, as it is found.
    pub listener: Option<Listener>,
}

type Tell = dyn Fn(Difference, &Finding) + Send + Sync;

/// Told of every finding, as it is made.
#[derive(Clone)]
pub struct Listener(pub std::sync::Arc<Tell>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl Tally {
    pub(super) fn found(&mut self, route: &str, difference: Difference, finding: &Finding) {
        let count = self.found.entry((route.to_owned(), difference)).or_default();
        *count += 1;
        if *count <= SAMPLE as u64 {
            self.samples.push(Sample { difference, finding: finding.clone() });
        }
        if let Some(Listener(tell)) = &self.listener {
            tell(difference, finding);
        }
    }

    pub(super) fn healed(&mut self, route: &str, difference: Difference, healed: Healed) {
        let label = match healed.outcome.reason() {
            Some(reason) => format!("{}: {reason}", healed.outcome.label()),
            None => healed.outcome.label().to_owned(),
        };
        *self.healed.entry((route.to_owned(), difference, label)).or_default() += 1;
        match healed.outcome {
            Outcome::Deferred(_) | Outcome::Rejected(_) => self.left += 1,
            _ => self.settled += 1,
        }
    }

    /// How many of a kind were found, at all routes.
    #[must_use]
    pub fn count(&self, difference: Difference) -> u64 {
        self.found.iter().filter(|((_, kind), _)| *kind == difference).map(|(_, count)| count).sum()
    }

    /// How many were found that can be healed.
    #[must_use]
    pub fn to_heal(&self) -> u64 {
        self.found.iter().filter(|((_, kind), _)| kind.can_be_healed()).map(|(_, count)| count).sum()
    }
}
