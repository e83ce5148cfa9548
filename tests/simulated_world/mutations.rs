//! Every rule that is broken on purpose breaks the promise in some world.

use crate::scenario::Scenario;
use crate::search::Search;
use crate::world;
use gigya_esp_gateway::mutation;
use std::time::{Duration, Instant};

/// In how many worlds at most.
const WORLDS: u64 = 20_000;
/// How long at most.
const PATIENCE: Duration = Duration::from_mins(3);

#[test]
fn every_mutation_of_the_rules_is_found() {
    let mut unnoticed = Vec::new();
    for mutation in mutation::ALL {
        let (mut from, begun) = (0, Instant::now());
        loop {
            mutation::choose(Some(mutation));
            let patience = PATIENCE.saturating_sub(begun.elapsed());
            let found = Search { from, worlds: WORLDS - from, patience }.run();
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
