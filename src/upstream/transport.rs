//! How a request gets to the other side: one small seam, so that tests can put anything behind it.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use std::error::Error;
use std::time::Duration;

/// The largest answer read, in bytes. A search page of Gigya or Campaign Monitor stays far below.
const MAX_ANSWER: usize = 32 << 20;

/// Sends one request and returns its whole answer, whatever its status.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, waiting at most `timeout` for the whole answer.
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError>;
}

/// Why no answer came. Says nothing of what was sent: a URL may hold an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection: name not found, refused, TLS not agreed. Nothing was sent.
    #[error("no connection: {0}")]
    NotConnected(String),
    /// No answer in time. The request may have taken effect.
    #[error("timed out")]
    TimedOut,
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
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
        }
    }
}

/// The real network: pooled connections, TLS by the platform's trust store, no redirects.
#[derive(Clone, Debug)]
pub struct HttpTransport(reqwest::Client);

impl HttpTransport {
    /// A client for all upstreams.
    ///
    /// # Errors
    /// The TLS set-up of this machine can't be used, for want of CA certificates for example.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_nodelay(true)
            .user_agent(concat!("gigya-esp-gateway/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        let mut request = reqwest::Request::try_from(request).map_err(|_| TransportError::Broken)?;
        *request.timeout_mut() = Some(timeout);
        let mut answer = self.0.execute(request).await.map_err(sorted)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(sorted)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

fn sorted(error: reqwest::Error) -> TransportError {
    if error.is_connect() {
        // Nothing was sent yet, so the innermost cause (DNS, TCP, TLS) speaks of the host only.
        let error = error.without_url();
        let mut cause: &dyn Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        TransportError::NotConnected(cause.to_string())
    } else if error.is_timeout() {
        TransportError::TimedOut
    } else {
        TransportError::Broken
    }
}
