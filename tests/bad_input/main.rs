//! Bad input of every kind gets its answer, calls nothing upstream and changes nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod anybody;
mod campaign_monitor;
#[path = "../contract/mod.rs"]
mod contract;
mod gigya_hmac;
mod gigya_token;
mod house;
mod marketing_cloud;
