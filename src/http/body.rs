//! A request as the intake wants it: where it goes, its headers, and its body whole and as it was sent.

use super::answer::Problem;
use super::layers::{endpoint, request_id};
use crate::forward::{Endpoint, Inbound};
use axum::RequestPartsExt;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Path, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;
use secrecy::SecretString;
use serde::Deserialize;
use std::error::Error;
use tokio::time::Instant;
use tower_http::timeout::TimeoutError;

impl<S: Sync> FromRequest<S> for Inbound {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let received = Instant::now();
        let (mut head, body) = request.into_parts();
        let endpoint = address(&mut head).await.map_err(IntoResponse::into_response)?;
        if !is_plain(&head.headers) {
            return Err(Problem::Encoded.into_response());
        }
        let body = to_bytes(body, usize::MAX).await.map_err(|error| refusal(&error))?; // `layers` limits it
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

/// What to say to a body that can't be read to its end.
fn refusal(error: &axum::Error) -> Response {
    if caused_by::<LengthLimitError>(error) {
        StatusCode::PAYLOAD_TOO_LARGE.into_response() // `layers` knows the limit, and says it
    } else if caused_by::<TimeoutError>(error) {
        Problem::TooSlow.into_response()
    } else {
        Problem::Truncated.into_response()
    }
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
