//! Calls by reqwest, which knows what the straight way doesn't: proxies and compressed answers.

use super::{KEPT_IDLE, MAX_ANSWER, NoTls, TO_CONNECT, TransportError, USER_AGENT, innermost, not_connected};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use std::time::Duration;
use url::Url;

/// A client that goes where the environment's proxies lead.
#[derive(Clone, Debug)]
pub(super) struct Winding(reqwest::Client);

impl Winding {
    pub(super) fn new(gzip: bool) -> Result<Self, NoTls> {
        let client = reqwest::Client::builder()
            .gzip(gzip)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(TO_CONNECT)
            .pool_idle_timeout(KEPT_IDLE)
            .tcp_nodelay(true)
            .user_agent(USER_AGENT)
            .build();
        client.map(Self).map_err(|error| NoTls(innermost(&error)))
    }

    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let (head, body) = request.into_parts();
        let url = Url::parse(&head.uri.to_string()).map_err(|_| TransportError::Broken)?;
        let mut request = reqwest::Request::new(head.method, url);
        *request.headers_mut() = head.headers;
        *request.body_mut() = Some(body.into());
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

// What wasn't taken up, reqwest sends again itself.
fn sorted(error: reqwest::Error) -> TransportError {
    if error.is_connect() {
        not_connected(&error.without_url())
    } else if error.is_timeout() {
        TransportError::TimedOut
    } else {
        TransportError::Broken
    }
}
