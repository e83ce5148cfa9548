//! The email service providers: the trait that each implements, and the list of them.
//!
//! `forward` works with any provider through [`Esp`]; a provider's wire types never leave its folder. A new
//! provider is a folder here, a table in `config`, and a line in [`PROVIDERS`] and [`connect`].
//! Imports `upstream` and the floors below.

mod campaign_monitor;
mod profile;

pub use profile::{Field, FieldValue, Person};

use crate::config;
use crate::domain::{ActedAt, Audience, ConnectionName, Consent, Email, OptOutReason, RemovalKind, Uid};
use crate::upstream::{Deadline, Fault, Transport};
use async_trait::async_trait;
use http::HeaderMap;
use secrecy::SecretString;
use std::sync::Arc;

/// A provider as the edge and its documentation need to know it.
#[derive(Clone, Copy, Debug)]
pub struct ProviderInfo {
    /// Its name in paths: `/webhooks/{slug}/{connection}`.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Whether a callback's path ends in a token, because the provider can't sign.
    pub token_in_path: bool,
    /// What its callbacks look like, for the API document.
    pub callback: &'static str,
}

/// The providers that this build knows.
pub const PROVIDERS: &[ProviderInfo] = &[campaign_monitor::INFO];

/// Connects to an ESP as configured.
#[must_use]
pub fn connect(esp: &config::Esp, transport: Arc<dyn Transport>) -> Arc<dyn Esp> {
    match esp {
        config::Esp::CampaignMonitor(connection) => {
            Arc::new(campaign_monitor::CampaignMonitor::new(connection, transport))
        }
    }
}

/// One connection to an ESP: what it tells us, and what we can tell it.
///
/// Every write is safe to repeat, except [`Esp::opt_in`] over an opt-out, which is tried once.
#[async_trait]
pub trait Esp: Send + Sync + 'static {
    /// Which provider this is.
    fn provider(&self) -> &'static ProviderInfo;

    /// The connection's name.
    fn name(&self) -> &ConnectionName;

    /// The settings that every connection has.
    fn common(&self) -> &config::Common;

    /// Whether calls are failing so that they are refused at once.
    fn breaker(&self) -> crate::upstream::BreakerState;

    /// Verifies a callback and says what it tells, one notice an event, in its order.
    fn receive(&self, token: Option<&SecretString>, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Notice>, NotTaken>;

    /// What the audience holds under this address; `None` if it never held it.
    async fn read(&self, audience: &Audience, address: &Email, deadline: Deadline) -> Result<Option<Record>, Fault>;

    /// Whether writing `person` over `record` would change anything but consent.
    fn differs(&self, record: &Record, person: &Person) -> bool;

    /// Opts a person in, with their fields. `over_opt_out` allows undoing an opt-out that is there; without it,
    /// somebody who turns out to be opted out stays so.
    async fn opt_in(
        &self,
        audience: &Audience,
        person: &Person,
        over_opt_out: bool,
        deadline: Deadline,
    ) -> Result<Written, Fault>;

    /// Writes a person's fields and address over `record`, which may have another address. Opts nobody in.
    async fn update(
        &self,
        audience: &Audience,
        record: &Record,
        person: &Person,
        deadline: Deadline,
    ) -> Result<Written, Fault>;

    /// Opts an address out.
    async fn opt_out(&self, audience: &Audience, address: &Email, deadline: Deadline) -> Result<Written, Fault>;

    /// Removes an address.
    async fn remove(
        &self,
        audience: &Audience,
        address: &Email,
        kind: RemovalKind,
        deadline: Deadline,
    ) -> Result<Written, Fault>;
}

/// What became of a write that wasn't a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Done.
    Done,
    /// There was nobody to do it to, or it was so already.
    NothingToDo,
    /// The ESP keeps the person opted out, and says so.
    Held,
    /// The record is not as it was when it was read; look again.
    Moved,
}

/// Why a callback was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The signature or token is missing or wrong; the label is for the log.
    NotVerified(&'static str),
    /// A media type that this provider doesn't send.
    MediaType,
    /// Not what this provider sends. Where and how, without quoting it.
    Malformed(String),
}

/// What an audience holds of one subscriber.
#[derive(Clone, Debug)]
pub struct Record {
    /// The address under which it is held.
    pub address: Email,
    /// Consent as the ESP has it; `since` is when the ESP's state last changed, whoever changed it.
    pub consent: Consent,
    /// The Gigya UID that was written to it.
    pub uid: Option<Uid>,
    /// Its other fields, as the ESP names and spells them.
    pub fields: Vec<(String, String)>,
}

/// One thing that a callback tells.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The ESP's id of the event, or one made from its content where it gives none (without any address in it).
    pub id: String,
    /// The audience it happened in.
    pub audience: Audience,
    /// What happened to whom; `None` if the event lacks what it must have.
    pub news: Option<News>,
}

/// What happened to whom.
#[derive(Clone, Debug)]
pub struct News {
    /// The subscriber's address after it.
    pub address: Email,
    /// The address before it, where it changed.
    pub former_address: Option<Email>,
    /// The Gigya UID that was written to the subscriber.
    pub uid: Option<Uid>,
    /// What happened.
    pub what: What,
}

/// What happened to a subscriber at an ESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Opted in, by whoever.
    OptedIn {
        /// When.
        at: ActedAt,
    },
    /// Opted out.
    OptedOut {
        /// When.
        at: ActedAt,
        /// How.
        reason: OptOutReason,
    },
    /// Something else changed, perhaps the address.
    Changed {
        /// Whether the subscriber is said to be opted in still. If not, their record tells since when.
        opted_in: bool,
    },
}
