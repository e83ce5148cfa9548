//! An audience as a whole: each list that the description has, page by page, one list after the other.

use super::client::{Doing, Refused};
use super::document::Document;
use super::fill::{Known, Page};
use super::provider::Described;
use super::record::{self, NotUnderstood};
use crate::config::http::{NextPage, Place};
use crate::domain::Audience;
use crate::esp::{Bookmark, ListPage, Part, Record, RecordKey};
use crate::upstream::{Attempts, Deadline, Fault};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// So many may leave a list while its pages are read, or one of a hundred.
const SOME: u64 = 10;

/// A page's place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Spot {
    list: usize,
    rows: u64,
    cursor: Option<String>,
    url: Option<String>,
}

/// A row of one of the lists.
#[derive(Serialize, Deserialize)]
struct Row<V> {
    list: usize,
    row: V,
}

impl Spot {
    /// Whether it is read by the very call that another is: then there is no end.
    fn is_where(&self, other: &Self) -> bool {
        let goes_by_place = self.cursor.is_some() || self.url.is_some();
        goes_by_place && self.list == other.list && (&self.cursor, &self.url) == (&other.cursor, &other.url)
    }

    fn mark(&self) -> Bookmark {
        Bookmark::at(serde_json::to_string(self).expect("a plain struct serializes"))
    }
}

impl Described {
    pub(super) async fn page(
        &self,
        audience: &Audience,
        from: Option<&Bookmark>,
        deadline: Deadline,
    ) -> Result<ListPage, Fault> {
        const NO_PLACE: Fault = Fault::Unavailable { cause: "bookmark_not_understood" };
        let spot: Spot = match from {
            None => Spot::default(),
            Some(mark) => serde_json::from_str(&mark.at).map_err(|_| NO_PLACE)?,
        };
        let list = self.settings.lists.get(spot.list).ok_or(NO_PLACE)?;
        let page = Page { limit: list.limit, offset: spot.rows, cursor: spot.cursor.clone() };
        let known = Known { page: Some(&page), ..self.known(audience) };
        let doing = Doing { operation: "list", attempts: Attempts::Few, deadline, refused: Refused::TheCall };
        let answer = match &spot.url {
            Some(url) => self.client.read_at(url, &list.call, &known, doing).await?,
            None => self.client.read(&list.call, &known, doing).await?,
        };
        let document = Document { value: answer.as_ref().unwrap_or(&Value::Null), known: &known };
        let Place::Each(rows) = &list.shape.place else { return Err(NO_PLACE) };
        // An audience that isn't there is nobody: by a rule of the description alone, and by no answer that says nothing.
        let rows = if answer.is_some() { record::rows(rows, &document)? } else { &[] };
        let parts = rows.iter().map(|row| self.part(spot.list, row, &known));
        let parts = parts.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        let read = spot.rows + rows.len() as u64;
        let total = list.total.as_ref().and_then(|pointer| document.text(pointer)?.parse::<u64>().ok());
        let same = Spot { rows: read, cursor: None, url: None, list: spot.list };
        let next = match &list.next {
            NextPage::Url(pointer) => document.text(pointer).map(|url| Spot { url: Some(url), ..same.clone() }),
            NextPage::Cursor(pointer) => {
                document.text(pointer).map(|cursor| Spot { cursor: Some(cursor), ..same.clone() })
            }
            NextPage::Offset => {
                let is_last = rows.is_empty() || total.map_or((rows.len() as u64) < list.limit, |total| read >= total);
                (!is_last).then(|| same.clone())
            }
        };
        if next.as_ref().is_some_and(|next| next.is_where(&spot)) {
            return Err(Fault::Unavailable { cause: "list_goes_nowhere" });
        }
        // A list that breaks off says nothing about who isn't on it.
        if next.is_none() && total.is_some_and(|total| read + SOME.max(total / 100) < total) {
            return Err(Fault::Unavailable { cause: "list_incomplete" });
        }
        let another = Spot { list: same.list + 1, ..Spot::default() };
        let next = next.or_else(|| (another.list < self.settings.lists.len()).then_some(another));
        let total = total.filter(|_| from.is_none() && self.settings.lists.len() == 1);
        Ok(ListPage { parts, next: next.map(|spot| spot.mark()), total })
    }

    fn part(&self, list: usize, row: &Value, known: &Known<'_>) -> Result<Option<Part>, NotUnderstood> {
        let shape = &self.settings.lists[list].shape;
        let Some(held) = record::one(shape, &Document { value: row, known }, None)? else { return Ok(None) };
        let key = match held.key {
            Some(key) if !self.settings.rules.one_record_an_address => key,
            _ => held.address.expose().to_owned(),
        };
        let said = serde_json::to_vec(&Row { list, row }).expect("a value serializes");
        Ok(Some(Part { key: RecordKey(key.into()), said }))
    }

    pub(super) fn one_of(&self, audience: &Audience, parts: &[&[u8]]) -> Option<Record> {
        let known = self.known(audience);
        let mut held = Vec::new();
        for part in parts {
            let Row { list, row } = serde_json::from_slice::<Row<Value>>(part).ok()?;
            let shape = &self.settings.lists.get(list)?.shape;
            held.extend(record::one(shape, &Document { value: &row, known: &known }, None).ok()?);
        }
        record::records(held, self.settings.rules.one_record_an_address).into_iter().next()
    }
}
