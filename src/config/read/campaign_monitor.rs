//! `[campaign_monitor.NAME]`, and what its routes may say.

use super::route::Rules;
use super::{Defaults, common};
use crate::config::model::{CampaignMonitor, SubscribeWith};
use crate::config::reader::Reader;
use crate::domain::{ConnectionName, RemovalKind};
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;

/// The shortest callback token: 16 characters from 64 are 96 bits. The advice is to use more.
const SHORTEST_TOKEN: usize = 16;

/// Reads one connection.
pub fn read(reader: &mut Reader<'_>, name: ConnectionName) -> Option<CampaignMonitor> {
    let allow_http = reader.flag("allow_http", false);
    let common = common(reader, Defaults::ORDINARY);
    let api_key = reader.required_secret("api_key");
    let client_id = reader.text("client_id").map(|(id, _)| id);
    let tokens = reader.secrets("callback_tokens");
    match &tokens {
        None if !reader.reported("callback_tokens") => {
            let remedy = "list a long random token that the callback's URL ends in: [{ env = \"NAME\" }]; \
                          make one with `openssl rand -hex 24`";
            reader.report("callback_tokens", None, "is missing", remedy);
        }
        None => {}
        Some((tokens, place)) => {
            for (index, _) in tokens.iter().enumerate().filter(|(_, token)| !is_token(token)) {
                let what = format!("number {} is too short, or has characters that a URL's path can't", index + 1);
                let remedy = "use at least 16 letters, digits, - and _, made with `openssl rand -hex 24`";
                reader.report("callback_tokens", Some(place), what, remedy);
            }
        }
    }
    let time_zone = reader.required_text("time_zone", "the client's time zone, for example \"Europe/Berlin\"");
    let zone = time_zone.and_then(|(text, place)| {
        let zone = TimeZone::get(&text).ok();
        if zone.is_none() {
            let remedy = "write an IANA name such as \"Europe/Berlin\" or \"UTC\"";
            reader.report("time_zone", Some(&place), "is not a time zone", remedy);
        }
        zone
    });
    let base_url = if reader.has("base_url") {
        reader.base_url("base_url", allow_http)
    } else {
        reader.take("base_url");
        "https://api.createsend.com/api/v3.3".parse().ok()
    };
    let ways = [("import", SubscribeWith::Import), ("add", SubscribeWith::Add)];
    let subscribe_with = reader.choice("subscribe_with", &ways).unwrap_or(SubscribeWith::Import);
    let uid_field = reader.text("uid_field").map_or_else(|| "GigyaUID".to_owned(), |(text, _)| text);
    Some(CampaignMonitor {
        name,
        common,
        api_key: api_key?,
        client_id,
        callback_tokens: tokens?.0,
        time_zone: zone?,
        base_url: base_url?,
        uid_field,
        subscribe_with,
    })
}

pub(super) fn is_token(token: &SecretString) -> bool {
    let token = token.expose_secret();
    token.len() >= SHORTEST_TOKEN && token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// What routes to a connection may say.
pub fn rules(connection: Option<&CampaignMonitor>) -> Rules {
    let lacks_client = connection.is_some_and(|connection| connection.client_id.is_none());
    Rules {
        on_inactive: RemovalKind::Delete,
        no_delete: None,
        no_suppress: lacks_client.then_some((
            "\"suppress\" needs the client's id",
            "add client_id to the connection, or choose \"delete\" or \"unsubscribe\"",
        )),
        tells_opt_ins: true,
        tells_bounces: true,
        needs_field: None,
        reserved_fields: BTreeSet::new(),
        check_audience: |_| Ok(()),
    }
}
