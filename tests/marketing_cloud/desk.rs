//! A provider connected to a simulated account, and people to write about.

use gigya_esp_gateway::config::{Config, Environment, Esp as Settings};
use gigya_esp_gateway::domain::{Audience, Email, RemovalKind, Uid};
use gigya_esp_gateway::esp::{self, Esp, Field, FieldValue, Person, Record, Whom, Written};
use gigya_esp_gateway::sandbox::Clock;
use gigya_esp_gateway::sandbox::Surroundings;
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, MarketingCloudSim, SubscriberView};
use gigya_esp_gateway::upstream::{Deadline, Fault, HttpTransport};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;

/// The data extension of the simulated account.
pub const PROFILES: &str = "GIGYA_PROFILES";
/// One of its publication lists.
pub const LIST: &str = "69238";
/// Another one.
pub const OTHER_LIST: &str = "70001";

pub struct Desk {
    pub sim: MarketingCloudSim,
    pub clock: Clock,
    pub esp: Arc<dyn Esp>,
    audience: Audience,
    fields: Vec<&'static str>,
}

impl Desk {
    /// A provider for an audience of an ordinary account.
    pub async fn of(audience: &str) -> Self {
        Self::with(&[audience], "", MarketingCloudSettings::default()).await
    }

    /// A provider for the first of some audiences, with lines for its table.
    pub async fn with(audiences: &[&str], lines: &str, settings: MarketingCloudSettings) -> Self {
        let clock = Clock::default();
        let sim = MarketingCloudSim::start(settings, Surroundings::real(clock.clone(), broadcast::channel(100).0));
        let base = format!("http://{}", sim.serve().await.unwrap());
        let field = if audiences[0].contains("data-extension") { "FirstName" } else { "First Name" };
        let mut text = format!(
            "[gigya.main]\napi_keys = [\"4_A\"]\ndata_center = \"eu1.gigya.com\"\nuser_key = \"A\"\n\
             secret = {{ env = \"SECRET\" }}\n[marketing_cloud.crm]\nauth_base_url = \"{base}\"\n\
             rest_base_url = \"{base}\"\nsoap_base_url = \"{base}\"\naccount_id = \"{}\"\n\
             client_id = {{ env = \"ID\" }}\nclient_secret = {{ env = \"PASSWORD\" }}\n\
             signature_keys = [{{ env = \"KEY\" }}]\n{lines}\n",
            sim.settings().account_id
        );
        for (index, audience) in audiences.iter().enumerate() {
            let _ = write!(
                text,
                "[[route]]\nsubscription = \"main/s{index}\"\naudience = \"crm/{audience}\"\n\
                 fields = {{ \"{field}\" = \"profile.firstName\", \"Crm\" = \"data.crm\" }}\n"
            );
        }
        let settings = sim.settings();
        let environment: Environment = [
            ("SECRET", "c2VjcmV0"),
            ("ID", settings.client_id.as_str()),
            ("PASSWORD", settings.client_secret.as_str()),
            ("KEY", settings.signature_key.as_str()),
        ]
        .into_iter()
        .collect();
        let config = Config::parse(&text, Path::new("test.toml"), &environment).unwrap();
        let connection: Settings = config.esps.into_values().next().unwrap();
        let esp = esp::connect(&connection, Arc::new(HttpTransport::new().unwrap()));
        Self { sim, clock, esp, audience: Audience::new(audiences[0]), fields: vec![field] }
    }

    pub fn deadline() -> Deadline {
        Deadline::after(Instant::now(), Duration::from_secs(8))
    }

    /// Somebody whose UID is `u-NAME` and whose address is `NAME@example.org`.
    pub fn person(&self, name: &str) -> Person {
        Person {
            address: address(name),
            uid: uid(name),
            fields: vec![Field { name: self.fields[0].to_owned(), value: FieldValue::Text(name.to_owned()) }],
        }
    }

    /// Every record of somebody.
    pub async fn records(&self, person: &Person) -> Result<Vec<Record>, Fault> {
        let whom = Whom { uids: vec![&person.uid], addresses: vec![&person.address], fields: &person.fields };
        self.esp.find(&self.audience, &whom, Self::deadline()).await
    }

    /// The one record of somebody.
    pub async fn record(&self, person: &Person) -> Record {
        let mut records = self.records(person).await.unwrap();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    pub async fn opt_in(&self, record: Option<&Record>, person: &Person, over: bool) -> Result<Written, Fault> {
        self.esp.opt_in(&self.audience, record, person, over, Self::deadline()).await
    }

    pub async fn update(&self, record: &Record, person: &Person) -> Result<Written, Fault> {
        self.esp.update(&self.audience, record, person, Self::deadline()).await
    }

    pub async fn opt_out(&self, record: &Record) -> Result<Written, Fault> {
        self.esp.opt_out(&self.audience, record, Self::deadline()).await
    }

    pub async fn remove(&self, record: &Record, kind: RemovalKind) -> Result<Written, Fault> {
        self.esp.remove(&self.audience, record, kind, Self::deadline()).await
    }

    pub async fn discard(&self, record: &Record) -> Result<Written, Fault> {
        self.esp.discard(&self.audience, record, Self::deadline()).await
    }

    /// Fills the audience.
    pub async fn load(&self, people: &[Person]) -> Result<Vec<Result<Written, Fault>>, Fault> {
        assert!(people.len() <= self.esp.load_size(&self.audience));
        self.esp.load(&self.audience, people, Self::deadline()).await
    }

    pub fn updates_may_opt_in(&self) -> bool {
        self.esp.update_may_opt_in(&self.audience)
    }

    pub fn differs(&self, record: &Record, person: &Person) -> bool {
        self.esp.differs(&self.audience, record, person)
    }

    /// Somebody who is opted in.
    pub async fn subscriber(&self, name: &str) -> Person {
        let person = self.person(name);
        assert_eq!(self.opt_in(None, &person, false).await, Ok(Written::Done));
        person
    }

    /// The subscriber under the key `u-NAME`.
    pub fn held(&self, name: &str) -> SubscriberView {
        self.sim.subscriber(&format!("u-{name}")).unwrap()
    }

    /// A column of their row.
    pub fn column(&self, key: &str, column: &str) -> Option<String> {
        self.sim.row(PROFILES, key)?.get(column).cloned()
    }
}

pub fn address(name: &str) -> Email {
    Email::parse(&format!("{name}@example.org")).unwrap()
}

pub fn uid(name: &str) -> Uid {
    Uid::new(&format!("u-{name}")).unwrap()
}
