//! Spans: one a station of the straight line.
//!
//! ```text
//! POST /webhooks/gigya/{connection}     the request (server)
//!   verify                              may ask for keys
//!   parse
//!   subscriber                          one an account or notice, with its pseudonym
//!     read the account
//!     forward                           one a route and round, with its outcome
//!       gigya/main getAccountInfo       one an attempt (client), below whichever station made it
//! ```
//!
//! A span never holds an address, a UID, a URL, a token or a body. Their target is theirs alone, which only the exporter's
//! layer takes: while there is none, no span is made, and a station costs a look at a flag. `context` is how a trace
//! comes in and goes on; `export` sends spans to the collector.

mod context;
mod export;

pub use context::{pass_on, taken_in};
pub use export::Exporting;

use super::Pseudonym;
use crate::domain::{Outcome, Reason};
use http::{HeaderMap, Method, StatusCode, Uri};
use opentelemetry::trace::Status;
use tracing::{Metadata, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of every span that is exported.
pub const TARGET: &str = "gigya_esp_gateway::trace";
/// Of a body with more events than this, the first ones get spans of their own: a large one must not crowd out what
/// else is worth a look.
pub const MOST_EVENTS: usize = 100;

/// Whether a span is one of these.
pub(super) fn is_traced(span: &Metadata<'_>) -> bool {
    span.is_span() && span.target() == TARGET
}

/// A request's span, begun here or where its `traceparent` says. `route` is the path's pattern, as the path itself may
/// end in a token.
pub fn request(method: &Method, route: &str, request_id: &str, headers: &HeaderMap) -> Span {
    let method = known(method);
    let span = info_span!(
        target: TARGET,
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        gateway.request_id = request_id,
    );
    if !span.is_disabled()
        && let Some(parent) = taken_in(headers)
    {
        // Fails only for a span that was begun already.
        let _ = span.set_parent(parent);
    }
    span
}

/// A method by its name, and what is none that we know by the word that is for it: it may be any text.
fn known(method: &Method) -> &str {
    let standard = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    if standard.contains(method) { method.as_str() } else { "_OTHER" }
}

/// What a request was answered.
pub fn answered(span: &Span, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        failed(span, status.as_str().to_owned());
    }
}

/// A station by its name.
pub fn station(name: &'static str) -> Span {
    info_span!(target: TARGET, "station", otel.name = name)
}

/// Whatever is done for one person: for the event with this index in its body.
pub fn subscriber(index: usize) -> Span {
    if index < MOST_EVENTS { station("subscriber") } else { Span::none() }
}

/// Who it is.
pub fn is_about(span: &Span, pseudonym: &Pseudonym) {
    if !span.is_disabled() {
        span.set_attribute("gateway.subscriber", pseudonym.to_string());
    }
}

/// One person's way along one route, by its label.
pub fn forward(route: &str) -> Span {
    info_span!(target: TARGET, "station", otel.name = "forward", gateway.route = route)
}

/// What became of it.
pub fn settled(span: &Span, outcome: Outcome) {
    if span.is_disabled() {
        return;
    }
    span.set_attribute("gateway.outcome", outcome.label());
    let reason = outcome.reason().map(Reason::label);
    if let Some(reason) = reason {
        span.set_attribute("gateway.reason", reason);
    }
    if !outcome.is_settled() {
        failed(span, reason.unwrap_or("deferred").to_owned());
    }
}

/// One attempt to call another system.
pub fn attempt(system: &str, operation: &'static str, attempt: u32, method: &Method, uri: &Uri) -> Span {
    info_span!(
        target: TARGET,
        "attempt",
        otel.name = %format_args!("{system} {operation}"),
        otel.kind = "client",
        http.request.method = method.as_str(),
        server.address = uri.host(),
        server.port = uri.port_u16(),
        gateway.system = system,
        gateway.operation = operation,
        gateway.attempt = attempt,
    )
}

/// How an attempt ended: the answer's status, if there was an answer, and the result as metrics name it.
pub fn attempted(span: &Span, status: Option<StatusCode>, result: &'static str) {
    if span.is_disabled() {
        return;
    }
    if let Some(status) = status {
        span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    }
    span.set_attribute("gateway.result", result);
    if result != "ok" {
        let is_error = |status: &StatusCode| status.is_client_error() || status.is_server_error();
        failed(span, status.filter(is_error).map_or_else(|| result.to_owned(), |status| status.as_str().to_owned()));
    }
}

fn failed(span: &Span, kind: String) {
    span.set_attribute("error.type", kind);
    span.set_status(Status::error(""));
}

#[cfg(test)]
mod tests;
