//! The email service providers: the trait that each implements, and the list of them.
//!
//! `forward` works with any provider through [`Esp`]; a provider's wire types never leave its folder. A new
//! provider is a folder here, a table in `config`, and a line in [`PROVIDERS`] and [`connect`]; one that data can describe
//! needs none of these (`http`).
//! Imports `upstream` and the floors below.

mod campaign_monitor;
mod http;
mod marketing_cloud;
mod media;
mod offer;
mod profile;
mod salesforce;
pub mod schema;
mod scheme;
pub mod setup;
mod tokens;

pub use media::takes_json;
pub use offer::{Offer, offers};
pub use profile::{Field, FieldValue, Person};

use crate::config;
use crate::domain::{ActedAt, Audience, ConnectionName, Consent, Email, OptOutReason, Outcome, RemovalKind, Uid};
use crate::upstream::{Deadline, Fault, Health, Transport};
use ::http::HeaderMap;
use async_trait::async_trait;
use secrecy::SecretString;
use std::any::Any;
use std::sync::Arc;
use utoipa::openapi::Content;

/// A provider as the rest of the house needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct ProviderInfo {
    /// Its name in paths: `/webhooks/{slug}/{connection}`.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Whether a callback's path ends in a token, because the provider can't sign.
    pub token: TokenInPath,
    /// How it signs its callbacks, if it does.
    pub signature: Option<SignatureInfo>,
    /// What a callback whose path ends in a token is answered once all is settled, where its sender wants to hear that and
    /// no summary.
    pub acknowledgement: Option<Acknowledgement>,
    /// What its callbacks look like, for the API document.
    pub callback: &'static str,
    /// The same in full: for each media type, what is taken.
    pub bodies: fn() -> Vec<(&'static str, Content)>,
}

/// Whether a callback's path ends in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenInPath {
    /// Never.
    Never,
    /// Always: without it, a callback isn't believed.
    Always,
    /// The connection says.
    Maybe,
}

/// How a sender wants to hear that all is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The answer's media type.
    pub media_type: &'static str,
    /// The answer's body.
    pub body: &'static str,
}

/// How a provider signs its callbacks, for the API document.
#[derive(Clone, Copy, Debug)]
pub struct SignatureInfo {
    /// The header that the signature is in.
    pub header: &'static str,
    /// What it is.
    pub how: &'static str,
    /// Whether there is a callback that isn't signed.
    pub may_be_missing: bool,
}

/// The providers that this build knows.
pub const PROVIDERS: &[ProviderInfo] = &[campaign_monitor::INFO, marketing_cloud::INFO, salesforce::INFO, http::INFO];

/// Connects to an ESP as configured.
#[must_use]
pub fn connect(esp: &config::Esp, transport: Arc<dyn Transport>) -> Arc<dyn Esp> {
    match esp {
        config::Esp::CampaignMonitor(connection) => {
            Arc::new(campaign_monitor::CampaignMonitor::new(connection, transport))
        }
        config::Esp::MarketingCloud(connection) => {
            Arc::new(marketing_cloud::MarketingCloud::new(connection, &transport))
        }
        config::Esp::Salesforce(connection) => Arc::new(salesforce::Salesforce::new(connection, &transport)),
        config::Esp::Http(connection) => Arc::new(http::Described::new(connection, transport)),
    }
}

/// Connects with other settings in place of a connection that there is: what that one knows of how the systems are doing and
/// of their pace counts on, as far as they are the same systems.
#[must_use]
pub fn connect_succeeding(esp: &config::Esp, transport: Arc<dyn Transport>, former: &dyn Esp) -> Arc<dyn Esp> {
    let known: &dyn Any = former;
    match esp {
        config::Esp::CampaignMonitor(connection) => match known.downcast_ref() {
            Some(former) => Arc::new(campaign_monitor::CampaignMonitor::new(connection, transport).succeeding(former)),
            None => connect(esp, transport),
        },
        config::Esp::MarketingCloud(connection) => match known.downcast_ref() {
            Some(former) => {
                Arc::new(marketing_cloud::MarketingCloud::connect_succeeding(connection, &transport, former))
            }
            None => connect(esp, transport),
        },
        config::Esp::Salesforce(connection) => match known.downcast_ref() {
            Some(former) => Arc::new(salesforce::Salesforce::new(connection, &transport).succeeding(former)),
            None => connect(esp, transport),
        },
        config::Esp::Http(connection) => match known.downcast_ref() {
            Some(former) => Arc::new(http::Described::new(connection, transport).succeeding(former)),
            None => connect(esp, transport),
        },
    }
}

