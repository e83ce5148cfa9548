//! The edge promises: whatever comes in over a socket, the sender hears exactly one sensible answer, nobody can hold
//! the gateway up, and stopping loses nothing. Told over real sockets, with an intake that does as it is told.

#![allow(clippy::unwrap_used)] // helpers are tests too

mod answers;
mod client;
#[path = "../contract/mod.rs"]
mod contract;
mod gateway;
mod limits;
mod requests;
mod stopping;
