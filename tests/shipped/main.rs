//! Every shipped description between Gigya and a simulation of its system: the promise's stories, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../contract/mod.rs"]
mod contract;

mod each_its_own;
mod guests;
mod stories;
mod town;
