//! What a described ESP calls back, and how that is verified.

use super::call::{Stars, check_reached, conditions, pointer, pointers};
use super::shape::{reason, times};
use super::{Scope, is_token, tables};
use crate::config::http::{
    Allowed, Callback, Happening, HttpBody, KindRule, Signature, SignatureText, Signed, Template, Timestamp,
    Verification, p256_point,
};
use crate::config::reader::Reader;
use crate::domain::OptOutReason;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, header};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// Nothing is known of an event but what is in it.
const NOTHING: Allowed = Allowed {
    email: false,
    person: false,
    record: false,
    uid: false,
    audience: false,
    secrets: false,
    kept: false,
    page: false,
    objects: false,
};

/// The schemes by which a callback is verified.
const SCHEMES: [(&str, Scheme); 6] = [
    ("token", Scheme::Token),
    ("bearer", Scheme::Bearer),
    ("basic", Scheme::Basic),
    ("hmac", Scheme::Hmac),
    ("standard-webhooks", Scheme::StandardWebhooks),
    ("ecdsa-p256", Scheme::Ecdsa),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Token,
    Bearer,
    Basic,
    Hmac,
    StandardWebhooks,
    Ecdsa,
}

/// Reads `[callback]`; `None` if it isn't there, or can't be used.
pub fn read(reader: &mut Reader<'_>, scope: &Scope) -> Option<Callback> {
    let chosen = reader.choice("callback_verify", &SCHEMES);
    let Some((table, place)) = reader.table("callback") else {
        if chosen.is_some() {
            reader.report("callback_verify", None, "is there, and nothing is called back", "leave it out");
        }
        return None;
    };
    let mut callback = reader.sub("callback", place, table);
    let usual = callback.choice("verify", &SCHEMES);
    let others = callback.texts("verify_also").map(|(names, _)| names).unwrap_or_default();
    for name in others.iter().filter(|name| SCHEMES.iter().all(|(known, _)| known != name)) {
        callback.report("verify_also", None, format!("has \"{name}\", which is no scheme"), "see docs/any-esp.md");
    }
    let is_other = |scheme: Scheme| {
        others.iter().any(|name| SCHEMES.iter().any(|(known, other)| name == known && *other == scheme))
    };
    if usual.is_none() && !callback.reported("verify") {
        callback.missing("verify", "say how callbacks are verified: \"hmac\", \"token\", ..");
    }
    let scheme = match chosen {
        Some(chosen) if Some(chosen) != usual && !is_other(chosen) => {
            callback.report(
                "verify",
                None,
                "is not what callback_verify says",
                "leave callback_verify out, or list it in verify_also",
            );
            usual
        }
        chosen => chosen.or(usual),
    };
    let verification = verification(&mut callback, scheme);
    let body = callback.choice("body", &[("json", HttpBody::Json), ("form", HttpBody::Form)]).unwrap_or(HttpBody::Json);
    let kind = pointer(&mut callback, "type", NOTHING, scope);
    let address = pointers(&mut callback, "address", Stars::No, NOTHING, scope);
    if address.is_empty() && !callback.reported("address") {
        callback.missing("address", "say where the address is: \"/email\"");
    }
    let kinds = kinds(&mut callback, kind.as_ref(), scope);
    let read = Callback {
        verification: verification?,
        body,
        events: pointer(&mut callback, "events", NOTHING, scope),
        kinds,
        address,
        former_address: pointer(&mut callback, "former_address", NOTHING, scope),
        uid: pointer(&mut callback, "uid", NOTHING, scope),
        audience: pointer(&mut callback, "audience", NOTHING, scope),
        id: pointer(&mut callback, "id", NOTHING, scope),
        times: times(&mut callback, NOTHING, scope),
    };
    if read.kinds.is_empty() && !callback.reported_below("kinds") {
        callback.report(
            "kinds",
            None,
            "is missing",
            "say what events mean: [{ equals = \"unsubscribe\", means = \"opted_out\" }]",
        );
    }
    callback.end();
    Some(read)
}

