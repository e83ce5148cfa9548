//! From a callback to notices: whether to believe it, whom it is about, and which audiences it concerns.
//!
//! An event names a subscriber by a number, so all subscribers of a body are looked up in as few calls as go. That shows
//! their key (the Gigya UID, as a rule), and at which level they are out: the list that the mail went to, or everything.
//! When they acted is the event's to tell.

use super::callback::{self, Callback, Event, Handshake, Unsubscribed, What as Told};
use super::client::Client;
use super::find::uid_of;
use super::signature;
use super::soap::Row;
use super::wire;
use crate::config::{MarketingCloud as Settings, MarketingCloudAudience, SignatureKeyEncoding, StatusPlace};
use crate::domain::{Audience, Consent, Email, OptOutReason, Outcome, Reason};
use crate::esp::{News, NotTaken, Notice, What};
use crate::telemetry::traces;
use crate::upstream::{Deadline, Fault, both};
use http::HeaderMap;
use std::collections::{BTreeSet, HashMap};

/// The longest verification that is looked at without a signature, in bytes.
const LONGEST_HANDSHAKE: usize = 4096;

/// Verifies and parses a body.
pub fn open(settings: &Settings, headers: &HeaderMap, body: &[u8]) -> Result<Callback, NotTaken> {
    if settings.registering
        && let Some(handshake) = handshake(body)
    {
        return Ok(Callback::Handshake(handshake));
    }
    let keys = &settings.signature_keys;
    let verify = || signature::check(headers, body, keys, settings.signature_key_encoding);
    let read_as = traces::station("verify").in_scope(verify);
    let read_as = read_as.map_err(NotTaken::NotVerified)?;
    if settings.signature_key_encoding == SignatureKeyEncoding::Either {
        // What to set, once somebody looks.
        tracing::debug!(connection = settings.name.as_str(), signature_key_encoding = ?read_as, "signature fits");
    }
    match traces::station("parse").in_scope(|| callback::parse(body)).map_err(NotTaken::Malformed)? {
        Callback::Handshake(_) => Err(NotTaken::NotVerified("handshake_not_expected")),
        Callback::Events(events) if events.is_empty() || events.iter().any(|event| is_ours(settings, event)) => {
            Ok(Callback::Events(events))
        }
        Callback::Events(_) => Err(NotTaken::NotVerified("business_unit")),
    }
}

/// Whether an event is of a business unit that the connection names.
fn is_ours(settings: &Settings, event: &Event) -> bool {
    event.business_unit.as_ref().is_none_or(|unit| settings.business_units.contains(unit))
}

/// The verification of a new callback: small, an object, and nothing else.
fn handshake(body: &[u8]) -> Option<Handshake> {
    let is_small = body.len() <= LONGEST_HANDSHAKE && body.trim_ascii_start().first() == Some(&b'{');
    match is_small.then(|| callback::parse(body)) {
        Some(Ok(Callback::Handshake(handshake))) => Some(handshake),
        _ => None,
    }
}

/// What the events of a body tell, one notice each.
pub async fn notices(settings: &Settings, client: &Client, events: Vec<Event>, deadline: Deadline) -> Vec<Notice> {
    let found = Subscribers::look_up(client, &events, deadline).await;
    events.into_iter().map(|event| notice(settings, &found, event)).collect()
}

fn notice(settings: &Settings, found: &Result<Subscribers, Fault>, event: Event) -> Notice {
    let without = |outcome| {
        let said = event.said.clone().filter(|_| matches!(outcome, Outcome::Rejected(_)));
        Notice { id: event.id.clone(), audiences: Vec::new(), news: Err(outcome), said }
    };
    // One stray event keeps none of the others from being heard.
    if !is_ours(settings, &event) {
        tracing::warn!(connection = settings.name.as_str(), event = event.id, "event of an unlisted business unit");
        return without(Outcome::Skipped(Reason::NoRoute));
    }
    let told = match &event.what {
        Told::Ignored => return without(Outcome::Skipped(Reason::EventTypeIgnored)),
        Told::Malformed => return without(Outcome::Rejected(Reason::Malformed)),
        Told::Unsubscribed(told) => told,
    };
    let subscriber = match found {
        Ok(found) => found.of(told),
        Err(fault) => return without(fault.outcome()),
    };
    let address = subscriber.and_then(|row| Email::parse(row.email_address.as_deref()?).ok());
    // The address that was mailed stands in for that of a subscriber who is gone; an event that lacks both is set aside.
    let mailed = told.address.clone();
    let Some(address) = address.or_else(|| mailed.clone()) else {
        return without(Outcome::Rejected(Reason::NoAddress));
    };
    let uid = match subscriber {
        Some(row) => uid_of(settings, row),
        None => told.subscriber_key.as_deref().and_then(crate::domain::Uid::new),
    };
    let what = What::OptedOut { at: told.at, reason: OptOutReason::Unsubscribed };
    // The address that was mailed may be the one that Gigya knows.
    let former_address = mailed.filter(|mailed| *mailed != address);
    let news = News { address, former_address, uid, what };
    Notice { id: event.id, audiences: audiences(settings, told, subscriber), news: Ok(news), said: None }
}

