//! What every call passes: counting it, its fate, and which room it is for.

use super::{MarketingCloudSim, ens, lock, rest, soap};
use crate::sandbox::faults::{Fate, meet};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, Method, Response, Uri, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// A set of rows may have 5 MB (vendor page of the rowset call).
const LARGEST_BODY: usize = 5 * 1024 * 1024;

/// How long a call that came too fast is told to wait, in seconds.
const RETRY_AFTER: u64 = 1;

/// A call as it came in.
pub struct Call {
    pub method: Method,
    /// The path's segments, decoded.
    pub path: Vec<String>,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn header(&self, name: impl Into<HeaderName>) -> &str {
        self.headers.get(name.into()).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The path's segments, to be matched.
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }
}

/// An answer that was prepared for the next call of an operation.
pub struct Scripted {
    status: u16,
    body: String,
    headers: Vec<(String, String)>,
}

impl Scripted {
    pub fn new(status: u16, body: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { status, body: body.to_owned(), headers }
    }

    fn render(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            let kind = if self.body.starts_with('<') { "text/xml; charset=utf-8" } else { "application/json" };
            response = response.header(header::CONTENT_TYPE, kind);
        }
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(self.body)).expect("whoever scripts an answer makes it a valid one")
    }
}

/// Which of the hosts a call would be for.
enum Host {
    Auth,
    Rest,
    Soap,
}

impl MarketingCloudSim {
    /// The three hosts in one.
    pub fn router(&self) -> axum::Router {
        let handle = axum::routing::any(handle);
        axum::Router::new().fallback(handle).layer(DefaultBodyLimit::max(LARGEST_BODY)).with_state(self.clone())
    }

    fn next_scripted(&self, operation: &str) -> Option<Scripted> {
        lock(&self.inner.scripted).get_mut(operation)?.pop_front()
    }
}

async fn handle(
    State(sim): State<MarketingCloudSim>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().trim_start_matches('/').split('/');
    let path = path.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    let query = uri.query().unwrap_or_default().to_owned();
    let call = Call { method, path, query, headers, body };
    let (host, request) = match call.segments()[..] {
        ["v2", "token"] => (Host::Auth, None),
        ["Service.asmx"] => (Host::Soap, soap::Request::read(&call)),
        _ => (Host::Rest, None),
    };
    let operation = match host {
        Host::Auth => "token",
        Host::Soap => request.as_ref().map_or("soap.other", soap::Request::operation),
        Host::Rest => rest::operation(&call),
    };
    let fate = sim.faults().draw(operation);
    if let Some(scripted) = sim.next_scripted(operation) {
        return scripted.render();
    }
    // Creating a callback calls it first, so it can't be done at one go.
    let is_done = matches!(fate.0, Fate::Well | Fate::ErrorAfter | Fate::ResetAfter);
    let probed = if operation == ens::CREATE_CALLBACKS && is_done { sim.create_callbacks(&call).await } else { None };
    let work = || match host {
        Host::Auth => sim.give_token(&call),
        Host::Soap => sim.soap(&call, request.as_ref()),
        Host::Rest => rest::render(probed.unwrap_or_else(|| sim.rest(&call))),
    };
    let too_fast = || match host {
        Host::Auth => json_answer(429, &json!({ "error": "too_many_requests" })),
        Host::Soap => soap::rate_limited(),
        Host::Rest => rest::rate_limited(RETRY_AFTER),
    };
    meet(fate, work, too_fast).await
}

pub fn json_answer(status: u16, body: &Value) -> Response<Body> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    response.body(Body::from(text)).expect("the statuses here are valid")
}
