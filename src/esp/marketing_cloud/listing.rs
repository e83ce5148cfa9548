//! An audience as a whole: subscribers, the memberships of its publication list, the rows of its data extension; one place
//! after the other, page by page.
//!
//! Source: vendor pages "Retrieving more than 2,500 objects" (`MoreDataAvailable`, `ContinueRequest`) and "Retrieve data extension
//! rows" (`GET /data/v1/customobjectdata/key/{key}/rowset`; names come in small letters).

use super::find::{Beside, Place};
use super::provider::MarketingCloud;
use super::soap::{Filter, Pair, Properties, Row};
use super::wire;
use crate::config::{MarketingCloudAudience, StatusPlace};
use crate::domain::Audience;
use crate::esp::{Bookmark, ListPage, Part, Record, RecordKey, Whom};
use crate::upstream::{Deadline, Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// As many rows as a page of a data extension may have.
pub const PAGE: usize = 2_500;

/// The places in which an audience may hold somebody, in the order in which they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shelf {
    Subscribers,
    Memberships,
    Rows,
}

impl Shelf {
    const fn label(self) -> &'static str {
        match self {
            Self::Subscribers => "subscribers",
            Self::Memberships => "memberships",
            Self::Rows => "rows",
        }
    }

    fn named(label: &str) -> Option<Self> {
        [Self::Subscribers, Self::Memberships, Self::Rows].into_iter().find(|shelf| shelf.label() == label)
    }

    /// Those that an audience has, after this one.
    fn next(self, audience: &MarketingCloudAudience) -> Option<Self> {
        let has_list = matches!(audience.status, Some(StatusPlace::PublicationList(_)));
        let has_rows = audience.data_extension.is_some();
        match self {
            Self::Subscribers if has_list => Some(Self::Memberships),
            Self::Subscribers | Self::Memberships if has_rows => Some(Self::Rows),
            Self::Subscribers | Self::Memberships | Self::Rows => None,
        }
    }
}

/// What one place says of one key.
#[derive(Serialize, Deserialize)]
enum Said {
    /// The subscriber: address, status, since when, attributes.
    Subscriber(Option<String>, Option<String>, Option<String>, Vec<(String, Option<String>)>),
    /// The membership: status, since when.
    Membership(Option<String>, Option<String>),
    /// The row's columns.
    Row(Vec<(String, Option<String>)>),
}

/// A page of a data extension.
#[derive(Deserialize)]
struct Rowset {
    /// How many rows the data extension has.
    count: u64,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    keys: Map<String, Value>,
    #[serde(default)]
    values: Map<String, Value>,
}

impl MarketingCloud {
    /// A page of an audience's list. A bookmark is the place and what its page is asked for by.
    pub(super) async fn page(
        &self,
        audience: &MarketingCloudAudience,
        from: Option<&Bookmark>,
        deadline: Deadline,
    ) -> Result<ListPage, Fault> {
        let begins_at = from.and_then(|mark| mark.at.split_once('/'));
        let (place, continued) = match (begins_at, from) {
            (Some((label, rest)), _) => (Shelf::named(label), Some(rest)),
            (None, None) => (Some(Shelf::Subscribers), None),
            (None, Some(_)) => (None, None),
        };
        let place = place.ok_or(Fault::Unavailable { cause: "bookmark_not_understood" })?;
        let continued = continued.filter(|rest| !rest.is_empty());
        let (parts, next, total) = match (place, &audience.status, &audience.data_extension) {
            (Shelf::Memberships, Some(StatusPlace::PublicationList(list)), _) => {
                let filter = Filter::In("ListID", vec![list]);
                let (rows, next) = self.client.membership_page(&filter, continued, deadline).await?;
                (rows.into_iter().filter_map(of_membership).collect(), next, None)
            }
            (Shelf::Rows, _, Some(data_extension)) => self.row_page(data_extension, continued, deadline).await?,
            _ => {
                let (rows, next) = self.client.subscriber_page(continued, deadline).await?;
                (rows.into_iter().filter_map(of_subscriber).collect(), next, None)
            }
        };
        let next = match next {
            Some(next) => Some((place, next)),
            None => place.next(audience).map(|shelf| (shelf, String::new())),
        };
        let next = next.map(|(shelf, rest)| {
            // What continues a retrieval is told once: asked for again, it would be the page after it.
            let is_told_once = shelf != Shelf::Rows && !rest.is_empty();
            Bookmark {
                at: format!("{}/{rest}", shelf.label()),
                anew: is_told_once.then(|| format!("{}/", shelf.label())),
            }
        });
        Ok(ListPage { parts, next, total })
    }

