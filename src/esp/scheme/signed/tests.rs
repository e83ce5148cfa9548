use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use http::{HeaderMap, HeaderName};
use std::time::Duration;

const BODY: &[u8] = br#"{"type":"unsubscribe"}"#;
const KEY: &str = "a-key-that-is-shared";

fn signature(signed: &str) -> Signature {
    Signature {
        header: HeaderName::from_static("x-signature"),
        prefix: String::new(),
        encoding: SignatureText::Hex,
        signed: Signed::parse(signed).unwrap(),
        part: None,
        timestamp: None,
        id_header: None,
        tolerance: Duration::from_hours(1),
    }
}

fn shown_with(
    headers: &[(&'static str, &str)],
    body: &[u8],
    check: impl Fn(&Shown<'_>) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    let now = jiff::Timestamp::from_second(1_718_000_060).unwrap();
    check(&Shown { token: None, headers: &headers, body, now })
}

fn hmac_of(
    signature: &Signature,
    headers: &[(&'static str, &str)],
    body: &[u8],
    keys: &[&str],
) -> Result<(), &'static str> {
    let keys: Vec<SecretString> = keys.iter().map(|key| SecretString::from(*key)).collect();
    shown_with(headers, body, |shown| hmac(false, signature, SignatureText::Text, &keys, shown))
}

#[test]
fn over_the_body_in_any_spelling_under_any_of_the_keys() {
    let made = hmac_sha256(KEY.as_bytes(), BODY);
    let mut how = signature("{body}");
    let (hexed, based) = (hex::encode(&made), BASE64_STANDARD.encode(&made));
    assert_eq!(hmac_of(&how, &[("x-signature", &hexed)], BODY, &["old", KEY]), Ok(()));
    assert_eq!(hmac_of(&how, &[("x-signature", &hexed)], BODY, &["old"]), Err("signature_wrong"));
    assert_eq!(hmac_of(&how, &[("x-signature", &hexed)], b"{}", &[KEY]), Err("signature_wrong"));
    assert_eq!(hmac_of(&how, &[("x-signature", &hexed[2..])], BODY, &[KEY]), Err("signature_malformed"));
    assert_eq!(hmac_of(&how, &[("x-signature", "")], BODY, &[KEY]), Err("signature_malformed"));
    assert_eq!(hmac_of(&how, &[], BODY, &[KEY]), Err("signature_missing"));
    how.encoding = SignatureText::Base64;
    how.prefix = "sha256=".to_owned();
    assert_eq!(hmac_of(&how, &[("x-signature", &format!("sha256={based}"))], BODY, &[KEY]), Ok(()));
    assert_eq!(hmac_of(&how, &[("x-signature", &based)], BODY, &[KEY]), Err("signature_malformed"));
}

#[test]
fn nobody_signs_with_no_key() {
    let hexed = hex::encode(hmac_sha256(b"", BODY));
    assert_eq!(hmac_of(&signature("{body}"), &[("x-signature", &hexed)], BODY, &[]), Err("signature_wrong"));
    assert_eq!(hmac_of(&signature("{body}"), &[("x-signature", &hexed)], BODY, &[""]), Err("signature_wrong"));
}

#[test]
fn a_time_that_is_signed_is_held_to_its_age() {
    let mut how = signature("{timestamp}.{body}");
    how.timestamp = Some(Timestamp::Header(HeaderName::from_static("x-time")));
    let signed = |time: &str| hex::encode(hmac_sha256(KEY.as_bytes(), &[time.as_bytes(), b".", BODY].concat()));
    for (time, expected) in [("1718000000", Ok(())), ("1717990000", Err("timestamp_out_of_range"))] {
        assert_eq!(hmac_of(&how, &[("x-signature", &signed(time)), ("x-time", time)], BODY, &[KEY]), expected);
    }
    let other = [("x-signature", signed("1718000000")), ("x-time", "1718000001".to_owned())];
    let other: Vec<_> = other.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(hmac_of(&how, &other, BODY, &[KEY]), Err("signature_wrong"), "the time is signed, too");
    assert_eq!(hmac_of(&how, &[("x-signature", &signed("1"))], BODY, &[KEY]), Err("timestamp_missing"));
}

#[test]
fn time_and_signatures_may_be_parts_of_one_header() {
    let mut how = signature("{timestamp}.{body}");
    how.timestamp = Some(Timestamp::Part("t".to_owned()));
    how.part = Some("v1".to_owned());
    let made = hex::encode(hmac_sha256(KEY.as_bytes(), &[b"1718000000.", BODY].concat()));
    let other = hex::encode([7; 32]);
    for (header, expected) in [
        (format!("t=1718000000,v1={made}"), Ok(())),
        (format!("t=1718000000, v1={other}, v1={made}"), Ok(())),
        (format!("t=1718000000,v0={made}"), Err("signature_malformed")),
        (format!("v1={made}"), Err("timestamp_missing")),
    ] {
        assert_eq!(hmac_of(&how, &[("x-signature", &header)], BODY, &[KEY]), expected, "{header}");
    }
}

#[test]
fn sha1_is_as_others_make_it() {
    // RFC 2202, test case 2.
    assert_eq!(
        hex::encode(hmac_sha1(b"Jefe", b"what do ya want for nothing?")),
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    );
    // RFC 4231, test case 2.
    let made = hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?"));
    assert_eq!(made, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn ecdsa_by_the_public_key_as_senders_show_it() {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    // What stands before the point in a SubjectPublicKeyInfo for P-256 (RFC 5480).
    let head = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    let key = BASE64_STANDARD.encode([head.as_slice(), pair.public_key().as_ref()].concat());
    let made = pair.sign(&random, &[b"1718000000", BODY].concat()).unwrap();
    let mut how = signature("{timestamp}{body}");
    how.encoding = SignatureText::Base64;
    how.timestamp = Some(Timestamp::Header(HeaderName::from_static("x-time")));
    let text = BASE64_STANDARD.encode(made.as_ref());
    let check = |time: &str, body: &[u8], key: &str| {
        let keys = [SecretString::from(key)];
        shown_with(&[("x-signature", &text), ("x-time", time)], body, |shown| ecdsa(&how, &keys, shown))
    };
    assert_eq!(check("1718000000", BODY, &key), Ok(()));
    assert_eq!(check("1718000001", BODY, &key), Err("signature_wrong"));
    assert_eq!(check("1718000000", b"{}", &key), Err("signature_wrong"));
    assert_eq!(check("1718000000", BODY, "AAAA"), Err("signature_wrong"));
}
