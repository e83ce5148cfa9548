//! Signs webhooks as Gigya does, and as somebody would who tries to pass for Gigya.
//!
//! Shape of the token: SAP Commerce's webhook tests (`alg` RS256, `kid`, `dc`; `iss`, `iat`, `exp` = `iat` + 60,
//! `jti` = the body's nonce, `sub` = SHA-256 of the body in base64url).

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, MutexGuard};

/// Signs one site's webhooks.
pub struct Signer {
    api_key: String,
    secret: String,
    key: Mutex<Key>,
}

struct Key {
    pair: KeyPair,
    kid: String,
    number: u32,
}

/// What a token is made of. Change any of it before signing.
#[derive(Clone, Debug)]
pub struct TokenParts {
    /// The JOSE header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

impl Signer {
    /// A signer with a fresh RSA key.
    #[must_use]
    pub fn new(api_key: &str, secret: &str) -> Self {
        Self { api_key: api_key.to_owned(), secret: secret.to_owned(), key: Mutex::new(Key::fresh(1)) }
    }

    /// Signs with another key from now on; the old one is no longer published.
    pub fn rotate(&self) {
        let mut key = self.lock();
        *key = Key::fresh(key.number + 1);
    }

    /// The parts of a token for a body.
    #[must_use]
    pub fn parts(&self, body: &[u8], nonce: &str, now: i64) -> TokenParts {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body));
        TokenParts {
            header: json!({ "alg": "RS256", "typ": "JWT", "kid": self.lock().kid, "dc": "eu1" }),
            claims: json!({
                "iss": format!("https://fidm.gigya.com/jwt/{}/", self.api_key),
                "sub": digest, "jti": nonce, "iat": now, "exp": now + 60,
            }),
        }
    }

    /// Signs a token with the site's key.
    #[must_use]
    pub fn token(&self, parts: &TokenParts) -> String {
        let input = signing_input(parts);
        let key = self.lock();
        let mut signature = vec![0; key.pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        key.pair.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature).expect("an RSA key signs");
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token signed with HMAC-SHA256 under the site's public key: what algorithm confusion looks like.
    #[must_use]
    pub fn token_confused(&self, parts: &TokenParts) -> String {
        let input = signing_input(parts);
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.public_der()).expect("HMAC takes a key of any length");
        mac.update(input.as_bytes());
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// A token without any signature.
    #[must_use]
    pub fn token_unsigned(&self, parts: &TokenParts) -> String {
        format!("{}.", signing_input(parts))
    }

    /// The HMAC-SHA1 of a body, keyed with the decoded partner secret.
    #[must_use]
    pub fn hmac(&self, body: &[u8]) -> String {
        Self::hmac_with(&self.secret, body)
    }

    /// The same with another secret, base64.
    #[must_use]
    pub fn hmac_with(secret: &str, body: &[u8]) -> String {
        let key = BASE64_STANDARD.decode(secret).expect("secrets here are base64");
        let mut mac = Hmac::<Sha1>::new_from_slice(&key).expect("HMAC takes a key of any length");
        mac.update(body);
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }

    /// The answer of `accounts.getJWTPublicKey`: a list of keys, or the one key at the top level (without `V2`).
    #[must_use]
    pub fn published(&self, as_list: bool) -> Value {
        let key = self.lock();
        let public = key.pair.public_key();
        let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": key.kid,
            "n": encoded(public.modulus().big_endian_without_leading_zero()),
            "e": encoded(public.exponent().big_endian_without_leading_zero()),
        });
        if as_list { json!({ "keys": [jwk] }) } else { jwk }
    }

    fn public_der(&self) -> Vec<u8> {
        let key = self.lock();
        let der =
            key.pair.public_key().as_der().map(|der: aws_lc_rs::encoding::PublicKeyX509Der<'_>| der.as_ref().to_vec());
        der.expect("an RSA public key has a DER form")
    }

    fn lock(&self) -> MutexGuard<'_, Key> {
        self.key.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Key {
    fn fresh(number: u32) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("RSA keys of 2048 bits can be made");
        Self { pair, kid: format!("SimulatedKey{number}"), number }
    }
}

fn signing_input(parts: &TokenParts) -> String {
    let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encoded(&parts.header), encoded(&parts.claims))
}
