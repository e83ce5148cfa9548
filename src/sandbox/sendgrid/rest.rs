//! The calls of API v3 about contacts and suppressions.

use super::SendgridSim;
use super::world::{Contact, World, texts};
use crate::sandbox::Faults;
use crate::sandbox::desk::{self, Answer, Call, Desk};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl SendgridSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        desk::router(self.clone())
    }
}

impl Desk for SendgridSim {
    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn operation(call: &Call) -> &'static str {
        let (method, path) = call.parts();
        match (method, &path[..]) {
            ("PUT", ["v3", "marketing", "contacts"]) => "upsert",
            ("DELETE", ["v3", "marketing", "contacts"]) => "delete",
            ("POST", ["v3", "marketing", "contacts", "search", "emails"]) => "search",
            ("DELETE", ["v3", "marketing", "lists", _, "contacts"]) => "take off",
            ("GET", ["v3", "asm", "suppressions", "global", _]) => "everything",
            ("GET", ["v3", "asm", "suppressions", _]) => "groups",
            ("POST", ["v3", "asm", "groups", _, "suppressions"]) => "suppress",
            ("DELETE", ["v3", "asm", "groups", _, "suppressions", _]) => "lift",
            ("POST", ["v3", "asm", "suppressions", "global"]) => "suppress everything",
            _ => "other",
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.header("authorization").strip_prefix("Bearer ") != Some(&self.settings().api_key) {
            return refused(401, "authorization required");
        }
        self.done(call)
    }

    fn too_fast() -> Answer {
        refused(429, "too many requests")
    }
}

fn refused(status: u16, message: &str) -> Answer {
    (status, json!({ "errors": [{ "field": null, "message": message }] }))
}

impl SendgridSim {
    fn done(&self, call: &Call) -> Answer {
        let (method, path) = call.parts();
        match (method, &path[..]) {
            (_, ["v3", "marketing", "contacts", ..]) => self.contacts(call),
            ("DELETE", ["v3", "marketing", "lists", list, "contacts"]) => {
                let ids: Vec<&str> = call.parameter("contact_ids").split(',').collect();
                for contact in self.world().contacts.values_mut().filter(|held| ids.contains(&held.id.as_str())) {
                    contact.lists.remove(*list);
                }
                (202, json!({ "job_id": "simulated" }))
            }
            ("GET", ["v3", "asm", "groups", group]) => {
                let id = group.parse().ok().filter(|id| self.settings().groups.contains(id));
                id.map_or_else(
                    || refused(404, "resource not found"),
                    |id| (200, json!({ "id": id, "name": "Newsletter", "is_default": false })),
                )
            }
            (_, ["v3", "asm", "groups", group, "suppressions", ..]) => self.in_group(call, group),
            ("GET", ["v3", "asm", "suppressions"]) => (200, self.world().all_groups()),
            ("GET", ["v3", "asm", "suppressions", "global", email]) => {
                let is_out = self.world().everything.contains_key(&email.to_lowercase());
                (200, if is_out { json!({ "recipient_email": email }) } else { json!({}) })
            }
            ("POST", ["v3", "asm", "suppressions", "global"]) => {
                let mut world = self.world();
                let now = world.clock.now();
                for email in texts(&call.body["recipient_emails"]) {
                    world.everything.entry(email.to_lowercase()).or_insert(now);
                }
                (201, json!({ "recipient_emails": call.body["recipient_emails"] }))
            }
            ("DELETE", ["v3", "asm", "suppressions", "global", email]) => {
                self.world().everything.remove(&email.to_lowercase());
                (204, Value::Null)
            }
            ("GET", ["v3", "asm", "suppressions", email]) => (200, self.world().groups_of(email)),
            ("GET", ["v3", "suppression", "unsubscribes"]) => {
                (200, dated(&self.world().everything, call.parameter("email")))
            }
            ("GET", ["v3", "suppression", "spam_reports", email]) => (200, dated(&self.world().spam_reports, email)),
            ("GET", ["v3", "suppression", "bounces", email]) => (200, dated(&self.world().bounces, email)),
            ("GET", ["v3", "scopes"]) => (200, json!({ "scopes": ["marketing.read"] })),
            _ => refused(404, "not found"),
        }
    }

