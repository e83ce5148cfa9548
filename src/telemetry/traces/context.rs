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
    ((1..=LONGEST_TRACESTATE).contains(&state.len()) && state.split(',').all(is_member)).then_some(state)
}

/// `key=value`, or nothing. What may stand in a value is left to the library.
fn is_member(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let is_key = |key: &str| {
        let may_be_in_it = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        !key.is_empty() && key.bytes().all(may_be_in_it)
    };
    text.is_empty() || text.split_once('=').is_some_and(|(key, _)| is_key(key))
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

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_parent_is_taken_in() {
        let context = taken_in(&headers(&[(TRACEPARENT, RIGHT), (TRACESTATE, "a=1"), (TRACESTATE, "b=2")])).unwrap();
        let span = context.span();
        let taken = span.span_context();
        assert_eq!(taken.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(taken.span_id().to_string(), "00f067aa0ba902b7");
        assert!(taken.is_sampled() && taken.is_remote());
        assert_eq!(taken.trace_state().header(), "a=1,b=2");
    }

    #[test]
    fn an_odd_one_is_not() {
        assert!(taken_in(&HeaderMap::new()).is_none());
        for odd in [
            "",
            "x",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
        ] {
            assert!(taken_in(&headers(&[(TRACEPARENT, odd)])).is_none(), "{odd:?}");
        }
        assert!(taken_in(&headers(&[(TRACEPARENT, RIGHT), (TRACEPARENT, RIGHT)])).is_none());
    }

    #[test]
    fn a_state_that_is_too_long_or_none_is_left_out() {
        for odd in ["no list", "=", "=1", "A=1", "a b=1", &format!("a={}", "x".repeat(LONGEST_TRACESTATE))] {
            let context = taken_in(&headers(&[(TRACEPARENT, RIGHT), (TRACESTATE, odd)])).unwrap();
            assert_eq!(context.span().span_context().trace_state().header(), "", "{odd:?}");
        }
    }
}
