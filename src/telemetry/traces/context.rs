//! How a trace comes in and goes on: W3C Trace Context, level 1 (`traceparent`, `tracestate`).
//!
//! Whoever can reach the webhook port can send these. What is too long or isn't shaped as the standard says is as good as
//! not there, and what is passed on is what was parsed, never the bytes.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// `00-` and 32, 16 and 2 digits.
const TRACEPARENT_LENGTH: usize = 55;
/// The longest `tracestate` taken over: what the standard asks everybody to pass on.
const LONGEST_TRACESTATE: usize = 512;

/// The trace that a request's headers say it belongs to, if they say so properly.
pub fn taken_in(headers: &HeaderMap) -> Option<Context> {
    let incoming = Incoming { parent: parent(headers)?, state: state(headers) };
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &incoming);
    context.span().span_context().is_valid().then_some(context)
}

/// Adds a span's own context to what is sent on its behalf, whether it is sampled or not. Without a span, nothing.
pub fn pass_on(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut Outgoing(headers));
    }
}

/// The one `traceparent`, of the one version that there is. (A later one would have to be readable as this one, too; until
/// there is one, it would be somebody's mistake.)
fn parent(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let only = all.next().filter(|_| all.next().is_none())?.to_str().ok()?;
    let is_right = |(at, byte): (usize, u8)| match at {
        0 | 1 => byte == b'0',
        2 | 35 | 52 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    (only.len() == TRACEPARENT_LENGTH && only.bytes().enumerate().all(is_right)).then_some(only)
}

/// All `tracestate` lines as one.
fn state(headers: &HeaderMap) -> Option<String> {
    let lines: Option<Vec<&str>> = headers.get_all(TRACESTATE).iter().map(|line| line.to_str().ok()).collect();
    let state = lines?.join(",");
    (1..=LONGEST_TRACESTATE).contains(&state.len()).then_some(state)
}

struct Incoming<'a> {
    parent: &'a str,
    state: Option<String>,
}

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => Some(self.parent),
            TRACESTATE => self.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = match key {
            TRACEPARENT => TRACEPARENT,
            TRACESTATE => TRACESTATE,
            _ => return,
        };
        if let Some(value) = value.try_into().ok().filter(|value: &http::HeaderValue| !value.is_empty()) {
            self.0.insert(name, value);
        }
    }
}
