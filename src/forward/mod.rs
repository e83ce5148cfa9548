//! The two straight lines through the house, and what comes out of them.
//!
//! `http` hands in a request's raw bytes through [`Intake`]; [`Gateway`] takes it down one of the two lines:
//!
//! | line | stations |
//! | --- | --- |
//! | `gigya_to_esp` | verify, parse, read the account, one event a route, forward |
//! | `esp_to_gigya` | verify, parse, find the account, one event a route, forward |
//!
//! Both end in [`crate::domain::decide`]. Knows nothing of HTTP servers, and no provider's name.

mod board;
mod difference;
mod effect;
mod errand;
mod esp_to_gigya;
mod finisher;
mod gateway;
mod gigya_to_esp;
mod healing;
mod intake;
mod journaling;
mod links;
mod live;
mod payload;
mod progress;
mod record;
mod rounds;
mod status;
mod subscriber;
mod turns;

pub use difference::Difference;
pub use finisher::{Finish, finish_all};
pub use gateway::{Gateway, StartError};
pub use healing::{Case, Healed, Line};
pub use intake::{Endpoint, EventOutcome, Inbound, Intake, Refusal, Summary};
pub use live::Live;
pub use payload::{Happened, OptOut, Payload};
pub use record::Direction;
pub use status::{AgesStatus, ArrivalsStatus, ConnectionStatus, Counts, Recent, Refused, RouteStatus, Status};
