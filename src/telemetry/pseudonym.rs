//! What stands for a person in logs: a keyed hash, the same on every replica.

use crate::config::{Config, GigyaAuth};
use crate::domain::{Email, Uid};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use std::fmt;

/// Stands for one person. Without the key, nobody can tell who it is, nor try addresses against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudonym([u8; 8]);

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 16];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// Gives people their pseudonyms. Keeps no key, but what hashing by it begins with; that is wiped when it goes.
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    /// With a key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(keyed(key))
    }

    /// With the configured key, or one derived from the first Gigya connection's credentials, so that replicas
    /// agree without a setting. (The derived one changes when those credentials do.)
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        if let Some(key) = &config.telemetry.address_hash_key {
            return Self::new(key.expose_secret().as_bytes());
        }
        let secret = config.gigya.values().next().map(|gigya| match &gigya.auth {
            GigyaAuth::Secret { secret, .. } | GigyaAuth::Signed { secret, .. } => secret.expose_secret(),
            GigyaAuth::Bearer { private_key, .. } => private_key.expose_secret(),
        });
        let derived = keyed(secret.unwrap_or_default().as_bytes()).chain_update(b"gigya-esp-gateway address hash");
        Self::new(&derived.finalize().into_bytes())
    }

    /// A person known by address; its case doesn't matter.
    #[must_use]
    pub fn of_email(&self, email: &Email) -> Pseudonym {
        self.of(b"email:", &email.folded())
    }

    /// A person known by UID only.
    #[must_use]
    pub fn of_uid(&self, uid: &Uid) -> Pseudonym {
        self.of(b"uid:", uid.expose())
    }

    fn of(&self, kind: &[u8], text: &str) -> Pseudonym {
        let hash = self.0.clone().chain_update(kind).chain_update(text).finalize().into_bytes();
        let mut short = [0; 8];
        short.copy_from_slice(&hash[..8]);
        Pseudonym(short)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_the_key_is_wiped() {
        fn is_wiped<T: hmac::digest::zeroize::ZeroizeOnDrop>() {}
        is_wiped::<<Sha256 as hmac::EagerHash>::Core>();
    }

    #[test]
    fn one_person_has_one_pseudonym_whatever_the_case() {
        let pseudonyms = Pseudonyms::new(b"key");
        let of = |text| pseudonyms.of_email(&Email::parse(text).unwrap());
        assert_eq!(of("Ann@example.org"), of("ann@EXAMPLE.org"));
        assert_ne!(of("ann@example.org"), of("ben@example.org"));
    }

    /// With which `docs/operations.md` has somebody make one by hand.
    #[test]
    fn one_can_be_made_by_openssl() {
        let ann = Pseudonyms::new(b"key").of_email(&Email::parse("Ann@example.org").unwrap());
        assert_eq!(ann.to_string(), "8f6a5fb3da4fa8ad");
    }

    #[test]
    fn another_key_gives_other_pseudonyms() {
        let email = Email::parse("ann@example.org").unwrap();
        assert_ne!(Pseudonyms::new(b"a").of_email(&email), Pseudonyms::new(b"b").of_email(&email));
    }

    #[test]
    fn an_address_used_as_uid_does_not_show_that_it_is_the_address() {
        let pseudonyms = Pseudonyms::new(b"key");
        let (email, uid) = (Email::parse("ann@example.org").unwrap(), Uid::new("ann@example.org").unwrap());
        assert_ne!(pseudonyms.of_email(&email), pseudonyms.of_uid(&uid));
        assert_eq!(pseudonyms.of_uid(&uid).to_string().len(), 16);
    }
}
