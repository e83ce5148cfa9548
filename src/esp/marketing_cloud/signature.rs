//! Whether a callback is Marketing Cloud's: `x-sfmc-ens-signature`, the base64 of HMAC-SHA256 over the body as it was
//! received.
//!
//! The documentation doesn't say whether the key is the text that is shown when a callback is created, or the 32 bytes
//! that this text is the base64 of; public receivers do the one or the other. Unless configured, either may fit.
//! There is no timestamp: a replay is harmless, as whom it is about is looked at again.

use crate::config::SignatureKeyEncoding;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The header that carries it.
pub const HEADER: &str = "x-sfmc-ens-signature";
/// How long a decoded key is. A lenient decoder could make an empty one, which anybody could sign with.
const KEY_BYTES: usize = 32;

/// Checks the signature against every key, and says how the one that fits is read; the label of what is wrong is for the
/// log.
pub fn check(
    headers: &HeaderMap,
    body: &[u8],
    keys: &[SecretString],
    encoding: SignatureKeyEncoding,
) -> Result<SignatureKeyEncoding, &'static str> {
    let mut stated = headers.get_all(HEADER).iter();
    let (Some(stated), None) = (stated.next(), stated.next()) else { return Err("signature_missing") };
    let stated = BASE64_STANDARD.decode(stated.as_bytes()).map_err(|_| "signature_malformed")?;
    if stated.len() != KEY_BYTES {
        return Err("signature_malformed");
    }
    // All of them, so that the time taken doesn't show which one fits.
    let (text, base64) = (SignatureKeyEncoding::Text, SignatureKeyEncoding::Base64);
    let any = |reading| {
        let signatures = keys.iter().filter_map(|key| read(key, reading)).map(|key| signature(&key, body));
        bool::from(signatures.fold(Choice::from(0), |fits, made| fits | made.as_slice().ct_eq(&stated)))
    };
    let (as_text, decoded) = (any(text), any(base64));
    match encoding {
        SignatureKeyEncoding::Either | SignatureKeyEncoding::Text if as_text => Ok(text),
        SignatureKeyEncoding::Either | SignatureKeyEncoding::Base64 if decoded => Ok(base64),
        _ => Err("signature_wrong"),
    }
}

fn read(key: &SecretString, reading: SignatureKeyEncoding) -> Option<Vec<u8>> {
    match reading {
        SignatureKeyEncoding::Base64 => decoded(key.expose_secret()),
        SignatureKeyEncoding::Text | SignatureKeyEncoding::Either => Some(key.expose_secret().as_bytes().to_vec()),
    }
}

/// The key's bytes, if the text is the base64 of a key and nothing else.
fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() == KEY_BYTES)
}

fn signature(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use SignatureKeyEncoding::{Base64, Either, Text};

    const BODY: &str = r#"[{"eventCategoryType":"EngagementEvents.EmailUnsubscribe","timestampUTC":1764000000000}]"#;
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    // Made with another implementation.
    const BY_TEXT: &str = "dWmj2QR78kgAjrsYAeyNGc8BWMrUTcLfmuT7MX8zT24=";
    const BY_BYTES: &str = "m7B4Hqp19UfNcz0HgsCxOzxlIITWXnG8qMAmlTZNxr4=";

    type Checked = Result<SignatureKeyEncoding, &'static str>;

    fn with(signature: &str, body: &str, keys: &[&str], encoding: SignatureKeyEncoding) -> Checked {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, signature.parse().unwrap());
        let keys: Vec<SecretString> = keys.iter().map(|key| SecretString::from(*key)).collect();
        check(&headers, body.as_bytes(), &keys, encoding)
    }

    #[test]
    fn both_readings_of_the_key_fit_unless_one_is_configured() {
        let wrong = Err("signature_wrong");
        for (signature, encoding, expected) in [
            (BY_TEXT, Either, Ok(Text)),
            (BY_BYTES, Either, Ok(Base64)),
            (BY_TEXT, Text, Ok(Text)),
            (BY_BYTES, Text, wrong),
            (BY_TEXT, Base64, wrong),
            (BY_BYTES, Base64, Ok(Base64)),
        ] {
            assert_eq!(with(signature, BODY, &[KEY], encoding), expected, "{signature} {encoding:?}");
        }
    }

    #[test]
    fn any_of_several_keys_fits() {
        assert_eq!(with(BY_TEXT, BODY, &["another", KEY], Either), Ok(Text));
        assert_eq!(with(BY_BYTES, BODY, &[KEY, "another"], Either), Ok(Base64));
        assert_eq!(with(BY_BYTES, BODY, &["another"], Either), Err("signature_wrong"));
        assert_eq!(with(BY_BYTES, BODY, &[], Either), Err("signature_wrong"));
    }

    #[test]
    fn one_byte_of_the_body_matters() {
        assert_eq!(with(BY_TEXT, &BODY.replace('7', "8"), &[KEY], Either), Err("signature_wrong"));
        assert_eq!(with(BY_TEXT, &format!("{BODY}\n"), &[KEY], Either), Err("signature_wrong"));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        for text in
            ["", "x", "dWmj2QR78kgAjrsYAeyNGc8BWMrUTcLfmuT7MX8zT24", "AAAA", &"A".repeat(44), &BY_TEXT.repeat(9)]
        {
            assert_eq!(with(text, BODY, &[KEY], Either), Err("signature_malformed"), "{text}");
        }
        assert_eq!(check(&HeaderMap::new(), b"", &[KEY.into()], Either), Err("signature_missing"));
        let mut twice = HeaderMap::new();
        twice.append(HEADER, BY_TEXT.parse().unwrap());
        twice.append(HEADER, BY_TEXT.parse().unwrap());
        assert_eq!(check(&twice, BODY.as_bytes(), &[KEY.into()], Either), Err("signature_missing"));
    }

    #[test]
    fn a_key_that_is_no_base64_of_32_bytes_is_not_decoded() {
        // An empty key would be what a lenient decoder makes of it.
        let by_nothing = BASE64_STANDARD.encode(signature(b"", BODY.as_bytes()));
        for key in ["!!!!", "====", "c2hvcnQ="] {
            assert_eq!(decoded(key), None);
            assert_eq!(with(&by_nothing, BODY, &[key], Either), Err("signature_wrong"), "{key}");
        }
    }
}
