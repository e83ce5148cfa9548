//! The calls of API v3 about contacts.

use super::BrevoSim;
use super::world::{ContactView, NOT_FOUND, Refused};
use crate::sandbox::Faults;
use crate::sandbox::desk::{self, Answer, Call, Desk};
use serde_json::{Value, json};

impl BrevoSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        desk::router(self.clone())
    }
}

impl Desk for BrevoSim {
    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn operation(call: &Call) -> &'static str {
        let (method, path) = call.parts();
        match (method, &path[..]) {
            ("GET", ["v3", "contacts", "lists", _, "contacts"]) => "page",
            ("POST", ["v3", "contacts", "lists", _, "contacts", "remove"]) => "take off",
            ("GET", ["v3", "contacts"]) => "all",
            ("POST", ["v3", "contacts"]) => "create",
            ("GET", ["v3", "contacts", _]) => "get",
            ("PUT", ["v3", "contacts", _]) => "update",
            ("DELETE", ["v3", "contacts", _]) => "delete",
            _ => "other",
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.header("api-key") != self.settings().api_key {
            return refused((401, "unauthorized", "Key not found"));
        }
        self.done(call).unwrap_or_else(refused)
    }

    fn too_fast() -> Answer {
        refused((429, "too_many_requests", "You have reached the rate limit"))
    }
}

fn refused((status, code, message): Refused) -> Answer {
    (status, json!({ "code": code, "message": message }))
}

impl BrevoSim {
    fn done(&self, call: &Call) -> Result<Answer, Refused> {
        let (method, path) = call.parts();
        let kind = call.parameter("identifierType");
        match (method, &path[..]) {
            ("GET", ["v3", "account"]) => Ok((200, json!({ "email": "company@example.com" }))),
            ("GET", ["v3", "contacts", "lists", list, "contacts"]) => {
                let list: u64 = list.parse().map_err(|_| NOT_FOUND)?;
                Ok(self.page(call, |held| held.lists.contains(&list), 500))
            }
            ("POST", ["v3", "contacts", "lists", list, "contacts", "remove"]) => {
                let list = list.parse().map_err(|_| NOT_FOUND)?;
                Ok((201, self.world().take_off(list, &call.body["emails"])?))
            }
            ("GET", ["v3", "contacts"]) => Ok(self.page(call, |_| true, 1000)),
            ("POST", ["v3", "contacts"]) => {
                let (created, happened) = self.world().create(&call.body)?;
                self.publish(happened);
                Ok(created.map_or((204, Value::Null), |id| (201, json!({ "id": id }))))
            }
            ("GET", ["v3", "contacts", contact]) => {
                let world = self.world();
                let held = world.key(contact, kind).and_then(|key| world.contacts.get(&key)).ok_or(NOT_FOUND)?;
                Ok((200, self.shown(held)))
            }
            ("PUT", ["v3", "contacts", contact]) => {
                let happened = {
                    let mut world = self.world();
                    let key = world.key(contact, kind).ok_or(NOT_FOUND)?;
                    world.write(&key, &call.body)?
                };
                self.publish(happened);
                Ok((204, Value::Null))
            }
            ("DELETE", ["v3", "contacts", contact]) => {
                let happened = {
                    let mut world = self.world();
                    let key = world.key(contact, kind).ok_or(NOT_FOUND)?;
                    world.delete(&key)?
                };
                self.publish(happened);
                Ok((204, Value::Null))
            }
            _ => Err((404, "document_not_found", "Route does not exist")),
        }
    }

    fn page(&self, call: &Call, wanted: impl Fn(&ContactView) -> bool, most: usize) -> Answer {
        let (limit, offset) = (call.number("limit", 50), call.number("offset", 0));
        if limit > most {
            return refused((400, "out_of_range", "Limit exceeds max value"));
        }
        let world = self.world();
        let mut all: Vec<_> = world.contacts.values().filter(|held| wanted(held)).collect();
        all.sort_by_key(|held| held.id);
        let page: Vec<Value> = all.iter().skip(offset).take(limit).map(|held| self.shown(held)).collect();
        (200, json!({ "contacts": page, "count": all.len() }))
    }

    fn shown(&self, held: &ContactView) -> Value {
        let times = |times: &[jiff::Timestamp]| {
            let shown = times.iter().map(|at| json!({ "eventTime": at.to_string(), "ip": "203.0.113.9" }));
            Value::from(shown.collect::<Vec<_>>())
        };
        let mut value = json!({
            "email": held.email, "id": held.id, "emailBlacklisted": held.blocked, "smsBlacklisted": false,
            "createdAt": held.created.to_string(), "modifiedAt": held.modified.to_string(),
            "listIds": held.lists, "listUnsubscribed": held.left, "attributes": held.attributes,
            "statistics": {
                "unsubscriptions": {
                    "userUnsubscription": times(&held.by_user), "adminUnsubscription": times(&held.by_admin),
                },
                "hardBounces": times(&held.bounced), "complaints": times(&held.complained),
            },
        });
        if let (true, Some(ext_id)) = (self.settings().shows_ext_id, &held.ext_id) {
            value["ext_id"] = json!(ext_id);
        }
        value
    }
}
