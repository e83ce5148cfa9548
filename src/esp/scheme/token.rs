//! A secret that is sent along: what systems do that can't sign. It is as good as a password, as long as it stays out of
//! logs.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Whether `stated` is one of the tokens. Compares digests, so that neither content nor length shows in the
/// time taken, and all of them, so that it doesn't show which one fits.
pub fn is_valid(stated: &SecretString, tokens: &[SecretString]) -> bool {
    let stated = Sha256::digest(stated.expose_secret());
    let fits =
        tokens.iter().fold(Choice::from(0), |fits, token| fits | Sha256::digest(token.expose_secret()).ct_eq(&stated));
    fits.into()
}

/// By the token at the URL's end.
pub fn in_url(stated: Option<&SecretString>, tokens: &[SecretString]) -> Result<(), &'static str> {
    let stated = stated.ok_or("token_missing")?;
    if is_valid(stated, tokens) { Ok(()) } else { Err("token_wrong") }
}

/// By the token in a header, after a prefix; that one in whatever case, as `Bearer` is.
pub fn in_header(
    headers: &HeaderMap,
    header: &HeaderName,
    prefix: &str,
    tokens: &[SecretString],
) -> Result<(), &'static str> {
    let stated = super::only(headers, header).ok_or("token_missing")?;
    let (before, token) = stated.split_at_checked(prefix.len()).ok_or("token_wrong")?;
    if !before.eq_ignore_ascii_case(prefix) {
        return Err("token_wrong");
    }
    in_url(Some(&SecretString::from(token)), tokens)
}

/// By user and password.
pub fn basic(headers: &HeaderMap, pairs: &[SecretString]) -> Result<(), &'static str> {
    let stated = super::only(headers, &header::AUTHORIZATION).ok_or("token_missing")?;
    let (scheme, pair) = stated.split_once(' ').ok_or("token_wrong")?;
    let pair = BASE64_STANDARD.decode(pair.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
    match pair.filter(|_| scheme.eq_ignore_ascii_case("basic")) {
        Some(pair) => in_url(Some(&SecretString::from(pair)), pairs),
        None => Err("token_wrong"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Vec<SecretString> {
        vec!["old-token".into(), "new-token".into()]
    }

    #[test]
    fn any_of_the_tokens_fits_and_nothing_else() {
        for (stated, fits) in
            [("old-token", true), ("new-token", true), ("", false), ("old-toke", false), ("old-token2", false)]
        {
            assert_eq!(is_valid(&stated.into(), &tokens()), fits, "{stated}");
        }
        assert_eq!(in_url(None, &tokens()), Err("token_missing"));
    }

    #[test]
    fn a_header_has_its_prefix_and_is_there_once() {
        let said = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            in_header(&headers, &header::AUTHORIZATION, "Bearer ", &tokens()).is_ok()
        };
        assert!(said("Bearer old-token") && said("bearer new-token"));
        assert!(!said("old-token") && !said("Bearer  old-token") && !said("Bear"));
        let mut twice = HeaderMap::new();
        twice.append("x-token", "old-token".parse().unwrap());
        twice.append("x-token", "old-token".parse().unwrap());
        assert!(in_header(&twice, &HeaderName::from_static("x-token"), "", &tokens()).is_err());
    }

    #[test]
    fn user_and_password_are_one_secret() {
        let said = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            basic(&headers, &["gateway:secret".into()]).is_ok()
        };
        assert!(said("Basic Z2F0ZXdheTpzZWNyZXQ=") && said("basic Z2F0ZXdheTpzZWNyZXQ="));
        assert!(!said("Basic Z2F0ZXdheTpzZWNyZQ==") && !said("Bearer Z2F0ZXdheTpzZWNyZXQ=") && !said("Basic !"));
    }
}
