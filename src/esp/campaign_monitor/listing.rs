//! A list as a whole: read page by page, and filled by imports of up to 1,000.
//!
//! Source: vendor pages "Lists" (active, unconfirmed, unsubscribed, bounced, deleted subscribers) and "Subscribers"
//! (import) of API v3.3, and its SDKs' fixtures.

use super::CampaignMonitor;
use super::client::{Answer, json};
use super::wire::{self, WireSubscriber, WireWrite};
use crate::domain::{Audience, Email};
use crate::esp::{Bookmark, ListPage, Part, Person, Record, RecordKey, Written};
use crate::upstream::{Attempts, Deadline, Fault};
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use url::form_urlencoded;

/// The states that have a list of their own; together they are everybody.
const STATES: [&str; 5] = ["active", "unconfirmed", "unsubscribed", "bounced", "deleted"];
/// As many as a page may have.
const PAGE: usize = 1000;
/// As many as an import may have.
pub const IMPORT: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    results: Vec<Box<RawValue>>,
    number_of_pages: u64,
    /// In this state.
    #[serde(default)]
    total_number_of_records: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    email_address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stats {
    #[serde(default, rename = "TotalActiveSubscribers")]
    active: u64,
    #[serde(default, rename = "TotalUnsubscribes")]
    unsubscribed: u64,
    #[serde(default, rename = "TotalDeleted")]
    deleted: u64,
    #[serde(default, rename = "TotalBounces")]
    bounced: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Import<'a> {
    subscribers: &'a [WireWrite<'a>],
    resubscribe: bool,
    queue_subscription_based_auto_responders: bool,
    restart_subscription_based_autoresponders: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    email_address: String,
    #[serde(deserialize_with = "super::client::number_or_text")]
    code: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Imported {
    #[serde(default)]
    failure_details: Vec<Failure>,
}

/// So many may leave a state while its pages are read, or one of a hundred.
const SOME: u64 = 10;

/// A page's place.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The state's index.
    state: usize,
    /// The page's number, but one.
    pages: u64,
    /// How many rows of this state the pages before it had.
    rows: u64,
}

impl Place {
    fn of(mark: &Bookmark) -> Option<Self> {
        let mut parts = mark.at.split('/');
        let place = Self {
            state: parts.next()?.parse().ok()?,
            pages: parts.next()?.parse().ok()?,
            rows: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && place.state < STATES.len()).then_some(place)
    }

    fn mark(self) -> Bookmark {
        Bookmark::at(format!("{}/{}/{}", self.state, self.pages, self.rows))
    }

    /// Where the page after this one begins. A list that breaks off says nothing about who isn't on it.
    fn after(self, page: &Page) -> Result<Option<Bookmark>, Fault> {
        let (pages, rows) = (self.pages + 1, self.rows + page.results.len() as u64);
        if pages < page.number_of_pages {
            let is_empty = page.results.is_empty();
            let next = Self { pages, rows, ..self };
            return if is_empty { Err(Fault::Unavailable { cause: "list_incomplete" }) } else { Ok(Some(next.mark())) };
        }
        let total = page.total_number_of_records.unwrap_or_default();
        if rows + SOME.max(total / 100) < total {
            return Err(Fault::Unavailable { cause: "list_incomplete" });
        }
        let next = Self { state: self.state + 1, ..Self::default() };
        Ok((next.state < STATES.len()).then(|| next.mark()))
    }
}

impl CampaignMonitor {
    pub(super) async fn page(
        &self,
        audience: &Audience,
        from: Option<&Bookmark>,
        deadline: Deadline,
    ) -> Result<ListPage, Fault> {
        let place = match from {
            None => Place::default(),
            Some(mark) => Place::of(mark).ok_or(Fault::Unavailable { cause: "bookmark_not_understood" })?,
        };
        let total = match from {
            None => self.size(audience, deadline).await?,
            Some(_) => None,
        };
        let (name, number) = (STATES[place.state], place.pages + 1);
        let list: String = form_urlencoded::byte_serialize(audience.as_str().as_bytes()).collect();
        // By address: an order that a change of state doesn't shift as one by date would.
        let path = format!(
            "/lists/{list}/{name}.json?page={number}&pagesize={PAGE}&orderfield=email&orderdirection=asc\
             &includetrackingpreference=true&includesmspreference=true"
        );
        let page: Page = match self.call("list.subscribers", Method::GET, &path, None, Attempts::Few, deadline).await? {
            Answer::Done(body) => parse(&body)?,
            Answer::State(code) => return Err(Fault::Failing { code }),
        };
        let next = place.after(&page)?;
        Ok(ListPage { parts: page.results.iter().filter_map(|row| part(row)).collect(), next, total })
    }

    /// About how many the list holds. A list without statistics is read without knowing.
    async fn size(&self, audience: &Audience, deadline: Deadline) -> Result<Option<u64>, Fault> {
        let list: String = form_urlencoded::byte_serialize(audience.as_str().as_bytes()).collect();
        let path = format!("/lists/{list}/stats.json");
        match self.call("list.stats", Method::GET, &path, None, Attempts::Few, deadline).await? {
            Answer::Done(body) => {
                let stats: Option<Stats> = serde_json::from_slice(&body).ok();
                Ok(stats.map(|stats| stats.active + stats.unsubscribed + stats.deleted + stats.bounced))
            }
            Answer::State(_) => Ok(None),
        }
    }

    /// Who is on two pages changed in between: the later state counts, and in doubt the one that may not be mailed.
    pub(super) fn one_of(&self, parts: &[&[u8]]) -> Option<Record> {
        let records = parts.iter().filter_map(|part| {
            let wire: WireSubscriber<'_> = serde_json::from_slice(part).ok()?;
            wire.into_record(&self.settings)
        });
        records.reduce(|one, other| if other.consent.outranks(&one.consent) { other } else { one })
    }

    pub(super) async fn import(
        &self,
        audience: &Audience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Result<Written, Fault>>, Fault> {
        let subscribers: Vec<WireWrite<'_>> =
            people.iter().map(|person| wire::write(person, None, &self.settings)).collect();
        let import = Import {
            subscribers: &subscribers,
            resubscribe: false,
            queue_subscription_based_auto_responders: true,
            restart_subscription_based_autoresponders: false,
        };
        let path = Self::subscriber_path(audience, "/import", None);
        let body = self.call_import(&path, json(&import), deadline).await?;
        let imported: Imported = parse(&body)?;
        let failed: HashMap<Email, i64> = imported
            .failure_details
            .into_iter()
            .filter_map(|failure| Some((Email::parse(&failure.email_address).ok()?, failure.code)))
            .collect();
        Ok(people
            .iter()
            .map(|person| match failed.get(&person.address) {
                None => Ok(Written::Done),
                Some(203..=208) => Ok(Written::Held),
                Some(code) => Err(Fault::Refused { code: *code }),
            })
            .collect())
    }
}

/// A row as it came, with its key.
fn part(row: &RawValue) -> Option<Part> {
    let key: Key = serde_json::from_str(row.get()).ok()?;
    let address = Email::parse(&key.email_address).ok()?;
    Some(Part { key: RecordKey(address.expose().into()), said: row.get().as_bytes().to_vec() })
}

fn parse<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Unavailable { cause: "answer_not_understood" })
}
