//! Both sides stay in step: the whole gateway over real sockets, between simulators that keep state.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod both_ways;
#[path = "../contract/mod.rs"]
mod contract;
mod esp_side;
mod kinds_of_sites;
mod leaving;
mod lite;
mod marketing_cloud;
mod moving;
mod storm;
mod town;
mod who_wins;
