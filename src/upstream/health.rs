//! How a system is doing, as far as calls to it tell: for whoever looks at the status page.

use super::breaker::BreakerState;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How a system is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What logs and metrics call it.
    pub name: String,
    /// Whether calls are let through.
    pub breaker: BreakerState,
    /// How long ago it last answered as it should; `None` if it never has.
    pub last_success: Option<Duration>,
    /// What last went wrong; `None` if nothing has.
    pub last_error: Option<LastError>,
}

/// What last went wrong with calls to a system. Fixed words and codes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// How long ago.
    pub ago: Duration,
    /// The call.
    pub operation: &'static str,
    /// What went wrong.
    pub what: String,
}

/// Remembers how calls went.
#[derive(Debug, Default)]
pub struct Record(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    success: Option<Instant>,
    error: Option<(Instant, &'static str, String)>,
}

impl Record {
    /// A call went well.
    pub fn succeeded(&self, now: Instant) {
        self.lock().success = Some(now);
    }

    /// A call did not.
    pub fn failed(&self, now: Instant, operation: &'static str, what: String) {
        self.lock().error = Some((now, operation, what));
    }

    /// How it is doing now.
    pub fn health(&self, name: &str, breaker: BreakerState, now: Instant) -> Health {
        let seen = self.lock();
        let ago = |at: Instant| now.saturating_duration_since(at);
        let last_error = seen.error.clone();
        Health {
            name: name.to_owned(),
            breaker,
            last_success: seen.success.map(ago),
            last_error: last_error.map(|(at, operation, what)| LastError { ago: ago(at), operation, what }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
