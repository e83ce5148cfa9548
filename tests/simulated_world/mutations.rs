//! Every rule that is broken on purpose breaks the promise in some world.

use crate::scenario::Scenario;
use crate::search::Search;
use crate::world;
use gigya_esp_gateway::mutation::{self, Mutation};
use std::time::{Duration, Instant};

/// In how many worlds at most.
const WORLDS: u64 = 20_000;
/// How long at most.
const PATIENCE: Duration = Duration::from_mins(5);
/// Seeds before those that rare ones were found by: it needn't take minutes each time.
const RARE: [(Mutation, u64); 5] = [
    (Mutation::DropTheReread, 2_150),
    (Mutation::DropTheRereadAfterOptOut, 12_000),
    (Mutation::RepeatOptIns, 35_000),
    (Mutation::ForgetTheTag, 23_400),
    (Mutation::ForgetOwnLinks, 2_400),
];

#[test]
fn every_mutation_of_the_rules_is_found() {
    let mut unnoticed = Vec::new();
    let only = std::env::var("MUTATION").ok();
    let is_wanted = |mutation: &Mutation| only.as_ref().is_none_or(|only| format!("{mutation:?}") == *only);
    for mutation in mutation::ALL.into_iter().filter(is_wanted) {
        let rare = RARE.iter().find(|(rare, _)| *rare == mutation).map_or(0, |(_, from)| *from);
        let (mut from, begun) = (rare, Instant::now());
        loop {
            mutation::choose(Some(mutation));
            let patience = PATIENCE.saturating_sub(begun.elapsed());
            let found = Search { from, worlds: rare + WORLDS - from, patience }.run();
            mutation::choose(None);
            let Some((seed, broken)) = found.broken else {
                unnoticed.push((mutation, from + found.worlds));
                break;
            };
            // A world that fails anyway shows nothing.
            if world::live(&Scenario::of(seed), false).0.is_ok() {
                println!("{mutation:?}: found by seed {seed}: {broken}");
                break;
            }
            from = seed + 1;
        }
    }
    assert!(unnoticed.is_empty(), "nobody noticed: {unnoticed:?}");
}
