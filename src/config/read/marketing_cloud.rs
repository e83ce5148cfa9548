//! `[marketing_cloud.NAME]`, and what its routes may say.

use super::route::Rules;
use super::{Defaults, common};
use crate::config::model::{
    MarketingCloud, MarketingCloudAudience, Route, SignatureKeyEncoding, SubscriberKey, UnsubscribeWith,
};
use crate::config::problem::Place;
use crate::config::reader::Reader;
use crate::domain::{ConnectionName, RemovalKind};
use jiff::tz::TimeZone;
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Platform time: UTC-6 all year round (POSIX names count the other way). If a tenant's should be UTC, an opt-out
/// counts six hours longer, never shorter.
const PLATFORM_ZONE: &str = "Etc/GMT+6";
/// What an audience may be.
const AUDIENCES: &str = "write \"CONNECTION/all-subscribers\", \"CONNECTION/publication-list:ID\" or \
                         \"CONNECTION/data-extension:KEY\", or one of the first two and a data extension joined by +";

/// Reads one connection.
pub fn read(reader: &mut Reader<'_>, name: ConnectionName) -> Option<MarketingCloud> {
    let allow_http = reader.flag("allow_http", false);
    let common = common(
        reader,
        Defaults { deadline: Duration::from_millis(2500), attempts_within_deadline: false, is_esp: true },
    );
    let hosts = hosts(reader, allow_http);
    let account_id = number(reader, "account_id");
    let business_units = business_units(reader);
    let client_id = reader.required_secret("client_id");
    let client_secret = reader.required_secret("client_secret");
    let registering = reader.flag("registering", false);
    let signature_key_file = if registering { reader.file_to_come("signature_keys") } else { None };
    let signature_keys = signature_keys(reader, registering);
    let encodings = [
        ("either", SignatureKeyEncoding::Either),
        ("text", SignatureKeyEncoding::Text),
        ("base64", SignatureKeyEncoding::Base64),
    ];
    let signature_key_encoding = reader.choice("signature_key_encoding", &encodings);
    let uid_attribute = reader.text("uid_attribute").map(|(text, _)| text);
    let subscriber_key = subscriber_key(reader, uid_attribute.is_some());
    let all_subscribers_list = reader.text("all_subscribers_list").map(|(text, _)| text);
    let mut column = |key, default: &str| reader.text(key).map_or_else(|| default.to_owned(), |(text, _)| text);
    let (key_column, email_column) = (column("key_column", "SubscriberKey"), column("email_column", "EmailAddress"));
    let status_column = reader.text("status_column").map(|(text, _)| text);
    let ways = [("status", UnsubscribeWith::Status), ("log-unsub-event", UnsubscribeWith::LogUnsubEvent)];
    let unsubscribe_with = reader.choice("unsubscribe_with", &ways);
    let reason = reader.text("unsubscribe_reason").map(|(text, _)| text);
    let time_zone = time_zone(reader);
    let lookup_batch = reader.count("lookup_batch", 200, 1, 2000);
    let (auth_base_url, rest_base_url, soap_base_url) = hosts?;
    let account_id = account_id?;
    Some(MarketingCloud {
        name,
        common,
        auth_base_url,
        rest_base_url,
        soap_base_url,
        business_units: business_units.unwrap_or_else(|| vec![account_id.clone()]),
        account_id,
        client_id: client_id?,
        client_secret: client_secret?,
        signature_keys: signature_keys?,
        signature_key_file,
        signature_key_encoding: signature_key_encoding.unwrap_or(SignatureKeyEncoding::Either),
        registering,
        subscriber_key: subscriber_key?,
        uid_attribute,
        all_subscribers_list,
        key_column,
        email_column,
        status_column,
        unsubscribe_with: unsubscribe_with.unwrap_or(UnsubscribeWith::Status),
        unsubscribe_reason: reason.unwrap_or_else(|| "Changed in the account".to_owned()),
        time_zone: time_zone?,
        lookup_batch,
        audiences: std::collections::BTreeMap::new(),
    })
}

/// The three hosts: of a subdomain, or each by itself.
fn hosts(reader: &mut Reader<'_>, allow_http: bool) -> Option<(Url, Url, Url)> {
    const KEYS: [&str; 3] = ["auth_base_url", "rest_base_url", "soap_base_url"];
    let named: Vec<_> = KEYS.into_iter().filter(|key| reader.has(key)).collect();
    if let Some((subdomain, place)) = reader.text("subdomain") {
        for key in KEYS {
            if let Some(node) = reader.take(key) {
                let remedy = "keep subdomain for Marketing Cloud itself, the three base URLs for what stands in for it";
                reader.report(key, Some(&node.place), "stands beside subdomain", remedy);
            }
        }
        let is_label = !subdomain.is_empty() && subdomain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_label {
            let remedy = "write what stands before .rest.marketingcloudapis.com in the package's REST base URI";
            reader.report("subdomain", Some(&place), "is not a subdomain", remedy);
        }
        let host = |kind: &str| format!("https://{subdomain}.{kind}.marketingcloudapis.com").parse::<Url>().ok();
        return if is_label { Some((host("auth")?, host("rest")?, host("soap")?)) } else { None };
    }
    if named.is_empty() {
        for key in KEYS {
            reader.take(key);
        }
        let remedy = "write what stands before .rest.marketingcloudapis.com in the package's REST base URI";
        reader.missing("subdomain", remedy);
        return None;
    }
    let [auth, rest, soap] = KEYS.map(|key| {
        if !reader.has(key) {
            reader.take(key);
            reader.missing(key, "name all three of auth_base_url, rest_base_url and soap_base_url, or the subdomain");
            return None;
        }
        reader.base_url(key, allow_http)
    });
    Some((auth?, rest?, soap?))
}

