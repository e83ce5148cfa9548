//! A request as the intake wants it: where it goes, its headers, and its body whole and as it was sent.

use super::answer::Problem;
use super::layers::{endpoint, request_id};
use super::router::Webhooks;
use crate::forward::{Endpoint, Inbound};
use axum::RequestPartsExt;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{FromRequest, Path, Request};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http_body_util::LengthLimitError;
use secrecy::SecretString;
use serde::Deserialize;
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes that it may have.
    pub(super) size: usize,
    /// How long it may take to arrive.
    pub(super) time: Duration,
}

impl Bounds {
    async fn read(self, body: Body) -> Result<Bytes, Problem> {
        match timeout(self.time, to_bytes(body, self.size)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) if caused_by::<LengthLimitError>(&error) => Err(Problem::TooLarge(self.size)),
            Ok(Err(_)) => Err(Problem::Truncated),
            Err(_) => Err(Problem::TooSlow),
        }
    }
}

impl FromRequest<Webhooks> for Inbound {
    type Rejection = Problem;

    async fn from_request(request: Request, port: &Webhooks) -> Result<Self, Problem> {
        let received = Instant::now();
        let (mut head, body) = request.into_parts();
        // One that says so itself isn't begun to be read.
        if body.size_hint().lower() > port.bounds.size as u64 {
            return Err(Problem::TooLarge(port.bounds.size));
        }
        let endpoint = address(&mut head).await?;
        if !is_plain(&head.headers) {
            return Err(Problem::Encoded);
        }
        let body = port.bounds.read(body).await?;
        Ok(Self { endpoint, headers: head.headers, body, received, request_id: request_id(&head.extensions) })
    }
}

/// What a path says besides the sender.
#[derive(Deserialize)]
struct Segments {
    connection: String,
    token: Option<String>,
}

/// Where a request was sent to.
async fn address(head: &mut Parts) -> Result<Endpoint, Problem> {
    let Path(Segments { connection, token }) = head.extract().await.map_err(|_| Problem::NotFound)?; // not UTF-8
    Ok(match endpoint(&head.extensions) {
        "gigya" => Endpoint::Gigya { connection },
        provider => Endpoint::Esp { provider: provider.to_owned(), connection, token: token.map(SecretString::from) },
    })
}

fn caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<E>() || error.source().is_some_and(caused_by::<E>)
}

/// Whether the body is as it was signed. Nothing is ever decompressed here: that would break signatures over raw
/// bytes and let a small body become a large one.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().all(|value| {
        value
            .to_str()
            .is_ok_and(|codings| codings.split(',').all(|coding| coding.trim().eq_ignore_ascii_case("identity")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_identity_is_plain() {
        let mut headers = HeaderMap::new();
        assert!(is_plain(&headers));
        for plain in ["identity", "Identity", "identity, identity"] {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(plain));
            assert!(is_plain(&headers), "{plain}");
        }
        for coded in ["gzip", "br", "identity, gzip", "aes128gcm", ""] {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coded));
            assert!(!is_plain(&headers), "{coded}");
        }
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_plain(&headers));
    }
}