/// One connection to an ESP: what it tells us, and what we can tell it.
///
/// Every write is safe to repeat, except [`Esp::opt_in`] over an opt-out, which is tried once. Writes are about a
/// [`Record`] that [`Esp::find`] gave, which says by what the ESP knows it.
#[async_trait]
pub trait Esp: Any + Send + Sync {
    /// Which provider this is.
    fn provider(&self) -> &'static ProviderInfo;

    /// Whether its callbacks' path ends in a token.
    fn has_token_in_path(&self) -> bool {
        self.provider().token != TokenInPath::Never
    }

    /// The connection's name.
    fn name(&self) -> &ConnectionName;

    /// The settings that every connection has.
    fn common(&self) -> &config::Common;

    /// What an operator should know of its settings, a line each. No secret.
    fn remarks(&self) -> Vec<String>;

    /// Whether an audience holds at most one record under an address. Where it may hold several, each is a person's
    /// own, and one with another account's UID is left to that account.
    fn one_record_an_address(&self) -> bool;

    /// Whether somebody is found by their UID alone, whatever became of their address.
    fn finds_by_uid(&self) -> bool;

    /// How its APIs are doing, each by itself.
    fn health(&self) -> Vec<Health>;

    /// Verifies a callback and says what it tells, one notice an event, in its order. Where a callback leaves open
    /// whom it is about, the ESP is asked.
    async fn receive(
        &self,
        token: Option<&SecretString>,
        headers: &HeaderMap,
        body: &[u8],
        deadline: Deadline,
    ) -> Result<Received, NotTaken>;

