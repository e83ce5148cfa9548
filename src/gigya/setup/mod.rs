//! What is made and proved at Gigya before webhooks come: one webhook a connection, on its first site.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `webhook` | the webhook as it should be, and how one that is there differs |
//! | `proofs` | credentials, permissions, public keys |
//! | `schema` | whether the routes' subscriptions and fields are in the site's schema |

mod proofs;
mod schema;
mod webhook;

use super::auth::BadCredentials;
use super::client::Client;
use crate::config::{self, Route};
use crate::esp::setup::{Finding, Lookout, Scribe, SetUp, Site, State, Step, Tell, Trouble, change, look, unhurried};
use crate::upstream::{Attempts, Fault, Transport, Upstream, WallClock};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use webhook::{Todo, Wanted, Webhook};

/// The far side of one Gigya connection.
pub struct GigyaSetUp {
    scribe: Scribe,
    connection: config::Gigya,
    client: Client,
    routes: Vec<Arc<Route>>,
    /// The webhook as it should be, if it is known where it should go.
    wanted: Option<Wanted>,
    /// Where it went before the gateway moved.
    moved_from: Option<String>,
}

impl GigyaSetUp {
    /// As configured.
    ///
    /// # Errors
    /// The credentials can't be used at all.
    pub fn new(
        connection: &config::Gigya,
        site: &Site,
        transport: Arc<dyn Transport>,
        clock: WallClock,
    ) -> Result<Self, BadCredentials> {
        let common = unhurried(&connection.common);
        let lookout = Lookout::on(transport);
        let transport = Arc::new(lookout.clone());
        let upstream = Upstream::new(format!("gigya/{}", connection.name), transport, &common);
        let at = |url: &String| format!("{url}/webhooks/gigya/{}", connection.name);
        let url = site.public_url.as_ref().map(at);
        Ok(Self {
            scribe: Scribe { connection: format!("gigya.{}", connection.name), lookout },
            moved_from: site.moved_from.as_ref().map(at),
            client: Client::new(connection, upstream, clock)?,
            connection: connection.clone(),
            routes: site.routes.iter().filter(|route| route.gigya == connection.name).cloned().collect(),
            wanted: url.map(|url| Wanted::of(connection, url)),
        })
    }

    async fn plan(&self) -> (Finding, Option<Todo>) {
        const SUBJECT: &str = "webhook";
        let Some(wanted) = &self.wanted else {
            let detail = "not looked at, as server.public_url doesn't say where it should go";
            return (self.scribe.remark(SUBJECT, detail), None);
        };
        let held = match self.webhooks().await {
            Ok(held) => held,
            Err(fault) => return (self.scribe.trouble(SUBJECT, fault, &explained(fault)), None),
        };
        let url = &wanted.url;
        // Two that differ in capitals are two to Gigya.
        let Some(webhook) = held.iter().find(|webhook| webhook.url == *url) else {
            if let Some(former) = held.iter().find(|webhook| Some(&webhook.url) == self.moved_from.as_ref()) {
                let detail = format!("\"{}\" goes to {}, and not to {url}", former.name, former.url);
                let todo = Todo::update(wanted, former);
                return (self.scribe.ours(SUBJECT, State::Differs, &detail, "have it go there"), Some(todo));
            }
            if let Some(other) = held.iter().find(|webhook| webhook.name == wanted.name) {
                let other = shown(&other.url);
                let detail = format!("\"{}\" goes elsewhere ({other}), and not to {url}", wanted.name);
                let fix = "if that is where this gateway was before, run this again with --moved-from and its former \
                           public_url; else set webhook_name to a name of its own";
                return (self.scribe.yours(SUBJECT, State::Differs, &detail, fix), None);
            }
            let fix = format!("create it as \"{}\"", wanted.name);
            let finding = self.scribe.ours(SUBJECT, State::Missing, url, &fix);
            return (finding, Some(Todo::create(wanted)));
        };
        let (todo, told) = (Todo::update(wanted, webhook), format!("\"{}\" to {url}", webhook.name));
        let faults = wanted.faults_of(webhook);
        if !webhook.active {
            let detail =
                std::iter::once(format!("{told} is switched off")).chain(faults).collect::<Vec<_>>().join(", ");
            return (self.scribe.ours(SUBJECT, State::Deactivated, &detail, "switch it on"), Some(todo));
        }
        if faults.is_empty() {
            return (self.scribe.ok(SUBJECT, &told), None);
        }
        let detail = format!("{told} {}", faults.join(", "));
        (self.scribe.ours(SUBJECT, State::Differs, &detail, "update it"), Some(todo))
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>, Fault> {
        let body = self.client.call("accounts.webhooks.getAll", Attempts::Few, Vec::new(), None, look()).await?;
        let answer: Value = body.map_or(Ok(Value::Null), |body| super::client::parse(&body))?;
        let held = answer.get("webhooks").and_then(Value::as_array);
        Ok(held.into_iter().flatten().filter_map(Webhook::read).collect())
    }
}

#[async_trait]
impl SetUp for GigyaSetUp {
    fn connection(&self) -> &str {
        &self.scribe.connection
    }

