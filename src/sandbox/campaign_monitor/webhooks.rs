//! Which webhooks the lists have, and the calls about them (vendor page "Webhooks" of API v3.3). There is no call that
//! changes one, and nothing that prevents two to one URL.
//!
//! All events go to the youngest that is active, of whatever list, if its own list's webhooks want them.

use super::rest::Answer;
use super::world::Refused;
use super::{CampaignMonitorSim, Format, callbacks};
use axum::http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// How long a test waits for the receiver.
const TEST_PATIENCE: Duration = Duration::from_secs(30);
const EVENTS: [&str; 3] = ["Subscribe", "Update", "Deactivate"];

/// A webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub id: String,
    pub list: String,
    pub url: String,
    pub events: Vec<String>,
    pub format: Format,
    pub is_active: bool,
}

/// All of them, in the order in which they were made.
#[derive(Default)]
pub struct Webhooks {
    all: Vec<Webhook>,
    /// Whether there ever was one. Until then, the courier alone knows where events go.
    any: bool,
}

impl Webhooks {
    /// The one that is told of everything.
    pub fn target(&self) -> Option<&Webhook> {
        self.all.iter().rev().find(|webhook| webhook.is_active)
    }

    /// Whether anybody is told of an event.
    pub fn wants(&self, event: &Value) -> bool {
        let wants = |webhook: &Webhook| {
            webhook.is_active && event["ListID"] == webhook.list.as_str() && {
                webhook.events.iter().any(|kind| event["Type"] == kind.as_str())
            }
        };
        !self.any || self.all.iter().any(wants)
    }
}

/// A name for a call, for counting.
pub fn operation(method: &Method, rest: &[&str]) -> &'static str {
    match (method.as_str(), rest) {
        ("GET", []) => "webhook.list",
        ("POST", []) => "webhook.create",
        ("GET", [_, "test"]) => "webhook.test",
        ("PUT", [_, "activate"]) => "webhook.activate",
        ("PUT", [_, "deactivate"]) => "webhook.deactivate",
        ("DELETE", [_]) => "webhook.delete",
        _ => "other",
    }
}

impl CampaignMonitorSim {
    /// A webhook of every list, as if they had been made by hand: to this URL, in the client's format, told of everything.
    pub fn register(&self, url: &str) {
        let lists: Vec<_> = self.world().lists.keys().cloned().collect();
        self.webhooks().all.clear();
        for list in lists {
            self.add(&list, url, EVENTS.map(ToOwned::to_owned).to_vec(), self.settings().format);
        }
        self.aim();
    }

    /// A list's webhooks as they are listed.
    #[must_use]
    pub fn listed_webhooks(&self, list: &str) -> Vec<Value> {
        self.webhooks().all.iter().filter(|webhook| webhook.list == list).map(shown).collect()
    }

    /// Switches all of a list's webhooks off, as after a week of failures.
    pub fn switch_off(&self, list: &str) {
        self.webhooks()
            .all
            .iter_mut()
            .filter(|webhook| webhook.list == list)
            .for_each(|webhook| webhook.is_active = false);
        self.aim();
    }

    fn add(&self, list: &str, url: &str, events: Vec<String>, format: Format) -> String {
        let id = crate::sandbox::new_uuid().simple().to_string();
        let mut webhooks = self.webhooks();
        webhooks.any = true;
        let (list, url) = (list.to_owned(), url.to_owned());
        webhooks.all.push(Webhook { id: id.clone(), list, url, events, format, is_active: true });
        id
    }

    fn aim(&self) {
        let url = self.webhooks().target().map(|webhook| webhook.url.clone());
        if let Some(url) = url {
            self.courier().deliver_to(&url);
        }
    }

