//! Everything Gigya: what its webhooks say and whether to believe them, its REST API, its accounts.
//!
//! Protocol facts are SAP's, restated at the items that rely on them. Wire types stay in here; `forward` sees
//! [`Notification`], [`Account`] and [`Client`]. Imports `esp` and the floors below.

mod account;
mod auth;
mod client;
mod envelope;
mod errors;
mod keys;
mod listing;
mod mapping;
mod members;
mod setup;
mod signature;
mod tag;
mod tree;
mod webhook;
mod whole;

pub use account::{Account, Handle};
pub use client::{Client, Reading, Registration};
pub use keys::KeyStore;
pub use listing::{AccountPage, Selection};
pub use mapping::fields_of;
pub use setup::GigyaSetUp;
pub use signature::{NotVerified, Rejection, Verifier};
pub use tag::{Confirmed, OptInTag, PlaceMark};
pub use webhook::{Event, EventKind, Notification, Subject};
