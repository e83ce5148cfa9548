//! Which keys there are, their defaults, and what must hold between them.

use super::fields;
use super::model::{
    CampaignMonitor, Common, Config, Esp, FieldSource, Gigya, GigyaAuth, GigyaEndpoint, GigyaWebhookAuth, LogFormat,
    Route, Server, SubscribeWith, Telemetry,
};
use super::problem::{Place, Problem};
use super::reader::{Reader, Source};
use super::tree::{Node, Table, Value};
use crate::domain::{Audience, ConnectionName, RemovalKind, SubscriptionId};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The shortest callback token: 16 characters from 64 are 96 bits. The advice is to use more.
const SHORTEST_TOKEN: usize = 16;
const NO_TIME: Duration = Duration::ZERO;
const SHORTEST: Duration = Duration::from_millis(10);

/// Reads everything. `None` where a part is unusable; what is wrong stands in `problems`.
pub fn config(tree: Table, source: &Source<'_>, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut root = Reader::new(String::new(), Place::File, tree, source, problems);
    let server = server(&mut root);
    let telemetry = telemetry(&mut root);
    let gigya = connections(&mut root, "gigya", gigya);
    let campaign_monitor = connections(&mut root, "campaign_monitor", campaign_monitor);
    let named: Vec<_> = gigya.iter().map(|(name, _)| name.clone()).collect();
    let esps_named: Vec<_> = campaign_monitor.iter().map(|(name, _)| name.clone()).collect();
    let known = Known { gigya: &named, esps: &esps_named, cannot_suppress: &cannot_suppress(&campaign_monitor) };
    if named.is_empty() {
        root.missing("gigya", "add a [gigya.main] table; see deploy/gateway.example.toml");
    }
    if esps_named.is_empty() {
        root.missing("campaign_monitor", "add a [campaign_monitor.news] table; see deploy/gateway.example.toml");
    }
    let routes = routes(&mut root, &known);
    root.end();
    Some(Config {
        server: server?,
        telemetry,
        gigya: gigya.into_iter().map(|(name, connection)| Some((name, connection?))).collect::<Option<_>>()?,
        esps: campaign_monitor
            .into_iter()
            .map(|(name, connection)| Some((name, Esp::CampaignMonitor(connection?))))
            .collect::<Option<_>>()?,
        routes: routes?,
    })
}

/// What routes may name.
struct Known<'a> {
    gigya: &'a [ConnectionName],
    esps: &'a [ConnectionName],
    cannot_suppress: &'a [ConnectionName],
}

fn subtable(root: &mut Reader<'_>, key: &'static str) -> (Table, Place) {
    root.table(key).unwrap_or((Table::new(), Place::File))
}

fn server(root: &mut Reader<'_>) -> Option<Server> {
    let (table, place) = subtable(root, "server");
    let mut server = root.sub("server", place, table);
    let address = |server: &mut Reader<'_>, key, default: &str| {
        if let Some((text, place)) = server.text(key) {
            let parsed = text.parse::<SocketAddr>().ok();
            if parsed.is_none() {
                server.report(key, Some(&place), "is not an address and port", format!("write \"{default}\""));
            }
            parsed
        } else {
            default.parse().ok()
        }
    };
    let listen = address(&mut server, "listen", "0.0.0.0:8080");
    let admin_listen = address(&mut server, "admin_listen", "127.0.0.1:9090");
    if let (Some(listen), Some(admin)) = (listen, admin_listen)
        && listen == admin
        && listen.port() != 0
    {
        server.report("admin_listen", None, "is the same as server.listen", "give operations a port of their own");
    }
    let hour = Duration::from_hours(1);
    let read = Server {
        listen: listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
        admin_listen: admin_listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        max_connections: server.count("max_connections", 10_000, 1, 1_000_000),
        max_in_flight: server.count("max_in_flight", 1_000, 1, 1_000_000),
        max_body_bytes: server.count("max_body_bytes", 1 << 20, 1 << 10, 64 << 20),
        header_timeout: server.time("header_timeout", Duration::from_secs(5), SHORTEST, hour),
        body_timeout: server.time("body_timeout", Duration::from_secs(10), SHORTEST, hour),
        drain_timeout: server.time("drain_timeout", Duration::from_secs(25), NO_TIME, hour),
        drain_delay: server.time("drain_delay", NO_TIME, NO_TIME, hour),
    };
    server.end();
    listen.and(admin_listen).map(|_| read)
}

