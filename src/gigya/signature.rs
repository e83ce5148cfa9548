//! Whether a webhook comes from Gigya, was not altered, and is for this connection.
//!
//! The connection's configuration chooses the scheme; nothing the sender says can. A body is believed only
//! when everything holds: signature, issuer, time, digest, nonce, and every event's site.

use super::keys::KeyStore;
use super::webhook::Notification;
use crate::config::{self, GigyaWebhookAuth};
use crate::telemetry::traces;
use crate::upstream::{Deadline, Fault};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tracing::Instrument;

const JWT_HEADER: &str = "x-gigya-sig-jwt";
const HMAC_HEADER: &str = "x-gigya-sig-hmac-sha1";
/// The longest token looked at. Gigya's have some 800 bytes.
const MAX_TOKEN: usize = 8 << 10;

/// Why a webhook is not believed. For the log and a metric's label; the sender hears 401 whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// The header that this connection's scheme needs isn't there.
    #[error("signature_missing")]
    Missing,
    /// The header's content isn't a signature or token at all.
    #[error("signature_malformed")]
    Malformed,
    /// A token for another algorithm than RS256.
    #[error("algorithm_not_allowed")]
    Algorithm,
    /// A token from another issuer than the connection's sites.
    #[error("issuer_not_allowed")]
    Issuer,
    /// No such key, even after asking Gigya for its keys.
    #[error("key_unknown")]
    UnknownKey,
    /// The signature is wrong.
    #[error("signature_wrong")]
    Wrong,
    /// Signed too long ago, or in the future. See `signature_max_age` and `clock_tolerance`.
    #[error("signature_stale")]
    Stale,
    /// The token is genuine and for another body.
    #[error("body_digest_differs")]
    Digest,
    /// The token's `jti` is not the body's `nonce`.
    #[error("nonce_differs")]
    Nonce,
    /// An event of a site that is not on the connection's list of API keys.
    #[error("api_key_not_listed")]
    ApiKey,
}

/// Why no verdict on a webhook was reached, or which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is not believed.
    NotVerified(NotVerified),
    /// It is believed, and isn't a notification.
    Malformed(String),
    /// Gigya's keys can't be had now.
    NoKeys(Fault),
}

impl From<NotVerified> for Rejection {
    fn from(reason: NotVerified) -> Self {
        Self::NotVerified(reason)
    }
}

/// Verifies the webhooks of one connection.
pub struct Verifier {
    scheme: Scheme,
    api_keys: Vec<String>,
    max_age: Duration,
    tolerance: Duration,
}

enum Scheme {
    Jwt {
        issuers: Vec<(String, String)>,
        keys: Box<KeyStore>,
        validation: Box<Validation>,
    },
    /// By each of the secrets, of which no more is kept than what hashing begins with; that is wiped when it goes.
    HmacSha1(Vec<Hmac<Sha1>>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    jti: Option<String>,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    exp: Option<i64>,
}

impl Verifier {
    /// Takes a connection's settings. `keys` is asked only where the scheme is JWT.
    ///
    /// # Errors
    /// A secret that isn't base64; says which one, counted from 1.
    pub fn new(connection: &config::Gigya, keys: KeyStore) -> Result<Self, String> {
        let scheme = match &connection.webhook_auth {
            GigyaWebhookAuth::Jwt { issuer } => {
                let issuers =
                    connection.api_keys.iter().map(|key| (issuer.replace("{apiKey}", key), key.clone())).collect();
                let mut validation = Validation::new(Algorithm::RS256);
                // Times are checked below, with tolerances of our own for a redelivery's old token.
                validation.validate_exp = false;
                validation.validate_aud = false;
                validation.required_spec_claims.clear();
                Scheme::Jwt { issuers, keys: Box::new(keys), validation: Box::new(validation) }
            }
            GigyaWebhookAuth::HmacSha1 { secrets } => {
                let decoded = secrets.iter().enumerate().map(|(index, secret)| {
                    let bytes = BASE64_STANDARD.decode(secret.expose_secret());
                    let bytes = bytes.map_err(|_| format!("webhook secret {} is not base64", index + 1))?;
                    let key = SecretSlice::from(bytes);
                    Ok::<_, String>(keyed(key.expose_secret()))
                });
                Scheme::HmacSha1(decoded.collect::<Result<_, _>>()?)
            }
        };
        Ok(Self {
            scheme,
            api_keys: connection.api_keys.clone(),
            max_age: connection.signature_max_age,
            tolerance: connection.clock_tolerance,
        })
    }

