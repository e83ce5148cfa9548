//! What changed from one configuration to the next, by name; and what of it waits for a restart.

use crate::config::{Config, Digest, Server};
use std::collections::BTreeMap;
use std::fmt;

/// What changed from one configuration to the next. Names only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Connections that are new, by their table (`gigya.main`).
    pub connections_added: Vec<String>,
    /// Connections that are gone.
    pub connections_removed: Vec<String>,
    /// Connections of whose settings or secrets some are others.
    pub connections_changed: Vec<String>,
    /// Routes that are new, by their label.
    pub routes_added: Vec<String>,
    /// Routes that are gone.
    pub routes_removed: Vec<String>,
    /// Routes of whose settings some are others.
    pub routes_changed: Vec<String>,
    /// Secrets that are others, by their key (`campaign_monitor.news.api_key`).
    pub secrets_changed: Vec<String>,
}

impl Changes {
    /// From one to the other.
    #[must_use]
    pub fn between(former: &Config, new: &Config) -> Self {
        let routes = |config: &Config| -> BTreeMap<String, Digest> {
            let route = |route: &crate::config::Route| Digest::of(format!("{route:?}").as_bytes());
            config.routes.iter().map(|one| (one.label(), route(one))).collect()
        };
        let (_, _, secrets_changed) = compared(former.sources.secrets(), new.sources.secrets());
        let (connections_added, connections_removed, connections_changed) =
            compared(former.sources.connections(), new.sources.connections());
        let (routes_added, routes_removed, routes_changed) = compared(&routes(former), &routes(new));
        Self {
            connections_added,
            connections_removed,
            connections_changed,
            routes_added,
            routes_removed,
            routes_changed,
            secrets_changed,
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("connections added", &self.connections_added),
            ("connections removed", &self.connections_removed),
            ("connections changed", &self.connections_changed),
            ("routes added", &self.routes_added),
            ("routes removed", &self.routes_removed),
            ("routes changed", &self.routes_changed),
            ("secrets changed", &self.secrets_changed),
        ];
        let said = parts.iter().filter(|(_, names)| !names.is_empty());
        let said: Vec<_> = said.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect();
        f.write_str(if said.is_empty() { "nothing" } else { "" })?;
        f.write_str(&said.join("; "))
    }
}

fn compared(
    former: &BTreeMap<String, Digest>,
    new: &BTreeMap<String, Digest>,
) -> (Vec<String>, Vec<String>, Vec<String>) {
    let missing_in = |one: &BTreeMap<String, Digest>, other: &BTreeMap<String, Digest>| -> Vec<String> {
        one.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    let changed = new.iter().filter(|(name, digest)| former.get(*name).is_some_and(|before| before != *digest));
    (missing_in(new, former), missing_in(former, new), changed.map(|(name, _)| name.clone()).collect())
}

/// Keys of `[server]` that are set otherwise than those with which it runs: its sockets and limits are made once.
#[must_use]
pub fn waiting_for_restart(running: &Server, new: &Server) -> Vec<&'static str> {
    // Whoever adds a setting is reminded of it here.
    let Server {
        listen,
        admin_listen,
        max_connections,
        max_in_flight,
        max_body_bytes,
        header_timeout,
        body_timeout,
        drain_timeout,
        drain_delay,
    } = running;
    let compared = [
        ("server.listen", *listen != new.listen),
        ("server.admin_listen", *admin_listen != new.admin_listen),
        ("server.max_connections", *max_connections != new.max_connections),
        ("server.max_in_flight", *max_in_flight != new.max_in_flight),
        ("server.max_body_bytes", *max_body_bytes != new.max_body_bytes),
        ("server.header_timeout", *header_timeout != new.header_timeout),
        ("server.body_timeout", *body_timeout != new.body_timeout),
        ("server.drain_timeout", *drain_timeout != new.drain_timeout),
        ("server.drain_delay", *drain_delay != new.drain_delay),
    ];
    compared.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