fn telemetry(root: &mut Reader<'_>) -> Telemetry {
    let (table, place) = subtable(root, "telemetry");
    let mut telemetry = root.sub("telemetry", place, table);
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let read = Telemetry {
        log_format: telemetry.choice("log_format", &formats).unwrap_or(LogFormat::Json),
        log_filter: telemetry.text("log_filter").map_or_else(|| "info".to_owned(), |(text, _)| text),
        address_hash_key: telemetry.secret("address_hash_key"),
    };
    telemetry.end();
    read
}

/// Every connection of one kind, with its name; `None` for one that can't be used.
fn connections<T>(
    root: &mut Reader<'_>,
    kind: &'static str,
    read: impl Fn(&mut Reader<'_>, ConnectionName) -> Option<T>,
) -> Vec<(ConnectionName, Option<T>)> {
    let (table, _) = subtable(root, kind);
    let mut all = root.sub(kind, Place::File, Table::new());
    let mut found = Vec::new();
    for (name, node) in table {
        let Value::Table(table) = node.value else {
            let remedy = format!("each {kind} connection has a name: write [{kind}.NAME]");
            all.report(&name, Some(&node.place), "is not a connection", remedy);
            continue;
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
        if !is_name {
            let remedy = "use small letters, digits, - and _ only: the name is part of the webhook's path";
            all.report(&name, Some(&node.place), "is not a name for a connection", remedy);
        }
        let connection = ConnectionName::new(&name);
        let mut reader = all.sub(&name, node.place, table);
        let value = read(&mut reader, connection.clone());
        reader.end();
        found.push((connection, value));
    }
    found
}

fn common(reader: &mut Reader<'_>) -> Common {
    let (most, least) = (Duration::from_mins(10), SHORTEST);
    let deadline = reader.time("deadline", Duration::from_secs(8), least, most);
    let default = Duration::from_secs(4).min(deadline);
    let attempt_timeout = reader.time("attempt_timeout", default, least, most);
    if attempt_timeout > deadline {
        let remedy = "an attempt can't take longer than the whole request; make it at most the deadline";
        reader.report("attempt_timeout", None, "is longer than deadline", remedy);
    }
    Common {
        deadline,
        attempt_timeout,
        max_concurrent_calls: reader.count("max_concurrent_calls", 64, 1, 10_000),
        content_types: reader.texts("content_types").map(|(types, _)| types).unwrap_or_default(),
    }
}

fn gigya(reader: &mut Reader<'_>, name: ConnectionName) -> Option<Gigya> {
    let allow_http = reader.flag("allow_http", false);
    let common = common(reader);
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
    let year = Duration::from_hours(24 * 366);
    let signature_max_age = reader.time("signature_max_age", Duration::from_hours(48), Duration::from_secs(1), year);
    let clock_tolerance = reader.time("clock_tolerance", Duration::from_mins(5), NO_TIME, Duration::from_hours(24));
    let mute_webhooks = reader.flag("mute_webhooks", false);
    let clear_flags_on_inactive = reader.flag("clear_flags_on_inactive", false);
    Some(Gigya {
        name,
        common,
        api_keys: api_keys?.0,
        endpoint: endpoint?,
        auth: auth?,
        webhook_auth: webhook_auth?,
        signature_max_age,
        clock_tolerance,
        mute_webhooks,
        clear_flags_on_inactive,
    })
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

fn is_base64(secret: &SecretString) -> bool {
    BASE64_STANDARD.decode(secret.expose_secret()).is_ok()
}

fn campaign_monitor(reader: &mut Reader<'_>, name: ConnectionName) -> Option<CampaignMonitor> {
    let allow_http = reader.flag("allow_http", false);
    let common = common(reader);
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

fn is_token(token: &SecretString) -> bool {
    let token = token.expose_secret();
    token.len() >= SHORTEST_TOKEN && token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Connections for which `on_inactive = "suppress"` lacks what it needs.
fn cannot_suppress(connections: &[(ConnectionName, Option<CampaignMonitor>)]) -> Vec<ConnectionName> {
    let lacks = |connection: &CampaignMonitor| connection.client_id.is_none();
    connections
        .iter()
        .filter(|(_, connection)| connection.as_ref().is_some_and(lacks))
        .map(|(name, _)| name.clone())
        .collect()
}

fn routes(root: &mut Reader<'_>, known: &Known<'_>) -> Option<Vec<Arc<Route>>> {
    let items = match root.take("route") {
        Some(Node { value: Value::List(items), .. }) if !items.is_empty() => items,
        Some(Node { value: Value::Table(_), place, .. }) => {
            root.report("route", Some(&place), "is one table", "write [[route]], with two brackets");
            return None;
        }
        _ => {
            root.missing("route", "add a [[route]] that says which subscription goes to which audience");
            return None;
        }
    };
    let mut routes: Vec<Arc<Route>> = Vec::new();
    let mut complete = true;
    for (index, item) in items.into_iter().enumerate() {
        let name = format!("route[{index}]");
        let Value::Table(table) = item.value else {
            root.report(&name, Some(&item.place), "is not a table", "write [[route]]");
            continue;
        };
        let mut reader = root.sub(&name, item.place, table);
        let route = route(&mut reader, known);
        if let Some(route) = &route
            && routes.iter().any(|other| other.label() == route.label())
        {
            let what = format!("is there twice: {}", route.label());
            reader.report("", None, what, "keep one of the two");
        }
        reader.end();
        complete &= route.is_some();
        routes.extend(route.map(Arc::new));
    }
    complete.then_some(routes)
}

fn route(reader: &mut Reader<'_>, known: &Known<'_>) -> Option<Route> {
    let subscription = end_of_route(reader, "subscription", "main/newsletter", known.gigya);
    let audience = end_of_route(reader, "audience", "news/LIST-ID", known.esps);
    let kinds = [
        ("delete", RemovalKind::Delete),
        ("unsubscribe", RemovalKind::Unsubscribe),
        ("suppress", RemovalKind::Suppress),
    ];
    let on_inactive = reader.choice("on_inactive", &kinds).unwrap_or(RemovalKind::Delete);
    if let Some((esp, _)) = &audience
        && on_inactive == RemovalKind::Suppress
        && known.cannot_suppress.contains(esp)
    {
        let remedy = format!("add client_id to the connection \"{esp}\", or choose \"delete\" or \"unsubscribe\"");
        reader.report("on_inactive", None, "\"suppress\" needs the client's id", remedy);
    }
    let double_opt_in = reader.flag("double_opt_in", true);
    let accept_opt_ins = reader.flag("accept_opt_ins", false);
    let create_lite_accounts = reader.flag("create_lite_accounts", false);
    if create_lite_accounts && !accept_opt_ins {
        let remedy = "set accept_opt_ins = true as well, or leave create_lite_accounts out";
        reader.report("create_lite_accounts", None, "does nothing without accept_opt_ins", remedy);
    }
    let forward_bounces = reader.flag("forward_bounces", false);
    let fields = mapping(reader);
    let ((gigya, subscription), (esp, audience)) = (subscription?, audience?);
    Some(Route {
        gigya,
        subscription: SubscriptionId::new(&subscription),
        esp,
        audience: Audience::new(&audience),
        on_inactive,
        double_opt_in,
        accept_opt_ins,
        create_lite_accounts,
        forward_bounces,
        fields,
    })
}

/// `connection/what`: what before the first slash must be a connection that is there.
fn end_of_route(
    reader: &mut Reader<'_>,
    key: &'static str,
    example: &str,
    known: &[ConnectionName],
) -> Option<(ConnectionName, String)> {
    let (text, place) = reader.required_text(key, &format!("write \"{example}\""))?;
    let Some((connection, what)) = text.split_once('/').filter(|(_, what)| !what.trim().is_empty()) else {
        reader.report(
            key,
            Some(&place),
            "does not name a connection and what is there",
            format!("write \"{example}\""),
        );
        return None;
    };
    let Some(found) = known.iter().find(|known| known.as_str() == connection) else {
        let names: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
        let remedy = match names.as_slice() {
            [] => "configure the connection first".to_owned(),
            names => format!("configured are {}", names.join(", ")),
        };
        reader.report(key, Some(&place), format!("names the connection \"{connection}\", which is not there"), remedy);
        return None;
    };
    Some((found.clone(), what.to_owned()))
}

fn mapping(reader: &mut Reader<'_>) -> BTreeMap<String, FieldSource> {
    let Some((table, place)) = reader.table("fields") else { return BTreeMap::new() };
    let mut fields = reader.sub("fields", place, Table::new());
    let mut read = BTreeMap::new();
    for (name, node) in table {
        let source = match &node.value {
            Value::Text(text) => fields::parse(text),
            _ => Err("is not text"),
        };
        match source {
            Ok(source) => {
                read.insert(name, source);
            }
            Err(what) => {
                let remedy = "write a path such as \"profile.firstName\", a text such as \"=Yes\", \
                              or a mix such as \"{profile.firstName} {profile.lastName}\"";
                fields.report(&name, Some(&node.place), what, remedy);
            }
        }
    }
    read
}
