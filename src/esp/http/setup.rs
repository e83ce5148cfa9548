//! What is proved at a described ESP, and what an operator enters there: which calls would make a webhook, a description
//! doesn't say.

use super::provider::Described;
use crate::config::http::{Call, Http as Settings, Verification};
use crate::domain::{Audience, Email};
use crate::esp::setup::{Finding, Lookout, Scribe, SetUp, Site, State, Step, Tell, Trouble, look, unhurried};
use crate::esp::{Esp, Whom};
use crate::upstream::{Fault, Transport};
use async_trait::async_trait;
use std::sync::Arc;

/// Nobody has it (RFC 2606): whoever is looked for under it is looked for in vain.
const NOBODY: &str = "gigya-esp-gateway-check@example.invalid";

/// The far side of one described connection.
pub struct DescribedSetUp {
    scribe: Scribe,
    settings: Settings,
    api: Described,
    /// Where its callbacks go; without a token.
    url: Option<String>,
}

impl DescribedSetUp {
    /// As configured.
    #[must_use]
    pub fn new(connection: &Settings, site: &Site, transport: Arc<dyn Transport>) -> Self {
        let settings = Settings { common: unhurried(&connection.common), ..connection.clone() };
        let lookout = Lookout::on(transport);
        Self {
            api: Described::new(&settings, Arc::new(lookout.clone())),
            scribe: Scribe { connection: format!("http.{}", connection.name), lookout },
            url: site.public_url.as_ref().map(|url| format!("{url}/webhooks/{}/{}", super::INFO.slug, connection.name)),
            settings,
        }
    }

    /// What is to be entered over there, and how it will be verified.
    fn webhook(&self) -> Finding {
        const SUBJECT: &str = "webhook";
        let Some(callback) = &self.settings.callback else {
            return self.scribe.remark(
                SUBJECT,
                "this connection's description has none: opt-outs made there are found by reconcile alone",
            );
        };
        let Some(url) = &self.url else {
            let fix = "set server.public_url, or give --public-url, to be told what to enter";
            return self.scribe.yours(SUBJECT, State::Unknown, "where callbacks reach this gateway isn't known", fix);
        };
        let how = match &callback.verification {
            Verification::UrlToken => format!("{url}/TOKEN, where TOKEN is the first of callback_secrets"),
            Verification::Bearer { header, prefix } => {
                format!("{url}, with a header {header}: {prefix}TOKEN, where TOKEN is the first of callback_secrets")
            }
            Verification::Basic => format!("{url}, with user and password as in callback_secrets"),
            Verification::Hmac { signature, .. } => {
                format!("{url}, signed in {} with a secret that is in callback_secrets", signature.header)
            }
            Verification::StandardWebhooks { .. } => {
                format!("{url}, signed in webhook-signature with a secret that is in callback_secrets")
            }
            Verification::Ecdsa { signature } => {
                format!("{url}, signed in {}; its public key goes to callback_secrets", signature.header)
            }
        };
        let detail = format!("can't be looked at by this gateway; {} must post to {how}", self.settings.title);
        self.scribe.remark(SUBJECT, &detail)
    }

    /// Looks for nobody in an audience: proves address, credentials and audience, as far as the API tells by it.
    async fn reading(&self, audience: &Audience) -> Finding {
        let subject = format!("audience {audience}: reading");
        let nobody = Email::parse(NOBODY).expect("this is an address");
        let whom = Whom { uids: Vec::new(), addresses: vec![&nobody], fields: &[] };
        match self.api.find(audience, &whom, look()).await {
            Ok(found) if found.is_empty() => self.scribe.ok(&subject, "answered as described"),
            Ok(_) => {
                let what = "somebody is found who can't be there: the API doesn't look for whom it is asked for";
                let fix = "see that the description's reads ask for {email} where the API takes it";
                self.scribe.yours(&subject, State::Wrong, what, fix)
            }
            Err(fault) => self.trouble(&subject, fault),
        }
    }

    async fn probe(&self, (what, call): &(String, Call)) -> Finding {
        match self.api.probe(call, look()).await {
            Ok(true) => self.scribe.ok(what, "is there"),
            Ok(false) => {
                self.scribe.yours(what, State::Wrong, "isn't there", "see that the connection's settings are right")
            }
            Err(fault) => self.trouble(what, fault),
        }
    }

    fn trouble(&self, subject: &str, fault: Fault) -> Finding {
        let fix = match fault {
            Fault::Configuration { code: 401 | 403 } => "see that the secrets are right and may read subscribers",
            _ => "see that base_url, settings, secrets and the audience are right, and the description fits",
        };
        self.scribe.trouble(subject, fault, &Trouble::of(fault, fix))
    }
}

#[async_trait]
impl SetUp for DescribedSetUp {
    fn connection(&self) -> &str {
        &self.scribe.connection
    }

    async fn survey(&self) -> Vec<Finding> {
        vec![self.webhook()]
    }

    async fn mend(&self, _: &Tell<'_>) -> Vec<Step> {
        Vec::new()
    }

    async fn prove(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for audience in &self.settings.audiences {
            findings.push(self.reading(audience).await);
        }
        for probe in &self.settings.probes {
            findings.push(self.probe(probe).await);
        }
        findings
    }
}
