//! The front desk of the small simulators: takes a call apart, counts it, lets it meet its fate, and answers in JSON.

use super::Faults;
use super::faults::meet;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri, header};
use axum::routing::any;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A call as it came in.
pub(super) struct Call {
    pub method: Method,
    /// The path's segments, decoded.
    path: Vec<String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    /// The body; null if it isn't JSON.
    pub body: Value,
}

/// A status and a body; null for none.
pub(super) type Answer = (u16, Value);

/// What is behind the desk.
pub(super) trait Desk: Clone + Send + Sync + 'static {
    /// What its answers are called, apart from which body they have.
    const MEDIA_TYPE: &'static str = "application/json";

    fn faults(&self) -> &Faults;

    /// A name for a call, for counting.
    fn operation(call: &Call) -> &'static str;

    /// Does what is asked for.
    fn answer(&self, call: &Call) -> Answer;

    /// How the system says that calls come too fast.
    fn too_fast() -> Answer;
}

impl Call {
    /// The method and the path's segments, to be matched.
    pub fn parts(&self) -> (&str, Vec<&str>) {
        (self.method.as_str(), self.path.iter().map(String::as_str).collect())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A parameter of the query; empty if it isn't there.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A parameter that is a number, or what it is without.
    pub fn number(&self, name: &str, otherwise: usize) -> usize {
        self.parameter(name).parse().unwrap_or(otherwise)
    }

    /// The password of HTTP basic authentication.
    pub fn password(&self) -> String {
        let stated = self.header("authorization").strip_prefix("Basic ").unwrap_or_default();
        let decoded = BASE64_STANDARD.decode(stated).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.unwrap_or_default();
        decoded.split_once(':').map_or("", |(_, password)| password).to_owned()
    }
}

/// The router of a simulated API.
pub(super) fn router<D: Desk>(desk: D) -> Router {
    Router::new().fallback(any(handle::<D>)).with_state(desk)
}

async fn handle<D: Desk>(
    State(desk): State<D>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().trim_start_matches('/').split('/');
    let path = path.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let call = Call { method, path, query, headers, body };
    let fate = desk.faults().draw(D::operation(&call));
    meet(fate, || render::<D>(desk.answer(&call)), || render::<D>(D::too_fast())).await
}

fn render<D: Desk>((status, body): Answer) -> Response<Body> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, D::MEDIA_TYPE);
    response.body(Body::from(text)).expect("the statuses here are valid")
}

/// Whether a text could be an address.
pub(super) fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}
