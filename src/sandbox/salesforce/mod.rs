//! A simulated Salesforce organization: Contacts, Leads and Person Accounts with their checkboxes; tokens, queries, sObjects
//! and collections of these; Outbound Messages that come again until they are acknowledged, or a Flow's signed callback.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `world` | the records, and what each call and each person does to them |
//! | `soql` | the queries that it understands |
//! | `rest` | the calls |
//! | `answers` | what they are answered |
//! | `callbacks` | Outbound Messages, and what Apex sends |
//!
//! Written from the vendor's REST API Developer Guide and SOAP API Developer Guide.

mod answers;
mod callbacks;
mod rest;
mod soql;
mod world;

pub use callbacks::Callbacks;
pub use world::Row;

use super::further::{FurtherEsp, Started};
use super::{Courier, Faults, Surroundings, Temper};
use crate::sandbox::esp::SalesforceObject;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use world::World;

/// The organization.
pub const ORGANIZATION: &str = "00D5e000000KQ2eEAG";
/// The token at the end of an Outbound Message's URL.
pub const OUTBOUND_TOKEN: &str = "simulated-outbound-token-0123456789";
/// What Apex signs callbacks with.
pub const CALLBACK_SECRET: &str = "simulated-salesforce-callback-secret";
const CLIENT_ID: &str = "3MVG9.SimulatedConsumerKey";
const CLIENT_SECRET: &str = "simulated-consumer-secret";

/// What kind of organization it is.
#[derive(Clone, Debug)]
pub struct SalesforceSettings {
    /// The audience as a route spells it: `Contact`, `Lead`, `Account`, or with a checkbox after a dot.
    pub audience: String,
    /// How it calls back.
    pub callbacks: Callbacks,
    /// Whether it keeps the time of consent, in a field of its own that a Flow fills.
    pub keeps_time: bool,
    /// Whether that time is a date only.
    pub by_day: bool,
    /// How many records a page of a query has.
    pub page: usize,
    /// The public key of a JWT's signer, PEM; none if client credentials are taken.
    pub jwt_key: Option<String>,
    /// Lines for its connection's table.
    pub lines: String,
    /// Lines for its route.
    pub route: String,
}

impl Default for SalesforceSettings {
    fn default() -> Self {
        Self {
            audience: "Contact".to_owned(),
            callbacks: Callbacks::OutboundMessages,
            keeps_time: true,
            by_day: false,
            page: 2_000,
            jwt_key: None,
            lines: String::new(),
            route: "fields = { FirstName = \"profile.firstName\" }".to_owned(),
        }
    }
}

impl SalesforceSettings {
    /// The object that the audience is made of.
    #[must_use]
    pub fn object(&self) -> &str {
        self.audience.split('.').next().unwrap_or_default()
    }

    /// The field with the address.
    #[must_use]
    pub fn address_field(&self) -> &'static str {
        if self.object() == "Account" { "PersonEmail" } else { "Email" }
    }

    /// The checkbox that says who is out.
    #[must_use]
    pub fn opt_out_field(&self) -> String {
        let standard = if self.object() == "Account" { "PersonHasOptedOutOfEmail" } else { "HasOptedOutOfEmail" };
        self.audience.split_once('.').map_or(standard, |(_, field)| field).to_owned()
    }
}

/// A simulated organization. Clones are the same.
#[derive(Clone)]
pub struct SalesforceSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: SalesforceSettings,
    world: Arc<Mutex<World>>,
    faults: Faults,
    courier: Courier,
}

impl SalesforceSim {
    /// Starts it. Needs a Tokio runtime, on which its callbacks are delivered.
    #[must_use]
    pub fn start(settings: SalesforceSettings, around: Surroundings) -> Self {
        let faults = Faults::new(around.seed);
        let world = Arc::new(Mutex::new(World::new(settings.clone(), around.clock.clone())));
        let (told, callbacks) = (Arc::clone(&world), settings.callbacks);
        // Messages say what is so when they are sent, not what was so when they were made.
        let seal = move |events: &[Value]| callbacks::seal(callbacks, &lock(&told), events);
        let must_say = matches!(callbacks, Callbacks::OutboundMessages).then_some("<Ack>true</Ack>");
        let temper = Temper { patience: Duration::from_mins(1), must_say, ..Temper::default() };
        let courier = Courier::start("Salesforce", temper, around, seal);
        Self { inner: Arc::new(Inner { settings, world, faults, courier }) }
    }

    /// Serves its API on a free port; `http://{address}` is its base URL.
    pub async fn serve(&self) -> std::io::Result<SocketAddr> {
        super::serve(self.router()).await
    }

    /// What kind of organization it is.
    #[must_use]
    pub fn settings(&self) -> &SalesforceSettings {
        &self.inner.settings
    }

    /// How it fails, and how often it was called.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What delivers its callbacks.
    #[must_use]
    pub fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    /// Every record of the audience's object.
    #[must_use]
    pub fn records(&self) -> Vec<Row> {
        self.world().records(self.settings().object()).cloned().collect()
    }

    /// Those with an address.
    #[must_use]
    pub fn at(&self, email: &str) -> Vec<Row> {
        let field = self.settings().address_field();
        let is_there = |row: &Row| row[field].as_str().is_some_and(|held| held.eq_ignore_ascii_case(email));
        self.records().into_iter().filter(is_there).collect()
    }

    /// A person at the company makes a record; its id.
    pub fn create(&self, object: &str, fields: Value) -> String {
        let id = self.world().create(object, fields.as_object().cloned().unwrap_or_default());
        self.publish();
        id
    }

