//! The journal, beside the whole gateway over real sockets: links, receipts, events set aside, unfinished ones.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_times;
mod commands;
mod commands_care;
#[path = "../contract/mod.rs"]
mod contract;
mod links;
mod office;
mod receipts;
mod store;
mod town;
mod unfinished;
