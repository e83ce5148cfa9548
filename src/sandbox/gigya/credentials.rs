//! The three ways in which a call proves who makes it (SAP, "REST APIs with the Gigya Authorization Method").

use super::world::World;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use std::collections::BTreeMap;

/// How far a request's time may be off, in seconds (as SAP's SDKs).
const TOLERANCE: i64 = 120;

/// The one application that may call.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Its user key.
    pub user_key: String,
    /// Its secret, base64.
    pub secret: String,
    /// Its public key, PEM, if it calls with bearer tokens.
    pub public_key: Option<String>,
}

/// Why a call is refused: code and message.
pub type Refused = (i64, &'static str);

impl Credentials {
    /// An application for examples.
    #[must_use]
    pub fn example() -> Self {
        Self {
            user_key: "SimulatedUserKey".to_owned(),
            secret: "c2ltdWxhdGVkLWFwcGxpY2F0aW9uLXNlY3JldA==".to_owned(),
            public_key: None,
        }
    }

    /// Checks whichever proof a call brings.
    pub(super) fn check(
        &self,
        world: &mut World,
        url: &str,
        form: &BTreeMap<String, String>,
        authorization: Option<&str>,
    ) -> Result<(), Refused> {
        if let Some(token) = authorization.and_then(|text| text.strip_prefix("Bearer ")) {
            return self.check_bearer(token, world);
        }
        let user_key = form.get("userKey").ok_or((403_005, "Unauthorized user"))?;
        if *user_key != self.user_key {
            return Err((403_005, "Unauthorized user"));
        }
        if let Some(signature) = form.get("sig") {
            return self.check_signature(signature, world, url, form);
        }
        match form.get("secret") {
            Some(secret) if *secret == self.secret => Ok(()),
            _ => Err((403_010, "Invalid secret")),
        }
    }

    fn check_bearer(&self, token: &str, world: &World) -> Result<(), Refused> {
        #[derive(serde::Deserialize)]
        struct Claims {
            iat: i64,
            #[serde(rename = "jti")]
            _jti: String,
        }
        let refused = (400_008, "Invalid authorization header");
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused)?;
        if header.kid.as_deref() != Some(self.user_key.as_str()) {
            return Err((403_005, "Unauthorized user"));
        }
        let key = self.public_key.as_ref().ok_or(refused)?;
        let key = DecodingKey::from_rsa_pem(key.as_bytes()).map_err(|_| refused)?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|_| refused)?.claims;
        check_time(claims.iat, world)
    }

    fn check_signature(
        &self,
        stated: &str,
        world: &mut World,
        url: &str,
        form: &BTreeMap<String, String>,
    ) -> Result<(), Refused> {
        let nonce = form.get("nonce").ok_or((400_002, "Missing required parameter"))?;
        let time =
            form.get("timestamp").and_then(|text| text.parse().ok()).ok_or((400_002, "Missing required parameter"))?;
        // `BTreeMap` has the parameters in the order that the base string wants.
        let parameters = form.iter().filter(|(name, _)| *name != "sig");
        let parameters: Vec<_> = parameters.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let base = format!("POST&{}&{}", encoded(url), encoded(&parameters.join("&")));
        let key = BASE64_STANDARD.decode(&self.secret).expect("secrets here are base64");
        let mut mac = Hmac::<Sha1>::new_from_slice(&key).expect("HMAC takes a key of any length");
        mac.update(base.as_bytes());
        if BASE64_STANDARD.encode(mac.finalize().into_bytes()) != stated {
            return Err((403_003, "Invalid request signature"));
        }
        check_time(time, world)?;
        if !world.nonces.insert(nonce.clone()) {
            return Err((403_002, "Request has expired"));
        }
        Ok(())
    }
}

fn check_time(time: i64, world: &World) -> Result<(), Refused> {
    let apart = world.clock.now().as_second().abs_diff(time);
    if apart > TOLERANCE.unsigned_abs() { Err((403_002, "Request has expired")) } else { Ok(()) }
}

fn encoded(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}
