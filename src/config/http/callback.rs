//! What a described ESP's callbacks say, and how they are verified.

use super::{Condition, Signed, Template, Time};
use crate::domain::OptOutReason;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;
use std::time::Duration;

/// What a callback says, and how it is verified.
#[derive(Clone, Debug)]
pub struct Callback {
    /// How it is verified; the sender has no say in it.
    pub verification: Verification,
    /// What it is written in.
    pub body: HttpBody,
    /// Where its events are; without it the body is one, or a list of them.
    pub events: Option<Template>,
    /// What they mean; the first that fits.
    pub kinds: Vec<KindRule>,
    /// Where the address is; the first that is there.
    pub address: Vec<Template>,
    /// Where the address before it is.
    pub former_address: Option<Template>,
    /// Where the Gigya UID is.
    pub uid: Option<Template>,
    /// Where the audience is; without it an event is about all.
    pub audience: Option<Template>,
    /// Where the event's id is.
    pub id: Option<Template>,
    /// When it happened; the first that is there.
    pub times: Vec<Time>,
}

/// What a callback is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpBody {
    /// JSON.
    Json,
    /// A form: an object of its names.
    Form,
}

/// What an event means.
#[derive(Clone, Debug)]
pub struct KindRule {
    /// What it must say; all of it.
    pub conditions: Vec<Condition>,
    /// What that means.
    pub means: Happening,
    /// Whether it is about every audience, whatever the event names.
    pub is_everywhere: bool,
    /// When it happened, if not where the callback has it.
    pub times: Vec<Time>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// They opted in.
    OptedIn,
    /// They opted out.
    OptedOut(OptOutReason),
    /// Something else changed of somebody who is opted in.
    Changed,
    /// Their record must be looked at.
    Look,
    /// Nothing to do with consent.
    Ignored,
}

/// How a callback is verified.
#[derive(Clone, Debug)]
pub enum Verification {
    /// By a token at the end of its URL.
    UrlToken,
    /// By a token in a header, after a prefix.
    Bearer {
        /// The header.
        header: HeaderName,
        /// What stands before the token.
        prefix: String,
    },
    /// By user and password, as `user:password` in the secret.
    Basic,
    /// By an HMAC.
    Hmac {
        /// Whether it is made with SHA-1; else with SHA-256.
        sha1: bool,
        /// Where it is, and over what.
        signature: Signature,
        /// How a secret becomes the key.
        secret_is: SignatureText,
    },
    /// As Standard Webhooks have it: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks {
        /// The oldest that a signature may be.
        tolerance: Duration,
    },
    /// By ECDSA over P-256 with SHA-256; the secrets are public keys in base64.
    Ecdsa {
        /// Where it is, and over what.
        signature: Signature,
    },
}

impl Verification {
    /// Whether the token is in the URL.
    #[must_use]
    pub const fn is_in_url(&self) -> bool {
        matches!(self, Self::UrlToken)
    }
}

/// Where a signature is, and over what it is made.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The header that it is in.
    pub header: HeaderName,
    /// What stands before it there.
    pub prefix: String,
    /// How it is written.
    pub encoding: SignatureText,
    /// Over what: places are `{body}`, `{timestamp}`, `{id}`.
    pub signed: Vec<Signed>,
    /// The name that it has there, where the header is a list of `name=value`. There may be several.
    pub part: Option<String>,
    /// Where the time is that is signed, if one is.
    pub timestamp: Option<Timestamp>,
    /// The header with the event's id, if there is one.
    pub id_header: Option<HeaderName>,
    /// The oldest, and the furthest ahead, that the time may be.
    pub tolerance: Duration,
}

/// Where the time is at which a callback was signed.
#[derive(Clone, Debug)]
pub enum Timestamp {
    /// In a header of its own.
    Header(HeaderName),
    /// In the signature's header, by this name.
    Part(String),
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureText {
    /// As they are.
    Text,
    /// In hexadecimal digits.
    Hex,
    /// In base64.
    Base64,
}

/// The uncompressed point that a public key for P-256 is: by itself, or at the end of a `SubjectPublicKeyInfo` (RFC 5480), in base64 as
/// senders show it. None if it is no such key.
#[must_use]
pub fn p256_point(text: &str) -> Option<Vec<u8>> {
    const UNCOMPRESSED: u8 = 4;
    const LENGTH: usize = 65;
    const WITH_INFO: usize = 91;
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let point = bytes.get(bytes.len().checked_sub(LENGTH)?..)?;
    (matches!(bytes.len(), LENGTH | WITH_INFO) && point.first() == Some(&UNCOMPRESSED)).then(|| point.to_vec())
}
