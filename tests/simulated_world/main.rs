//! The promise, searched for counter-examples: the real service in simulated worlds, each made from a seed.

mod network;
mod people;
mod promise;
mod scenario;
mod shrink;
mod story;
mod world;

use scenario::Scenario;

#[test]
fn the_promise_holds_in_every_world() {
    let from: u64 = std::env::var("FROM").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let worlds: u64 = std::env::var("WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let started = std::time::Instant::now();
    let mut failed = 0;
    for seed in from..from + worlds {
        let scenario = Scenario::of(seed);
        let (result, _) = world::live(&scenario, false);
        if let Err(broken) = result {
            println!("seed {seed}: {broken}");
            failed += 1;
        }
    }
    println!("{failed} of {worlds} in {:?}", started.elapsed());
    if let Ok(seed) = std::env::var("SEED") {
        let scenario = Scenario::of(seed.parse().unwrap());
        let (result, lines) = world::live(&scenario, true);
        let (scenario, lines) = match result {
            Err(broken) if std::env::var("WHOLE").is_err() => {
                let (shorter, broken) = shrink::shortest(scenario, broken);
                println!("{broken}");
                let (_, lines) = world::live(&shorter, true);
                (shorter, lines)
            }
            other => {
                println!("{other:?}");
                (scenario, lines)
            }
        };
        println!("{:?}", scenario.place);
        for line in lines {
            println!("{line}");
        }
    }
}
