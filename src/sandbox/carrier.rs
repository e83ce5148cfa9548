//! What takes a request to whom it is for: the network, or a test's own.

use super::delivery::Sealed;
use async_trait::async_trait;
use http::HeaderMap;
use serde_json::Value;
use std::time::Duration;

/// Takes one request to a URL and brings the answer back.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// The answer; none if there was none within `patience`.
    async fn carry(&self, url: &str, sealed: &Sealed, patience: Duration) -> Option<Answer>;
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; none if the connection broke before its end.
    pub body: Option<String>,
}

/// The network. A redirection is an answer, not something to follow: at Marketing Cloud it counts as a failure (vendor
/// page "ENS retries and suspensions"), and whether others follow isn't documented.
#[derive(Clone, Debug)]
pub struct Post(reqwest::Client);

impl Default for Post {
    fn default() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self(client.expect("a client without special wishes can be built"))
    }
}

#[async_trait]
impl Carrier for Post {
    async fn carry(&self, url: &str, sealed: &Sealed, patience: Duration) -> Option<Answer> {
        let mut request = self.0.post(url).timeout(patience).body(sealed.body.clone());
        for (name, value) in &sealed.headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer { status, headers, body: response.text().await.ok() })
    }
}

/// One copy of a webhook event on its way: it begins to be, and is answered 2xx or given up.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Who sends it.
    pub sender: &'static str,
    /// Which copy, of this sender's.
    pub copy: u64,
    /// The event.
    pub event: &'a Value,
    /// What happened to the copy.
    pub what: Happened,
}

/// What happened to a copy of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It waits to be sent.
    Fired,
    /// It was answered 2xx.
    Taken,
    /// It is never sent again.
    GivenUp,
}
