//! The promise, searched for counter-examples: the real service in simulated worlds, each made from a seed. Time, chance,
//! the network and the systems on both sides are simulated; what is between a socket's bytes and the calls out is what is
//! shipped.
//!
//! ```sh
//! WORLDS=100000 FROM=2000 cargo test --release --test simulated_world every_world -- --nocapture
//! SEED=17 cargo test --test simulated_world the_story -- --ignored --nocapture
//! cargo test --features mutations --test simulated_world mutation -- --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../contract/mod.rs"]
mod contract;
mod journal;
#[cfg(feature = "mutations")]
mod mutations;
mod network;
mod people;
mod promise;
mod scenario;
mod search;
mod shrink;
mod story;
mod world;

use scenario::Scenario;
use search::Search;

/// In three minutes, or when as many were seen as wanted.
#[test]
#[cfg_attr(feature = "mutations", ignore = "rules are broken meanwhile")]
fn the_promise_holds_in_every_world() {
    let search = Search::of_environment();
    let found = search.run();
    println!("{found}");
    if let Some((seed, broken)) = found.broken {
        println!("Seed {seed}: {broken}");
        let (scenario, broken) = shrink::shortest(Scenario::of(seed), broken);
        println!("The shortest story found of seed {seed}:\n{}", search::told(&scenario));
        panic!("seed {seed}: {broken}");
    }
}

#[test]
fn a_seed_is_always_the_same_world() {
    for seed in [1, 5, 9] {
        let stories = [(); 2].map(|()| world::live(&Scenario::of(seed), true).1);
        assert!(stories[0].len() > 10);
        assert_eq!(stories[0], stories[1], "seed {seed}");
    }
}

/// Goes on after one that is broken, and tells of all of them.
#[test]
#[ignore = "tells all"]
fn all_broken_seeds() {
    let mut search = Search::of_environment();
    let end = search.from + search.worlds;
    loop {
        let found = search.run();
        println!("{found}");
        let Some((seed, broken)) = found.broken else { break };
        let journal = Scenario::of(seed).place.journal;
        println!("Seed {seed}: {broken} {journal:?}");
        (search.from, search.worlds) = (seed + 1, end - seed - 1);
    }
}

/// Tells what happens in the world of one seed: the shortest one that fails as it does, if it does.
#[test]
#[ignore = "tells a story"]
fn the_story_of_a_seed() {
    let seed = search::number("SEED").unwrap_or(0);
    let scenario = Scenario::of(seed);
    match world::live(&scenario, false).0 {
        Ok(figures) => println!("{}\nThe promise holds: {figures:?}", search::told(&scenario)),
        Err(broken) => {
            let (scenario, broken) = shrink::shortest(scenario, broken);
            println!("{}\n{broken}", search::told(&scenario));
        }
    }
}
