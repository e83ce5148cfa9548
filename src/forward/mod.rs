//! The two straight lines through the house, and what comes out of them.
//!
//! Called by `http` with a request's raw bytes; calls `gigya` and `esp`; both lines end in
//! [`crate::domain::decide`]. Knows nothing of HTTP servers, and no provider's name.

mod intake;

pub use intake::{Endpoint, EventOutcome, Inbound, Intake, Refusal, Summary};
