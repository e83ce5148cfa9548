//! What is made and proved at Marketing Cloud before callbacks come: one callback a connection, verified, and its subscription
//! to unsubscribing.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `callback` | how a callback is made, and how one that is there is mended |
//! | `key_file` | the file for its signature key |
//! | `proofs` | the token and its scopes, lists, data extensions |
//! | `calls` | the calls |

mod callback;
mod calls;
mod key_file;
mod proofs;

use super::client::Client;
use crate::config::MarketingCloud as Settings;
use crate::esp::setup::{Finding, Lookout, Scribe, SetUp, Site, State, Step, Tell, Trouble, unhurried};
use crate::upstream::{Fault, Transport};
use async_trait::async_trait;
use calls::{BATCH, Callback, UNSUBSCRIBE};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The far side of one Marketing Cloud connection.
pub struct MarketingCloudSetUp {
    scribe: Scribe,
    settings: Settings,
    client: Client,
    /// Where events should go.
    url: Option<String>,
    /// Where a new signature key goes.
    key_file: Option<PathBuf>,
    /// Whether a key that isn't known here may be ended for a new one.
    new_key: bool,
    /// What the callback and the subscription are called over there.
    name: String,
    /// The fields that routes map, by audience.
    routes: Vec<(String, BTreeSet<String>)>,
}

const CALLBACK: &str = "callback";

/// What is to be done.
#[derive(Debug)]
enum Todo {
    CreateCallback,
    ReplaceCallback(Callback),
    NewKey(String),
    ShrinkBatch(Callback),
    Subscribe,
    Activate(calls::Subscription),
}

struct Planned {
    finding: Finding,
    todo: Option<Todo>,
}

impl MarketingCloudSetUp {
    /// As configured.
    #[must_use]
    pub fn new(connection: &Settings, site: &Site, transport: &Arc<dyn Transport>) -> Self {
        let settings = Settings { common: unhurried(&connection.common), ..connection.clone() };
        let url = site.public_url.as_ref();
        let routes = site.routes.iter().filter(|route| route.esp == connection.name);
        let fields = |route: &Arc<crate::config::Route>| {
            (route.audience.as_str().to_owned(), route.fields.keys().cloned().collect())
        };
        let lookout = Lookout::on(Arc::clone(transport));
        let transport: Arc<dyn Transport> = Arc::new(lookout.clone());
        Self {
            scribe: Scribe { connection: format!("marketing_cloud.{}", connection.name), lookout },
            client: Client::new(&settings, &transport),
            url: url.map(|url| format!("{url}/webhooks/{}/{}", super::INFO.slug, connection.name)),
            key_file: site.secret_file.clone().or_else(|| connection.signature_key_file.clone()),
            new_key: site.new_key,
            name: format!("esp-gateway-{}", connection.name),
            routes: routes.map(fields).collect(),
            settings,
        }
    }

    async fn plan(&self) -> Vec<Planned> {
        let subscription = format!("subscription to {UNSUBSCRIBE}");
        let Some(url) = &self.url else {
            let detail = "not looked at, as server.public_url doesn't say where it should go";
            return vec![Planned { finding: self.scribe.remark(CALLBACK, detail), todo: None }];
        };
        let held = match self.client.callbacks().await {
            Ok(held) => held.into_iter().find(|callback| callback.url == *url),
            Err(fault) => {
                return vec![Planned { finding: self.scribe.trouble(CALLBACK, fault, &explained(fault)), todo: None }];
            }
        };
        let mut planned = match &held {
            None => vec![self.to_create(State::Missing, url, "create", Todo::CreateCallback)],
            Some(callback) => self.plan_callback(callback, url),
        };
        planned.push(match held.filter(Callback::is_verified) {
            Some(callback) => self.plan_subscription(&subscription, &callback).await,
            None => {
                let fix = "create it, once the callback is verified";
                if planned.iter().any(|planned| planned.todo.is_some()) {
                    let finding = self.scribe.ours(&subscription, State::Missing, "", fix);
                    Planned { finding, todo: Some(Todo::Subscribe) }
                } else {
                    Planned { finding: self.scribe.yours(&subscription, State::Missing, "", fix), todo: None }
                }
            }
        });
        planned
    }

    fn plan_callback(&self, callback: &Callback, url: &str) -> Vec<Planned> {
        if !callback.is_verified() {
            let detail = format!("{url} is not verified, and never will be");
            let todo = Todo::ReplaceCallback(callback.clone());
            return vec![self.to_create(State::Differs, &detail, "delete it and create", todo)];
        }
        let mut planned = Vec::new();
        if callback.max_batch_size.is_some_and(|size| size > BATCH) {
            let detail = format!("{url} is told up to {} events at once", callback.max_batch_size.unwrap_or_default());
            let finding = self.scribe.ours(CALLBACK, State::Differs, &detail, "make it 100, to be done in time");
            planned.push(Planned { finding, todo: Some(Todo::ShrinkBatch(callback.clone())) });
        }
        let is_new = |file: &&PathBuf| !key_file::is_taken(file);
        if let Some(file) = self.key_file.as_ref().filter(is_new).filter(|_| self.settings.signature_keys.is_empty()) {
            planned.push(self.plan_key(callback, url, file));
        }
        if planned.is_empty() {
            let detail = if self.settings.registering {
                format!("{url} is verified; see that signature_keys has its key, and take registering out")
            } else {
                url.to_owned()
            };
            planned.push(Planned { finding: self.scribe.ok(CALLBACK, &detail), todo: None });
        }
        planned
    }

