//! How a request gets to the other side: one small seam, so that tests can put anything behind it.

mod connection;
mod kept;
mod place;
mod straight;
mod winding;

use crate::in_place::boxed;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use std::env;
use std::error::Error;
use std::time::Duration;
use straight::Straight;
use winding::Winding;

/// The largest answer read, in bytes. A search page of Gigya or Campaign Monitor stays far below.
const MAX_ANSWER: usize = 32 << 20;
/// How long may pass until a connection is there, TLS and all.
const TO_CONNECT: Duration = Duration::from_secs(3);
/// How long a connection is kept that nobody uses.
const KEPT_IDLE: Duration = Duration::from_mins(1);
/// What the gateway calls itself.
const USER_AGENT: &str = concat!("gigya-esp-gateway/", env!("CARGO_PKG_VERSION"));
/// Where the environment names a proxy.
const PROXY: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Sends one request and returns its whole answer, whatever its status.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, waiting at most `timeout` for the whole answer.
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError>;
}

/// Why no answer came. Says nothing of what was sent: a URL may hold an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection: name not found, refused, TLS not agreed, closed before anything was said. Nothing was sent.
    #[error("no connection: {0}")]
    NotConnected(String),
    /// No answer in time. The request may have taken effect.
    #[error("timed out")]
    TimedOut,
    /// The other side says that it didn't take the request up, or took up none any more before this one was sent: it may be sent again at once.
    #[error("not taken up")]
    NotTakenUp,
    /// The connection broke. The request may have taken effect.
    #[error("connection broke")]
    Broken,
    /// The answer is larger than any answer should be.
    #[error("answer too large")]
    TooLarge,
}

impl TransportError {
    /// The kind of failure, as a label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotConnected(_) => "not_connected",
            Self::TimedOut => "timed_out",
            Self::NotTakenUp => "not_taken_up",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
        }
    }
}

/// The real network: pooled connections, TLS by the platform's trust store, no redirects.
#[derive(Clone, Debug)]
pub struct HttpTransport(Way);

#[derive(Clone, Debug)]
enum Way {
    Straight(Box<Straight>),
    Winding(Winding),
}

/// The TLS set-up of this machine can't be used, for want of CA certificates for example.
#[derive(Debug, thiserror::Error)]
#[error("TLS can't be set up: {0}; install this machine's CA certificates (package ca-certificates)")]
pub struct NoTls(String);

impl HttpTransport {
    /// A client for all upstreams. Answers come as they are: those that a webhook waits for are small, and to inflate them takes
    /// longer than to receive them. Calls go straight, unless the environment names a proxy.
    ///
    /// # Errors
    /// No TLS.
    pub fn new() -> Result<Self, NoTls> {
        if PROXY.into_iter().any(|name| env::var_os(name).is_some_and(|proxy| !proxy.is_empty())) {
            return Winding::new(false).map(Way::Winding).map(Self);
        }
        Straight::new().map(Box::new).map(Way::Straight).map(Self)
    }

    /// The same for large answers, which may come compressed.
    ///
    /// # Errors
    /// No TLS.
    pub fn for_large_answers() -> Result<Self, NoTls> {
        Winding::new(true).map(Way::Winding).map(Self)
    }
}

impl Transport for HttpTransport {
    // As `async_trait` would write it, but with one future in the box instead of one that holds either.
    fn send<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> BoxFuture<'b, Result<Response<Bytes>, TransportError>>
    where
        'a: 'b,
        Self: 'b,
    {
        match &self.0 {
            Way::Straight(client) => boxed(|| client.send(request, timeout)),
            Way::Winding(client) => boxed(|| client.send(request, timeout)),
        }
    }
}

/// No connection came about. Nothing was sent yet, so the innermost cause (DNS, TCP, TLS, how it was closed) speaks of the host only.
fn not_connected(error: &dyn Error) -> TransportError {
    TransportError::NotConnected(innermost(error))
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