    async fn row_page(
        &self,
        data_extension: &str,
        continued: Option<&str>,
        deadline: Deadline,
    ) -> Result<(Vec<Part>, Option<String>, Option<u64>), Fault> {
        let (number, before) = match continued {
            None => (1, 0),
            Some(mark) => pages_read(mark).ok_or(Fault::Unavailable { cause: "bookmark_not_understood" })?,
        };
        let body = self.client.rowset(data_extension, number, PAGE, deadline).await?;
        let page: Rowset =
            serde_json::from_slice(&body).map_err(|_| Fault::Unavailable { cause: "answer_not_understood" })?;
        // A page may be shorter than was asked for; what was read is counted.
        let read = before + page.items.len() as u64;
        let is_over = read >= page.count;
        if page.items.is_empty() && !is_over {
            return Err(Fault::Unavailable { cause: "list_incomplete" });
        }
        let next = (!is_over).then(|| format!("{}+{read}", number + 1));
        let total = (number == 1).then_some(page.count);
        let parts = page.items.into_iter().filter_map(|item| self.of_row(item));
        Ok((parts.collect(), next, total))
    }

    fn of_row(&self, item: Item) -> Option<Part> {
        let pairs: Vec<(String, Option<String>)> =
            item.keys.into_iter().chain(item.values).map(|(name, value)| (name, text(value))).collect();
        let is_key = |name: &str| name.eq_ignore_ascii_case(&self.settings.key_column);
        let key = pairs.iter().find(|(name, _)| is_key(name))?.1.clone()?;
        Some(part(&key, &Said::Row(pairs)))
    }

    /// The record that these parts make, as a look at this key alone would have found it.
    pub(super) fn put_together(&self, audience: &Audience, parts: &[&[u8]]) -> Option<Record> {
        let audience = self.settings.audiences.get(audience)?;
        let (mut subscriber, mut beside) = (Row::default(), Beside::default());
        for part in parts {
            let Keyed { key, said } = serde_json::from_slice(part).ok()?;
            let subscriber_key = Some(key);
            // Who was read twice may have changed in between: in doubt the one that may not be mailed.
            let is_in = |row: &Row| {
                wire::consent(row.status.as_deref().unwrap_or_default(), None, &self.settings.time_zone).is_opted_in()
            };
            match said {
                Said::Subscriber(email_address, status, unsubscribed_date, attributes) => {
                    let attributes = pairs(attributes);
                    let other =
                        Row { subscriber_key, email_address, status, unsubscribed_date, attributes, ..Row::default() };
                    if subscriber.status.is_none() || is_in(&subscriber) {
                        subscriber = other;
                    }
                }
                Said::Membership(status, modified_date) => {
                    let other = Row { subscriber_key, status, modified_date, ..Row::default() };
                    if beside.memberships.first().is_none_or(is_in) {
                        beside.memberships = vec![other];
                    }
                }
                Said::Row(columns) => {
                    subscriber.subscriber_key = subscriber.subscriber_key.or(subscriber_key);
                    let properties = Properties { property: pairs(columns) };
                    beside.rows.push(Row { properties, ..Row::default() });
                }
            }
        }
        let deadline = Deadline::after(Instant::now(), std::time::Duration::ZERO);
        let place = Place { client: &self.client, settings: &self.settings, audience, columns: Vec::new(), deadline };
        place.record(&subscriber, &beside, &Whom { uids: Vec::new(), addresses: Vec::new(), fields: &[] })
    }
}

/// Of `PAGE+ROWS`: the page to be read, and how many rows were read before it.
fn pages_read(mark: &str) -> Option<(u64, u64)> {
    let (number, read) = mark.split_once('+')?;
    Some((number.parse().ok()?, read.parse().ok()?))
}

/// A part as it is kept: with its key as it is spelled there.
#[derive(Serialize, Deserialize)]
struct Keyed<S> {
    key: String,
    said: S,
}

fn part(key: &str, said: &Said) -> Part {
    let said = serde_json::to_vec(&Keyed { key: key.to_owned(), said }).expect("plain text serializes");
    // One key, however it is spelled: Marketing Cloud's don't differ by case.
    Part { key: RecordKey(key.to_ascii_lowercase().into()), said }
}

fn of_subscriber(row: Row) -> Option<Part> {
    let key = row.subscriber_key?;
    let attributes = row.attributes.into_iter().map(|pair| (pair.name, pair.value)).collect();
    Some(part(&key, &Said::Subscriber(row.email_address, row.status, row.unsubscribed_date, attributes)))
}

fn of_membership(row: Row) -> Option<Part> {
    let key = row.subscriber_key?;
    Some(part(&key, &Said::Membership(row.status, row.modified_date)))
}

fn pairs(of: Vec<(String, Option<String>)>) -> Vec<Pair> {
    of.into_iter().map(|(name, value)| Pair { name, value }).collect()
}

/// A cell as text, as the SOAP API tells it.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
