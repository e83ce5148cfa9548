//! What is made and proved at Campaign Monitor before webhooks come: of each list that a route names, a webhook and the custom
//! fields.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `webhooks` | which webhook of a list is ours, and what becomes of it |
//! | `proofs` | the key, the lists, the client's time zone |
//! | `calls` | the calls |

mod calls;
mod proofs;
mod webhooks;

use super::client::CampaignMonitor;
use super::wire;
use crate::config::CampaignMonitor as Settings;
use crate::esp::setup::{Finding, Lookout, Scribe, SetUp, Site, State, Step, Tell, Trouble, unhurried};
use crate::upstream::{Fault, Transport};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The far side of one Campaign Monitor connection.
pub struct CampaignMonitorSetUp {
    scribe: Scribe,
    settings: Settings,
    api: CampaignMonitor,
    /// What every webhook of ours begins with; its token follows.
    prefix: Option<String>,
    /// What they began with before the gateway moved.
    moved_from: Option<String>,
    /// The lists, and the custom fields that each needs.
    lists: BTreeMap<String, BTreeSet<String>>,
}

/// A finding, and what is to be done about it.
struct Planned {
    finding: Finding,
    todo: Option<Todo>,
}

/// What is to be done. Lists and webhooks by their ids.
enum Todo {
    Webhook(String, webhooks::Todo),
    Field(String, String),
}

impl CampaignMonitorSetUp {
    /// As configured.
    #[must_use]
    pub fn new(connection: &Settings, site: &Site, transport: Arc<dyn Transport>) -> Self {
        let settings = Settings { common: unhurried(&connection.common), ..connection.clone() };
        let at = |url: &String| format!("{url}/webhooks/{}/{}/", super::INFO.slug, connection.name);
        let mut lists: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for route in site.routes.iter().filter(|route| route.esp == connection.name) {
            let fields = lists.entry(route.audience.as_str().to_owned()).or_default();
            fields.extend(route.fields.keys().filter(|name| wire::is_custom(name)).cloned());
        }
        let lookout = Lookout::on(transport);
        Self {
            api: CampaignMonitor::new(&settings, Arc::new(lookout.clone())),
            scribe: Scribe { connection: format!("campaign_monitor.{}", connection.name), lookout },
            settings,
            prefix: site.public_url.as_ref().map(at),
            moved_from: site.moved_from.as_ref().map(at),
            lists,
        }
    }

    async fn plan(&self) -> Vec<Planned> {
        let mut planned = Vec::new();
        for (list, needed) in &self.lists {
            planned.extend(self.plan_webhooks(list).await);
            planned.extend(self.plan_fields(list, needed).await);
        }
        planned
    }

    async fn plan_fields(&self, list: &str, mapped: &BTreeSet<String>) -> Vec<Planned> {
        let held = match self.api.fields(list).await {
            Ok(held) => held,
            Err(fault) => {
                let subject = format!("list {list}: custom fields");
                return vec![Planned::seen(self.scribe.trouble(&subject, fault, &explained(fault)))];
            }
        };
        let uid_field = &self.settings.uid_field;
        let mapped = mapped.iter().filter(|name| wire::folded(name) != wire::folded(uid_field));
        let needed = std::iter::once(uid_field).chain(mapped);
        let plan = needed.map(|name| {
            let subject = format!("list {list}: custom field {name}");
            match held.iter().find(|field| wire::folded(&field.field_name) == wire::folded(name)) {
                Some(field) if name == uid_field && !field.data_type.eq_ignore_ascii_case("text") => {
                    let detail = format!("is for {}, and must hold the Gigya UID", field.data_type);
                    let fix = "name another one in uid_field, or delete it over there and run this again";
                    Planned::seen(self.scribe.yours(&subject, State::Differs, &detail, fix))
                }
                Some(field) => Planned::seen(self.scribe.ok(&subject, &field.data_type)),
                None => {
                    let finding = self.scribe.ours(&subject, State::Missing, "", "create it, for text");
                    Planned { finding, todo: Some(Todo::Field(list.to_owned(), name.clone())) }
                }
            }
        });
        plan.collect()
    }
}

#[async_trait]
impl SetUp for CampaignMonitorSetUp {
    fn connection(&self) -> &str {
        &self.scribe.connection
    }

    async fn survey(&self) -> Vec<Finding> {
        self.plan().await.into_iter().map(|planned| planned.finding).collect()
    }

    async fn mend(&self, tell: &Tell<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        // Fields first: a webhook's first events then find a place for the UID.
        let (fields, webhooks): (Vec<_>, Vec<_>) =
            self.plan().await.into_iter().partition(|planned| matches!(planned.todo, Some(Todo::Field(..))));
        for Planned { finding, todo } in fields.into_iter().chain(webhooks) {
            let Some(todo) = todo else { continue };
            tell(&finding.subject);
            let done = match todo {
                Todo::Field(list, name) => {
                    let made = self.api.create_field(&list, &name).await;
                    made.map(|()| "created".to_owned()).map_err(explained)
                }
                Todo::Webhook(list, todo) => self.mend_webhook(&list, todo).await,
            };
            steps.push(self.scribe.step(&finding.subject, done));
        }
        steps
    }

    async fn prove(&self) -> Vec<Finding> {
        self.proofs().await
    }
}

impl Planned {
    /// Nothing is to be done by us.
    fn seen(finding: Finding) -> Self {
        Self { finding, todo: None }
    }
}

/// A fault in words.
fn explained(fault: Fault) -> Trouble {
    match fault {
        Fault::Configuration { code: 100 | 401 } => Trouble::new(
            "the API key is not taken (code 100)",
            "check api_key: copy it again from the account's settings",
        ),
        Fault::Configuration { code: 101 | 102 | 404 } => Trouble::new(
            "it is not there, or not this API key's (code 102)",
            "check the list's id in the route, and client_id; see that the key is of the account or client that has them",
        ),
        Fault::Configuration { code: 60 | 403 } => Trouble::new(
            "the API key may not do this",
            "use a key of the account, or one of the client with these rights",
        ),
        Fault::Refused { code: 601 } => Trouble::new(
            "the webhook's URL is refused (code 601)",
            "see that server.public_url is what senders reach from outside, by https",
        ),
        fault => Trouble::of(fault, "see the code in Campaign Monitor's documentation"),
    }
}