    /// What the audience holds of somebody: every record under one of their UIDs or addresses, once. One whose
    /// consent is [`Consent::Unknown`] is known to the ESP, and not (or not anymore) to the audience.
    async fn find(&self, audience: &Audience, whom: &Whom<'_>, deadline: Deadline) -> Result<Vec<Record>, Fault>;

    /// Whether writing `person` over `record` would change anything but consent.
    fn differs(&self, audience: &Audience, record: &Record, person: &Person) -> bool;

    /// Opts a person in, with their fields, over the `record` that is theirs, if there is one. `over_opt_out` allows
    /// undoing an opt-out that is there; without it, somebody who turns out to be opted out stays so.
    async fn opt_in(
        &self,
        audience: &Audience,
        record: Option<&Record>,
        person: &Person,
        over_opt_out: bool,
        deadline: Deadline,
    ) -> Result<Written, Fault>;

    /// Whether [`Esp::update`] may opt somebody in who opted out since the record was read, so that their account must be
    /// looked at again after it.
    fn update_may_opt_in(&self, audience: &Audience) -> bool;

    /// Writes a person's fields and address over `record`, which may have another address. Opts nobody in, as far as
    /// [`Esp::update_may_opt_in`] doesn't say otherwise.
    async fn update(
        &self,
        audience: &Audience,
        record: &Record,
        person: &Person,
        deadline: Deadline,
    ) -> Result<Written, Fault>;

    /// Opts a record out.
    async fn opt_out(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault>;

    /// Removes somebody whose account is gone.
    async fn remove(
        &self,
        audience: &Audience,
        record: &Record,
        kind: RemovalKind,
        deadline: Deadline,
    ) -> Result<Written, Fault>;

    /// Takes a record out for which another one of the same person stands in. What the ESP calls back about it must
    /// not read as if the person had opted out.
    async fn discard(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault>;

    /// Whether [`Esp::list`] can read an audience as a whole.
    fn can_list(&self) -> bool {
        true
    }

    /// Reads an audience as a whole, one page a call: everybody whom it holds in whatever state, from the beginning or from
    /// where another page ended. Who changes meanwhile may be on two pages, or on none.
    async fn list(&self, audience: &Audience, from: Option<&Bookmark>, deadline: Deadline) -> Result<ListPage, Fault>;

    /// Makes one record of all its parts that [`Esp::list`] gave, in whatever order; the same that [`Esp::find`] would have
    /// given then. None if they are nobody's.
    fn combine(&self, audience: &Audience, parts: &[&[u8]]) -> Option<Record>;

    /// How many people [`Esp::load`] takes at once.
    fn load_size(&self, audience: &Audience) -> usize;

    /// Opts in people whom the audience doesn't hold, by as few calls as can be. Somebody who turns out to be opted out stays
    /// so. What became of each, in order; a fault may leave some of them written.
    async fn load(
        &self,
        audience: &Audience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Result<Written, Fault>>, Fault>;
}

/// Where in an audience's list a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// In the provider's own words.
    pub at: String,
    /// Where to begin again if the page doesn't come, because it can't be asked for twice; none if it can. What was read from
    /// there on is read a second time.
    pub anew: Option<String>,
}

impl Bookmark {
    /// Of a page that can be asked for as often as one likes.
    #[must_use]
    pub const fn at(at: String) -> Self {
        Self { at, anew: None }
    }
}

/// A page of an audience's list.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// What it holds.
    pub parts: Vec<Part>,
    /// Where the next one begins; none after the last.
    pub next: Option<Bookmark>,
    /// How many parts the whole list has, as far as that is known by now.
    pub total: Option<u64>,
}

/// What one of the places in which an ESP keeps a record has of it.
#[derive(Clone)]
pub struct Part {
    /// By what the ESP knows the record: the same for all its parts.
    pub key: RecordKey,
    /// What is there, in the provider's own spelling, for [`Esp::combine`].
    pub said: Vec<u8>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Part(hidden)")
    }
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

/// A callback that was believed.
#[derive(Clone, Debug)]
pub enum Received {
    /// What it tells, one notice an event.
    Notices(Vec<Notice>),
    /// It was about the callback itself, which is dealt with; nothing happened to anybody.
    Handshake,
}

/// Whom to look for: all by which an audience may hold them.
#[derive(Clone, Debug)]
pub struct Whom<'a> {
    /// The account's UID, and UIDs that it had before.
    pub uids: Vec<&'a Uid>,
    /// The account's address, and others that it has or had.
    pub addresses: Vec<&'a Email>,
    /// What the route maps of the account, for ESPs that know people by one of these; empty where that isn't known.
    pub fields: &'a [Field],
}

/// What an audience holds of one subscriber.
#[derive(Clone, Debug)]
pub struct Record {
    /// By what the ESP knows it.
    pub key: RecordKey,
    /// The address to which mail would go.
    pub address: Email,
    /// Consent as the ESP has it; `since` is when the ESP's state last changed, whoever changed it.
    pub consent: Consent,
    /// The Gigya UID that was written to it.
    pub uid: Option<Uid>,
    /// Its other fields, as the ESP names and spells them.
    pub fields: Vec<(String, String)>,
    /// Where the ESP keeps consent in several places: what each of them says, by its name.
    pub levels: Vec<(&'static str, Consent)>,
    /// What would have to be taken out still, although the consent says that they are out.
    pub leftover: Leftover,
}

impl Record {
    /// What one of the places says in which the ESP keeps consent; [`Consent::Unknown`] if there is no such place.
    #[must_use]
    pub fn level(&self, name: &str) -> Consent {
        self.levels.iter().find(|(level, _)| *level == name).map_or(Consent::Unknown, |(_, consent)| *consent)
    }
}

/// By what an ESP knows a record: an address or a key of its own. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RecordKey(pub Box<str>);

impl std::fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordKey(hidden)")
    }
}

/// What is left of somebody who is out, as after a write that was done in part only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leftover {
    /// Nothing.
    Nothing,
    /// Something that is right for somebody opted out, and must go if their account is gone.
    ForOptedOut,
    /// Something by which they might be mailed still.
    Mailable,
}

/// One thing that a callback tells.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The ESP's id of the event, or one made from its content where it gives none (without any address in it).
    pub id: String,
    /// The audiences that it concerns.
    pub audiences: Vec<Audience>,
    /// What happened to whom; or what becomes of the event where nothing can be forwarded.
    pub news: Result<News, Outcome>,
    /// The event as it was sent, where it can't be understood: for a person to look at.
    pub said: Option<String>,
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
