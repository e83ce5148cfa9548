//! The configuration as the rest of the house sees it: typed, checked, complete.

use super::http::Http;
use super::log_filter::LogFilter;
use super::salesforce::Salesforce;
use super::sources::Sources;
use crate::domain::{Audience, ConnectionName, RemovalKind, SubscriptionId};
use jiff::tz::TimeZone;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Everything that was configured. Whoever holds one may rely on it: routes name connections that exist,
/// secrets have been read, URLs are usable.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listening, limits, draining.
    pub server: Server,
    /// Which changed files it is loaded anew for.
    pub watch: Watch,
    /// Logs and pseudonyms.
    pub telemetry: Telemetry,
    /// Gigya connections by name.
    pub gigya: BTreeMap<ConnectionName, Gigya>,
    /// ESP connections by name, of whatever provider.
    pub esps: BTreeMap<ConnectionName, Esp>,
    /// Which subscription goes where.
    pub routes: Vec<Arc<Route>>,
    /// What is written down, if anything is.
    pub journal: Option<Journal>,
    /// How `reconcile` works.
    pub reconcile: Reconcile,
    /// What it was made from.
    pub sources: Sources,
}

/// Which changed files a running gateway loads its configuration anew for: `watch_...` of `[server]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// How often secret files are looked at (5 s); zero for never.
    pub secrets: Duration,
    /// Whether the configuration file is looked at as often (false).
    pub configuration: bool,
}

/// `[server]`: the two ports and the limits on what comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where webhooks are received (`0.0.0.0:8080`).
    pub listen: SocketAddr,
    /// Where operations are served: `/livez`, `/readyz`, `/metrics` (`127.0.0.1:9090`).
    pub admin_listen: SocketAddr,
    /// Where senders reach the webhook port from outside, without a slash at its end; for registering webhooks only.
    pub public_url: Option<String>,
    /// Connections open at once, on each port; more wait in the accept queue (10,000).
    pub max_connections: usize,
    /// Requests worked on at once; more are answered 503 before any work (1,000).
    pub max_in_flight: usize,
    /// The largest body accepted, in bytes (1 MiB).
    pub max_body_bytes: usize,
    /// How long a client may take to send a request's head (5 s).
    pub header_timeout: Duration,
    /// How long a client may take to send a request's whole body (10 s).
    pub body_timeout: Duration,
    /// How long requests in flight may take to finish once a stop was asked for (25 s).
    pub drain_timeout: Duration,
    /// How long readiness answers 503 before connections are refused, so that load balancers notice (0 s).
    pub drain_delay: Duration,
}

/// `[telemetry]`: what is told, and how.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// How log lines look (`json`).
    pub log_format: LogFormat,
    /// Which lines are logged: levels, of all or of a target's (`info`).
    pub log_filter: LogFilter,
    /// The key of the hash that stands for addresses in logs. Replicas that share it give one person one
    /// pseudonym. Without it, one is derived from the first Gigya connection's secret.
    pub address_hash_key: Option<SecretString>,
    /// Where traces go; without it there are none.
    pub traces: Option<Traces>,
}

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The collector's base (`otlp_endpoint`): spans go to `/v1/traces` below it, as OTLP over HTTP.
    pub endpoint: Url,
    /// What the collector wants to be sent besides (`otlp_headers`): fit for HTTP, and secret.
    pub headers: BTreeMap<String, SecretString>,
    /// Which part of the requests that come without a trace of their own begins one (`trace_ratio`): 0 to 1.
    pub ratio: f64,
    /// What traces call the gateway (`service_name`).
    pub service_name: String,
}

