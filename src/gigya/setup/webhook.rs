//! The webhook as it should be, and how one that is there differs.
//!
//! Source: SAP, "accounts.webhooks.set": name and URL are unique on a site, a webhook is updated by its name, and another name
//! for a URL that is there is an error. What `getAll` lists, as SAP's toolkit shows it.

use crate::config::{self, GigyaWebhookAuth};
use crate::gigya::auth::Form;
use serde_json::{Value, json};

/// What the gateway wants to be told. It ignores any other.
const EVENTS: [&str; 8] = [
    "accountCreated",
    "accountRegistered",
    "accountUpdated",
    "accountProgressed",
    "accountMerged",
    "accountUidChanged",
    "accountDeleted",
    "subscriptionUpdated",
];

/// The webhook as it should be.
pub struct Wanted {
    pub url: String,
    pub name: String,
    version: &'static str,
    signing_key: Option<String>,
}

/// One that is there.
pub struct Webhook {
    pub url: String,
    pub name: String,
    pub active: bool,
    version: Option<String>,
    events: Vec<String>,
    signing_key: Option<String>,
    /// Headers that somebody has it send, too.
    headers: Option<Value>,
}

/// A call of `accounts.webhooks.set`.
pub struct Todo {
    pub form: Form<'static>,
    /// What is told afterwards.
    pub done: &'static str,
}

impl Wanted {
    /// As the connection is configured.
    pub fn of(connection: &config::Gigya, url: String) -> Self {
        let version = match connection.webhook_auth {
            GigyaWebhookAuth::Jwt { .. } => "2.0",
            GigyaWebhookAuth::HmacSha1 { .. } => "1.1",
        };
        let (name, signing_key) = (connection.webhook_name.clone(), connection.webhook_signing_key.clone());
        Self { url, name, version, signing_key }
    }

    /// What is wrong with one that goes to the same URL.
    pub fn faults_of(&self, held: &Webhook) -> Vec<String> {
        let mut faults = Vec::new();
        let missing = EVENTS.iter().filter(|event| !held.events.iter().any(|told| told == **event));
        let missing: Vec<_> = missing.copied().collect();
        if !missing.is_empty() {
            faults.push(format!("isn't told of {}", missing.join(", ")));
        }
        if let Some(version) = held.version.as_ref().filter(|version| *version != self.version) {
            faults.push(format!("is of version {version}, not {}", self.version));
        }
        // Only tokens are signed with Gigya's own key; where no key is told, none is compared.
        let signed_by = held.signing_key.as_deref().filter(|_| self.version != "2.0");
        if signed_by.is_some_and(|key| key != self.signing_key.as_deref().unwrap_or_default()) {
            faults.push("is signed with another key".to_owned());
        }
        faults
    }
}

impl Webhook {
    pub fn read(listed: &Value) -> Option<Self> {
        let text = |name: &str| listed.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        // Documented as texts between commas, and seen as a list.
        let events = match listed.get("events") {
            Some(Value::Array(events)) => events.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            Some(Value::String(events)) => events.split(',').map(|event| event.trim().to_owned()).collect(),
            _ => Vec::new(),
        };
        let version = match listed.get("version") {
            Some(Value::Number(number)) => Some(format!("{:.1}", number.as_f64()?)),
            _ => text("version"),
        };
        let headers = listed.get("headers").filter(|headers| headers.as_array().is_some_and(|list| !list.is_empty()));
        Some(Self {
            url: text("url")?,
            name: text("name")?,
            active: listed.get("active").and_then(Value::as_bool).unwrap_or(true),
            version,
            events,
            signing_key: text("signingUserKey"),
            headers: headers.cloned(),
        })
    }
}

impl Todo {
    pub fn create(wanted: &Wanted) -> Self {
        Self { form: form(wanted, &wanted.name), done: "created" }
    }

    /// Under the name that it has: another one for its URL is an error. Its headers stay.
    pub fn update(wanted: &Wanted, held: &Webhook) -> Self {
        let mut form = form(wanted, &held.name);
        form.extend(held.headers.as_ref().map(|headers| ("headers", headers.to_string().into())));
        Self { form, done: if held.active { "updated" } else { "switched on" } }
    }
}

fn form(wanted: &Wanted, name: &str) -> Form<'static> {
    let mut form: Form<'_> = vec![
        ("name", name.to_owned().into()),
        ("url", wanted.url.clone().into()),
        ("events", json!(EVENTS).to_string().into()),
        ("version", wanted.version.into()),
        ("active", "true".into()),
    ];
    if wanted.version != "2.0" {
        // An empty one is the partner secret.
        form.push(("signingUserKey", wanted.signing_key.clone().unwrap_or_default().into()));
    }
    form
}
