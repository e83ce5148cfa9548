//! Keeps SAP Customer Data Cloud (Gigya) and an email service provider (ESP) in step, webhook by webhook.
//!
//! The one promise: **no opt-out is ever lost, and none is ever undone by anything but a newer opt-in.**
//!
//! The house has floors; a module imports only from floors below it. From the top:
//!
//! | floor | what lives there |
//! | --- | --- |
//! | [`cli`] | one file a command |
//! | [`sandbox`] | a simulated Gigya and simulated ESPs, in process; tests use the same ones |
//! | [`http`] | the edge: router, answers, limits, server loop, operations port |
//! | [`reconcile`] | both sides compared in full, and what differs healed |
//! | [`reload`] | another configuration while it runs |
//! | [`forward`] | the two straight lines: Gigya to ESP, ESP to Gigya |
//! | [`gigya`] | webhooks, signatures, REST client, account to consent |
//! | [`esp`] | the trait that a provider implements, and the providers |
//! | [`upstream`] | one outbound call: deadline, retry, breaker |
//! | [`telemetry`] | logs, metrics, traces, the address hash |
//! | [`config`] | the file to a checked, typed configuration |
//! | [`domain`] | consent, who wins; no I/O |
//!
//! Beside it: `in_place` (large futures in boxes) and `mutation` (rules broken on purpose, for the tests), which any floor may use.

pub mod cli;
pub mod config;
pub mod domain;
pub mod esp;
pub mod forward;
pub mod gigya;
pub mod http;
mod in_place;
pub mod journal;
mod json;
#[doc(hidden)]
pub mod mutation;
pub mod reconcile;
pub mod reload;
pub mod sandbox;
pub mod telemetry;
pub mod upstream;