    pub(super) fn answer_webhooks(&self, method: &Method, list: &str, rest: &[&str], body: &Value) -> Answer {
        self.world().list(list)?;
        let answer = match (operation(method, rest), rest) {
            ("webhook.list", _) => Ok((200, self.listed_webhooks(list).into())),
            ("webhook.create", _) => {
                let (url, events, format) = asked(body)?;
                Ok((201, self.add(list, url, events, format).into()))
            }
            ("webhook.activate", [id, _]) => self.switch(list, id, true),
            ("webhook.deactivate", [id, _]) => self.switch(list, id, false),
            ("webhook.delete", [id]) => {
                self.webhook(list, id)?;
                self.webhooks().all.retain(|webhook| webhook.id != *id);
                Ok((200, Value::Null))
            }
            _ => Err(NOT_FOUND),
        };
        self.aim();
        answer
    }

    fn webhook(&self, list: &str, id: &str) -> Result<Webhook, Refused> {
        let webhooks = self.webhooks();
        webhooks.all.iter().find(|webhook| webhook.list == list && webhook.id == id).cloned().ok_or(NOT_FOUND)
    }

    fn switch(&self, list: &str, id: &str, on: bool) -> Answer {
        self.webhook(list, id)?;
        self.webhooks().all.iter_mut().filter(|webhook| webhook.id == id).for_each(|webhook| webhook.is_active = on);
        Ok((200, Value::Null))
    }

    /// Posts one made-up example of every event that the webhook is told of, in one batch.
    pub(super) async fn test_webhook(&self, list: &str, id: &str) -> Answer {
        let webhook = self.webhook(list, id)?;
        let now = {
            let world = self.world();
            world.local(world.now())
        };
        let example = |kind: &String| {
            let address = "test.webhook@example.org";
            let mut event = json!({
                "ListID": list, "Type": kind, "Date": now, "EmailAddress": address, "Name": "Test Webhook",
                "CustomFields": [],
            });
            match kind.as_str() {
                "Subscribe" => event["SignupIPAddress"] = "203.0.113.9".into(),
                "Update" => {
                    event["OldEmailAddress"] = address.into();
                    event["State"] = "Active".into();
                }
                _ => event["State"] = "Unsubscribed".into(),
            }
            event
        };
        let events: Vec<Value> = webhook.events.iter().map(example).collect();
        let sealed = callbacks::seal(webhook.format, &events);
        let status = match self.courier().ask(&webhook.url, &sealed, TEST_PATIENCE).await {
            Some((200..=299, _)) => return Ok((200, Value::Null)),
            Some((status, _)) => json!(status),
            None => Value::Null,
        };
        let result = json!({
            "FailureStatus": "ProtocolError", "FailureResponseMessage": "The remote server returned an error",
            "FailureResponseCode": status, "FailureResponse": "",
        });
        Ok((400, json!({ "Code": 610, "Message": "The webhook could not be tested", "ResultData": result })))
    }
}

const NOT_FOUND: Refused = (404, 404, "We couldn't find the resource you're looking for.");

fn asked(body: &Value) -> Result<(&str, Vec<String>, Format), Refused> {
    let url = body["Url"].as_str().filter(|url| Url::parse(url).is_ok_and(|url| url.has_host()));
    let format = match body["PayloadFormat"].as_str().map(str::to_lowercase).as_deref() {
        Some("json") => Format::Json,
        Some("xml") => Format::Xml,
        _ => return Err((400, 602, "Invalid webhook payload format")),
    };
    let events: Vec<String> =
        body["Events"].as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    if events.is_empty() || !events.iter().all(|event| EVENTS.contains(&event.as_str())) {
        return Err((400, 603, "Invalid webhook event"));
    }
    Ok((url.ok_or((400, 601, "Invalid webhook URL"))?, events, format))
}

fn shown(webhook: &Webhook) -> Value {
    json!({
        "WebhookID": webhook.id, "Events": webhook.events, "Url": webhook.url,
        "Status": if webhook.is_active { "Active" } else { "Inactive" },
        "PayloadFormat": if webhook.format == Format::Json { "Json" } else { "Xml" },
    })
}