fn kinds(reader: &mut Reader<'_>, usual: Option<&Template>, scope: &Scope) -> Vec<KindRule> {
    let happenings = [
        ("opted_in", Happening::OptedIn),
        ("opted_out", Happening::OptedOut(OptOutReason::Unsubscribed)),
        ("changed", Happening::Changed),
        ("look", Happening::Look),
        ("ignored", Happening::Ignored),
    ];
    let (mut rules, mut seen) = (Vec::new(), Vec::new());
    for (name, place, table) in tables(reader, "kinds").unwrap_or_default() {
        let mut rule = reader.sub(&name, place, table);
        let conditions = conditions(&mut rule, usual, NOTHING, scope);
        let times = times(&mut rule, NOTHING, scope);
        let reason = reason(&mut rule);
        let is_everywhere = rule.flag("everywhere", false);
        let means = rule.choice("means", &happenings);
        if means.is_none() && !rule.reported("means") {
            rule.missing("means", "write \"opted_in\", \"opted_out\", \"changed\", \"look\" or \"ignored\"");
        }
        let means = match (means, reason) {
            (Some(Happening::OptedOut(_)), Some(reason)) => Some(Happening::OptedOut(reason)),
            (means, Some(_)) => {
                rule.report("reason", None, "is there without an opt-out", "leave it out");
                means
            }
            (means, None) => means,
        };
        let fits_all = conditions.is_empty() && !rule.is_reported();
        if fits_all && means == Some(Happening::Ignored) {
            let remedy = "name the events that tell nothing of consent; what no rule knows is set aside";
            rule.report("", None, "ignores whatever comes, opt-outs too", remedy);
        }
        seen.push((name, fits_all));
        rule.end();
        rules.extend(means.map(|means| KindRule { conditions, means, is_everywhere, times }));
    }
    check_reached(reader, &seen);
    rules
}

/// Replays are harmless, and a redelivery may carry its first signature.
const TOLERANCE: Duration = Duration::from_hours(48);

fn verification(callback: &mut Reader<'_>, scheme: Option<Scheme>) -> Option<Verification> {
    // All are looked at in any case: a description may have them for the other scheme that it knows.
    let tolerance = callback.time("tolerance", TOLERANCE, Duration::from_secs(1), Duration::from_hours(24 * 365));
    let header = header_at(callback, "header");
    let prefix = callback.text("prefix").map(|(text, _)| text);
    let sha1 = callback.choice("algorithm", &[("sha256", false), ("sha1", true)]).unwrap_or(false);
    let texts = [("text", SignatureText::Text), ("hex", SignatureText::Hex), ("base64", SignatureText::Base64)];
    let encoding = callback.choice("encoding", &texts[1..]);
    let secret_is = callback.choice("secret_is", &texts).unwrap_or(SignatureText::Text);
    let signed = callback.text("signed").and_then(|(text, place)| match Signed::parse(&text) {
        Ok(signed) => Some(signed),
        Err(what) => {
            callback.report("signed", Some(&place), what, "write \"{body}\", or \"{timestamp}.{body}\"");
            None
        }
    });
    let part = callback.text("signature_part").map(|(text, _)| text);
    let time_header = header_at(callback, "timestamp_header").map(Timestamp::Header);
    let timestamp = time_header.or_else(|| callback.text("timestamp_part").map(|(text, _)| Timestamp::Part(text)));
    let id_header = header_at(callback, "id_header");
    let signed = signed.unwrap_or_else(|| vec![Signed::Body]);
    match scheme? {
        Scheme::Token => Some(Verification::UrlToken),
        Scheme::Basic => Some(Verification::Basic),
        Scheme::Bearer => {
            let (header, prefix) = match header {
                Some(header) => (header, prefix.unwrap_or_default()),
                None => (header::AUTHORIZATION, "Bearer ".to_owned()),
            };
            Some(Verification::Bearer { header, prefix })
        }
        Scheme::StandardWebhooks => Some(Verification::StandardWebhooks { tolerance }),
        scheme @ (Scheme::Hmac | Scheme::Ecdsa) => {
            let Some(header) = header else {
                if !callback.reported("header") {
                    callback.missing("header", "say in which header the signature is");
                }
                return None;
            };
            for (piece, there, key) in [
                (Signed::Timestamp, timestamp.is_some(), "timestamp_header"),
                (Signed::Id, id_header.is_some(), "id_header"),
            ] {
                if signed.contains(&piece) && !there {
                    callback.report("signed", None, "has something that no header is named for", format!("add {key}"));
                }
            }
            if timestamp.is_some() && !signed.contains(&Signed::Timestamp) {
                let remedy = "write it into signed, as \"{timestamp}.{body}\"; or leave the header's name out";
                callback.report("signed", None, "leaves the timestamp out, so that anybody could change it", remedy);
            }
            let usual = if scheme == Scheme::Ecdsa { SignatureText::Base64 } else { SignatureText::Hex };
            let encoding = encoding.unwrap_or(usual);
            let prefix = prefix.unwrap_or_default();
            let signature = Signature { header, prefix, encoding, signed, part, timestamp, id_header, tolerance };
            Some(match scheme {
                Scheme::Ecdsa => Verification::Ecdsa { signature },
                _ => Verification::Hmac { sha1, signature, secret_is },
            })
        }
    }
}