    /// Somebody opts in by a form of the company's, which makes a record and keeps when that was.
    pub fn fill_in_form(&self, email: &str) {
        let settings = self.settings();
        let mut fields = Row::from_iter([(settings.address_field().to_owned(), json!(email))]);
        for name in ["LastName", "Company"] {
            fields.insert(name.to_owned(), json!("Form"));
        }
        self.world().create_consenting(settings.object(), fields);
        self.publish();
    }

    /// A person at the company, or a page of theirs, changes a record.
    pub fn edit(&self, id: &str, fields: Value) {
        self.world().edit(id, fields.as_object().cloned().unwrap_or_default());
        self.publish();
    }

    /// Somebody ticks or unticks the checkbox of every record at an address; how many were changed.
    pub fn set_opted_out(&self, email: &str, out: bool) -> usize {
        let field = self.settings().opt_out_field();
        let changed: Vec<Row> = self.at(email).into_iter().filter(|row| row[&field] != out).collect();
        for row in &changed {
            self.edit(row["Id"].as_str().unwrap_or_default(), json!({ &field: out }));
        }
        changed.len()
    }

    /// A person at the company deletes a record, of which no Outbound Message tells. Whether it was there.
    pub fn delete(&self, id: &str) -> bool {
        self.world().delete(id)
    }

    /// Ends every session.
    pub fn expire_sessions(&self) {
        self.world().expire_sessions();
    }

    /// The next so many writes of records are refused with this code.
    pub fn refuse_writes(&self, code: &'static str, count: usize) {
        self.world().refuse(code, count);
    }

    /// Whether the organization has used up its calls of the day.
    pub fn use_up_calls(&self, used_up: bool) {
        self.world().used_up = used_up;
    }

    /// Something happens between a call that is to come and what it does: of this operation, the next one.
    pub fn before_next(&self, operation: &'static str, what: impl FnOnce(&mut World) + Send + 'static) {
        self.world().before(operation, Box::new(what));
    }

    fn publish(&self) {
        let told = self.world().take_told();
        for event in told {
            self.inner.courier.take(event);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.inner.world)
    }

    /// Its tables in a gateway's configuration.
    fn tables(&self, at: SocketAddr) -> String {
        let settings = self.settings();
        let SalesforceSettings { audience, lines, route, .. } = settings;
        let time = if settings.keeps_time { "consent_time_field = \"Consent_Time__c\"" } else { "" };
        // A Flow fills a date; a date and time is written by the gateway, too.
        let written = if settings.by_day { "write_consent_time = false" } else { "" };
        let secret = match settings.jwt_key {
            None => "client_secret = { env = \"SF_CLIENT_SECRET\" }",
            // The key is in the lines.
            Some(_) => "username = \"gateway@example.com\"\nlogin_url = \"https://login.salesforce.com\"",
        };
        let callbacks = match settings.callbacks {
            Callbacks::OutboundMessages => {
                format!("organization_id = \"{ORGANIZATION}\"\noutbound_tokens = [{{ env = \"SF_OUTBOUND_TOKEN\" }}]")
            }
            Callbacks::Signed => "callback_secrets = [{ env = \"SF_CALLBACK_SECRET\" }]".to_owned(),
        };
        format!(
            r#"
[salesforce.sales]
base_url = "http://{at}"
client_id = {{ env = "SF_CLIENT_ID" }}
{secret}
{callbacks}
{time}
{written}
{lines}

[[route]]
subscription = "main/newsletter"
audience = "sales/{audience}"
{route}
"#
        )
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[async_trait]
impl FurtherEsp for SalesforceSettings {
    async fn start(&self, around: Surroundings) -> std::io::Result<Started> {
        SalesforceSim::start(self.clone(), around).as_started().await
    }
}

/// One that will take part, and can be held then. Clones are the same.
#[derive(Clone, Default)]
pub struct Organization {
    settings: SalesforceSettings,
    started: Arc<OnceLock<SalesforceSim>>,
}

impl Organization {
    /// Of this kind.
    #[must_use]
    pub fn new(settings: SalesforceSettings) -> Self {
        Self { settings, started: Arc::default() }
    }

    /// The organization, once it has started.
    #[must_use]
    pub fn sim(&self) -> Option<SalesforceSim> {
        self.started.get().cloned()
    }
}

impl std::fmt::Debug for Organization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.settings.fmt(f)
    }
}

#[async_trait]
impl FurtherEsp for Organization {
    async fn start(&self, around: Surroundings) -> std::io::Result<Started> {
        let sim = self.started.get_or_init(|| SalesforceSim::start(self.settings.clone(), around)).clone();
        sim.as_started().await
    }
}

impl SalesforceSim {
    /// As it takes part in a sandbox.
    pub async fn as_started(self) -> std::io::Result<Started> {
        let tables = self.tables(self.serve().await?);
        let (courier, callbacks) = (self.courier().clone(), self.settings().callbacks);
        let path = match callbacks {
            Callbacks::OutboundMessages => format!("/webhooks/salesforce/sales/{OUTBOUND_TOKEN}"),
            Callbacks::Signed => "/webhooks/salesforce/sales".to_owned(),
        };
        Ok(Started {
            esp: Arc::new(SalesforceObject::new(self)),
            tables,
            secrets: vec![
                ("SF_CLIENT_ID", CLIENT_ID.to_owned()),
                ("SF_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
                ("SF_OUTBOUND_TOKEN", OUTBOUND_TOKEN.to_owned()),
                ("SF_CALLBACK_SECRET", CALLBACK_SECRET.to_owned()),
            ],
            register: Box::new(move |gateway| courier.deliver_to(&format!("{gateway}{path}"))),
        })
    }
}
