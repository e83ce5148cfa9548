//! Signatures as Standard Webhooks have them (standardwebhooks.com, `spec/standard-webhooks.md`): `webhook-signature` has
//! one or more of `v1,` and the base64 of HMAC-SHA256 over id, time and body, joined by dots; the key is base64, after
//! `whsec_`.

use super::signed::hmac_sha256;
use super::{Shown, is_fresh, only};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use subtle::{Choice, ConstantTimeEq};

/// Checks every signature against every secret.
pub fn check(tolerance: Duration, secrets: &[SecretString], shown: &Shown<'_>) -> Result<(), &'static str> {
    let header = |name| only(shown.headers, &HeaderName::from_static(name));
    let id = header("webhook-id").ok_or("id_missing")?;
    let time = header("webhook-timestamp").ok_or("timestamp_missing")?;
    let stated = header("webhook-signature").ok_or("signature_missing")?;
    if !is_fresh(time, tolerance, shown.now) {
        return Err("timestamp_out_of_range");
    }
    let stated = stated.split(' ').filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok());
    let stated: Vec<_> = stated.collect();
    let message = [id.as_bytes(), b".", time.as_bytes(), b".", shown.body].concat();
    let fits = secrets.iter().filter_map(key).fold(Choice::from(0), |fits, key| {
        let made = hmac_sha256(&key, &message);
        stated.iter().fold(fits, |fits, stated| fits | made.as_slice().ct_eq(stated))
    });
    if fits.into() { Ok(()) } else { Err("signature_wrong") }
}

fn key(secret: &SecretString) -> Option<Vec<u8>> {
    let text = secret.expose_secret();
    BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use jiff::Timestamp;

    // The example of the Standard Webhooks libraries' tests.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const MADE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn said(id: &str, signature: &str, body: &[u8], now: i64, secret: &str) -> Result<(), &'static str> {
        let headers = [("webhook-id", id), ("webhook-timestamp", TIME), ("webhook-signature", signature)];
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        let now = Timestamp::from_second(now).unwrap();
        let shown = Shown { token: None, headers: &headers, body, now };
        check(Duration::from_mins(5), &[SecretString::from(secret)], &shown)
    }

    #[test]
    fn the_specification_s_own_example_fits() {
        assert_eq!(said(ID, MADE, BODY, 1_614_265_330, SECRET), Ok(()));
        assert_eq!(said(ID, &format!("v1,AAAA v2,x {MADE}"), BODY, 1_614_265_330, SECRET), Ok(()));
    }

    #[test]
    fn nothing_else_does() {
        let now = 1_614_265_330;
        assert_eq!(said("msg_other", MADE, BODY, now, SECRET), Err("signature_wrong"));
        assert_eq!(said(ID, MADE, b"{}", now, SECRET), Err("signature_wrong"));
        assert_eq!(said(ID, MADE, BODY, now, "whsec_AAAA"), Err("signature_wrong"));
        assert_eq!(said(ID, &MADE[3..], BODY, now, SECRET), Err("signature_wrong"));
        assert_eq!(said(ID, MADE, BODY, now + 301, SECRET), Err("timestamp_out_of_range"));
    }
}