impl Default for Telemetry {
    /// What an empty `[telemetry]` means.
    fn default() -> Self {
        Self { log_format: LogFormat::Json, log_filter: LogFilter::default(), address_hash_key: None, traces: None }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// `[journal]`: what is written down, and for how long.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Where.
    pub store: JournalStore,
    /// What addresses in it are encrypted with, indirectly. Never empty; the first is used, the others still open what was
    /// written before.
    pub keys: Vec<SecretString>,
    /// How long receipts are kept (3 years).
    pub keep_receipts: Duration,
    /// How long events set aside are kept (90 days).
    pub keep_rejected: Duration,
}

/// Where the journal is.
#[derive(Clone, Debug)]
pub enum JournalStore {
    /// In a file, for gateways on this machine.
    Sqlite(PathBuf),
    /// In a `PostgreSQL` database, for any number of replicas. The URL may hold a password.
    Postgres(SecretString),
}

/// How `reconcile` works: beside webhooks, which go first, so with a part of what the systems' limits allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconcile {
    /// The most calls to each system in a minute; less where the connection's own `max_calls_per_minute` is, of which it takes
    /// half.
    pub calls_per_minute: usize,
    /// The most calls to each system at once.
    pub max_concurrent_calls: usize,
    /// Accounts on a page of Gigya's search.
    pub accounts_per_page: usize,
    /// The most subscribers that one run removes because their accounts are gone or deactivated.
    pub max_removals: usize,
    /// The largest part of all subscribers that one run removes for that.
    pub max_removal_share: f64,
}

/// What becomes of events that aren't done when their request has to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeadline {
    /// The request is answered 503, and the sender comes again.
    Defer,
    /// They are written to the journal, the request is answered 200, and a replica finishes them.
    Journal,
}

/// What every connection has: how its webhooks are received and how its API is called.
#[derive(Clone, Debug)]
pub struct Common {
    /// How long a webhook of this connection may take from its first byte read to its answer (8 s). Must be
    /// below the sender's own timeout.
    pub deadline: Duration,
    /// What becomes of what isn't done by then (`defer`).
    pub on_deadline: OnDeadline,
    /// How long one outbound attempt may take (4 s).
    pub attempt_timeout: Duration,
    /// Outbound calls at once to this connection (64).
    pub max_concurrent_calls: usize,
    /// Outbound calls a minute to this connection, by this replica (0, which is no limit of the gateway's own).
    pub max_calls_per_minute: usize,
    /// How far an ESP's clock may be from Gigya's (0): an opt-out there counts as so much later. Zero for Gigya itself.
    pub clocks_may_differ: Duration,
    /// Accept media types besides JSON (and XML where the sender uses it); what the senders' documentation leaves open.
    pub content_types: Vec<String>,
}

/// `[gigya.NAME]`: one Gigya site, or a site group.
#[derive(Clone, Debug)]
pub struct Gigya {
    /// The name in the webhook's path.
    pub name: ConnectionName,
    /// Receiving and calling.
    pub common: Common,
    /// The site and, in a group, its member sites. Never empty; calls without a better choice use the first.
    pub api_keys: Vec<String>,
    /// Where the REST API is.
    pub endpoint: GigyaEndpoint,
    /// How calls to the REST API are authenticated.
    pub auth: GigyaAuth,
    /// How webhooks are verified.
    pub webhook_auth: GigyaWebhookAuth,
    /// What the webhook is called over there (`esp-gateway`; where there are several connections, with their name).
    pub webhook_name: String,
    /// The user key whose secret signs webhooks with HMAC-SHA1; without one, the partner secret does.
    pub webhook_signing_key: Option<String>,
    /// The oldest a webhook's signature may be (48 h).
    pub signature_max_age: Duration,
    /// How far in the future a webhook's time may lie (5 min).
    pub clock_tolerance: Duration,
    /// Whether writes to Gigya fire no webhook (false): hides changes from Gigya's other consumers.
    pub mute_webhooks: bool,
    /// Whether deactivating an account also clears its subscription flags in Gigya (false).
    pub clear_flags_on_inactive: bool,
}

/// Where a Gigya connection's REST API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GigyaEndpoint {
    /// A data center's domain, `eu1.gigya.com`: calls go to `https://accounts.eu1.gigya.com/accounts.method`.
    DataCenter(String),
    /// One base URL for every method: calls go to `{base}/accounts.method`.
    BaseUrl(Url),
}