fn header_at(callback: &mut Reader<'_>, key: &'static str) -> Option<HeaderName> {
    let (text, place) = callback.text(key)?;
    let name = HeaderName::try_from(&text).ok();
    if name.is_none() {
        callback.report(key, Some(&place), "is not a header's name", "use letters, digits and -");
    }
    name
}

/// What verifies callbacks; empty if nothing comes in. `None` if they can't be used.
pub fn secrets(reader: &mut Reader<'_>, callback: Option<&Callback>) -> Option<Vec<SecretString>> {
    let there = reader.has("callback_secrets");
    let secrets = reader.secrets("callback_secrets");
    let Some(callback) = callback else {
        if there && !reader.reported_below("callback") {
            reader.report(
                "callback_secrets",
                None,
                "is there, and nothing is called back",
                "add [http.NAME.callback], or leave it out",
            );
        }
        return Some(Vec::new());
    };
    if !there && !reader.reported("callback_secrets") {
        let remedy = "list what verifies callbacks: [{ env = \"NAME\" }]; several while rotating";
        reader.report("callback_secrets", None, "is missing", remedy);
    }
    let (secrets, place) = secrets?;
    for (index, secret) in secrets.iter().enumerate() {
        if let Err((what, remedy)) = fits(secret, &callback.verification) {
            reader.report("callback_secrets", Some(&place), format!("number {} {what}", index + 1), remedy);
        }
    }
    Some(secrets)
}

/// Whether a secret can be what this scheme has.
fn fits(secret: &SecretString, verification: &Verification) -> Result<(), (&'static str, &'static str)> {
    let is_base64 = |text: &str| BASE64_STANDARD.decode(text).is_ok_and(|bytes| !bytes.is_empty());
    let text = secret.expose_secret();
    match verification {
        Verification::UrlToken if !is_token(secret) => Err((
            "is too short, or has characters that a URL's path can't",
            "use at least 16 letters, digits, - and _, made with `openssl rand -hex 24`",
        )),
        Verification::Bearer { .. } if text.len() < 16 => {
            Err(("is too short", "use at least 16 characters, made with `openssl rand -hex 24`"))
        }
        Verification::Basic if !text.contains(':') || text.len() < 16 => {
            Err(("is not user:password, or too short", "write both, joined by a colon"))
        }
        Verification::Hmac { secret_is: SignatureText::Base64, .. } if !is_base64(text) => {
            Err(("is not base64", "copy it as the ESP shows it"))
        }
        Verification::Hmac { secret_is: SignatureText::Hex, .. }
            if hex::decode(text).is_ok_and(|key| !key.is_empty()) =>
        {
            Ok(())
        }
        Verification::Hmac { secret_is: SignatureText::Hex, .. } => {
            Err(("is not hexadecimal", "copy it as the ESP shows it"))
        }
        Verification::StandardWebhooks { .. } if !is_base64(text.strip_prefix("whsec_").unwrap_or(text)) => {
            Err(("is not base64 after whsec_", "copy it as the ESP shows it"))
        }
        Verification::Ecdsa { .. } if p256_point(text).is_none() => {
            Err(("is not a public key for P-256 in base64", "copy the verification key as the ESP shows it"))
        }
        Verification::Hmac { .. } | Verification::StandardWebhooks { .. } if text.len() < 16 => {
            Err(("is too short to sign with", "use at least 16 characters, made with `openssl rand -hex 24`"))
        }
        _ => Ok(()),
    }
}
