//! The calls of API v3.3 about subscribers and suppression (vendor pages "Subscribers", "Lists", "Clients").

use super::list::{State, Subscriber};
use super::world::{NOT_IN_LIST, Refused, World};
use super::{CampaignMonitorSim, webhooks};
use crate::sandbox::faults::{Fate, meet};
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, Method, Response, header};
use axum::routing::any;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

pub(super) type Parameters = HashMap<String, String>;
/// Status and body of a success.
pub(super) type Answer = Result<(u16, Value), Refused>;

impl CampaignMonitorSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        axum::Router::new().route("/api/v3.3/{*path}", any(handle)).with_state(self.clone())
    }
}

async fn handle(
    Shared(sim): Shared<CampaignMonitorSim>,
    Path(path): Path<String>,
    Query(parameters): Query<Parameters>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let parts: Vec<&str> = path.trim_end_matches(".json").split('/').collect();
    let operation = operation(&method, &parts);
    let fate = sim.faults().draw(operation);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    // Testing a webhook calls it before the answer, so it can't be done at one go.
    let is_done = matches!(fate.0, Fate::Well | Fate::ErrorAfter | Fate::ResetAfter);
    let tested = match (&parts[..], is_done) {
        (["lists", list, "webhooks", id, "test"], true) if sim.check_key(&headers).is_ok() => {
            Some(sim.test_webhook(list, id).await)
        }
        _ => None,
    };
    let work = || {
        if let Some(tested) = tested {
            return render(tested);
        }
        let answer = sim.check_key(&headers).and_then(|()| sim.answer(&method, &parts, &parameters, &body));
        render(answer)
    };
    let too_fast = || render(Err((429, 429, "Subscriber was added too many times too quickly, try again later.")));
    meet(fate, work, too_fast).await
}

/// A name for a call, for counting.
fn operation(method: &Method, parts: &[&str]) -> &'static str {
    match (method.as_str(), parts) {
        ("GET", ["subscribers", _]) => "get",
        ("POST", ["subscribers", _]) => "add",
        ("PUT", ["subscribers", _]) => "update",
        ("DELETE", ["subscribers", _]) => "delete",
        ("POST", ["subscribers", _, "import"]) => "import",
        ("POST", ["subscribers", _, "unsubscribe"]) => "unsubscribe",
        ("POST", ["clients", _, "suppress"]) => "suppress",
        (_, ["lists", _, "webhooks", rest @ ..]) => webhooks::operation(method, rest),
        ("GET", ["lists", _, "customfields"]) => "field.list",
        ("GET", ["lists", _, "stats"]) => "stats",
        ("GET", ["lists", _, state]) if State::of_path(state).is_some() => "page",
        ("POST", ["lists", _, "customfields"]) => "field.create",
        _ => "other",
    }
}

fn render(answer: Answer) -> Response<Body> {
    let (status, body) = match answer {
        Ok((status, Value::Null)) => (status, String::new()),
        Ok((status, body)) => (status, body.to_string()),
        Err((status, code, message)) => (status, json!({ "Code": code, "Message": message }).to_string()),
    };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    response.body(Body::from(body)).expect("the statuses here are valid")
}

impl CampaignMonitorSim {
    fn check_key(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let stated = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let decoded = stated.strip_prefix("Basic ").and_then(|text| BASE64_STANDARD.decode(text).ok());
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let key = decoded.split(':').next().unwrap_or_default();
        if key == self.settings().api_key { Ok(()) } else { Err((401, 100, "Invalid API Key")) }
    }

    fn answer(&self, method: &Method, parts: &[&str], parameters: &Parameters, body: &Value) -> Answer {
        let email = parameters.get("email").map_or("", String::as_str);
        match (method.as_str(), parts) {
            ("GET", ["subscribers", list]) => {
                let mut world = self.world();
                world.list(list)?;
                let subscriber = world.find(list, email).ok_or(NOT_IN_LIST)?;
                Ok((200, shown(&world, subscriber, Shows { tracking: true, sms: true })))
            }
            ("POST", ["subscribers", list]) => self.add_later(list, body),
            ("PUT", ["subscribers", list]) => {
                self.check_pace(body)?;
                let happened = self.world().update(list, email, body)?;
                self.publish(happened);
                Ok((200, Value::Null))
            }
            ("DELETE", ["subscribers", list]) => self.deactivate(list, email, State::Deleted),
            ("POST", ["subscribers", list, "import"]) => self.import(list, body),
            ("POST", ["subscribers", list, "unsubscribe"]) => {
                self.deactivate(list, body["EmailAddress"].as_str().unwrap_or_default(), State::Unsubscribed)
            }
            ("POST", ["clients", client, "suppress"]) if *client == self.settings().client_id => {
                for email in body["EmailAddresses"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let happened = self.world().suppress(email);
                    self.publish(happened);
                }
                Ok((200, Value::Null))
            }
            (_, ["lists", list, "webhooks", rest @ ..]) => self.answer_webhooks(method, list, rest, body),
            (_, ["lists", list, "customfields"]) => self.answer_fields(method, list, body),
            ("GET", ["clients", client]) => self.client_details(client),
            ("GET", ["systemdate"]) => {
                let world = self.world();
                Ok((200, json!({ "SystemDate": world.local(world.now()) })))
            }
            ("GET", ["lists", list, "stats"]) => self.stats(list),
            ("GET", ["lists", list, state]) if State::of_path(state).is_some() => {
                self.page(list, State::of_path(state).unwrap_or(State::Active), parameters)
            }
            ("GET", ["lists", list]) => {
                let mut world = self.world();
                let found = world.list(list)?;
                let setting = if found.unsubscribe_from_all { "AllClientLists" } else { "OnlyThisList" };
                let confirmed = found.confirmed_opt_in;
                Ok((
                    200,
                    json!({ "ListID": list, "Title": format!("List {list}"), "ConfirmedOptIn": confirmed, "UnsubscribeSetting": setting }),
                ))
            }
            _ => Err((404, 404, "We couldn't find the resource you're looking for.")),
        }
    }