/// How calls to Gigya are authenticated (reference: SAP's "REST APIs with the Gigya Authorization Method").
#[derive(Clone, Debug)]
pub enum GigyaAuth {
    /// `userKey` and `secret` in the form. HTTPS only.
    Secret {
        /// The application's user key.
        user_key: String,
        /// The application's secret, base64 as the console shows it.
        secret: SecretString,
    },
    /// An HMAC-SHA1 signature over every parameter; the secret stays here.
    Signed {
        /// The application's user key.
        user_key: String,
        /// The application's secret, base64 as the console shows it.
        secret: SecretString,
    },
    /// A short-lived RS256 token.
    Bearer {
        /// The application's user key.
        user_key: String,
        /// The application's private key, PEM, PKCS#1 or PKCS#8.
        private_key: SecretString,
    },
}

/// How Gigya's webhooks are verified; the sender has no say in it.
#[derive(Clone, Debug)]
pub enum GigyaWebhookAuth {
    /// `X-Gigya-Sig-Jwt` (webhooks version 2.0).
    Jwt {
        /// The issuer, with `{apiKey}` standing for one of the connection's API keys
        /// (`https://fidm.gigya.com/jwt/{apiKey}/`).
        issuer: String,
    },
    /// `X-Gigya-Sig-Hmac-Sha1` (versions 1.0 and 1.1).
    HmacSha1 {
        /// Base64 secrets, any of which may have signed. Never empty.
        secrets: Vec<SecretString>,
    },
}

/// One ESP connection, of whatever provider.
#[derive(Clone, Debug)]
pub enum Esp {
    /// `[campaign_monitor.NAME]`
    CampaignMonitor(Box<CampaignMonitor>),
    /// `[marketing_cloud.NAME]`
    MarketingCloud(Box<MarketingCloud>),
    /// `[salesforce.NAME]`
    Salesforce(Box<Salesforce>),
    /// `[http.NAME]`
    Http(Box<Http>),
}

impl Esp {
    /// The table that its connection stands in: `campaign_monitor`.
    #[must_use]
    pub fn table(&self) -> &'static str {
        match self {
            Self::CampaignMonitor(_) => "campaign_monitor",
            Self::MarketingCloud(_) => "marketing_cloud",
            Self::Salesforce(_) => "salesforce",
            Self::Http(_) => "http",
        }
    }

    /// The settings that every connection has.
    #[must_use]
    pub const fn common(&self) -> &Common {
        match self {
            Self::CampaignMonitor(connection) => &connection.common,
            Self::MarketingCloud(connection) => &connection.common,
            Self::Salesforce(connection) => &connection.common,
            Self::Http(connection) => &connection.common,
        }
    }

    fn common_mut(&mut self) -> &mut Common {
        match self {
            Self::CampaignMonitor(connection) => &mut connection.common,
            Self::MarketingCloud(connection) => &mut connection.common,
            Self::Salesforce(connection) => &mut connection.common,
            Self::Http(connection) => &mut connection.common,
        }
    }
}

/// How long a call of `reconcile` may take: a page of a search takes longer than what a webhook waits for.
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);

impl Config {
    /// The same, with the pace of `reconcile`: beside the running gateway's calls, so slower than the systems allow.
    #[must_use]
    pub fn at_the_pace_of_reconcile(mut self) -> Self {
        let Reconcile { calls_per_minute, max_concurrent_calls, .. } = self.reconcile;
        let gigya = self.gigya.values_mut().map(|connection| &mut connection.common);
        for common in gigya.chain(self.esps.values_mut().map(Esp::common_mut)) {
            let half = common.max_calls_per_minute.div_ceil(2);
            common.max_calls_per_minute = if half == 0 { calls_per_minute } else { half.min(calls_per_minute) };
            common.max_concurrent_calls = common.max_concurrent_calls.min(max_concurrent_calls);
            common.attempt_timeout = common.attempt_timeout.max(PAGE_TIMEOUT);
        }
        self
    }
}

