//! What the gateway tells of itself: logs, metrics, traces, and the pseudonyms that stand for people in them.
//!
//! `install` sets logs and traces up and ends them; `lines` is how a log line looks, `batch` how it gets out; `traces` has the spans, one a station.
//! Imports `config` and `domain`. Nothing here ever gets to see a token, and an address only to hash it.

pub mod batch;
mod install;
mod lines;
pub mod metrics;
mod pseudonym;
pub mod traces;

pub use install::{Installed, TelemetryError, install, watch_panics};
pub use pseudonym::{Pseudonym, Pseudonyms};