    /// The same connection with other settings: Gigya's keys that are known stay known.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        if let (Scheme::Jwt { keys, .. }, Scheme::Jwt { keys: known, .. }) = (&mut self.scheme, &former.scheme) {
            keys.learn_from(known);
        }
        self
    }

    /// Verifies `body` and parses it, in this order: what isn't Gigya's is not even parsed.
    pub async fn open(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Notification, Rejection> {
        let nonce = self.verify(headers, body, now, deadline).instrument(traces::station("verify")).await?;
        let parse = || Notification::parse(body).map_err(Rejection::Malformed);
        let notification = traces::station("parse").in_scope(parse)?;
        if let (Some(jti), Some(nonce)) = (&nonce, &notification.nonce)
            && jti != nonce
        {
            return Err(NotVerified::Nonce.into());
        }
        if let Some(sent) = notification.timestamp {
            self.check_time(sent, sent, now)?;
        }
        let listed = |key: &String| self.api_keys.contains(key);
        if !notification.events.iter().filter_map(|event| event.api_key.as_ref()).all(listed) {
            return Err(NotVerified::ApiKey.into());
        }
        Ok(notification)
    }

    /// Verifies the signature. Returns the `jti` of a token that has one.
    async fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<String>, Rejection> {
        match &self.scheme {
            Scheme::Jwt { issuers, keys, validation } => {
                let token = only_value(headers, JWT_HEADER)?;
                // On the heap, as it may have to fetch a key: an event that isn't signed so shouldn't keep the room for it.
                let claims = Box::pin(self.check_token(token, issuers, keys, validation, now, deadline)).await?;
                check_digest(claims.sub.as_deref(), body)?;
                Ok(claims.jti)
            }
            Scheme::HmacSha1(secrets) => {
                check_hmac(only_value(headers, HMAC_HEADER)?, secrets, body)?;
                Ok(None)
            }
        }
    }

    async fn check_token(
        &self,
        token: &str,
        issuers: &[(String, String)],
        keys: &KeyStore,
        validation: &Validation,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Claims, Rejection> {
        if token.len() > MAX_TOKEN {
            return Err(NotVerified::Malformed.into());
        }
        // A header with an algorithm that the library doesn't know, `none` among them, doesn't parse.
        let header = jsonwebtoken::decode_header(token).map_err(|_| NotVerified::Algorithm)?;
        if header.alg != Algorithm::RS256 {
            return Err(NotVerified::Algorithm.into());
        }
        let kid = header.kid.ok_or(NotVerified::Malformed)?;
        // Looked at before the signature, so that a token of somebody else never makes us ask for keys.
        let claimed = unverified_claims(token).ok_or(NotVerified::Malformed)?;
        let issued_for = |claims: &Claims| issuers.iter().find(|(issuer, _)| *issuer == claims.iss);
        let (_, api_key) = issued_for(&claimed).ok_or(NotVerified::Issuer)?;
        let key = keys.key(&kid, api_key, deadline).await.map_err(Rejection::NoKeys)?;
        let key = key.ok_or(NotVerified::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, validation).map_err(|_| NotVerified::Wrong)?.claims;
        let issued = claims.iat.or(claims.exp).ok_or(NotVerified::Malformed)?;
        self.check_time(issued, claims.exp.unwrap_or(issued), now)?;
        Ok(claims)
    }

    /// `issued` must not lie in the future, nor `expires` further back than a redelivery can take.
    fn check_time(&self, issued: i64, expires: i64, now: Timestamp) -> Result<(), NotVerified> {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let early = issued > now.as_second().saturating_add(seconds(self.tolerance));
        let late = expires.saturating_add(seconds(self.max_age)) < now.as_second();
        if early || late { Err(NotVerified::Stale) } else { Ok(()) }
    }
}

/// The header's one value: two of them would leave open which was meant.
fn only_value<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, NotVerified> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(NotVerified::Missing),
        (Some(value), None) => value.to_str().map(str::trim).map_err(|_| NotVerified::Malformed),
        (Some(_), Some(_)) => Err(NotVerified::Malformed),
    }
}

fn unverified_claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// `sub` is the body's SHA-256 in base64url (inferred from a sample token in SAP Commerce's tests). As that is
/// not confirmed in every detail, other common spellings of the same digest are read too; never another value.
fn check_digest(sub: Option<&str>, body: &[u8]) -> Result<(), NotVerified> {
    let sub = sub.ok_or(NotVerified::Digest)?;
    let stated = if sub.len() == 64 {
        hex::decode(sub).ok()
    } else {
        let trimmed = sub.trim_end_matches('=').replace('+', "-").replace('/', "_");
        BASE64_URL_SAFE_NO_PAD.decode(trimmed).ok()
    };
    let stated = stated.ok_or(NotVerified::Digest)?;
    if bool::from(stated.ct_eq(&Sha256::digest(body))) { Ok(()) } else { Err(NotVerified::Digest) }
}

/// base64(HMAC-SHA1(base64-decoded secret, raw body)); any of the secrets may have signed. All are tried
/// whichever fits, so that the time taken tells nothing.
fn check_hmac(stated: &str, secrets: &[Hmac<Sha1>], body: &[u8]) -> Result<(), NotVerified> {
    let stated = BASE64_STANDARD.decode(stated).map_err(|_| NotVerified::Malformed)?;
    let fits = secrets
        .iter()
        .fold(false, |fits, secret| secret.clone().chain_update(body).verify_slice(&stated).is_ok() | fits);
    if fits { Ok(()) } else { Err(NotVerified::Wrong) }
}

fn keyed(key: &[u8]) -> Hmac<Sha1> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_secret_is_wiped() {
        fn is_wiped<T: hmac::digest::zeroize::ZeroizeOnDrop>() {}
        is_wiped::<<Sha1 as hmac::EagerHash>::Core>();
    }
}