/// `[campaign_monitor.NAME]`: one Campaign Monitor client.
#[derive(Clone, Debug)]
pub struct CampaignMonitor {
    /// The name in the callback's path.
    pub name: ConnectionName,
    /// Receiving and calling.
    pub common: Common,
    /// API key, the user name of HTTP basic authentication.
    pub api_key: SecretString,
    /// The client's id; needed for `on_inactive = "suppress"` only.
    pub client_id: Option<String>,
    /// Tokens that a callback's URL may end in. Never empty.
    pub callback_tokens: Vec<SecretString>,
    /// The client's time zone, in which Campaign Monitor tells times.
    pub time_zone: TimeZone,
    /// Where the API is (`https://api.createsend.com/api/v3.3`).
    pub base_url: Url,
    /// The list's custom field that holds the Gigya UID (`GigyaUID`).
    pub uid_field: String,
    /// Which call subscribes somebody.
    pub subscribe_with: SubscribeWith,
}

/// Which Campaign Monitor call subscribes somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeWith {
    /// Import of one, which is done when it answers (the default).
    Import,
    /// Add, which is queued: the gateway then waits until the subscriber can be read.
    Add,
}

/// `[marketing_cloud.NAME]`: one business unit of Salesforce Marketing Cloud.
#[derive(Clone, Debug)]
pub struct MarketingCloud {
    /// The name in the callback's path.
    pub name: ConnectionName,
    /// Receiving and calling. The deadline is 2.5 s by default, as the sender waits for 3 s.
    pub common: Common,
    /// Where tokens are had.
    pub auth_base_url: Url,
    /// Where the REST API is.
    pub rest_base_url: Url,
    /// Where the SOAP API is.
    pub soap_base_url: Url,
    /// The business unit's id (MID), for which tokens are asked.
    pub account_id: String,
    /// Business units that a callback may be about. Never empty; the connection's own unless others are named.
    pub business_units: Vec<String>,
    /// The installed package's client id.
    pub client_id: SecretString,
    /// The installed package's client secret.
    pub client_secret: SecretString,
    /// Signature keys of callbacks, as shown when they were created. Empty only while registering.
    pub signature_keys: Vec<SecretString>,
    /// While registering: the file that `signature_keys` names and that isn't there yet.
    pub signature_key_file: Option<PathBuf>,
    /// How a signature key becomes the key of the HMAC (either).
    pub signature_key_encoding: SignatureKeyEncoding,
    /// Whether the unsigned verification of a new callback is expected (false).
    pub registering: bool,
    /// By what Marketing Cloud knows a person (the Gigya UID).
    pub subscriber_key: SubscriberKey,
    /// The profile attribute that holds the Gigya UID, where it isn't the subscriber key.
    pub uid_attribute: Option<String>,
    /// The id of the list All Subscribers, by which an opt-out of everything is told.
    pub all_subscribers_list: Option<String>,
    /// The data extensions' column with the subscriber key (`SubscriberKey`).
    pub key_column: String,
    /// The data extensions' column with the address (`EmailAddress`).
    pub email_column: String,
    /// The data extensions' column that says `Active` or `Unsubscribed`, if they have one.
    pub status_column: Option<String>,
    /// Which call opts somebody out.
    pub unsubscribe_with: UnsubscribeWith,
    /// What is given as the reason of a logged unsubscribe.
    pub unsubscribe_reason: String,
    /// The zone of times that are told without an offset (UTC-6).
    pub time_zone: TimeZone,
    /// The most subscribers looked up by one call (200).
    pub lookup_batch: usize,
    /// What the routes' audiences mean.
    pub audiences: BTreeMap<Audience, MarketingCloudAudience>,
}

