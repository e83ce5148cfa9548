//! The calls about profiles, and the jobs about consent.

use super::KlaviyoSim;
use super::world::ProfileView;
use crate::sandbox::Faults;
use crate::sandbox::desk::{self, Answer, Call, Desk};
use serde_json::{Value, json};

impl KlaviyoSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        desk::router(self.clone())
    }
}

impl Desk for KlaviyoSim {
    const MEDIA_TYPE: &'static str = "application/vnd.api+json";

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn operation(call: &Call) -> &'static str {
        let (method, path) = call.parts();
        match (method, without_slash(&path)) {
            ("GET", ["api", "profiles"]) => "find",
            ("GET", ["api", "lists", _, "profiles"]) => "list",
            ("POST", ["api", "profile-import"]) => "import",
            ("PATCH", ["api", "profiles", _]) => "update",
            ("DELETE", ["api", "lists", _, "relationships", "profiles"]) => "take off",
            ("POST", ["api", "profile-subscription-bulk-create-jobs"]) => "subscribe",
            ("POST", ["api", "profile-subscription-bulk-delete-jobs"]) => "unsubscribe",
            ("POST", ["api", "profile-suppression-bulk-create-jobs"]) => "suppress",
            ("POST", ["api", "data-privacy-deletion-jobs"]) => "delete",
            _ => "other",
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        let key = call.header("authorization").strip_prefix("Klaviyo-API-Key ");
        if key != Some(&self.settings().api_key) {
            return refused(401, "authentication_failed", "Incorrect authentication credentials.");
        }
        if call.header("revision").is_empty() {
            return refused(400, "invalid", "A revision header is required.");
        }
        self.done(call)
    }

    fn too_fast() -> Answer {
        refused(429, "throttled", "Request was throttled.")
    }
}

/// Paths may end in a slash.
fn without_slash<'a, 'b>(path: &'b [&'a str]) -> &'b [&'a str] {
    path.strip_suffix(&[""]).unwrap_or(path)
}

fn refused(status: u16, code: &str, detail: &str) -> Answer {
    let error = json!({ "id": "simulated", "status": status, "code": code, "title": code, "detail": detail });
    (status, json!({ "errors": [error] }))
}

impl KlaviyoSim {
    fn done(&self, call: &Call) -> Answer {
        let (method, path) = call.parts();
        let attributes = &call.body["data"]["attributes"];
        match (method, without_slash(&path)) {
            ("GET", ["api", "accounts"]) => (200, json!({ "data": [] })),
            ("GET", ["api", "profiles"]) => self.page(call, None),
            ("GET", ["api", "lists", list, "profiles"]) if self.world().lists.iter().any(|id| id == list) => {
                self.page(call, Some(list))
            }
            ("POST", ["api", "profile-import"]) => match self.world().import(attributes) {
                Ok((is_new, held)) => (if is_new { 201 } else { 200 }, json!({ "data": shown(&held, false) })),
                Err((status, code)) => refused(status, code, "The profile could not be imported."),
            },
            ("PATCH", ["api", "profiles", id]) => match self.world().update(id, attributes) {
                Ok(held) => (200, json!({ "data": shown(&held, false) })),
                Err((status, code)) => refused(status, code, "The profile could not be updated."),
            },
            ("DELETE", ["api", "lists", list, "relationships", "profiles"]) => {
                let ids = call.body["data"].as_array().into_iter().flatten().filter_map(|data| data["id"].as_str());
                let ids: Vec<&str> = ids.collect();
                for held in self.world().profiles.values_mut().filter(|held| ids.contains(&held.id.as_str())) {
                    held.lists.remove(*list);
                }
                (204, Value::Null)
            }
            ("POST", ["api", "profile-subscription-bulk-create-jobs"]) => self.job(call, KlaviyoSim::subscribes),
            ("POST", ["api", "profile-subscription-bulk-delete-jobs"]) => self.job(call, KlaviyoSim::unsubscribes),
            ("POST", ["api", "profile-suppression-bulk-create-jobs"]) => self.job(call, |sim, email, _| {
                sim.world().suppress(email, "USER_SUPPRESSED");
            }),
            ("POST", ["api", "data-privacy-deletion-jobs"]) => {
                let email = attributes["profile"]["data"]["attributes"]["email"].as_str().unwrap_or_default();
                self.later([email.to_owned()].into(), |sim, email| {
                    sim.world().profiles.remove(&email.to_lowercase());
                });
                (202, Value::Null)
            }
            _ => refused(404, "not_found", "A resource was not found."),
        }
    }

    fn subscribes(&self, email: &str, list: Option<&str>) {
        let happened = self.world().subscribe(email, list);
        self.publish(happened);
    }

