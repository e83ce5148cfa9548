//! `[salesforce.NAME]`, and what its routes may say.

use super::campaign_monitor::is_token;
use super::route::Rules;
use super::{Defaults, common};
use crate::config::http::{Signature, SignatureText, Signed, Verification};
use crate::config::model::Route;
use crate::config::problem::Place;
use crate::config::reader::Reader;
use crate::config::salesforce::{Salesforce, SalesforceAudience, SalesforceAuth, is_field};
use crate::domain::{ConnectionName, RemovalKind};
use ::http::HeaderName;
use jiff::tz::TimeZone;
use jsonwebtoken::EncodingKey;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The first version of the API whose collections can be upserted by an external id.
const FIRST_VERSION: u16 = 46;
/// The shortest secret of a callback.
const SHORTEST_SECRET: usize = 16;
/// What an audience may be.
const AUDIENCES: &str = "write \"CONNECTION/Contact\", \"CONNECTION/Lead\" or \"CONNECTION/Account\"; if another checkbox than \
                         Email Opt Out says who is out, add a dot and its API name: \"CONNECTION/Contact.Newsletter_Opt_Out__c\"";
/// Where a signature over a JSON callback is.
const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-gateway-signature");

/// Reads one connection.
pub fn read(reader: &mut Reader<'_>, name: ConnectionName) -> Option<Salesforce> {
    let allow_http = reader.flag("allow_http", false);
    let common = common(reader, Defaults::ORDINARY);
    let base_url = if reader.has("base_url") {
        reader.base_url("base_url", allow_http)
    } else {
        reader.take("base_url");
        reader.missing("base_url", "write \"https://DOMAIN.my.salesforce.com\", as Setup shows it under My Domain");
        None
    };
    let api_version = api_version(reader);
    let client_id = reader.required_secret("client_id");
    let auth = auth(reader, base_url.as_ref());
    let (least, most) = (Duration::from_mins(1), Duration::from_hours(24));
    let token_lifetime = reader.time("token_lifetime", Duration::from_mins(50), least, most);
    let organization_id = organization(reader);
    let outbound_tokens = tokens(reader);
    let callback_secrets = secrets(reader);
    let callback_auth = callback_auth(reader, !callback_secrets.is_empty());
    if !outbound_tokens.is_empty() && organization_id.is_none() && !reader.reported("organization_id") {
        let remedy = "write the organization's id, which Outbound Messages name: Setup, Company Information";
        reader.report("organization_id", None, "is missing", remedy);
    }
    if outbound_tokens.is_empty() && callback_secrets.is_empty() && !reader.reported("outbound_tokens") {
        let remedy = "list a long random token that the Outbound Message's URL ends in: [{ env = \"NAME\" }], made with \
                      `openssl rand -hex 24`; or callback_secrets, for JSON callbacks";
        reader.report("outbound_tokens", None, "is missing", remedy);
    }
    let uid_field = field(reader, "uid_field").unwrap_or_else(|| "Gigya_UID__c".to_owned());
    let consent_time_field = field(reader, "consent_time_field");
    let write_consent_time = reader.flag("write_consent_time", true);
    if !write_consent_time && consent_time_field.is_none() && !reader.reported("consent_time_field") {
        let remedy =
            "set consent_time_field to the field that Salesforce keeps the time in, or leave write_consent_time out";
        reader.report("write_consent_time", None, "does nothing without consent_time_field", remedy);
    }
    let time_zone = time_zone(reader);
    let placeholder = reader.text("placeholder").map_or_else(|| "-".to_owned(), |(text, _)| text);
    let save_duplicates = reader.flag("save_duplicates", false);
    Some(Salesforce {
        name,
        common,
        base_url: base_url?,
        api_version: api_version?,
        client_id: client_id?,
        auth: auth?,
        token_lifetime,
        organization_id,
        outbound_tokens,
        callback_secrets,
        callback_auth,
        uid_field,
        consent_time_field,
        write_consent_time,
        time_zone: time_zone?,
        placeholder,
        save_duplicates,
        audiences: std::collections::BTreeMap::new(),
    })
}

fn api_version(reader: &mut Reader<'_>) -> Option<String> {
    let (text, place) = reader.text("api_version").unwrap_or(("v60.0".to_owned(), Place::File));
    let number = text.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0"));
    let is_version = number.is_some_and(|number| number.parse::<u16>().is_ok_and(|number| number >= FIRST_VERSION));
    if !is_version {
        reader.report("api_version", Some(&place), "is not a version of the API", "write \"v60.0\", or a later one");
    }
    is_version.then_some(text)
}

