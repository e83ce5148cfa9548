//! Marketing Cloud through the provider's trait, against the simulated account: what each call leaves behind, at which
//! level, and what becomes of it when it is answered oddly.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod audiences;
mod desk;
mod keys;
mod listing;
mod loading;
mod oddities;
