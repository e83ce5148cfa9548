//! `[gigya.NAME]`.

use super::{Defaults, common, is_base64};
use crate::config::model::{Gigya, GigyaAuth, GigyaEndpoint, GigyaWebhookAuth};
use crate::config::problem::Place;
use crate::config::reader::Reader;
use crate::domain::ConnectionName;
use std::time::Duration;

/// What a webhook is called unless a name was chosen.
const WEBHOOK: &str = "esp-gateway";
/// The most characters that a webhook's name may have (SAP, "accounts.webhooks.set").
const LONGEST_NAME: usize = 100;

/// Reads one connection.
pub fn read(reader: &mut Reader<'_>, name: ConnectionName) -> Option<Gigya> {
    let allow_http = reader.flag("allow_http", false);
    let common = common(reader, Defaults { is_esp: false, ..Defaults::ORDINARY });
    let api_keys = reader.texts("api_keys");
    match &api_keys {
        None => reader.missing("api_keys", "list the site's API key and, in a group, those of its member sites"),
        Some((keys, place)) if keys.is_empty() => {
            reader.report("api_keys", Some(place), "is empty", "list the site's API key");
        }
        Some(_) => {}
    }
    let endpoint = gigya_endpoint(reader, allow_http);
    let auth = gigya_auth(reader);
    let webhook_auth = gigya_webhook_auth(reader);
    let webhook_name = webhook_name(reader);
    let webhook_signing_key = webhook_signing_key(reader, webhook_auth.as_ref());
    let year = Duration::from_hours(24 * 366);
    // A rehearsal with recorded webhooks has events that are years old.
    let oldest = year * 30;
    let signature_max_age = reader.time("signature_max_age", Duration::from_hours(48), Duration::from_secs(1), oldest);
    let clock_tolerance =
        reader.time("clock_tolerance", Duration::from_mins(5), Duration::ZERO, Duration::from_hours(24));
    let mute_webhooks = reader.flag("mute_webhooks", false);
    let clear_flags_on_inactive = reader.flag("clear_flags_on_inactive", false);
    Some(Gigya {
        name,
        common,
        api_keys: api_keys?.0,
        endpoint: endpoint?,
        auth: auth?,
        webhook_auth: webhook_auth?,
        webhook_name,
        webhook_signing_key,
        signature_max_age,
        clock_tolerance,
        mute_webhooks,
        clear_flags_on_inactive,
    })
}

/// Its default depends on the other connections: [`name_webhooks`].
fn webhook_name(reader: &mut Reader<'_>) -> String {
    let Some((name, place)) = reader.text("webhook_name") else { return String::new() };
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        let remedy = format!("use 1 to {LONGEST_NAME} characters, or leave it out");
        reader.report("webhook_name", Some(&place), "is not a name for a webhook", remedy);
    }
    name
}

fn webhook_signing_key(reader: &mut Reader<'_>, auth: Option<&GigyaWebhookAuth>) -> Option<String> {
    let (key, place) = reader.text("webhook_signing_key")?;
    if matches!(auth, Some(GigyaWebhookAuth::Jwt { .. })) {
        let remedy = "set webhook_auth = \"hmac-sha1\", or leave it out: tokens are signed with Gigya's own key";
        reader.report("webhook_signing_key", Some(&place), "is used with webhook_auth = \"hmac-sha1\" only", remedy);
    }
    Some(key)
}

/// Gives each connection's webhook its name, where none was chosen: two of one site must not have the same.
pub fn name_webhooks(connections: &mut [(ConnectionName, Option<Gigya>)]) {
    let is_alone = connections.len() == 1;
    for (name, connection) in connections {
        if let Some(connection) = connection
            && connection.webhook_name.is_empty()
        {
            connection.webhook_name = if is_alone { WEBHOOK.to_owned() } else { format!("{WEBHOOK}-{name}") };
        }
    }
}

