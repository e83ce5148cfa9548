//! What an event looks like, and how a batch of them is signed (vendor pages "ENS supported events" and "ENS
//! notification signing").

use super::{KeyReading, MarketingCloudSettings};
use crate::sandbox::Sealed;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

/// Somebody followed an unsubscribe link.
pub const UNSUBSCRIBE: &str = "EngagementEvents.EmailUnsubscribe";
/// Somebody opened a mail.
pub const OPEN: &str = "EngagementEvents.EmailOpen";

/// The platform's local time, UTC-6 all year, written as if it were UTC: what the vendor's sample looks like.
const PLATFORM_OFFSET_MS: i64 = 6 * 60 * 60 * 1000;

/// Somebody who got a mail.
pub struct Recipient {
    pub id: u64,
    pub key: String,
    pub email: String,
}

/// Makes a request of some events.
pub fn seal(signature_key: &str, reading: KeyReading, events: &[Value]) -> Sealed {
    let body = Value::from(events.to_vec()).to_string().into_bytes();
    let signature = sign(signature_key, reading, &body);
    let headers = vec![("content-type", "application/json".to_owned()), ("x-sfmc-ens-signature", signature)];
    Sealed { headers, body }
}

/// The base64 of a body's HMAC-SHA256 under a signature key, in one of the two readings of it.
#[must_use]
pub fn sign(signature_key: &str, reading: KeyReading, body: &[u8]) -> String {
    let key = match reading {
        KeyReading::Text => signature_key.as_bytes().to_vec(),
        KeyReading::Base64 => BASE64_STANDARD.decode(signature_key).expect("signature keys here are base64"),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(body);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// Somebody has unsubscribed, `list` being the list that the mail went to.
pub fn unsubscribed(
    settings: &MarketingCloudSettings,
    at: Timestamp,
    job: u64,
    list: &str,
    recipient: &Recipient,
) -> Value {
    let mut info = json!({
        "to": recipient.email, "domain": domain(&recipient.email),
        "unsubscribeDate": at.as_millisecond() - PLATFORM_OFFSET_MS, "unsubscribeMethod": "Click",
    });
    if settings.with_subscriber_key {
        info["subscriberKey"] = recipient.key.clone().into();
    }
    event(settings, UNSUBSCRIBE, at, job, list, recipient, info)
}

/// Somebody has opened a mail.
pub fn opened(settings: &MarketingCloudSettings, at: Timestamp, job: u64, list: &str, recipient: &Recipient) -> Value {
    let info = json!({
        "to": recipient.email, "domain": domain(&recipient.email),
        "openDate": at.as_millisecond() - PLATFORM_OFFSET_MS,
    });
    event(settings, OPEN, at, job, list, recipient, info)
}

fn event(
    settings: &MarketingCloudSettings,
    kind: &str,
    at: Timestamp,
    job: u64,
    list: &str,
    recipient: &Recipient,
    info: Value,
) -> Value {
    let mid = settings.account_id.parse::<u64>().unwrap_or_default();
    let (batch, id) = (1, recipient.id);
    json!({
        "eventCategoryType": kind, "timestampUTC": at.as_millisecond(),
        "compositeId": format!("{job}.{list}.{batch}.{id}"),
        "definitionKey": "NA", "definitionId": "NA", "mid": mid, "eid": mid,
        "composite": {
            "jobId": job.to_string(), "batchId": batch.to_string(), "listId": list, "subscriberId": id.to_string(),
        },
        "info": info,
    })
}

fn domain(email: &str) -> &str {
    email.rsplit_once('@').map_or("", |(_, domain)| domain)
}
