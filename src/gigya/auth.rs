//! How a call to Gigya proves who makes it: secret in the form, signed, or bearer token.
//!
//! Source: SAP, "REST APIs with the Gigya Authorization Method" and "Application Keys"; the signature's base
//! string as in SAP's Java SDK.

use crate::config::GigyaAuth;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Serialize;
use sha1::Sha1;
use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, Ordering};
use uuid::Uuid;

/// A set of form parameters, in the order in which they were added.
pub type Form<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// Proves who makes a call, in the configured way.
pub struct Authenticator {
    user_key: String,
    method: Method,
    /// Seconds to add to this machine's clock to get Gigya's.
    clock_offset: AtomicI64,
}

enum Method {
    Secret(SecretString),
    Signed(SecretSlice<u8>),
    Bearer(EncodingKey),
}

/// Why credentials can't be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCredentials {
    /// The secret isn't base64.
    #[error("the secret is not base64; copy it again from the console")]
    Secret,
    /// The private key isn't one.
    #[error(
        "the private key is not an RSA key in PEM (PKCS#1 \"BEGIN RSA PRIVATE KEY\" or PKCS#8 \"BEGIN PRIVATE KEY\")"
    )]
    PrivateKey,
}

#[derive(Serialize)]
struct BearerClaims {
    iat: i64,
    jti: String,
}

impl Authenticator {
    /// Takes what was configured.
    pub fn new(auth: &GigyaAuth) -> Result<Self, BadCredentials> {
        let (user_key, method) = match auth {
            GigyaAuth::Secret { user_key, secret } => (user_key, Method::Secret(secret.clone())),
            GigyaAuth::Signed { user_key, secret } => {
                let key = BASE64_STANDARD.decode(secret.expose_secret()).map_err(|_| BadCredentials::Secret)?;
                (user_key, Method::Signed(key.into()))
            }
            GigyaAuth::Bearer { user_key, private_key } => {
                let key = EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes())
                    .map_err(|_| BadCredentials::PrivateKey)?;
                (user_key, Method::Bearer(key))
            }
        };
        Ok(Self { user_key: user_key.clone(), method, clock_offset: AtomicI64::new(0) })
    }

    /// Adds to `form` what proves the call to `url`; returns an `Authorization` header where one is needed.
    pub fn sign<'a>(&'a self, url: &str, form: &mut Form<'a>, now: Timestamp) -> Option<HeaderValue> {
        let now = now.as_second() + self.clock_offset.load(Ordering::Relaxed);
        match &self.method {
            Method::Secret(secret) => {
                form.push(("userKey", (&*self.user_key).into()));
                form.push(("secret", secret.expose_secret().into()));
                None
            }
            Method::Signed(key) => {
                form.push(("userKey", (&*self.user_key).into()));
                form.push(("timestamp", now.to_string().into()));
                form.push(("nonce", Uuid::new_v4().simple().to_string().into()));
                let signature = signature(key.expose_secret(), url, form);
                form.push(("sig", signature.into()));
                None
            }
            Method::Bearer(key) => {
                let mut header = Header::new(Algorithm::RS256);
                header.kid = Some(self.user_key.clone());
                let claims = BearerClaims { iat: now, jti: Uuid::new_v4().to_string() };
                let token = jsonwebtoken::encode(&header, &claims, key).expect("an RSA key that was parsed signs");
                let mut proof = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is base64 and dots");
                proof.set_sensitive(true);
                Some(proof)
            }
        }
    }

    /// Whether a call's proof depends on the clock.
    pub const fn uses_clock(&self) -> bool {
        !matches!(self.method, Method::Secret(_))
    }

    /// Takes over Gigya's clock, as told by an answer's `Date` header.
    pub fn correct_clock(&self, theirs: Timestamp, ours: Timestamp) {
        self.clock_offset.store(theirs.as_second() - ours.as_second(), Ordering::Relaxed);
    }
}

/// base64(HMAC-SHA1(key, "POST" & enc(url) & enc(sorted parameters))).
fn signature(key: &[u8], url: &str, form: &Form<'_>) -> String {
    let mut sorted: Vec<_> = form.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let parameters: Vec<_> = sorted.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    let base = format!("POST&{}&{}", percent_encoded(url), percent_encoded(&parameters.join("&")));
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(base.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// RFC 3986: everything but unreserved characters.
fn percent_encoded(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_follows_rfc_3986() {
        assert_eq!(percent_encoded("a b+c*~é/"), "a%20b%2Bc%2A~%C3%A9%2F");
    }

    /// The base string and key were put through Python's `hmac` to get the expected value.
    #[test]
    fn signature_is_over_method_url_and_sorted_parameters() {
        let form: Form = vec![("UID", "u 1".into()), ("apiKey", "4_k".into())];
        let signed = signature(b"0123456789", "https://accounts.eu1.gigya.com/accounts.getAccountInfo", &form);
        assert_eq!(signed, "MXvxrwLCIovO1GpkZ95kmh4T97Y=");
    }

    #[test]
    fn secrets_that_cannot_be_used_are_refused_without_showing_them() {
        let auth = GigyaAuth::Signed { user_key: "k".into(), secret: "not base64!".into() };
        let message = Authenticator::new(&auth).err().unwrap().to_string();
        assert!(!message.contains("not base64!"));
    }
}
