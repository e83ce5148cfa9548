//! What no webhook told is found and healed: both sides drift apart in every way, and are the same afterwards.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod commands;
#[path = "../contract/mod.rs"]
mod contract;
mod drift;
mod finds;
mod marketing_cloud;
mod memory;
mod town;
