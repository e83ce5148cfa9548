//! Which keys there are, their defaults, and what must hold between them.

mod campaign_monitor;
mod gigya;
mod http;
mod journal;
mod marketing_cloud;
mod reconcile;
mod route;
mod salesforce;

use super::http::Http;
use super::log_filter::{LogFilter, NotAFilter};
use super::model::{Common, Config, Esp, LogFormat, OnDeadline, Route, Server, Telemetry, Traces, Watch};
use super::problem::{Place, Problem};
use super::reader::{Reader, Source};
use super::salesforce::Salesforce;
use super::tree::{self, Table, Value};
use crate::domain::{Audience, ConnectionName};
use ::http::{HeaderName, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use route::Rules;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const NO_TIME: Duration = Duration::ZERO;
const SHORTEST: Duration = Duration::from_millis(10);

/// Reads everything. `None` where a part is unusable; what is wrong stands in `problems`.
pub fn config(tree: Table, source: &Source<'_>, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut root = Reader::new(String::new(), Place::File, tree, source, problems);
    let server_and_watch = server(&mut root);
    let telemetry = telemetry(&mut root);
    let mut gigya = connections(&mut root, "gigya", gigya::read);
    gigya::name_webhooks(&mut gigya);
    let campaign_monitor = connections(&mut root, "campaign_monitor", campaign_monitor::read);
    let marketing_cloud = connections(&mut root, "marketing_cloud", marketing_cloud::read);
    let salesforce = connections(&mut root, "salesforce", salesforce::read);
    let http = connections(&mut root, "http", http::read);
    let named: Vec<_> = gigya.iter().map(|(name, _)| name.clone()).collect();
    let esps = rules_by_name(&mut root, &campaign_monitor, &marketing_cloud, &salesforce, &http);
    if named.is_empty() {
        root.missing("gigya", "add a [gigya.main] table; see deploy/gateway.example.toml");
    }
    if esps.is_empty() {
        let remedy = "add a [campaign_monitor.news], [marketing_cloud.crm], [salesforce.sales] or [http.mail] table; see deploy/gateway.example.toml";
        root.missing("campaign_monitor", remedy);
    }
    let routes = route::all(&mut root, &named, &esps);
    if let Some(routes) = &routes {
        marketing_cloud::check_together(&mut root, &marketing_cloud, routes);
        salesforce::check_together(&mut root, &salesforce, routes);
    }
    if let Some(routes) = &routes {
        for (name, connection) in &marketing_cloud {
            let connection = connection.clone().map(|connection| marketing_cloud::with_audiences(connection, routes));
            let audiences = connection.map(|connection| connection.audiences);
            root.note_more(&format!("marketing_cloud.{name}"), &format!("{audiences:?}"));
        }
        for (name, connection) in &salesforce {
            let connection = connection.clone().map(|connection| salesforce::with_audiences(connection, routes));
            let audiences = connection.map(|connection| connection.audiences);
            root.note_more(&format!("salesforce.{name}"), &format!("{audiences:?}"));
        }
        for (name, _) in &http {
            root.note_more(&format!("http.{name}"), &format!("{:?}", audiences_of(name, routes)));
        }
    }
    let journal = journal::read(&mut root);
    let named_esps = (&*campaign_monitor, &*marketing_cloud, &*salesforce, &*http);
    journal::check_together(&mut root, journal.is_some(), &gigya, named_esps);
    let reconcile = reconcile::read(&mut root);
    root.end();
    let routes = routes?;
    let (server, watch) = server_and_watch?;
    let campaign_monitor = campaign_monitor
        .into_iter()
        .map(|(name, connection)| Some((name, Esp::CampaignMonitor(Box::new(connection?)))));
    let marketing_cloud = marketing_cloud.into_iter().map(|(name, connection)| {
        let connection = marketing_cloud::with_audiences(connection?, &routes);
        Some((name, Esp::MarketingCloud(Box::new(connection))))
    });
    let salesforce = salesforce.into_iter().map(|(name, connection)| {
        let connection = salesforce::with_audiences(connection?, &routes);
        Some((name, Esp::Salesforce(Box::new(connection))))
    });
    let http = http.into_iter().map(|(name, connection)| {
        let audiences = audiences_of(&name, &routes);
        Some((name, Esp::Http(Box::new(Http { audiences, ..connection? }))))
    });
    Some(Config {
        server,
        watch,
        telemetry,
        gigya: gigya.into_iter().map(|(name, connection)| Some((name, connection?))).collect::<Option<_>>()?,
        esps: campaign_monitor.chain(marketing_cloud).chain(salesforce).chain(http).collect::<Option<_>>()?,
        routes,
        journal,
        reconcile,
        sources: source.noted.borrow().clone(),
    })
}

/// What routes to each ESP connection may say. Routes name the connection alone, so no two may share a name.
fn rules_by_name(
    root: &mut Reader<'_>,
    campaign_monitor: &[(ConnectionName, Option<super::model::CampaignMonitor>)],
    marketing_cloud: &[(ConnectionName, Option<super::model::MarketingCloud>)],
    salesforce: &[(ConnectionName, Option<Salesforce>)],
    http: &[(ConnectionName, Option<Http>)],
) -> BTreeMap<ConnectionName, Rules> {
    let first = campaign_monitor.iter().map(|(name, connection)| (name, campaign_monitor::rules(connection.as_ref())));
    let mut all: BTreeMap<_, _> = first.map(|(name, rules)| (name.clone(), rules)).collect();
    let second = marketing_cloud
        .iter()
        .map(|(name, connection)| ("marketing_cloud", name, marketing_cloud::rules(connection.as_ref())));
    let sales = salesforce.iter();
    let sales = sales.map(|(name, _)| ("salesforce", name, salesforce::rules()));
    let third = http.iter().map(|(name, connection)| ("http", name, http::rules(connection.as_ref())));
    for (table, name, rules) in second.chain(sales).chain(third) {
        if all.insert(name.clone(), rules).is_some() {
            let key = format!("{table}.{name}");
            let remedy = "give one of the two another name: routes tell ESP connections apart by it";
            root.report(&key, None, "has the name of another ESP connection", remedy);
        }
    }
    all
}

/// The audiences of a connection that routes name.
fn audiences_of(name: &ConnectionName, routes: &[Arc<Route>]) -> BTreeSet<Audience> {
    routes.iter().filter(|route| route.esp == *name).map(|route| route.audience.clone()).collect()
}

fn subtable(root: &mut Reader<'_>, key: &'static str) -> (Table, Place) {
    root.table(key).unwrap_or((Table::new(), Place::File))
}

fn server(root: &mut Reader<'_>) -> Option<(Server, Watch)> {
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
    let public_url = public_url(&mut server);
    let hour = Duration::from_hours(1);
    let read = Server {
        public_url,
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
    let watch = Watch {
        secrets: server.time("watch_secrets", Duration::from_secs(5), NO_TIME, hour),
        configuration: server.flag("watch_config", false),
    };
    server.end();
    listen.and(admin_listen).map(|_| (read, watch))
}

/// With a path, if what is in front of the gateway takes one away; never with a slash at its end.
fn public_url(server: &mut Reader<'_>) -> Option<String> {
    let remedy = "write what senders reach from outside: \"https://gateway.example.com\", with a path if there is one";
    let url = server.url("public_url", false, remedy)?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn telemetry(root: &mut Reader<'_>) -> Telemetry {
    let (table, place) = subtable(root, "telemetry");
    let mut telemetry = root.sub("telemetry", place, table);
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let read = Telemetry {
        log_format: telemetry.choice("log_format", &formats).unwrap_or(LogFormat::Json),
        log_filter: log_filter(&mut telemetry),
        address_hash_key: telemetry.secret("address_hash_key"),
        traces: traces(&mut telemetry),
    };
    telemetry.end();
    read
}

fn log_filter(telemetry: &mut Reader<'_>) -> LogFilter {
    let Some((text, place)) = telemetry.text("log_filter") else { return LogFilter::default() };
    text.parse().unwrap_or_else(|NotAFilter| {
        let remedy = "write a level, alone or of a target: \"info\", \"info,gigya_esp_gateway=debug\"";
        telemetry.report("log_filter", Some(&place), "is not a filter", remedy);
        LogFilter::default()
    })
}

/// Where traces go, if anywhere. The other keys are looked at in any case, as the endpoint may come and go by a variable.
fn traces(telemetry: &mut Reader<'_>) -> Option<Traces> {
    let allow_http = telemetry.flag("otlp_allow_http", false);
    let remedy = "use https; for a host on a network that you trust, set otlp_allow_http = true";
    let endpoint = telemetry.url("otlp_endpoint", allow_http, remedy);
    let mut headers = BTreeMap::new();
    for (name, place, secret) in telemetry.named_secrets("otlp_headers") {
        let is_header = HeaderName::try_from(&name).is_ok() && HeaderValue::try_from(secret.expose_secret()).is_ok();
        if !is_header {
            let key = format!("otlp_headers.{name}");
            let remedy = "use a header's name, and a secret of one line in ASCII";
            telemetry.report(&key, Some(&place), "cannot be sent as an HTTP header", remedy);
        }
        headers.insert(name, secret);
    }
    let ratio = telemetry.ratio("trace_ratio", 1.0);
    let default = || env!("CARGO_PKG_NAME").to_owned();
    let service_name = telemetry.text("service_name").map_or_else(default, |(name, _)| name);
    Some(Traces { endpoint: endpoint?, headers, ratio, service_name })
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
        let settings = SecretString::from(tree::spelled(&table));
        let mut reader = all.sub(&name, node.place, table);
        let value = read(&mut reader, connection.clone());
        reader.note_connection(settings.expose_secret());
        reader.end();
        found.push((connection, value));
    }
    found
}

/// What the settings that every connection has are by default.
struct Defaults {
    deadline: Duration,
    /// Whether calls to the system are made for its own webhooks above all, so that none need take longer.
    attempts_within_deadline: bool,
    /// Whether the system's times are compared with Gigya's.
    is_esp: bool,
}

impl Defaults {
    const ORDINARY: Self = Self { deadline: Duration::from_secs(8), attempts_within_deadline: true, is_esp: true };
}

fn common(reader: &mut Reader<'_>, defaults: Defaults) -> Common {
    let (most, least) = (Duration::from_mins(10), SHORTEST);
    let deadline = reader.time("deadline", defaults.deadline, least, most);
    let default = Duration::from_secs(4);
    let default = if defaults.attempts_within_deadline { default.min(deadline) } else { default };
    let attempt_timeout = reader.time("attempt_timeout", default, least, most);
    if defaults.attempts_within_deadline && attempt_timeout > deadline {
        let remedy = "an attempt can't take longer than the whole request; make it at most the deadline";
        reader.report("attempt_timeout", None, "is longer than deadline", remedy);
    }
    let clocks_may_differ = if defaults.is_esp {
        reader.time("clocks_may_differ", Duration::ZERO, Duration::ZERO, Duration::from_hours(1))
    } else {
        Duration::ZERO
    };
    let on_deadline = [("defer", OnDeadline::Defer), ("journal", OnDeadline::Journal)];
    Common {
        deadline,
        on_deadline: reader.choice("on_deadline", &on_deadline).unwrap_or(OnDeadline::Defer),
        attempt_timeout,
        clocks_may_differ,
        max_concurrent_calls: reader.count("max_concurrent_calls", 128, 1, 10_000),
        max_calls_per_minute: reader.count("max_calls_per_minute", 0, 0, 10_000_000),
        content_types: reader.texts("content_types").map(|(types, _)| types).unwrap_or_default(),
    }
}

fn is_base64(secret: &SecretString) -> bool {
    BASE64_STANDARD.decode(secret.expose_secret()).is_ok()
}