/// How a signature key's text becomes the key of the HMAC; the documentation can be read both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKeyEncoding {
    /// Either of the two may fit.
    Either,
    /// The text as it is.
    Text,
    /// Decoded from base64.
    Base64,
}

/// By what Marketing Cloud knows a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriberKey {
    /// The Gigya UID.
    Uid,
    /// The address with which they came; it stays when the address changes.
    Email,
    /// A field that the route maps; the UID where the account has none.
    Field(String),
}

/// Which call opts somebody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsubscribeWith {
    /// A change of status.
    Status,
    /// `LogUnsubEvent`, which counts in Marketing Cloud's reports and reaches a connected CRM.
    LogUnsubEvent,
}

/// Where a Marketing Cloud audience is kept: a status, a data extension, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketingCloudAudience {
    /// The status that says whether they may be mailed; without one, it is that there is a row.
    pub status: Option<StatusPlace>,
    /// The external key of the data extension that holds a row for each.
    pub data_extension: Option<String>,
}

/// A status that says whether somebody may be mailed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusPlace {
    /// That of the subscriber, for everything ("master").
    AllSubscribers,
    /// That on one publication list, by its id.
    PublicationList(String),
}

impl MarketingCloudAudience {
    /// Reads `all-subscribers`, `publication-list:ID`, `data-extension:KEY`, or a status and a data extension joined
    /// by `+`. `None` if it is none of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut audience = Self { status: None, data_extension: None };
        for part in text.split('+') {
            let status = match part.split_once(':') {
                None if part == "all-subscribers" => StatusPlace::AllSubscribers,
                Some(("publication-list", id)) if !id.is_empty() && id.bytes().all(|c| c.is_ascii_digit()) => {
                    StatusPlace::PublicationList(id.to_owned())
                }
                Some(("data-extension", key))
                    if !key.trim().is_empty() && !key.contains(['[', ']']) && audience.data_extension.is_none() =>
                {
                    audience.data_extension = Some(key.to_owned());
                    continue;
                }
                _ => return None,
            };
            if audience.status.replace(status).is_some() {
                return None;
            }
        }
        Some(audience)
    }
}

/// `[[route]]`: one subscription of one Gigya connection, one audience of one ESP connection.
#[derive(Clone, Debug)]
pub struct Route {
    /// The Gigya connection.
    pub gigya: ConnectionName,
    /// The subscription there.
    pub subscription: SubscriptionId,
    /// The ESP connection.
    pub esp: ConnectionName,
    /// The audience there.
    pub audience: Audience,
    /// What becomes of somebody whose account was deactivated or deleted (`delete`).
    pub on_inactive: RemovalKind,
    /// Whether a double opt-in must be confirmed before it is forwarded (true).
    pub double_opt_in: bool,
    /// Whether an opt-in at the ESP becomes one in Gigya (false).
    pub accept_opt_ins: bool,
    /// Whether such an opt-in was confirmed at the ESP, so that Gigya's double opt-in needn't be awaited (false).
    pub confirmed_at_esp: bool,
    /// Whether somebody unknown who opts in at the ESP becomes a lite account (false).
    pub create_lite_accounts: bool,
    /// Whether a bounce at the ESP becomes an opt-out in Gigya (false).
    pub forward_bounces: bool,
    /// What is written to the ESP besides address and UID: the ESP's field, and where its value comes from.
    pub fields: BTreeMap<String, FieldSource>,
}

impl Route {
    /// The route as answers, logs and metrics name it: `main/newsletter -> news/LIST`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{} -> {}/{}", self.gigya, self.subscription, self.esp, self.audience)
    }
}

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// A place in the account: `profile.firstName`, `data.loyalty.tier`, `UID`.
    Path(Vec<String>),
    /// Always the same text: `=Yes`.
    Literal(String),
    /// Text with places in braces: `{profile.firstName} {profile.lastName}`.
    Template(Vec<TemplatePart>),
}

/// A piece of a [`FieldSource::Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text as it is.
    Text(String),
    /// A place in the account.
    Path(Vec<String>),
}