fn gigya_endpoint(reader: &mut Reader<'_>, allow_http: bool) -> Option<GigyaEndpoint> {
    let data_center = reader.text("data_center");
    let base_url = reader.take("base_url");
    match (data_center, base_url) {
        (None, None) => {
            reader.missing("data_center", "name the site's data center, for example \"eu1.gigya.com\"");
            None
        }
        (Some(_), Some(node)) => {
            let remedy = "keep data_center for Gigya itself, base_url for something that stands in for it";
            reader.report("base_url", Some(&node.place), "stands beside data_center", remedy);
            None
        }
        (Some((domain, place)), None) => {
            let is_domain =
                domain.contains('.') && domain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
            if !is_domain {
                let remedy = "write its domain, for example \"eu1.gigya.com\"";
                reader.report("data_center", Some(&place), "is not a data center's domain", remedy);
            }
            is_domain.then_some(GigyaEndpoint::DataCenter(domain))
        }
        (None, Some(node)) => {
            reader.put_back("base_url", node);
            reader.base_url("base_url", allow_http).map(GigyaEndpoint::BaseUrl)
        }
    }
}

fn gigya_auth(reader: &mut Reader<'_>) -> Option<GigyaAuth> {
    #[derive(Clone, Copy, PartialEq)]
    enum Way {
        Secret,
        Signed,
        Bearer,
    }
    let user_key = reader.required_text("user_key", "the user key of the application that the gateway acts as");
    let ways = [("secret", Way::Secret), ("signed", Way::Signed), ("bearer", Way::Bearer)];
    let has_key = reader.has("private_key");
    let way = reader.choice("auth", &ways).unwrap_or(if has_key { Way::Bearer } else { Way::Secret });
    if way == Way::Bearer {
        let private_key = reader.required_secret("private_key");
        if let Some(node) = reader.take("secret") {
            let remedy = "keep private_key for auth = \"bearer\", secret for the other two";
            reader.report("secret", Some(&node.place), "is not used with a private key", remedy);
        }
        return Some(GigyaAuth::Bearer { user_key: user_key?.0, private_key: private_key? });
    }
    if let Some(node) = reader.take("private_key") {
        let remedy = "set auth = \"bearer\", or leave it out";
        reader.report("private_key", Some(&node.place), "is used with auth = \"bearer\" only", remedy);
    }
    let secret = reader.required_secret("secret");
    if let Some(secret) = &secret
        && !is_base64(secret)
    {
        reader.report("secret", None, "is not base64", "copy it again from the console, as it is shown there");
    }
    let (user_key, secret) = (user_key?.0, secret?);
    Some(if way == Way::Secret {
        GigyaAuth::Secret { user_key, secret }
    } else {
        GigyaAuth::Signed { user_key, secret }
    })
}

fn gigya_webhook_auth(reader: &mut Reader<'_>) -> Option<GigyaWebhookAuth> {
    let is_jwt = reader.choice("webhook_auth", &[("jwt", true), ("hmac-sha1", false)]).unwrap_or(true);
    let issuer = reader.text("jwt_issuer");
    let secrets = reader.secrets("webhook_secrets");
    if is_jwt {
        if let Some((_, place)) = secrets {
            let remedy = "set webhook_auth = \"hmac-sha1\", or leave it out: Gigya's public keys verify tokens";
            reader.report("webhook_secrets", Some(&place), "is used with webhook_auth = \"hmac-sha1\" only", remedy);
        }
        let (issuer, place) = issuer.unwrap_or(("https://fidm.gigya.com/jwt/{apiKey}/".to_owned(), Place::File));
        if !issuer.contains("{apiKey}") {
            let remedy = "write it with {apiKey} where the site's API key stands";
            reader.report("jwt_issuer", Some(&place), "does not name the site", remedy);
        }
        return Some(GigyaWebhookAuth::Jwt { issuer });
    }
    if let Some((_, place)) = issuer {
        reader.report("jwt_issuer", Some(&place), "is used with webhook_auth = \"jwt\" only", "leave it out");
    }
    let Some((secrets, place)) = secrets else {
        let remedy = "list the partner secret, or that of the webhook's signing key: [{ env = \"NAME\" }]";
        reader.report("webhook_secrets", None, "is missing", remedy);
        return None;
    };
    for (index, _) in secrets.iter().enumerate().filter(|(_, secret)| !is_base64(secret)) {
        let what = format!("number {} is not base64", index + 1);
        reader.report("webhook_secrets", Some(&place), what, "copy it again from the console, as it is shown there");
    }
    Some(GigyaWebhookAuth::HmacSha1 { secrets })
}