/// The audiences that somebody left.
///
/// Who is out of everything has left all of them. Else it is the list that the mail went to. If that is none of ours, it
/// may be All Subscribers, of somebody who isn't out there yet or not anymore: unless that list's id is known, what isn't a
/// publication list has been left, as far as the times say so. Where nothing can be found out, the doubt is the opt-out's.
fn audiences(settings: &Settings, told: &Unsubscribed, subscriber: Option<&Row>) -> Vec<Audience> {
    let everything = || settings.audiences.keys().cloned().collect();
    let list = told.list.as_deref();
    let of_list: Vec<_> = settings
        .audiences
        .iter()
        .filter(|(_, audience)| matches!(&audience.status, Some(StatusPlace::PublicationList(id)) if Some(id.as_str()) == list))
        .map(|(audience, _)| audience.clone())
        .collect();
    let is_out_of_everything = match subscriber {
        Some(row) => {
            let status = row.status.as_deref().unwrap_or_default();
            matches!(wire::consent(status, None, &settings.time_zone), Consent::OptedOut { .. })
        }
        None => of_list.is_empty(),
    };
    let is_the_list_of_all = list.is_some() && list == settings.all_subscribers_list.as_deref();
    if is_out_of_everything || is_the_list_of_all {
        return everything();
    }
    if !of_list.is_empty() || settings.all_subscribers_list.is_some() {
        return of_list;
    }
    let is_no_list =
        |audience: &MarketingCloudAudience| !matches!(audience.status, Some(StatusPlace::PublicationList(_)));
    settings.audiences.iter().filter(|(_, meaning)| is_no_list(meaning)).map(|(audience, _)| audience.clone()).collect()
}

/// The subscribers that a body is about.
struct Subscribers {
    by_id: HashMap<String, Row>,
    by_key: HashMap<String, Row>,
}

impl Subscribers {
    async fn look_up(client: &Client, events: &[Event], deadline: Deadline) -> Result<Self, Fault> {
        let told = || {
            events.iter().filter_map(|event| match &event.what {
                Told::Unsubscribed(told) => Some(told),
                Told::Ignored | Told::Malformed => None,
            })
        };
        let ids: BTreeSet<&str> = told().filter_map(|told| told.subscriber_id.as_deref()).collect();
        let without_id = told().filter(|told| told.subscriber_id.is_none());
        let keys: BTreeSet<&str> = without_id.filter_map(|told| told.subscriber_key.as_deref()).collect();
        let (ids, keys): (Vec<_>, Vec<_>) = (ids.into_iter().collect(), keys.into_iter().collect());
        let (by_id, by_key) =
            both(client.subscribers_by_id(&ids, deadline), client.subscribers_by_key(&keys, deadline)).await?;
        let named = |rows: Vec<Row>, name: fn(&Row) -> Option<String>| {
            rows.into_iter().filter_map(|row| Some((name(&row)?, row))).collect()
        };
        Ok(Self {
            by_id: named(by_id, |row| row.id.clone()),
            by_key: named(by_key, |row| row.subscriber_key.as_ref().map(|key| key.to_ascii_lowercase())),
        })
    }

    fn of(&self, told: &Unsubscribed) -> Option<&Row> {
        match (&told.subscriber_id, &told.subscriber_key) {
            (Some(id), _) => self.by_id.get(id),
            (None, Some(key)) => self.by_key.get(&key.to_ascii_lowercase()),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
