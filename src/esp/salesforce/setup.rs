//! What is proved at a Salesforce organization, and what an operator enters there: its callbacks are made by clicks.

use super::client::Client;
use super::provider::Salesforce;
use crate::config::salesforce::{Salesforce as Settings, SalesforceAudience};
use crate::domain::{Audience, Email};
use crate::esp::setup::{Finding, Lookout, Scribe, SetUp, Site, State, Step, Tell, Trouble, look, unhurried};
use crate::esp::{Esp, Whom};
use crate::upstream::{Fault, Transport};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;

/// Nobody has it (RFC 2606): whoever is looked for under it is looked for in vain.
const NOBODY: &str = "gigya-esp-gateway-check@example.invalid";

/// The far side of one organization.
pub struct SalesforceSetUp {
    scribe: Scribe,
    settings: Settings,
    api: Salesforce,
    client: Client,
    /// Where its callbacks go; without a token.
    url: Option<String>,
}

impl SalesforceSetUp {
    /// As configured.
    #[must_use]
    pub fn new(connection: &Settings, site: &Site, transport: Arc<dyn Transport>) -> Self {
        let settings = Settings { common: unhurried(&connection.common), ..connection.clone() };
        let lookout = Lookout::on(transport);
        let transport: Arc<dyn Transport> = Arc::new(lookout.clone());
        Self {
            api: Salesforce::new(&settings, &transport),
            client: Client::new(&settings, &transport),
            scribe: Scribe { connection: format!("salesforce.{}", connection.name), lookout },
            url: site.public_url.as_ref().map(|url| format!("{url}/webhooks/{}/{}", super::INFO.slug, connection.name)),
            settings,
        }
    }

    /// What is to be entered over there.
    fn callbacks(&self) -> Vec<Finding> {
        let Some(url) = &self.url else {
            let fix = "set server.public_url, or give --public-url, to be told what to enter";
            let what = "where callbacks reach this gateway isn't known";
            return vec![self.scribe.yours("callbacks", State::Unknown, what, fix)];
        };
        let mut findings = Vec::new();
        if !self.settings.outbound_tokens.is_empty() {
            let detail = format!(
                "can't be looked at by this gateway; its endpoint must be {url}/TOKEN, where TOKEN is the first of \
                 outbound_tokens"
            );
            findings.push(self.scribe.remark("Outbound Message", &detail));
        }
        if !self.settings.callback_secrets.is_empty() {
            let detail = format!("can't be looked at by this gateway; must post to {url}");
            findings.push(self.scribe.remark("JSON callback", &detail));
        }
        findings
    }

    async fn object(&self, name: &Audience, audience: &SalesforceAudience) -> Vec<Finding> {
        let subject = format!("audience {name}");
        let described = match self.client.describe(audience.object, look()).await {
            Ok(described) => described,
            Err(fault) => return vec![self.trouble(&subject, fault)],
        };
        let field = |name: &str| {
            let fields = described["fields"].as_array().into_iter().flatten();
            let is_it = |field: &&Value| field["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name));
            fields.into_iter().find(is_it)
        };
        let mut findings = vec![
            self.opt_out(&subject, audience, field(&audience.opt_out_field)),
            self.uid(&subject, field(&self.settings.uid_field)),
        ];
        let time = self.settings.consent_time_field.as_deref();
        let written = audience.fields.iter().map(String::as_str).chain([audience.object.address_field()]).chain(time);
        for name in written {
            let fix = "see that the field is there, and that the user whom the gateway acts as may edit it";
            let is_read = time == Some(name) && !self.settings.write_consent_time;
            match field(name) {
                None => findings.push(self.scribe.yours(&subject, State::Missing, &format!("no field {name}"), fix)),
                Some(field) if field["updateable"] == false && !is_read => {
                    let what = format!("the field {name} can't be edited");
                    findings.push(self.scribe.yours(&subject, State::Wrong, &what, fix));
                }
                Some(_) => {}
            }
        }
        findings.push(self.reading(name, &subject).await);
        findings
    }

    fn opt_out(&self, subject: &str, audience: &SalesforceAudience, field: Option<&Value>) -> Finding {
        let name = &audience.opt_out_field;
        let fix = "see docs/setup/salesforce.md: it must be a checkbox that is unchecked by default, and that the user whom \
                   the gateway acts as may edit";
        let wrong = match field {
            None => format!("no field {name}, or it is hidden"),
            Some(field) if field["type"].as_str().is_some_and(|kind| kind != "boolean") => {
                format!("the field {name} is no checkbox")
            }
            Some(field) if field["updateable"] == false => format!("the field {name} can't be edited"),
            Some(field) if field["defaultValue"] == true => format!("the field {name} is checked by default"),
            Some(_) => return self.scribe.ok(subject, &format!("{name} is a checkbox that can be edited")),
        };
        self.scribe.yours(subject, State::Wrong, &wrong, fix)
    }

    fn uid(&self, subject: &str, field: Option<&Value>) -> Finding {
        let name = &self.settings.uid_field;
        let fix = "see docs/setup/salesforce.md: a text field that is an external id and unique (case sensitive), and that the user whom the \
                   gateway acts as may edit";
        let wrong = match field {
            None => format!("no field {name}, or it is hidden"),
            Some(field) if field["externalId"] == false => format!("the field {name} is no external id"),
            Some(field) if field["unique"] == false => format!("the field {name} is not unique"),
            Some(field) if field["caseSensitive"] == false => {
                format!(
                    "the field {name} takes \"ABC\" and \"abc\" for the same, so that one person's record could be another's"
                )
            }
            Some(field) if field["updateable"] == false => format!("the field {name} can't be edited"),
            Some(_) => return self.scribe.ok(subject, &format!("{name} is a unique external id")),
        };
        self.scribe.yours(subject, State::Wrong, &wrong, fix)
    }

    /// Looks for nobody.
    async fn reading(&self, name: &Audience, subject: &str) -> Finding {
        let nobody = Email::parse(NOBODY).expect("this is an address");
        let whom = Whom { uids: Vec::new(), addresses: vec![&nobody], fields: &[] };
        match self.api.find(name, &whom, look()).await {
            Ok(_) => self.scribe.ok(subject, "can be read"),
            Err(fault) => self.trouble(subject, fault),
        }
    }

    fn trouble(&self, subject: &str, fault: Fault) -> Finding {
        let fix = match fault {
            Fault::Configuration { code: 401 | 403 } => {
                "see that the app's credentials are right, and its user may use the API"
            }
            _ => {
                "see that base_url is right, and that the user whom the gateway acts as sees the object and its fields"
            }
        };
        self.scribe.trouble(subject, fault, &Trouble::of(fault, fix))
    }
}

#[async_trait]
impl SetUp for SalesforceSetUp {
    fn connection(&self) -> &str {
        &self.scribe.connection
    }

    async fn survey(&self) -> Vec<Finding> {
        self.callbacks()
    }

    async fn mend(&self, _: &Tell<'_>) -> Vec<Step> {
        Vec::new()
    }

    async fn prove(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, audience) in &self.settings.audiences {
            findings.extend(self.object(name, audience).await);
        }
        findings
    }
}
