//! Cuts a world that breaks the promise down to the shortest one that still does.
//!
//! What is left out changes how the chances fall for what is left, so each shorter world is tried with a few of them.

use crate::promise::Broken;
use crate::scenario::{Place, Scenario, Step};
use crate::world;
use std::time::{Duration, Instant};

/// How often a shorter world is tried, with other chances each time.
const TRIES: u64 = 30;
/// How long to look for shorter ones.
const PATIENCE: Duration = Duration::from_mins(1);

/// The shortest world found that breaks the promise, and how.
pub fn shortest(mut scenario: Scenario, mut broken: Broken) -> (Scenario, Broken) {
    let until = Instant::now() + PATIENCE;
    loop {
        let shorter = shorter(&scenario).into_iter();
        let found = shorter.take_while(|_| Instant::now() < until).find_map(|candidate| {
            (0..TRIES).find_map(|try_number| {
                let chances = scenario.chances.wrapping_add(try_number);
                let candidate = Scenario { chances, ..candidate.clone() };
                let other = world::live(&candidate, false).0.err()?;
                (kind(&other) == kind(&broken)).then_some((candidate, other))
            })
        });
        match found {
            Some(found) => (scenario, broken) = found,
            None => return (scenario, broken),
        }
    }
}

/// In which way a world is broken, whoever it is about.
fn kind(broken: &Broken) -> String {
    let text = broken.to_string();
    let words = text.split([',', '(']).next().unwrap_or_default().split(' ').skip(1);
    words.filter(|word| word.chars().all(char::is_alphabetic)).collect()
}

type Change<'a> = &'a dyn Fn(&mut Place);

/// Worlds with less in them, the much shorter ones first.
fn shorter(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    let length = scenario.steps.len();
    let mut size = length / 2;
    while size > 0 {
        for from in (0..length).step_by(size) {
            let steps = scenario.steps.iter().enumerate();
            let kept = steps.filter(|(at, _)| !(from..from + size).contains(at)).map(|(_, step)| step.clone());
            all.push(Scenario { steps: kept.collect(), ..scenario.clone() });
        }
        size /= 2;
    }
    let with = |change: Change<'_>| {
        let mut place = scenario.place.clone();
        change(&mut place);
        Scenario { place, ..scenario.clone() }
    };
    let calmer: [(bool, Change<'_>); 12] = [
        (scenario.place.storm > 0.0, &|place| place.storm = 0.0),
        (scenario.place.slow > 0.0, &|place| place.slow = 0.0),
        (scenario.place.twice > 0.0, &|place| place.twice = 0.0),
        (!scenario.place.shuffle.is_zero(), &|place| place.shuffle = Duration::ZERO),
        (scenario.place.clocks != [0; 5], &|place| place.clocks = [0; 5]),
        (scenario.place.replicas > 1, &|place| place.replicas = 1),
        (scenario.place.coarse, &|place| place.coarse = false),
        (scenario.place.nested, &|place| place.nested = false),
        (scenario.place.journal.is_some(), &|place| place.journal = None),
        (scenario.place.journal.as_ref().is_some_and(|journal| journal.on_deadline), &|place| {
            place.journal.iter_mut().for_each(|journal| journal.on_deadline = false);
        }),
        (scenario.place.journal.as_ref().is_some_and(|journal| journal.fails > 0.0), &|place| {
            place.journal.iter_mut().for_each(|journal| journal.fails = 0.0);
        }),
        (scenario.place.journal.as_ref().is_some_and(|journal| journal.slow > 0.0), &|place| {
            place.journal.iter_mut().for_each(|journal| journal.slow = 0.0);
        }),
    ];
    let uses_second_replica =
        scenario.steps.iter().any(|step| matches!(step.what, crate::scenario::What::Kill(replica) if replica > 0));
    for (applies, change) in calmer {
        let changed = with(change);
        if applies && !(uses_second_replica && changed.place.replicas < scenario.place.replicas) {
            all.push(changed);
        }
    }
    let in_seconds = |step: &Step| Step { after: Duration::from_secs(step.after.as_secs()), what: step.what.clone() };
    let rounded: Vec<Step> = scenario.steps.iter().map(in_seconds).collect();
    if rounded.iter().zip(&scenario.steps).any(|(rounded, step)| rounded.after != step.after) {
        all.push(Scenario { steps: rounded, ..scenario.clone() });
    }
    all
}
