//! The calls.

use super::world::{Person, Refused};
use super::{AUDIENCE, DescribedSim, KEY};
use crate::sandbox::faults::meet;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, Method, Response, header};
use axum::routing::any;
use serde_json::{Value, json};
use std::collections::HashMap;

type Answer = Result<(u16, Value), Refused>;

impl DescribedSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        axum::Router::new().route("/v1/{*path}", any(handle)).with_state(self.clone())
    }
}

async fn handle(
    Shared(sim): Shared<DescribedSim>,
    Path(path): Path<String>,
    Query(parameters): Query<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let parts: Vec<&str> = path.split('/').collect();
    let operation = match (method.as_str(), parts.as_slice()) {
        ("GET", ["audiences", _, "people"]) => "page",
        ("GET", _) => "get",
        ("PUT", _) => "put",
        ("PATCH", _) => "patch",
        ("POST", _) => "stop",
        ("DELETE", _) => "delete",
        _ => "other",
    };
    let fate = sim.faults().draw(operation);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let is_known = headers.get(header::AUTHORIZATION).is_some_and(|value| *value == format!("Bearer {KEY}"));
    let work = || {
        if is_known { render(sim.answer(&method, &parts, &parameters, &body)) } else { render(Err((401, "key"))) }
    };
    meet(fate, work, || render(Err((429, "too_fast")))).await
}

impl DescribedSim {
    fn answer(&self, method: &Method, parts: &[&str], parameters: &HashMap<String, String>, body: &Value) -> Answer {
        if let ["audiences", audience, ..] = parts
            && *audience != AUDIENCE
        {
            return Err((422, "audience"));
        }
        let number = |name: &str| parameters.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let told = match (method.as_str(), parts) {
            ("GET", ["audiences", _, "people"]) => {
                let (limit, offset) = (number("limit"), number("offset"));
                let world = self.world();
                let rows: Vec<_> =
                    world.people().skip(offset).take(limit).map(|person| shown(person, world.is_timeless())).collect();
                return Ok((200, json!({ "people": rows, "total": world.people().count() })));
            }
            ("GET", ["audiences", _, "people", email]) => {
                let mut world = self.world();
                let person = world.look(email)?;
                return Ok((200, shown(&person, world.is_timeless())));
            }
            ("PUT", ["audiences", _, "people", email]) => self.world().put(email, body)?,
            ("PATCH", ["audiences", _, "people", email]) => self.world().patch(email, body)?,
            ("POST", ["audiences", _, "people", _, "stop"]) if self.inner.settings.refuses_to_stop => {
                return Err((422, "not_now"));
            }
            ("POST", ["audiences", _, "people", email, "stop"]) => self.world().stop(email)?,
            ("DELETE", ["people", id]) => self.world().delete_by_id(id)?,
            _ => return Err((404, "call")),
        };
        self.publish(told.iter());
        Ok((if *method == Method::DELETE { 204 } else { 200 }, Value::Null))
    }
}

fn shown(person: &Person, is_timeless: bool) -> Value {
    json!({
        "id": person.id, "email": person.email, "state": person.state.name(), "fields": person.fields,
        "since": if is_timeless { Value::Null } else { person.since.as_second().into() },
    })
}

fn render(answer: Answer) -> Response<Body> {
    let (status, body) = match answer {
        Ok((status, Value::Null)) => (status, String::new()),
        Ok((status, body)) => (status, body.to_string()),
        Err((status, error)) => (status, json!({ "error": error }).to_string()),
    };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(body)).expect("the statuses here are valid")
}
