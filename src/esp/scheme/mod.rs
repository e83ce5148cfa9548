//! How callbacks are verified, by schemes that several senders share. Always over the body as it was received, in constant
//! time, against every secret, so that none shows by the time taken which one fits.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `token` | a secret that is sent along: at the end of a URL, in a header |
//! | `signed` | a signature in a header, over what the description says: HMAC, ECDSA |
//! | `standard_webhooks` | signatures as Standard Webhooks have them |
//!
//! The label of what is wrong is for the log; the sender hears the same in every case.

mod signed;
mod standard_webhooks;
pub mod token;

use crate::config::http::Verification;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use std::time::Duration;

/// What there is of a callback to verify it by.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The token at its URL's end.
    pub token: Option<&'a SecretString>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// When it is looked at.
    pub now: Timestamp,
}

/// Whether a callback is the sender's, by the connection's own scheme and no other.
pub fn verify(verification: &Verification, secrets: &[SecretString], shown: &Shown<'_>) -> Result<(), &'static str> {
    match verification {
        Verification::UrlToken => token::in_url(shown.token, secrets),
        Verification::Bearer { header, prefix } => token::in_header(shown.headers, header, prefix, secrets),
        Verification::Basic => token::basic(shown.headers, secrets),
        Verification::Hmac { sha1, signature, secret_is } => signed::hmac(*sha1, signature, *secret_is, secrets, shown),
        Verification::Ecdsa { signature } => signed::ecdsa(signature, secrets, shown),
        Verification::StandardWebhooks { tolerance } => standard_webhooks::check(*tolerance, secrets, shown),
    }
}

/// The one value of a header; not one of two, of which the other may be somebody else's.
fn only<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

/// Whether a time is as near as it must be. One that can't be read is: it is signed, and a replay only makes the gateway
/// look again.
fn is_fresh(text: &str, tolerance: Duration, now: Timestamp) -> bool {
    let Some(at) = instant(text) else { return true };
    let tolerance = SignedDuration::try_from(tolerance).unwrap_or(SignedDuration::MAX);
    now.duration_since(at).abs() <= tolerance
}

/// Seconds or milliseconds since 1970, RFC 3339, or as HTTP has dates.
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        let is_millis = number.unsigned_abs() > 100_000_000_000;
        return if is_millis { Timestamp::from_millisecond(number) } else { Timestamp::from_second(number) }.ok();
    }
    text.parse().ok().or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_however_they_are_written() {
        let expected = Timestamp::from_second(1_784_196_000).ok();
        for text in ["1784196000", "1784196000000", "2026-07-16T10:00:00Z", "Thu, 16 Jul 2026 10:00:00 GMT"] {
            assert_eq!(instant(text), expected, "{text}");
        }
        assert_eq!(instant("soon"), None);
    }

    #[test]
    fn what_is_too_old_or_too_far_ahead_is_not_fresh() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let hour = Duration::from_hours(1);
        for (text, fresh) in [("1000000", true), ("996400", true), ("996399", false), ("1003601", false), ("x", true)] {
            assert_eq!(is_fresh(text, hour, now), fresh, "{text}");
        }
    }
}
