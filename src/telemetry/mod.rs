//! What the gateway tells of itself: logs, metrics, and the pseudonyms that stand for people in both.
//!
//! Imports `config` and `domain`. Nothing here ever gets to see a token, and an address only to hash it.

pub mod logs;
pub mod metrics;
mod pseudonym;

pub use pseudonym::{Pseudonym, Pseudonyms};