/// One of two ways, known by which of their keys is there.
fn auth(reader: &mut Reader<'_>, base_url: Option<&Url>) -> Option<SalesforceAuth> {
    let has_key = reader.has("private_key");
    let for_a_key: Vec<_> = ["username", "login_url"].into_iter().filter(|key| !has_key && reader.has(key)).collect();
    let username = reader.text("username").map(|(text, _)| text);
    let login_url = reader.url("login_url", false, "write \"https://login.salesforce.com\"");
    if !has_key {
        reader.take("private_key");
        for key in for_a_key {
            reader.report(key, None, "is not used without a private key", "add private_key, or remove it");
        }
        let secret = reader.required_secret("client_secret")?;
        return Some(SalesforceAuth::ClientCredentials(secret));
    }
    let private_key = reader.secret("private_key");
    if let Some(node) = reader.take("client_secret") {
        let remedy = "keep private_key for a JWT, client_secret for client credentials";
        reader.report("client_secret", Some(&node.place), "is not used with a private key", remedy);
    }
    if let Some(key) = &private_key
        && EncodingKey::from_rsa_pem(key.expose_secret().as_bytes()).is_err()
    {
        let remedy = "use the PEM of the RSA key whose certificate the app has";
        reader.report("private_key", None, "is not an RSA private key", remedy);
    }
    if username.is_none() && !reader.reported("username") {
        reader.missing("username", "write the user whom the gateway acts as");
    }
    let login_url = login_url.as_ref().or(base_url)?.as_str().trim_end_matches('/').to_owned();
    Some(SalesforceAuth::JwtBearer { username: username?, private_key: private_key?, login_url })
}

fn organization(reader: &mut Reader<'_>) -> Option<String> {
    let (text, place) = reader.text("organization_id")?;
    let is_id = matches!(text.len(), 15 | 18) && text.bytes().all(|c| c.is_ascii_alphanumeric());
    if !is_id {
        let remedy = "write 15 or 18 letters and digits, as Setup shows them under Company Information";
        reader.report("organization_id", Some(&place), "is not an organization's id", remedy);
    }
    is_id.then_some(text)
}

fn tokens(reader: &mut Reader<'_>) -> Vec<SecretString> {
    let Some((tokens, place)) = reader.secrets("outbound_tokens") else { return Vec::new() };
    for (index, _) in tokens.iter().enumerate().filter(|(_, token)| !is_token(token)) {
        let what = format!("number {} is too short, or has characters that a URL's path can't", index + 1);
        let remedy = "use at least 16 letters, digits, - and _, made with `openssl rand -hex 24`";
        reader.report("outbound_tokens", Some(&place), what, remedy);
    }
    tokens
}

fn secrets(reader: &mut Reader<'_>) -> Vec<SecretString> {
    let Some((secrets, place)) = reader.secrets("callback_secrets") else { return Vec::new() };
    for (index, _) in secrets.iter().enumerate().filter(|(_, secret)| secret.expose_secret().len() < SHORTEST_SECRET) {
        let what = format!("number {} is too short", index + 1);
        let remedy = "use at least 16 characters, made with `openssl rand -hex 24`";
        reader.report("callback_secrets", Some(&place), what, remedy);
    }
    secrets
}

/// Apex can sign; a Flow can send a secret along only.
fn callback_auth(reader: &mut Reader<'_>, has_secrets: bool) -> Verification {
    let ways = [("hmac-sha256", true), ("bearer", false)];
    let is_signed = reader.choice("callback_auth", &ways).unwrap_or(true);
    if !is_signed && !has_secrets && !reader.reported("callback_secrets") {
        let remedy = "list in callback_secrets what JSON callbacks send along, or leave callback_auth out";
        reader.report("callback_auth", None, "does nothing without callback_secrets", remedy);
    }
    if is_signed {
        let signature = Signature {
            header: SIGNATURE_HEADER,
            prefix: String::new(),
            encoding: SignatureText::Base64,
            signed: vec![Signed::Body],
            part: None,
            timestamp: None,
            id_header: None,
            tolerance: Duration::ZERO,
        };
        Verification::Hmac { sha1: false, signature, secret_is: SignatureText::Text }
    } else {
        Verification::Bearer { header: ::http::header::AUTHORIZATION, prefix: "Bearer ".to_owned() }
    }
}

fn field(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let (text, place) = reader.text(key)?;
    if !is_field(&text) {
        let remedy = "write the field's API name, for example \"Gigya_UID__c\"";
        reader.report(key, Some(&place), "is not the name of a field", remedy);
    }
    Some(text)
}

