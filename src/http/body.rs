//! A request's body: whole, small enough, in time, as it was sent.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use std::error::Error;
use std::time::Duration;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than allowed, or says that it will be.
    TooLarge,
    /// It didn't arrive in time.
    TooSlow,
    /// It ended early or was framed wrongly.
    Broken,
}

/// Reads a body of at most `limit` bytes within `time` in total.
pub(super) async fn read<B>(body: B, limit: usize, time: Duration) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Refused before a byte of it is read; a client that sent `expect: 100-continue` never sends it.
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge);
    }
    match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
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
