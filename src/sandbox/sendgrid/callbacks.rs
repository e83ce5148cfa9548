//! The Event Webhook: an array of events, signed with ECDSA over the time and the body (vendor page "Getting Started
//! with the Event Webhook Security Features").

use crate::sandbox::Sealed;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::Value;

/// Signs an account's webhooks.
pub struct Signer {
    pair: EcdsaKeyPair,
}

impl Signer {
    /// A signer with a fresh key.
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        Self { pair: pair.expect("a key of a known kind can be made") }
    }

    /// The public key as a `SubjectPublicKeyInfo`, in base64.
    pub fn verification_key(&self) -> String {
        let der = self.pair.public_key().as_der().expect("a key can be written");
        BASE64_STANDARD.encode(der.as_ref())
    }

    /// Makes a request of some events.
    pub fn seal(&self, now: Timestamp, events: &[Value]) -> Sealed {
        let (at, body) = (now.as_second().to_string(), Value::from(events.to_vec()).to_string());
        let signed = self.pair.sign(&SystemRandom::new(), format!("{at}{body}").as_bytes());
        let signature = BASE64_STANDARD.encode(signed.expect("a key can sign").as_ref());
        Sealed {
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("x-twilio-email-event-webhook-signature", signature),
                ("x-twilio-email-event-webhook-timestamp", at),
            ],
            body: body.into_bytes(),
        }
    }
}
