//! Goes through many worlds, on all cores.

use crate::promise::Broken;
use crate::scenario::Scenario;
use crate::world::{self, Figures};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many worlds, unless `WORLDS` says otherwise.
const WORLDS: u64 = 2_000;
/// How long, unless it says so.
const PATIENCE: Duration = Duration::from_mins(3);

/// Which worlds to go through.
pub struct Search {
    pub from: u64,
    pub worlds: u64,
    pub patience: Duration,
}

/// What was seen.
#[derive(Default)]
pub struct Found {
    pub worlds: u64,
    pub figures: Figures,
    pub took: Duration,
    /// A seed in whose world the promise is broken, and how.
    pub broken: Option<(u64, Broken)>,
}

/// A number in the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

impl Search {
    pub fn of_environment() -> Self {
        let worlds = number("WORLDS");
        let patience = if worlds.is_some() { Duration::MAX } else { PATIENCE };
        Self { from: number("FROM").unwrap_or(0), worlds: worlds.unwrap_or(WORLDS), patience }
    }

    /// Goes through them until all were seen, the time is up, or the promise is broken in one.
    pub fn run(&self) -> Found {
        let (next, found, begun) = (AtomicU64::new(self.from), Mutex::new(Found::default()), Instant::now());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    while begun.elapsed() < self.patience && found.lock().unwrap().broken.is_none() {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.from + self.worlds {
                            break;
                        }
                        let result = world::live(&Scenario::of(seed), false).0;
                        found.lock().unwrap().count(seed, result);
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap();
        found.took = begun.elapsed();
        found
    }
}

impl Found {
    fn count(&mut self, seed: u64, result: Result<Figures, Broken>) {
        self.worlds += 1;
        match result {
            Ok(figures) => self.figures.add(&figures),
            // The lowest seed, whichever was seen first.
            Err(broken) if self.broken.as_ref().is_none_or(|(before, _)| seed < *before) => {
                self.broken = Some((seed, broken));
            }
            Err(_) => {}
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { acts, calls, failed, webhooks, longest_exposure } = self.figures;
        write!(
            f,
            "{} worlds in {:.1} s: {acts} acts, {webhooks} webhook events, {calls} calls, {failed} of them made to fail; what \
             an older notice carried showed for {:.1} s at most after an opt-out",
            self.worlds,
            self.took.as_secs_f64(),
            longest_exposure.as_secs_f64()
        )
    }
}

/// A world's kind, and everything that happens in it.
pub fn told(scenario: &Scenario) -> String {
    let (_, lines) = world::live(scenario, true);
    format!("{:?}\n{}", scenario.place, lines.join("\n"))
}
