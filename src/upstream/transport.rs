//! How a request gets to the other side: one small seam, so that tests can put anything behind it.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response, Uri};
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use url::Url;

/// The largest answer read, in bytes. A search page of Gigya or Campaign Monitor stays far below.
const MAX_ANSWER: usize = 32 << 20;
/// As many addresses as are remembered parsed. Some paths have somebody's key in them, so that there is no end to them.
const MOST_URLS: usize = 64;

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
pub struct HttpTransport {
    client: reqwest::Client,
    /// Addresses without their queries, as they were parsed: there are few, and parsing one takes longer than all else that is
    /// done with it.
    urls: Arc<RwLock<HashMap<String, Url>>>,
}

impl HttpTransport {
    /// A client for all upstreams. Answers come as they are: those that a webhook waits for are small, and to inflate them takes
    /// longer than to receive them.
    ///
    /// # Errors
    /// The TLS set-up of this machine can't be used, for want of CA certificates for example.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::with(false)
    }

    /// The same for large answers, which may come compressed.
    ///
    /// # Errors
    /// As [`HttpTransport::new`].
    pub fn for_large_answers() -> Result<Self, reqwest::Error> {
        Self::with(true)
    }

    fn with(gzip: bool) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .gzip(gzip)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_nodelay(true)
            .user_agent(concat!("gigya-esp-gateway/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, urls: Arc::default() })
    }

    fn url(&self, uri: &Uri) -> Option<Url> {
        let text = uri.to_string();
        let query = uri.query();
        let place = query.map_or(text.as_str(), |query| &text[..text.len() - query.len() - 1]);
        let known = self.urls.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned();
        let mut url = match known {
            Some(url) => url,
            None => {
                let url = Url::parse(place).ok()?;
                let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
                if urls.len() >= MOST_URLS {
                    urls.clear();
                }
                urls.insert(place.to_owned(), url.clone());
                url
            }
        };
        url.set_query(query);
        Some(url)
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        let (head, body) = request.into_parts();
        let url = self.url(&head.uri).ok_or(TransportError::Broken)?;
        let mut request = reqwest::Request::new(head.method, url);
        *request.headers_mut() = head.headers;
        *request.body_mut() = Some(body.into());
        *request.timeout_mut() = Some(timeout);
        let mut answer = self.client.execute(request).await.map_err(sorted)?;
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
