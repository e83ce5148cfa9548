//! What changed from one configuration to the next, by name; and what of it waits for a restart.

use crate::config::{Config, Digest, Journal, JournalStore, Server};
use secrecy::{ExposeSecret, SecretString};
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
    /// Keys outside of connections and routes that are set otherwise, and taken at once.
    pub settings_changed: Vec<&'static str>,
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
            settings_changed: settings_changed(former, new),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings_changed.iter().map(|&key| key.to_owned()).collect();
        let parts = [
            ("connections added", &self.connections_added),
            ("connections removed", &self.connections_removed),
            ("connections changed", &self.connections_changed),
            ("routes added", &self.routes_added),
            ("routes removed", &self.routes_removed),
            ("routes changed", &self.routes_changed),
            ("secrets changed", &self.secrets_changed),
            ("settings changed", &settings),
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

/// Keys that belong to no connection and no route, and take effect with the reload.
fn settings_changed(former: &Config, new: &Config) -> Vec<&'static str> {
    let compared = [
        ("server.public_url", former.server.public_url != new.server.public_url),
        ("server.watch_secrets", former.watch.secrets != new.watch.secrets),
        ("server.watch_config", former.watch.configuration != new.watch.configuration),
        ("telemetry.log_filter", former.telemetry.log_filter != new.telemetry.log_filter),
    ];
    compared.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
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
        public_url: _, // for `register` only
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

/// Keys of `[journal]` that are set otherwise than those with which it was opened: it is opened once. How long things are
/// kept is `journal prune`'s to know, which reads the configuration itself.
#[must_use]
pub fn journal_waiting(running: Option<&Journal>, new: Option<&Journal>) -> Vec<&'static str> {
    let (Some(running), Some(new)) = (running, new) else {
        return if running.is_some() == new.is_some() { Vec::new() } else { vec!["journal"] };
    };
    let texts = |keys: &[SecretString]| -> Vec<Digest> {
        keys.iter().map(|key| Digest::of(key.expose_secret().as_bytes())).collect()
    };
    let store = match (&running.store, &new.store) {
        (JournalStore::Sqlite(running), JournalStore::Sqlite(new)) => (running != new).then_some("journal.sqlite"),
        (JournalStore::Postgres(running), JournalStore::Postgres(new)) => {
            (running.expose_secret() != new.expose_secret()).then_some("journal.postgres")
        }
        (_, JournalStore::Sqlite(_)) => Some("journal.sqlite"),
        (_, JournalStore::Postgres(_)) => Some("journal.postgres"),
    };
    let keys = (texts(&running.keys) != texts(&new.keys)).then_some("journal.keys");
    store.into_iter().chain(keys).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use std::path::Path;

    const CONFIGURATION: &str = r#"
[gigya.main]
api_keys = ["4_A"]
data_center = "eu1.gigya.com"
user_key = "AAbb"
secret = { env = "GIGYA_SECRET" }

[campaign_monitor.news]
api_key = { env = "CM_API_KEY" }
callback_tokens = [{ env = "CM_CALLBACK_TOKEN" }]
time_zone = "Europe/Berlin"

[[route]]
subscription = "main/newsletter"
audience = "news/1"
"#;

    fn config(text: &str, key: &str) -> Config {
        let token = "0123456789abcdef0123456789abcdef";
        let environment = [
            ("GIGYA_SECRET", "c2VjcmV0"),
            ("CM_API_KEY", key),
            ("CM_CALLBACK_TOKEN", token),
            ("ONE_KEY", "canary-one-0123456789abcdef0123456789"),
            ("OTHER_KEY", "canary-two-0123456789abcdef0123456789"),
            ("ONE_DATABASE", "postgres://gateway:canary@one/journal"),
            ("OTHER_DATABASE", "postgres://gateway:canary@other/journal"),
        ];
        Config::parse(text, Path::new("gateway.toml"), &environment.into_iter().collect::<Environment>()).unwrap()
    }

    #[test]
    fn a_comment_changes_nothing() {
        let (former, new) = (config(CONFIGURATION, "a"), config(&format!("# {CONFIGURATION}"), "a"));
        assert_eq!(Changes::between(&former, &new).to_string(), "nothing");
    }

    #[test]
    fn what_changed_is_named_and_no_secret_is_told() {
        let former = config(CONFIGURATION, "canary-one");
        let text = CONFIGURATION
            .replace("4_A", "4_B")
            .replace("\"news/1\"", "\"news/1\"\ndouble_opt_in = false")
            .replace("main/newsletter", "main/offers");
        let new = config(&text, "canary-two");
        let said = Changes::between(&former, &new).to_string();
        let expected = "connections changed: campaign_monitor.news, gigya.main; \
                        routes added: main/offers -> news/1; routes removed: main/newsletter -> news/1; \
                        secrets changed: campaign_monitor.news.api_key";
        assert_eq!(said, expected);
        assert!(!format!("{former:?}{new:?}").contains("canary"));
    }

    #[test]
    fn a_route_that_is_set_otherwise_is_named() {
        let former = config(CONFIGURATION, "a");
        let new = config(&CONFIGURATION.replace("\"news/1\"", "\"news/1\"\ndouble_opt_in = false"), "a");
        assert_eq!(Changes::between(&former, &new).to_string(), "routes changed: main/newsletter -> news/1");
    }

    #[test]
    fn a_setting_that_is_taken_at_once_is_named() {
        let former = config(CONFIGURATION, "a");
        let text = format!("[server]\nwatch_config = true\n[telemetry]\nlog_filter = \"debug\"\n{CONFIGURATION}");
        let said = Changes::between(&former, &config(&text, "a")).to_string();
        assert_eq!(said, "settings changed: server.watch_config, telemetry.log_filter");
    }

    #[test]
    fn a_journal_that_is_another_one_waits_for_a_restart() {
        let none = config(CONFIGURATION, "a");
        let with = |lines: &str| config(&format!("{CONFIGURATION}\n[journal]\n{lines}"), "a");
        let one = with("sqlite = \"a.db\"\nkeys = [{ env = \"ONE_KEY\" }]");
        for (running, new, expected) in [
            (&none, &none, &[][..]),
            (&none, &one, &["journal"]),
            (&one, &none, &["journal"]),
            (&one, &one, &[]),
            (&one, &with("sqlite = \"a.db\"\nkeys = [{ env = \"ONE_KEY\" }]\nkeep_rejected = \"30d\""), &[]),
            (&one, &with("sqlite = \"b.db\"\nkeys = [{ env = \"OTHER_KEY\" }]"), &["journal.sqlite", "journal.keys"]),
            (
                &one,
                &with("postgres = { env = \"ONE_DATABASE\" }\nkeys = [{ env = \"ONE_KEY\" }]"),
                &["journal.postgres"],
            ),
            (
                &with("postgres = { env = \"ONE_DATABASE\" }\nkeys = [{ env = \"ONE_KEY\" }]"),
                &with("postgres = { env = \"OTHER_DATABASE\" }\nkeys = [{ env = \"ONE_KEY\" }]"),
                &["journal.postgres"],
            ),
        ] {
            assert_eq!(journal_waiting(running.journal.as_ref(), new.journal.as_ref()), expected);
        }
        assert!(!format!("{one:?}").contains("canary"));
    }

    #[test]
    fn settings_of_sockets_wait_for_a_restart() {
        let former = config(CONFIGURATION, "a");
        let new = config(&format!("[server]\nlisten = \"0.0.0.0:81\"\ndrain_delay = \"1s\"\n{CONFIGURATION}"), "a");
        assert_eq!(waiting_for_restart(&former.server, &new.server), ["server.listen", "server.drain_delay"]);
        assert!(waiting_for_restart(&former.server, &former.server).is_empty());
    }
}