    fn unsubscribes(&self, email: &str, list: Option<&str>) {
        let happened = self.world().unsubscribe(email, list);
        self.publish(happened);
    }

    /// A job about profiles: checked at once, done when its turn comes.
    fn job(&self, call: &Call, work: fn(&Self, &str, Option<&str>)) -> Answer {
        let data = &call.body["data"];
        let list = data["relationships"]["list"]["data"]["id"].as_str().map(str::to_owned);
        if list.as_ref().is_some_and(|list| !self.world().lists.contains(list)) {
            return refused(404, "not_found", "A list with the given id does not exist.");
        }
        let profiles = data["attributes"]["profiles"]["data"].as_array();
        let emails = profiles.into_iter().flatten().filter_map(|profile| profile["attributes"]["email"].as_str());
        let emails: Vec<String> = emails.map(str::to_owned).collect();
        if emails.is_empty() || !emails.iter().all(|email| desk::is_address(email)) {
            return refused(400, "invalid", "An email address is required.");
        }
        self.later(emails, move |sim, email| work(sim, email, list.as_deref()));
        (202, Value::Null)
    }

    fn later(&self, emails: Vec<String>, work: impl Fn(&Self, &str) + Send + 'static) {
        let sim = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(sim.settings().queue).await;
            for email in &emails {
                work(&sim, email);
            }
        });
    }

    fn page(&self, call: &Call, list: Option<&str>) -> Answer {
        let Ok(filter) = filter(call.parameter("filter")) else {
            return refused(400, "invalid", "The filter can't be read.");
        };
        let fits = |held: &&ProfileView| {
            let is_on = list.is_none_or(|list| held.lists.contains(list));
            is_on
                && match &filter {
                    None => true,
                    Some((field, value)) if field == "email" => held.email.eq_ignore_ascii_case(value),
                    Some((_, value)) => held.external_id.as_ref() == Some(value),
                }
        };
        let size = call.number("page[size]", 20);
        let start = call.number("page[cursor]", 0);
        let world = self.world();
        let all: Vec<_> = world.profiles.values().filter(fits).collect();
        let with_consent =
            call.parameter("additional-fields[profile]").split(',').any(|field| field == "subscriptions");
        let page: Vec<_> = all.iter().skip(start).take(size).map(|held| shown(held, with_consent)).collect();
        let next = (start + page.len() < all.len()).then(|| {
            let host = call.header("host");
            let path = list.map_or_else(|| "profiles".to_owned(), |list| format!("lists/{list}/profiles"));
            let consent = if with_consent { "&additional-fields%5Bprofile%5D=subscriptions" } else { "" };
            format!("http://{host}/api/{path}?page%5Bsize%5D={size}&page%5Bcursor%5D={}{consent}", start + page.len())
        });
        (200, json!({ "data": page, "links": { "self": null, "next": next, "prev": null } }))
    }
}

/// `equals(field,"value")`; none if there is no filter.
fn filter(text: &str) -> Result<Option<(String, String)>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    let inner = text.strip_prefix("equals(").and_then(|rest| rest.strip_suffix(')')).ok_or(())?;
    let (field, value) = inner.split_once(',').ok_or(())?;
    let value = serde_json::from_str(value).map_err(|_| ())?;
    if matches!(field, "email" | "external_id") { Ok(Some((field.to_owned(), value))) } else { Err(()) }
}

fn shown(held: &ProfileView, with_consent: bool) -> Value {
    let mut attributes = Value::Object(held.attributes.clone());
    attributes["email"] = json!(held.email);
    attributes["external_id"] = json!(held.external_id);
    attributes["properties"] = json!(held.properties);
    attributes["updated"] = json!(held.updated.to_string());
    if with_consent {
        let suppression = held.suppressions.iter();
        let suppression = suppression.map(|(reason, at)| json!({ "reason": reason, "timestamp": at.to_string() }));
        let of_lists = held
            .list_suppressions
            .iter()
            .map(|(list, at)| json!({ "list_id": list, "reason": "UNSUBSCRIBE", "timestamp": at.to_string() }));
        let marketing = json!({
            "can_receive_email_marketing": held.suppressions.is_empty(), "consent": held.consent.name(),
            "consent_timestamp": held.consented.map(|at| at.to_string()), "last_updated": held.updated.to_string(),
            "suppression": suppression.collect::<Vec<_>>(), "list_suppressions": of_lists.collect::<Vec<_>>(),
        });
        attributes["subscriptions"] = json!({ "email": { "marketing": marketing } });
    }
    json!({ "type": "profile", "id": held.id, "attributes": attributes })
}