    async fn survey(&self) -> Vec<Finding> {
        vec![self.plan().await.0]
    }

    async fn mend(&self, tell: &Tell<'_>) -> Vec<Step> {
        let (finding, todo) = self.plan().await;
        let Some(todo) = todo else { return Vec::new() };
        tell(&finding.subject);
        let set = self.client.call("accounts.webhooks.set", Attempts::Few, todo.form, None, change()).await;
        let done = match set {
            Ok(Some(_)) => Ok(todo.done.to_owned()),
            Ok(None) => Err(explained(Fault::Configuration { code: 403_005 })),
            Err(fault) => Err(explained(fault)),
        };
        vec![self.scribe.step(&finding.subject, done)]
    }

    async fn prove(&self) -> Vec<Finding> {
        let mut proofs = Vec::new();
        if self.prove_credentials(&mut proofs).await {
            self.prove_permissions(&mut proofs).await;
            self.prove_schema(&mut proofs).await;
        }
        proofs
    }
}

/// A URL that somebody else may have set, without what may be secret in it.
fn shown(url: &str) -> String {
    url.parse::<url::Url>().map_or_else(|_| "no URL".to_owned(), |url| url.origin().ascii_serialization())
}

/// A fault in words.
fn explained(fault: Fault) -> Trouble {
    let code = match fault {
        Fault::Configuration { code } | Fault::Refused { code } => code,
        other => return Trouble::of(other, ""),
    };
    let (what, fix) = match code {
        403_005 => ("Gigya doesn't know the user key", "check user_key: copy it again from the application's page"),
        403_010 => ("Gigya doesn't take the secret", "check secret: copy it again, as the console shows it"),
        403_006 => ("Gigya takes secrets by https only", "let base_url begin with https"),
        403_007 | 403_036 => (
            "the application may not do this",
            "give the application's group the permission in the console: user records read and write, full API access",
        ),
        403_002 => ("Gigya finds the request's time wrong", "set this machine's clock"),
        400_008 => ("Gigya doesn't take the token", "check private_key and user_key: they must be of one application"),
        400_093 => ("Gigya doesn't know the API key", "check api_keys"),
        301_001 => ("the site is in another data center", "check data_center"),
        400_096 => ("Gigya doesn't have this feature on this site", "ask for it to be enabled, or check api_keys"),
        400_006 | 400_003 | 400_007 => {
            ("Gigya refuses it", "see in the console that no other webhook has this name or URL, then run this again")
        }
        _ => ("Gigya refuses it", "see the code in SAP's \"Response Codes and Errors\""),
    };
    Trouble::new(format!("{what} (code {code})"), fix)
}
