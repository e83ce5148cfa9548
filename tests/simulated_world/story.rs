//! What happened, as a list of lines for whoever looks for the cause.

use axum::http::Request;
use bytes::Bytes;
use gigya_esp_gateway::sandbox::{Answer, Sealed};
use serde_json::Value;
use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use url::form_urlencoded;

const SYSTEMS: [&str; 3] = ["Gigya", "Campaign Monitor", "Marketing Cloud"];

/// A story that is told, or not. Clones are the same.
#[derive(Clone)]
pub struct Story(Option<Arc<Told>>);

struct Told {
    begun: Instant,
    lines: Mutex<Vec<String>>,
}

impl Story {
    pub fn untold() -> Self {
        Self(None)
    }

    /// Needs a runtime, whose clock it tells the time by.
    pub fn told() -> Self {
        Self(Some(Arc::new(Told { begun: Instant::now(), lines: Mutex::default() })))
    }

    pub fn tell(&self, line: impl Display) {
        if let Some(told) = &self.0 {
            let at = told.begun.elapsed().as_secs_f64();
            told.lines.lock().unwrap().push(format!("{at:9.3}  {line}"));
        }
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.as_ref().map(|told| told.lines.lock().unwrap().clone()).unwrap_or_default()
    }

    /// A webhook request comes to a replica.
    pub fn request(&self, replica: usize, url: &str, sealed: &Sealed) {
        if self.0.is_some() {
            self.tell(format!("  {} -> replica {replica}: {}", sender(url), events(&sealed.body)));
        }
    }

    /// It was answered, or its replica was killed.
    pub fn answered(&self, replica: usize, url: &str, answer: Option<&Answer>) {
        if self.0.is_some() {
            let tell =
                |answer: &Answer| format!("{} {}", answer.status, outcomes(answer.body.as_deref().unwrap_or_default()));
            let answer = answer.map_or("nothing".to_owned(), tell);
            self.tell(format!("  {} <- replica {replica}: {answer}", sender(url)));
        }
    }

    /// A call arrives: how it is to be called.
    pub fn call(&self, replica: usize, system: usize, request: &Request<Bytes>) -> String {
        if self.0.is_none() {
            return String::new();
        }
        let what = match system {
            0 => form(request),
            1 => format!("{} {} {}", request.method(), path(request), resubscribe(request.body())),
            _ => format!("{} {}", path(request), soap(request.body())),
        };
        format!("      replica {replica} -> {}: {what}", SYSTEMS[system])
    }

    /// What it did.
    pub fn took_effect(&self, label: String, status: u16, body: Option<&[u8]>) {
        if self.0.is_some() {
            let body = body.map_or("cut off".to_owned(), answer);
            self.tell(format!("{label} = {status} {body}"));
        }
    }
}

fn sender(url: &str) -> &str {
    url.split('/').nth(4).unwrap_or_default()
}

fn path(request: &Request<Bytes>) -> String {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    path.replace("/api/v3.3/subscribers/a58ee1d3039b8bec838e6d1482a8a965", "")
        .replace("&includetrackingpreference=true", "")
}

fn events(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let list = ["events", "Events"].into_iter().find_map(|key| body.get(key)).unwrap_or(&body);
    let of = |event: &Value, places: &[&str]| {
        let found = places.iter().find_map(|place| event.pointer(place)?.as_str()).unwrap_or_default();
        found.chars().take(24).collect::<String>()
    };
    let tell = |event: &Value| {
        let kind = of(event, &["/type", "/Type", "/eventCategoryType"]);
        let whom = of(event, &["/data/uid", "/data/emailAccountToken", "/EmailAddress", "/info/to"]);
        format!("{kind} {whom} {} {}", of(event, &["/Date"]), of(event, &["/State"]))
    };
    list.as_array().into_iter().flatten().map(tell).collect::<Vec<_>>().join(", ")
}

fn outcomes(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let tell = |event: &Value| {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("outcome"), text("reason"))
    };
    body["events"].as_array().into_iter().flatten().map(tell).collect::<Vec<_>>().join(", ")
}

fn form(request: &Request<Bytes>) -> String {
    let shown = ["UID", "regToken", "emailToken", "email", "query", "subscriptions", "subscriptionID"];
    let fields = form_urlencoded::parse(request.body()).filter(|(key, _)| shown.contains(&key.as_ref()));
    let fields: Vec<_> =
        fields.map(|(key, value)| format!("{key}={}", value.chars().take(150).collect::<String>())).collect();
    format!("{} {}", request.uri().path().trim_start_matches('/'), fields.join(" "))
}

fn resubscribe(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let whom = body.pointer("/Subscribers/0/EmailAddress").or_else(|| body.get("EmailAddress"));
    let resubscribe = body.get("Resubscribe").map(|flag| format!("Resubscribe={flag}")).unwrap_or_default();
    format!("{} {resubscribe}", whom.and_then(Value::as_str).unwrap_or_default())
}

/// The texts in an XML document, each with the name of its element.
fn soap(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body).into_owned();
    let Some(start) = text.find("Body>") else { return text.chars().take(300).collect() };
    let mut told = String::new();
    for piece in text[start..].split('<').skip(1) {
        let (tag, content) = piece.split_once('>').unwrap_or_default();
        let is_shown = tag.ends_with("Msg") || tag.contains("Request") || !content.trim().is_empty();
        if is_shown && !tag.starts_with('/') && !tag.starts_with("Properties") {
            let name = tag.split([' ', ':']).next().unwrap_or_default();
            let _ = write!(told, "{name}={content} ");
        }
    }
    told.chars().take(400).collect()
}

fn answer(body: &[u8]) -> String {
    let Ok(json) = serde_json::from_slice::<Value>(body) else { return soap(body) };
    let mut told = String::new();
    for (name, place) in [
        ("errorCode", "/errorCode"),
        ("UID", "/UID"),
        ("active", "/isActive"),
        ("email", "/profile/email"),
        ("newsletter", "/subscriptions/newsletter/email/isSubscribed"),
        ("since", "/subscriptions/newsletter/email/lastUpdatedSubscriptionState"),
        ("tags", "/subscriptions/newsletter/email/tags"),
        ("Code", "/Code"),
        ("State", "/State"),
        ("Date", "/Date"),
        ("", "/results"),
        ("", "/FailureDetails"),
    ] {
        if let Some(value) = json.pointer(place) {
            told.push_str(&format!("{name}={value} ").chars().take(300).collect::<String>());
        }
    }
    told
}