    fn contacts(&self, call: &Call) -> Answer {
        match call.parts() {
            ("PUT", _) => {
                if let Err(message) = World::check(&call.body) {
                    return refused(400, message);
                }
                let (sim, body) = (self.clone(), call.body.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(sim.settings().queue).await;
                    sim.world().upsert(&body);
                });
                (202, json!({ "job_id": "simulated" }))
            }
            ("DELETE", _) => {
                let ids: Vec<&str> = call.parameter("ids").split(',').collect();
                self.world().contacts.retain(|_, contact| !ids.contains(&contact.id.as_str()));
                (202, json!({ "job_id": "simulated" }))
            }
            ("POST", path) if path.ends_with(&["search", "emails"]) => {
                let world = self.world();
                let found = texts(&call.body["emails"]).filter_map(|email| world.contacts.get(&email.to_lowercase()));
                let found: Map<_, _> =
                    found.map(|held| (held.email.clone(), json!({ "contact": shown(held) }))).collect();
                if found.is_empty() { refused(404, "not found") } else { (200, json!({ "result": found })) }
            }
            _ => refused(405, "method not allowed"),
        }
    }

    fn in_group(&self, call: &Call, group: &str) -> Answer {
        let mut world = self.world();
        let now = world.clock.now();
        // What is written to a group that isn't there becomes an opt-out of everything (vendor's API document).
        let held = group.parse().ok().and_then(|id: u64| world.groups.get_mut(&id));
        match call.parts() {
            ("POST", path) if path.ends_with(&["search"]) => {
                let emails = texts(&call.body["recipient_emails"]);
                let is_out = |email: &&str| held.as_ref().is_some_and(|held| held.contains_key(&email.to_lowercase()));
                (200, Value::from(emails.filter(is_out).collect::<Vec<_>>()))
            }
            ("POST", _) => {
                let emails: Vec<_> = texts(&call.body["recipient_emails"]).map(str::to_lowercase).collect();
                let held = match held {
                    Some(held) => held,
                    None => &mut world.everything,
                };
                for email in emails {
                    held.entry(email).or_insert(now);
                }
                (201, json!({ "recipient_emails": call.body["recipient_emails"] }))
            }
            ("GET", _) => (200, held.map_or_else(|| json!([]), |held| json!(held.keys().collect::<Vec<_>>()))),
            ("DELETE", path) => {
                let email = path.last().copied().unwrap_or_default().to_lowercase();
                held.map(|held| held.remove(&email));
                (204, Value::Null)
            }
            _ => refused(405, "method not allowed"),
        }
    }
}

impl World {
    /// Every group, and whether an address is out of it.
    fn groups_of(&self, email: &str) -> Value {
        let shown = |(id, held): (&u64, &BTreeMap<String, Timestamp>)| {
            let suppressed = held.contains_key(&email.to_lowercase());
            json!({ "id": id, "name": format!("Group {id}"), "description": "", "is_default": false, "suppressed": suppressed })
        };
        json!({ "suppressions": self.groups.iter().map(shown).collect::<Vec<_>>() })
    }

    fn all_groups(&self) -> Value {
        let of_group = |(id, held): (&u64, &BTreeMap<String, Timestamp>)| {
            let shown = held.iter().map(|(email, at)| {
                json!({ "email": email, "group_id": id, "group_name": format!("Group {id}"), "created_at": at.as_second() })
            });
            shown.collect::<Vec<_>>()
        };
        Value::from(self.groups.iter().flat_map(of_group).collect::<Vec<_>>())
    }
}

fn dated(held: &BTreeMap<String, Timestamp>, email: &str) -> Value {
    let wanted = |(key, _): &(&String, &Timestamp)| email.is_empty() || **key == email.to_lowercase();
    let shown = held.iter().filter(wanted).map(|(email, at)| json!({ "email": email, "created": at.as_second() }));
    Value::from(shown.collect::<Vec<_>>())
}

fn shown(held: &Contact) -> Value {
    let mut value = json!({
        "id": held.id, "email": held.email, "list_ids": held.lists, "custom_fields": held.custom,
        "created_at": held.created.to_string(), "updated_at": held.updated.to_string(),
    });
    for (name, field) in &held.fields {
        value[name] = field.clone();
    }
    value
}
