//! A simulated Gigya and simulated ESPs, in process: for the `sandbox` command, and for the tests, which use
//! the same ones.
//!
//! Each simulator keeps state, speaks its system's protocol over real sockets, sends its webhooks really signed
//! and again and again until they are answered 2xx, and can be made to fail. They are written from the vendors'
//! documentation and share no code with what they check. Only `setup` and `whole`, which start the gateway between
//! them, import the floors below.

pub mod braze;
pub mod brevo;
pub mod campaign_monitor;
mod carrier;
mod clock;
mod delivery;
pub mod described;
mod desk;
pub mod esp;
mod faults;
mod folder;
mod further;
pub mod gigya;
mod giving_up;
pub mod klaviyo;
pub mod mailchimp;
pub mod marketing_cloud;
pub mod page;
mod ranked;
pub mod salesforce;
pub mod sendgrid;
mod setup;
pub mod shipped;
pub mod story;
mod surroundings;
mod whole;
mod witness;

pub use carrier::{Answer, Carrier, Happened, Moment, Post};
pub use clock::Clock;
pub use delivery::{Attempt, Courier, Sealed, Temper};
pub use esp::SimulatedEsp;
pub use faults::{Faults, Weather};
pub use folder::Folder;
pub use further::{FurtherEsp, Register, Started};
pub use giving_up::GivingUp;
pub use setup::{Addresses, CALLBACK_TOKEN, Esps, JOURNAL_KEY, Setup};
pub use surroundings::{Observer, Surroundings};
pub use whole::{NotStarted, Outfit, Sandbox};
pub use witness::{Answered, Nobody, Witness};

use std::net::SocketAddr;
use tokio::net::TcpListener;

/// An id of this thread's generator of chances: whoever seeds that gets the same ids again.
fn new_uuid() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}

/// Serves a router on a free port of this machine until the process ends; returns the port's address.
async fn serve(router: axum::Router) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
