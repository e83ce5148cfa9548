//! What the gateway reasons about: people, consent, and who wins.
//!
//! The lowest floor. Nothing here does I/O, is async, reads a clock, or knows anybody's wire format:
//! times are passed in, and every value that exists is a valid one. Everything above imports from
//! here; this floor imports only `jiff` for instants.

mod acted_at;
mod address;
mod consent;
mod decide;
mod event;
mod names;

pub use acted_at::ActedAt;
pub use address::{Email, NotAnAddress};
pub use consent::{Consent, OptOutReason};
pub use decide::{Decision, Desired, RemovalKind, decide};
pub use event::{Change, Outcome, Reason};
pub use names::{Audience, ConnectionName, SubscriptionId, Uid};
