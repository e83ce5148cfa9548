//! How far a run has come: a bar with rate and remaining time on a terminal, a line now and then elsewhere. On standard error.

use crate::cli::out::complain;
use crate::reconcile::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a line is said where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// What is told while it runs.
pub struct Watch {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    doing: &'static str,
    began: Instant,
    said: Instant,
    done: u64,
    total: u64,
}

impl Watch {
    pub fn begin() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            let look = "{msg} {bar:30} {human_pos} of {human_len} ({per_sec}, {eta} left)";
            if let Ok(style) = ProgressStyle::with_template(look) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Self { bar, state: Mutex::new(State { doing: "reading", began: now, said: now, done: 0, total: 0 }) }
    }

    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => complain!("{line}"),
        }
    }

    pub fn read(&self, progress: &Progress) {
        self.at(progress.read, progress.total);
    }

    pub fn begin_healing(&self, total: u64) {
        let now = Instant::now();
        *self.state() = State { doing: "healing", began: now, said: now, done: 0, total };
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_message("healing");
            bar.set_length(total);
        }
    }

    pub fn healed(&self, more: u64) {
        let (done, total) = {
            let state = self.state();
            (state.done + more, state.total)
        };
        self.at(done, total);
    }

    fn at(&self, done: u64, total: u64) {
        let mut state = self.state();
        (state.done, state.total) = (done, total);
        if let Some(bar) = &self.bar {
            bar.set_message(state.doing);
            bar.set_length(total);
            bar.set_position(done);
        } else if state.said.elapsed() >= LINE_EVERY {
            state.said = Instant::now();
            let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / state.began.elapsed().as_secs_f64();
            complain!("{}: {done} of {total}, {rate:.0} a second", state.doing);
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
