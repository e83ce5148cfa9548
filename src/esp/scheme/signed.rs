//! A signature in a header, over what the description says: an HMAC under a shared secret, or ECDSA over P-256, of which
//! only the public key is here.

use super::{Shown, is_fresh, only};
use crate::config::http::{Signature, SignatureText, Signed, Timestamp, p256_point};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// By an HMAC under one of the secrets.
pub fn hmac(
    sha1: bool,
    signature: &Signature,
    secret_is: SignatureText,
    secrets: &[SecretString],
    shown: &Shown<'_>,
) -> Result<(), &'static str> {
    let (stated, message) = stated(signature, shown)?;
    let length = if sha1 { 20 } else { 32 };
    if stated.iter().any(|stated| stated.len() != length) {
        return Err("signature_malformed");
    }
    let keys = secrets.iter().filter_map(|secret| decoded(secret.expose_secret(), secret_is));
    let fits = keys.filter(|key| !key.is_empty()).fold(Choice::from(0), |fits, key| {
        let made = if sha1 { hmac_sha1(&key, &message) } else { hmac_sha256(&key, &message) };
        stated.iter().fold(fits, |fits, stated| fits | made.as_slice().ct_eq(stated))
    });
    if fits.into() { Ok(()) } else { Err("signature_wrong") }
}

/// By ECDSA, in ASN.1 or as two numbers side by side, which have different shapes.
pub fn ecdsa(signature: &Signature, keys: &[SecretString], shown: &Shown<'_>) -> Result<(), &'static str> {
    let (stated, message) = stated(signature, shown)?;
    let points = keys.iter().filter_map(|key| p256_point(key.expose_secret()));
    let fits = points.into_iter().any(|point| {
        stated.iter().any(|stated| {
            let fits = |algorithm| UnparsedPublicKey::new(algorithm, &point).verify(&message, stated).is_ok();
            fits(&ECDSA_P256_SHA256_ASN1) || fits(&ECDSA_P256_SHA256_FIXED)
        })
    });
    if fits { Ok(()) } else { Err("signature_wrong") }
}

/// The signatures that the header states, and what they are said to be made over.
fn stated(signature: &Signature, shown: &Shown<'_>) -> Result<(Vec<Vec<u8>>, Vec<u8>), &'static str> {
    let header = only(shown.headers, &signature.header).ok_or("signature_missing")?;
    let texts: Vec<&str> = match &signature.part {
        Some(name) => parts(header, name).collect(),
        None => vec![header.trim()],
    };
    let stated: Option<Vec<_>> =
        texts.iter().map(|text| decoded(text.strip_prefix(signature.prefix.as_str())?, signature.encoding)).collect();
    let stated = stated.filter(|stated| !stated.is_empty()).ok_or("signature_malformed")?;
    let time = match &signature.timestamp {
        None => None,
        Some(Timestamp::Header(name)) => Some(only(shown.headers, name).ok_or("timestamp_missing")?),
        Some(Timestamp::Part(name)) => Some(parts(header, name).next().ok_or("timestamp_missing")?),
    };
    if time.is_some_and(|time| !is_fresh(time, signature.tolerance, shown.now)) {
        return Err("timestamp_out_of_range");
    }
    let id = match &signature.id_header {
        None => None,
        Some(name) => Some(only(shown.headers, name).ok_or("id_missing")?),
    };
    let mut message = Vec::with_capacity(shown.body.len() + 64);
    for piece in &signature.signed {
        match piece {
            Signed::Text(text) => message.extend_from_slice(text.as_bytes()),
            Signed::Body => message.extend_from_slice(shown.body),
            Signed::Timestamp => message.extend_from_slice(time.unwrap_or_default().as_bytes()),
            Signed::Id => message.extend_from_slice(id.unwrap_or_default().as_bytes()),
        }
    }
    Ok((stated, message))
}

/// The values of a name in `t=1718000000,v1=abc`.
fn parts<'a>(header: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = header.split(',').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(known, _)| *known == name).map(|(_, value)| value)
}

fn decoded(text: &str, encoding: SignatureText) -> Option<Vec<u8>> {
    match encoding {
        SignatureText::Text => Some(text.as_bytes().to_vec()),
        SignatureText::Hex => hex::decode(text).ok(),
        SignatureText::Base64 => {
            BASE64_STANDARD.decode(text).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))).ok()
        }
    }
}

/// The HMAC-SHA256 of a message.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length will do");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests;