fn number(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let (text, place) = reader.required_text(key, "the business unit's MID, in quotes: \"100001\"")?;
    let is_number = text.bytes().all(|c| c.is_ascii_digit());
    if !is_number {
        reader.report(key, Some(&place), "is not a MID", "write the business unit's MID, digits only, in quotes");
    }
    is_number.then_some(text)
}

fn business_units(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let (units, place) = reader.texts("business_units")?;
    if units.is_empty() || !units.iter().all(|unit| unit.bytes().all(|c| c.is_ascii_digit())) {
        let remedy = "list the MIDs whose callbacks come here: [\"100001\", \"100002\"]";
        reader.report("business_units", Some(&place), "is not a list of MIDs", remedy);
    }
    Some(units)
}

fn signature_keys(reader: &mut Reader<'_>, registering: bool) -> Option<Vec<SecretString>> {
    match reader.secrets("signature_keys") {
        Some((keys, _)) => Some(keys),
        None if registering && !reader.reported("signature_keys") => Some(Vec::new()),
        None => {
            if !reader.reported("signature_keys") {
                let remedy = "list the signatureKey that was shown when the callback was created: [{ env = \"NAME\" }]; \
                              to create the first one, start with registering = true instead";
                reader.report("signature_keys", None, "is missing", remedy);
            }
            None
        }
    }
}

fn subscriber_key(reader: &mut Reader<'_>, has_uid_attribute: bool) -> Option<SubscriberKey> {
    let (text, place) = reader.text("subscriber_key").unwrap_or(("uid".to_owned(), Place::File));
    let key = match text.split_once(':') {
        None if text == "uid" => return Some(SubscriberKey::Uid),
        None if text == "email" => SubscriberKey::Email,
        Some(("field", name)) if !name.trim().is_empty() => SubscriberKey::Field(name.to_owned()),
        _ => {
            let remedy = "write \"uid\", \"email\" or \"field:NAME\", with the NAME of a field that the routes map";
            reader.report("subscriber_key", Some(&place), "is none of the choices", remedy);
            return None;
        }
    };
    if !has_uid_attribute {
        let remedy = "name the profile attribute that holds the Gigya UID: without it, nobody is found again once \
                      their address has changed";
        reader.report("uid_attribute", None, "is missing", remedy);
    }
    Some(key)
}

fn time_zone(reader: &mut Reader<'_>) -> Option<TimeZone> {
    let (text, place) = reader.text("time_zone").unwrap_or((PLATFORM_ZONE.to_owned(), Place::File));
    let zone = TimeZone::get(&text).ok();
    if zone.is_none() {
        let remedy = "write an IANA name; \"Etc/GMT+6\" is UTC-6, the platform's own";
        reader.report("time_zone", Some(&place), "is not a time zone", remedy);
    }
    zone
}

/// What routes to a connection may say.
pub fn rules(connection: Option<&MarketingCloud>) -> Rules {
    let needs_field = connection.and_then(|connection| match &connection.subscriber_key {
        SubscriberKey::Field(name) => Some(name.clone()),
        SubscriberKey::Uid | SubscriberKey::Email => None,
    });
    Rules {
        on_inactive: RemovalKind::Unsubscribe,
        no_delete: None,
        no_suppress: Some((
            "\"suppress\" is not to be had at Marketing Cloud",
            "choose \"unsubscribe\", or \"delete\" for a contact deletion, which can't be undone",
        )),
        tells_opt_ins: false,
        tells_bounces: false,
        needs_field,
        reserved_fields: BTreeSet::new(),
        check_audience: |text| MarketingCloudAudience::parse(text).map(drop).ok_or(AUDIENCES),
    }
}

/// Reports routes that can't stand beside each other.
///
/// An opt-out of everything is one mark, on the subscriber. A newer opt-in to one audience lifts it, which is made
/// an opt-out of each of the others first; a data extension without a status has no place for that.
pub fn check_together(
    root: &mut Reader<'_>,
    connections: &[(ConnectionName, Option<MarketingCloud>)],
    routes: &[Arc<Route>],
) {
    for (name, _) in connections {
        let of_connection = routes.iter().filter(|route| route.esp == *name);
        let (with, without): (Vec<_>, Vec<_>) = of_connection
            .filter_map(|route| MarketingCloudAudience::parse(route.audience.as_str()))
            .partition(|audience| audience.status.is_some());
        if !with.is_empty() && !without.is_empty() {
            let what = "has routes to a data extension alone beside routes to a status";
            let remedy = "join a status to each data extension (\"publication-list:ID+data-extension:KEY\"), or make \
                          them two connections: an opt-out of everything could not be kept for the one and lifted for \
                          the other";
            root.report(&format!("marketing_cloud.{name}"), None, what, remedy);
        }
    }
}

/// The connection with what its routes' audiences mean.
pub fn with_audiences(mut connection: MarketingCloud, routes: &[Arc<Route>]) -> MarketingCloud {
    let own = routes.iter().filter(|route| route.esp == connection.name);
    connection.audiences = own
        .filter_map(|route| Some((route.audience.clone(), MarketingCloudAudience::parse(route.audience.as_str())?)))
        .collect();
    connection
}
