//! Accounts as a whole: read page by page with a cursor.
//!
//! Source: SAP, "accounts.search": `openCursor` with the query first, then `cursorId` alone; a cursor lives for five
//! minutes between two calls, and the last page has no `nextCursorId`. The index is late by nature: what it says is
//! never acted upon before the account itself was read.

use super::client::{Client, parse};
use crate::config::{FieldSource, Route, TemplatePart};
use crate::upstream::{Attempts, Deadline, Fault};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// What is needed of every account, whatever is mapped.
const ALWAYS: [&str; 5] = ["UID", "isActive", "isRegistered", "profile.email", "subscriptions"];

/// Which accounts, and what of them.
#[derive(Clone, Debug)]
pub struct Selection {
    query: String,
}

/// A page of accounts.
#[derive(Debug, Deserialize)]
pub struct AccountPage {
    /// The accounts as they came, each for [`super::Account::read`].
    pub results: Vec<Box<RawValue>>,
    /// How many there are in all, as the index has it.
    #[serde(default, rename = "totalCount")]
    pub total: Option<u64>,
    /// Where the next page begins; none after the last.
    #[serde(default, rename = "nextCursorId")]
    pub next: Option<String>,
}

impl Selection {
    /// Everybody, or who changed since then; with what these routes need. `page` accounts at a time.
    #[must_use]
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a Route>, since: Option<Timestamp>, page: usize) -> Self {
        let mut fields: BTreeSet<String> = ALWAYS.iter().map(|&field| field.to_owned()).collect();
        for route in routes {
            fields.extend(route.fields.values().flat_map(sources));
        }
        let fields: Vec<_> = fields.into_iter().collect();
        let since = since
            .map_or_else(String::new, |since| format!(" WHERE lastUpdatedTimestamp >= {}", since.as_millisecond()));
        Self { query: format!("SELECT {} FROM accounts{since} LIMIT {page}", fields.join(",")) }
    }
}

/// The places in an account that a field is made of. One in a list is read with the whole list.
fn sources(source: &FieldSource) -> Vec<String> {
    let name = |path: &Vec<String>| {
        let keys = path.iter().take_while(|key| key.parse::<usize>().is_err());
        keys.map(String::as_str).collect::<Vec<_>>().join(".")
    };
    match source {
        FieldSource::Path(path) => vec![name(path)],
        FieldSource::Literal(_) => Vec::new(),
        FieldSource::Template(parts) => parts
            .iter()
            .filter_map(|part| match part {
                TemplatePart::Path(path) => Some(name(path)),
                TemplatePart::Text(_) => None,
            })
            .collect(),
    }
}

impl Client {
    /// Reads a page: the first, or the one that another page named.
    pub async fn page(
        &self,
        selection: &Selection,
        cursor: Option<&str>,
        deadline: Deadline,
    ) -> Result<AccountPage, Fault> {
        let form = match cursor {
            None => vec![
                ("query", (&*selection.query).into()),
                ("accountTypes", "full,lite".into()),
                ("openCursor", "true".into()),
            ],
            Some(cursor) => vec![("cursorId", cursor.into())],
        };
        let body = self.call("accounts.search", Attempts::Few, form, None, deadline).await?;
        let mut page: AccountPage = parse(&body.ok_or(Fault::Refused { code: 403_047 })?)?;
        page.next = page.next.filter(|next| !next.is_empty());
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_selected_is_what_fields_are_made_of() {
        let path = |text: &str| text.split('.').map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(sources(&FieldSource::Path(path("data.pets.0.name"))), ["data.pets"]);
        assert_eq!(sources(&FieldSource::Path(path("profile.firstName"))), ["profile.firstName"]);
        let parts = vec![
            TemplatePart::Path(path("profile.firstName")),
            TemplatePart::Text(" ".to_owned()),
            TemplatePart::Path(path("profile.lastName")),
        ];
        assert_eq!(sources(&FieldSource::Template(parts)), ["profile.firstName", "profile.lastName"]);
        assert!(sources(&FieldSource::Literal("Yes".to_owned())).is_empty());
    }

    #[test]
    fn a_time_is_told_in_milliseconds() {
        let since = Timestamp::from_second(1_767_268_800).unwrap();
        let selection = Selection::new([], Some(since), 1000);
        assert_eq!(
            selection.query,
            "SELECT UID,isActive,isRegistered,profile.email,subscriptions FROM accounts WHERE lastUpdatedTimestamp \
             >= 1767268800000 LIMIT 1000"
        );
    }
}
