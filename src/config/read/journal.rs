//! `[journal]`, and which connections need it.

use super::super::http::Http;
use super::super::model::{CampaignMonitor, MarketingCloud};
use super::super::model::{Common, Gigya, Journal, JournalStore, OnDeadline};
use super::super::reader::Reader;
use crate::domain::ConnectionName;
use secrecy::ExposeSecret;
use std::time::Duration;

/// A key must be one that nobody can guess.
const SHORTEST_KEY: usize = 32;
const DAY: Duration = Duration::from_hours(24);

/// None if there is no such table, or it can't be used.
pub fn read(root: &mut Reader<'_>) -> Option<Journal> {
    let (table, place) = root.table("journal")?;
    let mut journal = root.sub("journal", place, table);
    let sqlite = journal.text("sqlite");
    let remedy = "write sqlite = \"journal.db\" on one machine, or postgres = { env = \"NAME\" } for several replicas";
    if let Some((_, place)) = sqlite.as_ref().filter(|(path, _)| path.trim().is_empty()) {
        journal.report("sqlite", Some(place), "is empty", remedy);
    }
    let path = sqlite.filter(|(path, _)| !path.trim().is_empty());
    let path = path.map(|(path, _)| journal.path_from_here(&path));
    let postgres = journal.secret("postgres");
    let store = match (path, postgres) {
        (Some(path), None) => Some(JournalStore::Sqlite(path)),
        (None, Some(url)) => {
            let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose_secret().starts_with(scheme));
            if !is_url {
                let remedy = "write \"postgres://user:password@host/database\" into the variable or file";
                journal.report("postgres", None, "is not the URL of a PostgreSQL database", remedy);
            }
            is_url.then_some(JournalStore::Postgres(url))
        }
        (Some(_), Some(_)) => {
            journal.report("postgres", None, "is given besides journal.sqlite", "keep one of the two");
            None
        }
        (None, None) => {
            if !journal.reported("postgres") && !journal.reported("sqlite") {
                journal.report("sqlite", None, "is missing, and so is journal.postgres", remedy);
            }
            None
        }
    };
    let remedy = "make one with: openssl rand -base64 32";
    let keys = journal.secrets("keys");
    if keys.is_none() && !journal.reported("keys") {
        journal.missing("keys", "write [{ env = \"NAME\" }], and put there what openssl rand -base64 32 says");
    }
    let (keys, place) = keys?;
    if keys.iter().any(|key| key.expose_secret().len() < SHORTEST_KEY) {
        journal.report("keys", Some(&place), format!("has a key of fewer than {SHORTEST_KEY} characters"), remedy);
    }
    let (least, most) = (DAY, DAY * 36_500);
    let read = Journal {
        store: store?,
        keys,
        keep_receipts: journal.time("keep_receipts", DAY * 1096, least, most),
        keep_rejected: journal.time("keep_rejected", DAY * 90, least, most),
    };
    journal.end();
    Some(read)
}

/// `on_deadline = "journal"` needs one.
pub fn check_together(
    root: &mut Reader<'_>,
    has_journal: bool,
    gigya: &[(ConnectionName, Option<Gigya>)],
    campaign_monitor: &[(ConnectionName, Option<CampaignMonitor>)],
    marketing_cloud: &[(ConnectionName, Option<MarketingCloud>)],
    http: &[(ConnectionName, Option<Http>)],
) {
    if has_journal || root.reported_below("journal") {
        return;
    }
    let wants = |common: &Common| common.on_deadline == OnDeadline::Journal;
    let mut without = |table: &str, name: &ConnectionName, common: Option<&Common>| {
        if common.is_some_and(wants) {
            let key = format!("{table}.{name}.on_deadline");
            let remedy = "add a [journal] table, or write on_deadline = \"defer\"; see deploy/gateway.example.toml";
            root.report(&key, None, "is \"journal\", and there is no [journal]", remedy);
        }
    };
    for (name, connection) in gigya {
        without("gigya", name, connection.as_ref().map(|connection| &connection.common));
    }
    for (name, connection) in campaign_monitor {
        without("campaign_monitor", name, connection.as_ref().map(|connection| &connection.common));
    }
    for (name, connection) in http {
        without("http", name, connection.as_ref().map(|connection| &connection.common));
    }
    for (name, connection) in marketing_cloud {
        without("marketing_cloud", name, connection.as_ref().map(|connection| &connection.common));
    }
}
