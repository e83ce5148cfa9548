//! What the journal has of a person, ready to be shown: as a table, or as JSON. `page` makes a document of it.

use super::verify;
use super::words::instant;
use crate::domain::Change;
use crate::http::words::length;
use crate::journal::{Evidence, Kind, Verified, Whom};
use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// An answer to "when did you honour my opt-out?"
pub struct Report {
    /// Whom it is about, as the command line said.
    pub whom: Whom,
    /// When it was made.
    pub made: Timestamp,
    /// What each connection is, by its name: `Campaign Monitor`.
    pub systems: BTreeMap<String, String>,
    /// Whether the chain of all receipts holds.
    pub chain: Verified,
    /// The person's changes, the earliest first.
    pub changes: Vec<Entry>,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Entry {
    pub seq: i64,
    pub hash: String,
    pub change: Change,
    /// Whether it was in effect already when the gateway looked.
    pub was_found: bool,
    pub written: Timestamp,
    pub connection: String,
    pub direction: String,
    pub route: String,
    /// When the person acted: not before, not after.
    pub acted: (Option<Timestamp>, Option<Timestamp>),
    pub received: Option<Timestamp>,
    pub accepted: Option<Timestamp>,
    pub call_id: Option<String>,
    pub event: String,
    pub request: String,
    pub redeliveries: i64,
    pub redelivered: Option<Timestamp>,
}

impl Entry {
    /// Of a receipt; none for one about the journal itself.
    pub fn of(evidence: &Evidence) -> Option<Self> {
        let Kind::Change(change) = evidence.kind else { return None };
        Some(Self {
            seq: evidence.seq,
            hash: evidence.hash(),
            change,
            was_found: evidence.was_found,
            written: evidence.written,
            connection: evidence.connection.clone(),
            direction: evidence.direction.clone(),
            route: evidence.route.clone(),
            acted: evidence.acted,
            received: evidence.received,
            accepted: evidence.accepted,
            call_id: evidence.call_id.clone(),
            event: evidence.event.clone(),
            request: evidence.request.clone(),
            redeliveries: evidence.redeliveries,
            redelivered: evidence.redelivered,
        })
    }

    /// How long after the person acted the other side had it, at most. A clock that is ahead counts as none.
    pub fn after_act(&self) -> Option<Duration> {
        Some(between(self.acted.0?, self.accepted?))
    }

    /// How long after the gateway was told.
    pub fn after_told(&self) -> Option<Duration> {
        Some(between(self.received?, self.accepted?))
    }

    /// Which way it went, by the connections: `Gigya main -> news`. The one that it went to accepted it.
    pub fn path(&self) -> String {
        let connection = |end: &str| end.split('/').next().unwrap_or_default().to_owned();
        let (gigya, esp) = self.route.split_once(" -> ").unwrap_or((&self.route, ""));
        let (gigya, esp) = (format!("Gigya {}", connection(gigya)), connection(esp));
        if self.direction == "esp_to_gigya" { format!("{esp} -> {gigya}") } else { format!("{gigya} -> {esp}") }
    }

    /// When the person acted, as precisely as it is known.
    pub fn acted_text(&self) -> String {
        match self.acted {
            (Some(from), Some(to)) if from == to => instant(from),
            (Some(from), Some(to)) => format!("between {} and {}", instant(from), instant(to)),
            (Some(from), None) => format!("not before {}", instant(from)),
            (None, Some(to)) => format!("by {}", instant(to)),
            (None, None) => "not known".to_owned(),
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// A change in words.
pub const fn change_words(change: Change) -> &'static str {
    match change {
        Change::Profile => "Details changed",
        Change::OptIn => "Opted in",
        Change::OptOut => "Opted out",
        Change::Removal => "Taken out",
    }
}

impl Report {
    /// Whom it is about.
    pub fn asked(&self) -> String {
        match &self.whom {
            Whom::Address(address) => format!("the address {}", address.expose()),
            Whom::Account(gigya, uid) => format!("the account {} of {gigya}", uid.expose()),
        }
    }

    /// For a terminal.
    pub fn table(&self) -> String {
        if self.changes.is_empty() {
            return format!("The journal has no receipt of {}.\n{}", self.asked(), verify::conclusion(&self.chain));
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let header = [
            "CHANGE",
            "FROM -> TO",
            "PERSON ACTED",
            "GATEWAY TOLD",
            "ACCEPTED",
            "TOOK",
            "ROUTE",
            "CALL",
            "AGAIN",
            "PLACE",
        ];
        table.set_header(header);
        for entry in &self.changes {
            let found = if entry.was_found { " (found)" } else { "" };
            table.add_row([
                format!("{}{found}", entry.change.label()),
                entry.path(),
                entry.acted_text(),
                entry.received.map_or_else(String::new, instant),
                entry.accepted.map_or_else(String::new, instant),
                entry.after_act().map_or_else(String::new, length),
                entry.route.clone(),
                entry.call_id.clone().unwrap_or_default(),
                entry.redeliveries.to_string(),
                entry.seq.to_string(),
            ]);
        }
        let found = if self.changes.iter().any(|entry| entry.was_found) {
            "(found): the other side had it already when the gateway looked; it was in effect at that time at the latest.\n"
        } else {
            ""
        };
        format!("{}\n\n{found}{}", table.trim_fmt(), verify::conclusion(&self.chain))
    }

    /// For a program. Its fields are documented in docs/journal.md.
    pub fn json(&self) -> Value {
        let (by, value, connection) = match &self.whom {
            Whom::Address(address) => ("address", address.expose(), None),
            Whom::Account(gigya, uid) => ("uid", uid.expose(), Some(gigya.as_str())),
        };
        json!({
            "asked": { "by": by, "value": value, "connection": connection },
            "made_at": self.made,
            "gateway": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
            "chain": verify::as_json(&self.chain),
            "changes": self.changes.iter().map(entry_json).collect::<Vec<_>>(),
        })
    }
}

fn entry_json(entry: &Entry) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "change": entry.change.label(), "found": entry.was_found,
        "acted_from": entry.acted.0, "acted_to": entry.acted.1,
        "received_at": entry.received, "accepted_at": entry.accepted,
        "seconds_after_act": seconds(entry.after_act()), "seconds_after_told": seconds(entry.after_told()),
        "direction": entry.direction, "connection": entry.connection, "route": entry.route,
        "event": entry.event, "request_id": entry.request, "call_id": entry.call_id,
        "redeliveries": entry.redeliveries, "redelivered_at": entry.redelivered,
        "written_at": entry.written, "seq": entry.seq, "hash": entry.hash,
    })
}
