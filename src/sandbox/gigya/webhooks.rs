//! The site's webhooks, and the calls about them (SAP, "accounts.webhooks.set" and its neighbours).
//!
//! Names and URLs are unique; a webhook is updated by its name; another name for a URL that is there is an error. All events go
//! to the youngest that is active, if it wants them.

use super::rest::{Answer, Form, required};
use super::{GigyaSim, WebhookVersion};
use serde_json::{Value, json};
use url::Url;

/// What there is to be told of.
const EVENTS: [&str; 13] = [
    "accountCreated",
    "accountRegistered",
    "accountUpdated",
    "accountDeleted",
    "accountLoggedIn",
    "accountLockedOut",
    "accountMerged",
    "accountProgressed",
    "accountUidChanged",
    "subscriptionUpdated",
    "sitePreferencesReset",
    "consentUpdated",
    "communicationUpdated",
];
/// The most characters of a name.
const LONGEST_NAME: usize = 100;
/// What the site's own webhook is called that [`GigyaSim::register`] makes.
const OWN: &str = "esp-gateway";

/// A webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub name: String,
    pub url: String,
    pub events: Vec<String>,
    pub active: bool,
    pub version: WebhookVersion,
    /// The user key whose secret signs; empty for the partner secret.
    pub signing_user_key: String,
    pub headers: Value,
}

/// All of them, in the order in which they were made.
#[derive(Default)]
pub struct Webhooks(Vec<Webhook>);

impl Webhooks {
    /// The one that is told of everything.
    pub fn target(&self) -> Option<&Webhook> {
        self.0.iter().rev().find(|webhook| webhook.active)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl GigyaSim {
    /// The site's own webhook, as if it had been made in the console: to this URL, of the site's version, told of everything.
    pub fn register(&self, url: &str) {
        self.webhooks().0.retain(|webhook| webhook.name != OWN && webhook.url != url);
        self.webhooks().0.push(Webhook {
            name: OWN.to_owned(),
            url: url.to_owned(),
            events: EVENTS.map(ToOwned::to_owned).to_vec(),
            active: true,
            version: self.settings().webhooks,
            signing_user_key: String::new(),
            headers: json!([]),
        });
        self.aim();
    }

    /// Every webhook as it is listed.
    #[must_use]
    pub fn listed_webhooks(&self) -> Vec<Value> {
        self.webhooks().0.iter().map(shown).collect()
    }

    /// Brings events to whom they are for after a change.
    fn aim(&self) {
        let url = self.webhooks().target().map(|webhook| webhook.url.clone());
        if let Some(url) = url {
            self.courier().deliver_to(&url);
        }
    }

    pub(super) fn answer_webhooks(&self, method: &str, form: &Form) -> Answer {
        match method {
            "accounts.webhooks.getAll" => Ok(json!({ "webhooks": self.listed_webhooks() })),
            "accounts.webhooks.set" => self.set_webhook(form),
            "accounts.webhooks.delete" => {
                let name = required(form, "name")?;
                let before = self.webhooks().0.len();
                self.webhooks().0.retain(|webhook| webhook.name != *name);
                if self.webhooks().0.len() == before {
                    return Err((400_006, "Invalid parameter value: name".to_owned()));
                }
                self.aim();
                Ok(json!({}))
            }
            _ => Err((400_096, format!("No such method: {method}"))),
        }
    }

    fn set_webhook(&self, form: &Form) -> Answer {
        let invalid = |what: &str| (400_006, format!("Invalid parameter value: {what}"));
        let (name, url) = (required(form, "name")?.clone(), required(form, "url")?.clone());
        if name.chars().count() > LONGEST_NAME {
            return Err(invalid("name"));
        }
        if !may_be_called(&url) {
            return Err(invalid("url must be HTTPS"));
        }
        let events = events(required(form, "events")?).ok_or_else(|| invalid("events"))?;
        let version = match form.get("version").map_or("1.0", String::as_str) {
            "1.0" => WebhookVersion::V1_0,
            "1.1" => WebhookVersion::V1_1,
            "2.0" => WebhookVersion::V2_0,
            _ => return Err(invalid("version")),
        };
        let signing_user_key = form.get("signingUserKey").cloned().unwrap_or_default();
        if !signing_user_key.is_empty() && signing_user_key != self.settings().credentials.user_key {
            return Err(invalid("signingUserKey"));
        }
        let headers = form.get("headers").map_or(Ok(json!([])), |text| serde_json::from_str(text));
        let headers = headers.map_err(|_| invalid("headers"))?;
        let active = form.get("active").is_none_or(|active| active == "true");
        let mut all = self.webhooks();
        if all.0.iter().any(|webhook| webhook.url == url && webhook.name != name) {
            return Err((400_003, "A webhook with this URL already exists".to_owned()));
        }
        let made = Webhook { name, url, events, active, version, signing_user_key, headers };
        match all.0.iter_mut().find(|webhook| webhook.name == made.name) {
            Some(held) => *held = made,
            None => all.0.push(made),
        }
        drop(all);
        self.aim();
        Ok(json!({}))
    }

    /// Answers `accounts.getSchema`: what the settings say that there is.
    pub(super) fn schema(&self) -> Value {
        let settings = self.settings();
        let text = |_: &String| json!({ "required": false, "type": "string", "allowNull": true, "writeAccess": "clientModify" });
        let fields =
            |names: &[String]| names.iter().map(|name| (name.clone(), text(name))).collect::<serde_json::Map<_, _>>();
        let mut subscriptions = serde_json::Map::new();
        for id in &settings.subscriptions {
            let double = settings.double_opt_in.contains(id);
            let email = json!({ "type": "subscription", "required": false, "doubleOptIn": double, "description": "" });
            subscriptions.insert(id.clone(), json!({ "email": email }));
        }
        json!({
            "profileSchema": { "fields": fields(&settings.profile_fields), "dynamicSchema": false },
            "dataSchema": { "fields": fields(&settings.data_fields), "dynamicSchema": settings.dynamic_data },
            "subscriptionsSchema": { "fields": subscriptions },
        })
    }
}

/// Texts between commas as documented, or a list as SAP's toolkit sends it.
fn events(text: &str) -> Option<Vec<String>> {
    let named: Vec<String> = match serde_json::from_str(text) {
        Ok(list) => list,
        Err(_) => text.split(',').map(|event| event.trim().to_owned()).collect(),
    };
    let is_known = |event: &String| EVENTS.contains(&event.as_str());
    (!named.is_empty() && named.iter().all(is_known)).then_some(named)
}

/// HTTPS. And, unlike at Gigya, HTTP on this machine: that is where the gateway of a sandbox or a test listens.
fn may_be_called(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" || url.scheme() == "http" && matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

fn shown(webhook: &Webhook) -> Value {
    let version = match webhook.version {
        WebhookVersion::V1_0 => "1.0",
        WebhookVersion::V1_1 => "1.1",
        WebhookVersion::V2_0 => "2.0",
    };
    let mut shown = json!({
        "url": webhook.url, "name": webhook.name, "active": webhook.active, "events": webhook.events,
        "useXfCredentials": false, "headers": webhook.headers, "version": version, "product": "UserManagement",
    });
    if webhook.version != WebhookVersion::V2_0 {
        shown["signingUserKey"] = webhook.signing_user_key.clone().into();
    }
    shown
}
