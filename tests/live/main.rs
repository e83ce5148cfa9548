//! The configuration changes while the gateway runs: told with the program itself, real files and real signals. No request
//! is dropped or refused for it, what is wrong is refused and said, and what is right is taken.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers are tests too")]

#[path = "../contract/mod.rs"]
mod contract;
mod house;
#[path = "../processes/place.rs"]
#[allow(dead_code, reason = "for heavier tests")]
mod place;
mod stories;