    /// A key that isn't known here may be known to the gateway that runs, on another machine.
    fn plan_key(&self, callback: &Callback, url: &str, file: &Path) -> Planned {
        let detail = format!("{url} has a signature key that this configuration doesn't know");
        if !self.new_key {
            let fix = "if the gateway that runs has it: leave it, or bring its file here. If nobody has it: run this again with \
                       --new-signature-key, with which the former one ends";
            return Planned { finding: self.scribe.yours(CALLBACK, State::Differs, &detail, fix), todo: None };
        }
        let fix = format!("make a new one, into {}; the one before ends", file.display());
        let finding = self.scribe.ours(CALLBACK, State::Differs, &detail, &fix);
        Planned { finding, todo: Some(Todo::NewKey(callback.id.clone())) }
    }

    /// A callback to be made: what a person must do first, if that isn't done.
    fn to_create(&self, state: State, detail: &str, verb: &str, todo: Todo) -> Planned {
        let fix = match self.obstacle() {
            Some(obstacle) => {
                return Planned { finding: self.scribe.yours(CALLBACK, state, detail, &obstacle), todo: None };
            }
            None => format!("{verb} it, and have the gateway verify it"),
        };
        Planned { finding: self.scribe.ours(CALLBACK, state, detail, &fix), todo: Some(todo) }
    }

    /// Why a callback can't be made now.
    fn obstacle(&self) -> Option<String> {
        let has_port = self.url.as_ref().and_then(|url| url.parse::<url::Url>().ok());
        if has_port.is_some_and(|url| url.scheme() == "https" && url.port().is_some()) {
            return Some("Marketing Cloud takes no URL with a port: set server.public_url to one without".to_owned());
        }
        if !self.settings.registering {
            let what = "set registering = true, start the gateway with it, and run this again: Marketing Cloud calls it with \
                        an unsigned verification";
            return Some(what.to_owned());
        }
        match &self.key_file {
            None => {
                Some("say where its signature key goes, which is shown only once: --signature-key-file FILE".to_owned())
            }
            Some(file) if key_file::is_taken(file) => Some(format!(
                "{} is there already and isn't overwritten: name another with --signature-key-file, or move it away if its \
                 key is of no use",
                file.display()
            )),
            Some(_) => None,
        }
    }

    async fn plan_subscription(&self, subject: &str, callback: &Callback) -> Planned {
        let held = match self.client.subscriptions(&callback.id).await {
            Ok(held) => held,
            Err(fault) => {
                return Planned { finding: self.scribe.trouble(subject, fault, &explained(fault)), todo: None };
            }
        };
        let is_about = |kind: &String| kind == UNSUBSCRIBE;
        let mut about =
            held.into_iter().filter(|held| held.event_category_types.iter().any(is_about)).collect::<Vec<_>>();
        about.sort_by_key(|held| !held.status.eq_ignore_ascii_case("active"));
        match about.into_iter().next() {
            Some(held) if held.status.eq_ignore_ascii_case("active") => {
                Planned { finding: self.scribe.ok(subject, &held.name), todo: None }
            }
            Some(held) => {
                let detail = format!("\"{}\" is {}: what happens now is never told", held.name, held.status);
                let finding = self.scribe.ours(subject, State::Deactivated, &detail, "activate it");
                Planned { finding, todo: Some(Todo::Activate(held)) }
            }
            None => {
                let finding = self.scribe.ours(subject, State::Missing, "", "create it");
                Planned { finding, todo: Some(Todo::Subscribe) }
            }
        }
    }
}

#[async_trait]
impl SetUp for MarketingCloudSetUp {
    fn connection(&self) -> &str {
        &self.scribe.connection
    }

    async fn survey(&self) -> Vec<Finding> {
        self.plan().await.into_iter().map(|planned| planned.finding).collect()
    }

    async fn mend(&self, tell: &Tell<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        for Planned { finding, todo } in self.plan().await {
            let Some(todo) = todo else { continue };
            tell(&finding.subject);
            steps.push(self.scribe.step(&finding.subject, self.mend_one(todo, tell).await));
        }
        steps
    }

    async fn prove(&self) -> Vec<Finding> {
        self.proofs().await
    }
}

/// A fault in words.
fn explained(fault: Fault) -> Trouble {
    match fault {
        Fault::Configuration { code: 20000..=20002 | 403 } => Trouble::new(
            "the package may not do this",
            "add the permission to the package's API integration; it counts after up to five minutes",
        ),
        Fault::Configuration { code: 400 | 401 } => Trouble::new(
            "Marketing Cloud gives no token, or doesn't take it",
            "check client_id, client_secret, account_id and the subdomain",
        ),
        fault => Trouble::of(fault, "see the code in Marketing Cloud's \"REST API Error Handling\""),
    }
}