fn time_zone(reader: &mut Reader<'_>) -> Option<TimeZone> {
    let (text, place) = reader.text("time_zone").unwrap_or(("UTC".to_owned(), Place::File));
    let zone = TimeZone::get(&text).ok();
    if zone.is_none() {
        let remedy = "write an IANA name such as \"Europe/Berlin\" or \"UTC\"";
        reader.report("time_zone", Some(&place), "is not a time zone", remedy);
    }
    zone
}

/// What routes to a connection may say.
pub fn rules() -> Rules {
    Rules {
        on_inactive: RemovalKind::Unsubscribe,
        no_delete: None,
        no_suppress: Some((
            "\"suppress\" is not to be had at Salesforce",
            "choose \"unsubscribe\", which keeps the record opted out, or \"delete\"",
        )),
        // With a field for their time, as `check_together` sees.
        tells_opt_ins: true,
        tells_bounces: false,
        needs_field: None,
        reserved_fields: BTreeSet::new(),
        check_audience: |text| SalesforceAudience::parse(text).map(drop).ok_or(AUDIENCES),
    }
}

/// Reports opt-ins whose time nothing tells, fields that can't be any, and those that say who is out or since when, which no
/// profile may change.
pub fn check_together(
    root: &mut Reader<'_>,
    connections: &[(ConnectionName, Option<Salesforce>)],
    routes: &[Arc<Route>],
) {
    for (index, route) in routes.iter().enumerate() {
        let Some((connection, read)) = connections.iter().find(|(name, _)| *name == route.esp) else { continue };
        let time = read.as_ref().and_then(|read| read.consent_time_field.as_deref());
        // Only where Salesforce says since when somebody is in can an opt-in there be newer than anything.
        if route.accept_opt_ins && read.is_some() && time.is_none() {
            let what = "can't work: nothing at Salesforce tells since when somebody is opted in";
            let remedy = format!(
                "set consent_time_field in [salesforce.{connection}] to a field with that time, or leave accept_opt_ins out"
            );
            root.report(&format!("route[{index}].accept_opt_ins"), None, what, remedy);
        }
        for name in route.fields.keys().filter(|name| time.is_some_and(|time| time.eq_ignore_ascii_case(name))) {
            let remedy =
                "remove it: it is the connection's consent_time_field, which is written with the checkbox alone";
            root.report(&format!("route[{index}].fields.{name}"), None, "is the time of consent", remedy);
        }
        for name in route.fields.keys().filter(|name| !is_field(name)) {
            let remedy = "write the field's API name, for example FirstName or Loyalty_Tier__c";
            root.report(&format!("route[{index}].fields.{name}"), None, "is not the name of a field", remedy);
        }
        let Some(meaning) = SalesforceAudience::parse(route.audience.as_str()) else { continue };
        let others = routes.iter().filter(|other| other.esp == route.esp);
        let others: Vec<_> = others.filter_map(|other| SalesforceAudience::parse(other.audience.as_str())).collect();
        if route.accept_opt_ins && others.iter().any(|other| other.is_another_box(&meaning)) {
            let what = "can't work: several checkboxes of the object share the time of consent";
            let remedy =
                "give each a connection of its own, with its own consent_time_field, or leave accept_opt_ins out";
            root.report(&format!("route[{index}].accept_opt_ins"), None, what, remedy);
        }
        let others = others.into_iter().filter(|other| other.object == meaning.object);
        let mut boxes: Vec<String> = others.map(|other| other.opt_out_field).collect();
        boxes.push(meaning.object.standard_opt_out().to_owned());
        boxes.push("LastModifiedDate".to_owned());
        for name in route.fields.keys().filter(|name| boxes.iter().any(|own| own.eq_ignore_ascii_case(name))) {
            let remedy = "remove it: only what the person says may change who is out";
            root.report(&format!("route[{index}].fields.{name}"), None, "is a field that says who is out", remedy);
        }
    }
}

/// The connection with what its routes' audiences mean.
pub fn with_audiences(mut connection: Salesforce, routes: &[Arc<Route>]) -> Salesforce {
    for route in routes.iter().filter(|route| route.esp == connection.name) {
        if let Some(meaning) = SalesforceAudience::parse(route.audience.as_str()) {
            let audience = connection.audiences.entry(route.audience.clone()).or_insert(meaning);
            audience.fields.extend(route.fields.keys().cloned());
        }
    }
    connection
}
