//! The real thing: the binary as processes of its own, behind real load balancers with the configurations that are
//! shipped in `deploy/`, and in the hands of clients that mean no good. All of it is ignored, as it takes minutes, and the
//! first part needs haproxy, nginx and envoy; `.ci/heavy` runs it.

#![allow(clippy::unwrap_used)] // helpers are tests too

mod attacks;
mod balancer;
#[path = "../edge/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../contract/mod.rs"]
mod contract;
mod crowd;
mod envoy;
mod haproxy;
mod hostile;
mod journal;
mod nginx;
mod place;
#[allow(dead_code)] // the tests of traces have more use for one
mod replica;
mod trouble;
