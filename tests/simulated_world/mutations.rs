//! Every rule that is broken on purpose breaks the promise in some world.

use crate::search::Search;
use gigya_esp_gateway::mutation;
use std::time::Duration;

/// In how many worlds at most.
const WORLDS: u64 = 20_000;

#[test]
fn every_mutation_of_the_rules_is_found() {
    let mut unnoticed = Vec::new();
    for mutation in mutation::ALL {
        mutation::choose(Some(mutation));
        let search = Search { from: 0, worlds: WORLDS, patience: Duration::from_mins(2) };
        let found = search.run();
        mutation::choose(None);
        match found.broken {
            Some((seed, broken)) => println!("{mutation:?}: found in world {} (seed {seed}): {broken}", found.worlds),
            None => unnoticed.push((mutation, found.worlds)),
        }
    }
    assert!(unnoticed.is_empty(), "nobody noticed: {unnoticed:?}");
}
