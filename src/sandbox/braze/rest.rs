//! The calls about users and subscription groups.

use super::BrazeSim;
use super::world::UserView;
use crate::sandbox::Faults;
use crate::sandbox::desk::{self, Answer, Call, Desk};
use serde_json::{Map, Value, json};

impl BrazeSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        desk::router(self.clone())
    }
}

impl Desk for BrazeSim {
    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn operation(call: &Call) -> &'static str {
        let (method, path) = call.parts();
        match (method, &path[..]) {
            ("GET", ["subscription", "status", "get"]) => "state",
            ("GET", ["subscription", "user", "status"]) => "groups",
            ("POST", ["v2", "subscription", "status", "set"]) => "set",
            ("POST", ["users", "track"]) => "track",
            ("POST", ["users", "export", "ids"]) => "export",
            ("POST", ["users", "delete"]) => "delete",
            ("POST", ["email", "status"]) => "set everything",
            _ => "other",
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.header("authorization").strip_prefix("Bearer ") != Some(&self.settings().api_key) {
            return (401, json!({ "message": "Invalid API Key" }));
        }
        let (method, path) = call.parts();
        match (method, &path[..]) {
            ("GET", ["subscription", "status", "get"]) => self.state(call),
            ("GET", ["subscription", "user", "status"]) => self.groups(call),
            ("POST", ["v2", "subscription", "status", "set"]) => self.set(&call.body),
            ("POST", ["users", "track"]) => self.track(&call.body),
            ("POST", ["users", "export", "ids"]) => self.export(&call.body),
            ("POST", ["email", "status"]) => {
                let (email, state) = (&call.body["email"], &call.body["subscription_state"]);
                self.world().set_everything(email.as_str().unwrap_or_default(), state.as_str().unwrap_or_default());
                (201, json!({ "message": "success" }))
            }
            ("POST", ["users", "delete"]) => {
                let mut world = self.world();
                let ids: Vec<&str> = texts(&call.body["external_ids"]).collect();
                world.users.retain(|id, _| !ids.contains(&id.as_str()));
                (201, json!({ "deleted": ids.len(), "message": "success" }))
            }
            _ => (404, json!({ "message": "not found" })),
        }
    }

    fn too_fast() -> Answer {
        (429, json!({ "message": "Rate limit exceeded" }))
    }
}

/// A text, or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

impl BrazeSim {
    fn state(&self, call: &Call) -> Answer {
        let (group, id, email) =
            (call.parameter("subscription_group_id"), call.parameter("external_id"), call.parameter("email"));
        let world = self.world();
        if !world.groups.iter().any(|known| known == group) {
            return (400, json!({ "message": "Invalid subscription group" }));
        }
        let (asked, user) = if id.is_empty() {
            (email, world.users.values().find(|user| user.has(email)))
        } else {
            (id, world.users.get(id))
        };
        let state = match user.and_then(|user| user.groups.get(group)) {
            Some(true) => "Subscribed",
            Some(false) => "Unsubscribed",
            None => "Unknown",
        };
        (200, json!({ "status": { asked: state }, "message": "success" }))
    }

    /// Everybody with an id or an address, and every group in which they were ever asked.
    fn groups(&self, call: &Call) -> Answer {
        let (id, email) = (call.parameter("external_id"), call.parameter("email"));
        let world = self.world();
        let is_wanted =
            |user: &&UserView| if id.is_empty() { user.has(email) } else { user.external_id.as_deref() == Some(id) };
        let shown = |user: &UserView| {
            let group = |(id, is_in): (&String, &bool)| {
                let status = if *is_in { "Subscribed" } else { "Unsubscribed" };
                json!({ "id": id, "name": "News", "channel": "email", "status": status })
            };
            let groups: Vec<_> = user.groups.iter().map(group).collect();
            json!({ "external_id": user.external_id, "email": user.email, "phone": null, "subscription_groups": groups })
        };
        let users: Vec<_> = world.users.values().filter(is_wanted).map(shown).collect();
        (200, json!({ "users": users, "total_count": users.len(), "message": "success" }))
    }

    fn set(&self, body: &Value) -> Answer {
        let mut happened = Vec::new();
        {
            let mut world = self.world();
            for group in body["subscription_groups"].as_array().into_iter().flatten() {
                let name = group["subscription_group_id"].as_str().unwrap_or_default();
                if !world.groups.iter().any(|known| known == name) {
                    return (400, json!({ "message": "Invalid subscription group" }));
                }
                let mut ids: Vec<String> = texts(&group["external_ids"]).map(str::to_owned).collect();
                for email in texts(&group["emails"]) {
                    ids.extend(world.users.iter().filter(|(_, user)| user.has(email)).map(|(id, _)| id.clone()));
                }
                let is_in = group["subscription_state"] == "subscribed";
                happened.extend(ids.iter().filter_map(|id| world.set(id, name, is_in)));
            }
        }
        self.publish(happened);
        (201, json!({ "message": "success" }))
    }

    /// What is wrong is told beside what was taken, with a status that says that all is well.
    fn track(&self, body: &Value) -> Answer {
        let (mut errors, mut sound) = (Vec::new(), Vec::new());
        for (index, attributes) in body["attributes"].as_array().into_iter().flatten().enumerate() {
            match self.world().check(attributes) {
                Ok(()) => sound.push(attributes.clone()),
                Err(what) => errors.push(json!({ "type": what, "input_array": "attributes", "index": index })),
            }
        }
        let mut answer = Map::new();
        answer.insert("attributes_processed".to_owned(), json!(sound.len()));
        if sound.is_empty() {
            return (400, json!({ "message": "Valid data must be provided", "errors": errors }));
        }
        let sim = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(sim.settings().queue).await;
            for attributes in sound {
                let happened = sim.world().track(&attributes);
                sim.publish(happened);
            }
        });
        answer.insert("message".to_owned(), json!("success"));
        if !errors.is_empty() {
            answer.insert("errors".to_owned(), json!(errors));
        }
        (201, Value::Object(answer))
    }

    fn export(&self, body: &Value) -> Answer {
        let world = self.world();
        let ids: Vec<&str> = texts(&body["external_ids"]).collect();
        let email = body["email_address"].as_str();
        let has_id = |user: &UserView| user.external_id.as_ref().is_some_and(|id| ids.contains(&id.as_str()));
        let wanted = |user: &&UserView| has_id(user) || email.is_some_and(|email| user.has(email));
        let users: Vec<Value> = world.users.values().filter(wanted).map(shown).collect();
        let invalid: Vec<_> = ids.iter().filter(|id| !world.users.contains_key(**id)).collect();
        (201, json!({ "message": "success", "users": users, "invalid_user_ids": invalid }))
    }
}

fn shown(user: &UserView) -> Value {
    let mut value = Value::Object(user.attributes.clone());
    value["external_id"] = json!(user.external_id);
    value["email"] = json!(user.email);
    value["email_subscribe"] = json!(user.email_subscribe);
    value["custom_attributes"] = json!(user.custom);
    if let Some(at) = user.unsubscribed {
        value["email_unsubscribed_at"] = json!(at.to_string());
    }
    value
}
