//! The calls of Marketing API 3.0 about members of lists.

use super::MailchimpSim;
use super::world::{MemberView, NOT_FOUND, Refused, Status, member_id};
use crate::sandbox::Faults;
use crate::sandbox::desk::{self, Answer, Call, Desk};
use serde_json::{Value, json};

impl MailchimpSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        desk::router(self.clone())
    }
}

impl Desk for MailchimpSim {
    const MEDIA_TYPE: &'static str = "application/json; charset=utf-8";

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn operation(call: &Call) -> &'static str {
        let (method, path) = call.parts();
        match (method, &path[..]) {
            ("GET", ["3.0", "lists", _, "members"]) => "page",
            ("GET", ["3.0", "lists", _, "members", _]) => "get",
            ("PUT", ["3.0", "lists", _, "members", _]) => "put",
            ("PATCH", ["3.0", "lists", _, "members", _]) => "update",
            ("DELETE", ["3.0", "lists", _, "members", _]) => "archive",
            ("POST", ["3.0", "lists", _, "members", _, "actions", "delete-permanent"]) => "forget",
            _ => "other",
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.password() != self.settings().api_key {
            return refused((
                401,
                "API Key Invalid",
                "Your API key may be invalid, or you've used the wrong datacenter.",
            ));
        }
        self.done(call).unwrap_or_else(refused)
    }

    /// Ten connections at once are the most; at high volumes the answer has no body.
    fn too_fast() -> Answer {
        refused((429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections."))
    }
}

fn refused((status, title, detail): Refused) -> Answer {
    let kind = "https://mailchimp.com/developer/marketing/docs/errors/";
    (status, json!({ "type": kind, "title": title, "status": status, "detail": detail, "instance": "simulated" }))
}

impl MailchimpSim {
    fn done(&self, call: &Call) -> Result<Answer, Refused> {
        let (method, path) = call.parts();
        match (method, &path[..]) {
            ("GET", ["3.0", "ping"]) => Ok((200, json!({ "health_status": "Everything's Chimpy!" }))),
            ("GET", ["3.0", "lists", list]) => {
                self.world().list(list)?;
                Ok((200, json!({ "id": list, "name": "News", "double_optin": false })))
            }
            ("GET", ["3.0", "lists", list, "members"]) => self.page(list, call),
            ("GET", ["3.0", "lists", list, "members", member]) => {
                let mut world = self.world();
                let key = world.key(list, member)?.ok_or(NOT_FOUND)?;
                world.list(list)?.get(&key).map(|held| (200, shown(list, held))).ok_or(NOT_FOUND)
            }
            ("PUT", ["3.0", "lists", list, "members", member]) => {
                let (key, happened) = self.world().put(list, member, &call.body)?;
                self.written(list, &key, happened)
            }
            ("PATCH", ["3.0", "lists", list, "members", member]) => {
                let (key, happened) = {
                    let mut world = self.world();
                    let key = world.key(list, member)?.ok_or(NOT_FOUND)?;
                    let happened = world.change(list, &key, &call.body)?;
                    (call.body["email_address"].as_str().map_or(key, str::to_lowercase), happened)
                };
                self.written(list, &key, happened)
            }
            ("DELETE", ["3.0", "lists", list, "members", member]) => {
                let happened = {
                    let mut world = self.world();
                    let key = world.key(list, member)?.ok_or(NOT_FOUND)?;
                    world.archive(list, &key)?
                };
                self.tell(happened);
                Ok((204, Value::Null))
            }
            ("POST", ["3.0", "lists", list, "members", member, "actions", "delete-permanent"]) => {
                let happened = {
                    let mut world = self.world();
                    let key = world.key(list, member)?.ok_or(NOT_FOUND)?;
                    world.forget(list, &key)?
                };
                self.tell(happened);
                Ok((204, Value::Null))
            }
            _ => Err(NOT_FOUND),
        }
    }

    /// What the API did, if webhooks are told of that.
    fn tell(&self, happened: Vec<Value>) {
        if self.settings().tells_of_api {
            self.publish(happened);
        }
    }

    fn written(&self, list: &str, key: &str, happened: Vec<Value>) -> Result<Answer, Refused> {
        self.tell(happened);
        let mut world = self.world();
        world.list(list)?.get(key).map(|held| (200, shown(list, held))).ok_or(NOT_FOUND)
    }

    /// Archived members are shown only if asked for by their status; that is our reading.
    fn page(&self, list: &str, call: &Call) -> Result<Answer, Refused> {
        let (count, offset) = (call.number("count", 10), call.number("offset", 0));
        if count > 1000 {
            return Err((400, "Invalid Resource", "count is greater than the maximum of 1000"));
        }
        let status = call.parameter("status");
        let is_wanted = |held: &&MemberView| match status {
            "" => held.status != Status::Archived,
            status => held.status.name() == status,
        };
        let mut world = self.world();
        let mut all: Vec<_> = world.list(list)?.values().filter(is_wanted).collect();
        all.sort_by_key(|held| held.nth);
        let page: Vec<_> = all.iter().skip(offset).take(count).map(|held| shown(list, held)).collect();
        Ok((200, json!({ "members": page, "list_id": list, "total_items": all.len() })))
    }
}

fn shown(list: &str, held: &MemberView) -> Value {
    let time = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    json!({
        "id": member_id(&held.email), "email_address": held.email, "unique_email_id": held.unique_id,
        "contact_id": format!("contact-{}", held.unique_id), "list_id": list, "status": held.status.name(),
        "merge_fields": held.merge_fields, "timestamp_signup": "",
        "timestamp_opt": held.confirmed.map(time).unwrap_or_default(), "last_changed": time(held.changed),
    })
}
