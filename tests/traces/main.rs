//! Traces: the binary itself, as a process of its own, between a collector and systems that write down what they hear.

#![allow(clippy::unwrap_used)] // helpers are tests too

#[path = "../edge/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../collector/mod.rs"]
mod collector;
#[path = "../contract/mod.rs"]
mod contract;
mod cost;
mod gateway;
#[path = "../processes/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "../processes/replica.rs"]
#[allow(dead_code)]
mod replica;
mod tap;