    fn check_pace(&self, write: &Value) -> Result<(), Refused> {
        let email = write["EmailAddress"].as_str().unwrap_or_default();
        let refused = (429, 429, "Subscriber was added too many times too quickly, try again later.");
        if self.world().too_often(email) { Err(refused) } else { Ok(()) }
    }

    fn deactivate(&self, list: &str, email: &str, state: State) -> Answer {
        let happened = self.world().deactivate(list, email, state)?;
        self.publish(happened);
        Ok((200, Value::Null))
    }

    /// Add: checked at once, done when its turn in the queue comes.
    fn add_later(&self, list: &str, write: &Value) -> Answer {
        self.check_pace(write)?;
        let resubscribe = write["Resubscribe"] == json!(true);
        {
            // A trial run on somebody who isn't there tells whether the data is right.
            let mut world = self.world();
            let email = write["EmailAddress"].as_str().unwrap_or_default();
            let out = |held: &Subscriber| !matches!(held.state, State::Active | State::Unconfirmed);
            if !resubscribe && world.find(list, email).is_some_and(out) {
                world.add(list, write, false)?;
            }
            world.list(list)?;
        }
        let (sim, list, write) = (self.clone(), list.to_owned(), write.clone());
        let email = write["EmailAddress"].clone();
        tokio::spawn(async move {
            tokio::time::sleep(sim.settings().queue).await;
            let happened = sim.world().add(&list, &write, resubscribe).unwrap_or_default();
            sim.publish(happened);
        });
        Ok((201, email))
    }

    /// Import: done when it answers; what failed stands in the answer, with status 400 and code 210.
    fn import(&self, list: &str, body: &Value) -> Answer {
        let resubscribe = body["Resubscribe"] == json!(true);
        let subscribers = body["Subscribers"].as_array().cloned().unwrap_or_default();
        if subscribers.is_empty() {
            return Err((400, 212, "No subscribers to import"));
        }
        if subscribers.len() > 1000 {
            return Err((400, 209, "Too many subscribers to import"));
        }
        let (mut failures, mut new, mut existing) = (Vec::new(), 0, 0);
        let (mut unique, mut duplicates) = (HashSet::new(), Vec::new());
        for subscriber in &subscribers {
            self.check_pace(subscriber)?;
            let email = subscriber["EmailAddress"].as_str().unwrap_or_default();
            // Which of two that are the same counts isn't documented; here the first.
            if !unique.insert(email.to_ascii_lowercase()) {
                duplicates.push(email);
                continue;
            }
            let was_there = self.world().find(list, email).is_some();
            match self.world().add(list, subscriber, resubscribe) {
                Ok(happened) => {
                    new += u64::from(!was_there);
                    existing += u64::from(was_there);
                    self.publish(happened);
                }
                Err((401, code, message)) => return Err((401, code, message)),
                Err((_, code, message)) => {
                    failures.push(json!({ "EmailAddress": email, "Code": code, "Message": message }));
                }
            }
        }
        let result = json!({
            "FailureDetails": failures, "TotalUniqueEmailsSubmitted": unique.len(),
            "TotalExistingSubscribers": existing, "TotalNewSubscribers": new, "DuplicateEmailsInSubmission": duplicates,
        });
        if failures.is_empty() {
            return Ok((201, result));
        }
        let message = "Subscriber Import had some failures";
        Ok((400, json!({ "Code": 210, "Message": message, "ResultData": result })))
    }
}

/// What of a subscriber is shown only where it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Shows {
    pub tracking: bool,
    pub sms: bool,
}

pub(super) fn shown(world: &World, subscriber: &Subscriber, shows: Shows) -> Value {
    let fields = subscriber.fields.iter();
    let fields: Vec<_> = fields.map(|(key, value)| json!({ "Key": &**key, "Value": value })).collect();
    let mut value = json!({
        "EmailAddress": subscriber.email, "Name": subscriber.name, "MobileNumber": subscriber.mobile,
        "Date": world.local(subscriber.changed), "ListJoinedDate": world.local(subscriber.joined),
        "State": subscriber.state.name(), "CustomFields": fields, "ReadsEmailWith": "",
    });
    if shows.tracking {
        value["ConsentToTrack"] = subscriber.consent_to_track.into();
    }
    if shows.sms {
        value["ConsentToSendSms"] = "No".into();
    }
    value
}
