//! From a callback to notices: whether to believe it, which records it is about, and what these say now.
//!
//! A callback only says where to look, as it may be late and others may have overtaken it: every record is read back, one query
//! an audience. Of one that isn't there anymore, what the callback says of it counts if it is an opt-out.

use super::callback::{self, Event};
use super::client::Client;
use super::{find, signature, soql, wire};
use crate::config::salesforce::{Salesforce as Settings, SalesforceAudience};
use crate::domain::{ActedAt, Audience, Consent, Email, OptOutReason, Outcome, Reason, Uid};
use crate::esp::{News, NotTaken, Notice, What, media, takes_json};
use crate::telemetry::traces;
use crate::upstream::{Deadline, Fault};
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Audiences that share object and checkbox are one.
type Shared = BTreeMap<(&'static str, String), (SalesforceAudience, Vec<Audience>)>;
/// The rows of one of these by their ids, or why they can't be read.
type Rows = Result<HashMap<String, wire::Row>, Fault>;

/// Verifies and parses a body: with a token, it is an Outbound Message.
pub fn open(
    settings: &Settings,
    token: Option<&SecretString>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<Event>, NotTaken> {
    let also = &settings.common.content_types;
    let Some(token) = token else {
        takes_json(headers, also)?;
        let verify = || signature::of_json(settings, headers, body);
        traces::station("verify").in_scope(verify).map_err(NotTaken::NotVerified)?;
        return traces::station("parse")
            .in_scope(|| callback::parse_json(body, settings.callback_secrets.first()))
            .map_err(NotTaken::Malformed);
    };
    match media::essence(headers)? {
        Some(stated) if !is_xml(&stated) && !media::is_one_of(&stated, also) => return Err(NotTaken::MediaType),
        _ => {}
    }
    let verify = || signature::of_message(settings, token);
    traces::station("verify").in_scope(verify).map_err(NotTaken::NotVerified)?;
    let message = traces::station("parse").in_scope(|| callback::parse_soap(body)).map_err(NotTaken::Malformed)?;
    signature::of_organization(settings, &message.organization).map_err(NotTaken::NotVerified)?;
    Ok(message.events)
}

fn is_xml(essence: &str) -> bool {
    matches!(essence, "text/xml" | "application/xml") || essence.ends_with("+xml")
}

/// What the records of a body tell: a notice for each, and for each checkbox that a route is about.
pub async fn notices(settings: &Settings, client: &Client, events: Vec<Event>, deadline: Deadline) -> Vec<Notice> {
    let shared = shared(settings);
    let mut read: Vec<(&(SalesforceAudience, Vec<Audience>), Rows)> = Vec::new();
    for one in shared.values() {
        let of_object = events.iter().filter(|event| event.object == Some(one.0.object));
        let ids: Vec<&str> = of_object.filter_map(|event| event.record.as_deref()).collect();
        if !ids.is_empty() {
            read.push((one, rows(settings, client, &one.0, &ids, deadline).await));
        }
    }
    let mut notices = Vec::with_capacity(events.len());
    for event in events {
        notices.extend(of_event(settings, &read, event));
    }
    notices
}

fn shared(settings: &Settings) -> Shared {
    let mut shared = Shared::new();
    for (name, meaning) in &settings.audiences {
        let key = (meaning.object.name(), meaning.opt_out_field.to_ascii_lowercase());
        shared.entry(key).or_insert_with(|| (meaning.clone(), Vec::new())).1.push(name.clone());
    }
    shared
}

async fn rows(
    settings: &Settings,
    client: &Client,
    audience: &SalesforceAudience,
    ids: &[&str],
    deadline: Deadline,
) -> Rows {
    let mut rows = HashMap::new();
    for some in ids.chunks(2 * find::AT_ONCE) {
        let Some(condition) = soql::is_one_of("Id", some.iter().copied()) else { continue };
        for row in client.query_all(&soql::select(settings, audience, &condition), deadline).await? {
            if let Some(id) = wire::text_of(&row, "Id").and_then(|id| Some(id.get(..15)?.to_owned())) {
                rows.insert(id, row);
            }
        }
    }
    Ok(rows)
}

fn of_event(settings: &Settings, read: &[(&(SalesforceAudience, Vec<Audience>), Rows)], event: Event) -> Vec<Notice> {
    let without = |outcome| {
        let said = matches!(outcome, Outcome::Rejected(_)).then(|| event.said());
        Notice { id: event.id.clone(), audiences: Vec::new(), news: Err(outcome), said }
    };
    let (Some(object), Some(record)) = (event.object, &event.record) else {
        // Somebody had it sent here, and it may be an opt-out: a misspelt name, or an object by which people there say who is
        // out. No route can be about it, so it is kept for a person to see, and isn't taken for settled.
        return vec![without(Outcome::Rejected(Reason::Malformed))];
    };
    let concerned: Vec<_> = read.iter().filter(|((audience, _), _)| audience.object == object).collect();
    if concerned.is_empty() {
        // One that routes can be about, and none is: what is kept in step is what they say, and this is nothing of it.
        return vec![without(Outcome::Skipped(Reason::NoRoute))];
    }
    let several = concerned.len() > 1;
    let notice = |((audience, names), rows): &&(&(SalesforceAudience, Vec<Audience>), Rows)| {
        let id = if several { format!("{}-{}", event.id, audience.opt_out_field) } else { event.id.clone() };
        let news = match rows {
            Err(fault) => Err(fault.outcome()),
            Ok(rows) => match record.get(..15).and_then(|id| rows.get(id)) {
                Some(row) => news(settings, audience, row),
                None => of_gone(settings, audience, &event),
            },
        };
        let said = matches!(news, Err(Outcome::Rejected(_))).then(|| event.said());
        Notice { id, audiences: names.clone(), news, said }
    };
    concerned.iter().map(notice).collect()
}

/// What a record says.
fn news(settings: &Settings, audience: &SalesforceAudience, row: &wire::Row) -> Result<News, Outcome> {
    let uid = wire::text_of(row, &settings.uid_field).and_then(|uid| Uid::new(&uid));
    let Some(record) = wire::record(settings, audience, row) else {
        // Without an address nobody is mailed; with a UID, it is somebody whose word would be lost.
        let is_nobody = uid.is_none() || !matches!(wire::consent(settings, audience, row), Consent::OptedOut { .. });
        let outcome =
            if is_nobody { Outcome::Skipped(Reason::UnknownSubscriber) } else { Outcome::Rejected(Reason::NoAddress) };
        return Err(outcome);
    };
    let what = match record.consent {
        Consent::OptedOut { since, reason } => What::OptedOut { at: since, reason },
        consent if wire::is_told(consent) => What::OptedIn { at: consent.since().unwrap_or(ActedAt::UNKNOWN) },
        // Since when they are in isn't known, so it can't be newer than anything; their address may be another.
        _ => What::Changed { opted_in: true },
    };
    Ok(News { address: record.address, former_address: None, uid: record.uid, what })
}

/// What a callback says of a record that isn't there anymore.
fn of_gone(settings: &Settings, audience: &SalesforceAudience, event: &Event) -> Result<News, Outcome> {
    let row: wire::Row = event.fields.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
    let is_ticked = |name| wire::text_of(&row, name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let is_out = is_ticked(&audience.opt_out_field) || is_ticked(audience.object.standard_opt_out());
    if !is_out && !event.deleted {
        return Err(Outcome::Skipped(Reason::UnknownSubscriber));
    }
    let address = wire::text_of(&row, audience.object.address_field()).and_then(|text| Email::parse(&text).ok());
    let address = address.ok_or(Outcome::Rejected(Reason::NoAddress))?;
    let uid = wire::text_of(&row, &settings.uid_field).and_then(|uid| Uid::new(&uid));
    // It may be there, and not be read: a converted lead, a record that was hidden. Then an old tick is no new act.
    let stated = wire::consent(settings, audience, &row).since().filter(|_| is_out);
    let reason = if is_out { OptOutReason::Unsubscribed } else { OptOutReason::Deleted };
    let at = stated.unwrap_or(ActedAt::UNKNOWN);
    Ok(News { address, former_address: None, uid, what: What::OptedOut { at, reason } })
}
