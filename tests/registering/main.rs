//! `register` makes at both sides what points at the gateway, and `check --online` proves what webhooks need: the real
//! binary, among the simulators.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../contract/mod.rs"]
mod contract;
mod desk;
mod failing;
mod online;
mod plan;
mod states;
mod states_of_marketing_cloud;
