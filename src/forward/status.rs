//! How the gateway is doing, as the status page shows it. Nobody's address, token or secret is in it.

use super::record::Direction;
use crate::domain::{Change, ConnectionName, Outcome};
use crate::telemetry::Pseudonym;
use crate::upstream::Health;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How the gateway is doing.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Its connections, Gigya's first.
    pub connections: Vec<ConnectionStatus>,
    /// Its routes, as configured.
    pub routes: Vec<RouteStatus>,
    /// The last outcomes, the latest first.
    pub outcomes: Vec<Recent>,
}

/// How one connection is doing.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: String,
    /// What it is, for people: `Gigya`, or the provider's title.
    pub kind: &'static str,
    /// What came in.
    pub arrivals: ArrivalsStatus,
    /// How its APIs are doing.
    pub systems: Vec<Health>,
}

/// What came in for a connection since this replica was started.
#[derive(Clone, Debug, Default)]
pub struct ArrivalsStatus {
    /// Webhooks that were believed.
    pub believed: u64,
    /// How long ago the last of them arrived.
    pub last: Option<Duration>,
    /// Webhooks that were not believed.
    pub refused: u64,
    /// The last of them.
    pub last_refused: Option<Refused>,
}

/// A webhook that was not believed.
#[derive(Clone, Debug)]
pub struct Refused {
    /// How long ago it came.
    pub ago: Duration,
    /// Why it wasn't; one of few reasons.
    pub reason: String,
}

/// How one route is doing.
#[derive(Clone, Debug)]
pub struct RouteStatus {
    /// The route, as [`crate::config::Route::label`] names it.
    pub label: String,
    /// How many of its events ended how, since this replica was started.
    pub counts: Counts,
    /// How long ago its last event was settled.
    pub last: Option<Duration>,
    /// How old opt-outs were when they took effect; `None` before the first.
    pub ages: Option<AgesStatus>,
}

/// How many events ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The other side was changed.
    pub applied: u64,
    /// It said so already.
    pub unchanged: u64,
    /// Rightly not forwarded.
    pub skipped: u64,
    /// Can never be forwarded.
    pub rejected: u64,
    /// Put off, and to be sent again.
    pub deferred: u64,
}

impl Counts {
    /// One more.
    pub fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Applied => &mut self.applied,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Skipped(_) => &mut self.skipped,
            Outcome::Rejected(_) => &mut self.rejected,
            Outcome::Deferred(_) => &mut self.deferred,
        } += 1;
    }
}

/// How old a route's opt-outs were when they took effect at the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgesStatus {
    /// How many there were since this replica was started.
    pub opt_outs: u64,
    /// The last one's age.
    pub latest: Duration,
    /// The median of the last hundred.
    pub median: Duration,
    /// The oldest of all.
    pub worst: Duration,
}

/// One outcome.
#[derive(Clone, Debug)]
pub struct Recent {
    /// How long ago.
    pub ago: Duration,
    /// When.
    pub at: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// The connection that it came from.
    pub connection: ConnectionName,
    /// The route; `None` for an event that concerns none.
    pub route: Option<Arc<str>>,
    /// What became of it.
    pub outcome: Outcome,
    /// What it changed.
    pub change: Option<Change>,
    /// Whom it is about.
    pub subscriber: Option<Pseudonym>,
    /// How long ago the person had acted, if it was an opt-out that took effect.
    pub opt_out_age: Option<Duration>,
}
