//! The outside systems: they answer with what the input holds, one part after the other, and then not at all.

use async_trait::async_trait;
use bytes::Bytes;
use gigya_esp_gateway::upstream::{Transport, TransportError};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What stands between two parts of an input.
const BETWEEN: &[u8] = b"\n----\n";

/// The parts of an input.
pub fn parts(mut input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = input.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        parts.push(&input[..at]);
        input = &input[at + BETWEEN.len()..];
    }
    parts.push(input);
    parts
}

/// The first line, the headers and what comes after an empty line. Lines that aren't headers are left out.
pub fn split_head(part: &[u8]) -> (&[u8], Vec<(HeaderName, HeaderValue)>, &[u8]) {
    let (mut first, mut headers, mut rest) = (None, Vec::new(), part);
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[][..], |end| &rest[end + 1..]);
        if first.is_none() {
            first = Some(line);
        } else if line.is_empty() {
            break;
        } else if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
            headers.extend(name.ok().zip(value.ok()));
        }
    }
    (first.unwrap_or_default(), headers, rest)
}

/// A body that is JSON.
pub fn json_of(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: http::Method,
    pub uri: String,
    pub body: Bytes,
}

/// Answers to whatever is asked.
#[derive(Debug, Default)]
pub struct Answers {
    queue: Mutex<VecDeque<Result<Response<Bytes>, TransportError>>>,
    fixed: Vec<(&'static str, Bytes)>,
    asked: Mutex<Vec<Request>>,
}

impl Answers {
    /// Answers with these parts, in their order. A token of Marketing Cloud can always be had.
    pub fn new(parts: &[&[u8]]) -> Self {
        Self { queue: Mutex::new(parts.iter().map(|part| answer(part)).collect()), ..Self::default() }
            .fixed("/v2/token", r#"{"access_token":"token","expires_in":1080}"#)
    }

    /// Answers a path with the same thing always.
    #[must_use]
    pub fn fixed(mut self, path: &'static str, body: impl Into<Bytes>) -> Self {
        self.fixed.push((path, body.into()));
        self
    }

    /// Answers every path with a part.
    #[must_use]
    pub fn nothing_fixed(mut self) -> Self {
        self.fixed.clear();
        self
    }

    /// Adds an answer after those that there are.
    pub fn then(&self, body: impl Into<Bytes>) {
        self.queue.lock().expect("nobody panics").push_back(Ok(Response::new(body.into())));
    }

    /// What was asked so far, except for what has a fixed answer.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("nobody panics").clone()
    }

    /// As the gateway takes it.
    pub fn transport(self: &Arc<Self>) -> Arc<dyn Transport> {
        Arc::<Self>::clone(self)
    }
}

#[async_trait]
impl Transport for Answers {
    async fn send(&self, request: http::Request<Bytes>, _: Duration) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path();
        if let Some((_, body)) = self.fixed.iter().find(|(fixed, _)| path.ends_with(fixed)) {
            return Ok(Response::new(body.clone()));
        }
        let uri = request.uri().to_string();
        let method = request.method().clone();
        self.asked.lock().expect("nobody panics").push(Request { method, uri, body: request.into_body() });
        self.queue.lock().expect("nobody panics").pop_front().unwrap_or(Err(TransportError::Broken))
    }
}

/// What its first line says, if it is a status.
fn status_of(part: &[u8]) -> Option<StatusCode> {
    let text = std::str::from_utf8(split_head(part).0).ok()?;
    StatusCode::from_u16(text.trim().parse().ok()?).ok()
}

/// Whether a part answers that it was done.
pub fn is_success(part: &[u8]) -> bool {
    status_of(part).is_some_and(|status| status.is_success())
}

fn answer(part: &[u8]) -> Result<Response<Bytes>, TransportError> {
    let (_, headers, body) = split_head(part);
    let status = status_of(part).ok_or(TransportError::Broken)?;
    let mut answer = Response::new(Bytes::copy_from_slice(body));
    *answer.status_mut() = status;
    answer.headers_mut().extend(headers);
    Ok(answer)
}
