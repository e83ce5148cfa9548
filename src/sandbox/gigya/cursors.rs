//! `accounts.search` as a call: one page of what a query finds, or page after page by a cursor.
//!
//! "Server calls … `openCursor=true` … each subsequent call only `cursorId`", at most five minutes between calls, "a
//! failed page may be asked for again with the same id", no cursor after the last page (SAP, "accounts.search"). Not
//! documented, and so the harder case here: a cursor shows what was found when it was opened, only the page asked
//! for last can be asked for again, and a cursor that isn't known is refused with 400006.

use super::GigyaSim;
use super::account::Row;
use super::people::call_id;
use super::rest::{Answer, Form, required};
use super::search::Query;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// How long a cursor lives between two calls (SAP, "accounts.search").
const LIFE: SignedDuration = SignedDuration::from_mins(5);

/// The cursors that are open.
#[derive(Default)]
pub struct Cursors(HashMap<String, Cursor>);

/// A search that goes on.
struct Cursor {
    found: Arc<Found>,
    /// Where the page asked for last began.
    asked: usize,
    used: Timestamp,
}

/// What a search found when it was asked.
struct Found {
    query: Query,
    rows: Vec<Row>,
}

/// Which page of which search.
struct Page {
    found: Arc<Found>,
    start: usize,
    next: Option<String>,
}

impl Cursors {
    /// Opens one, and gives its first page.
    fn open(&mut self, found: Arc<Found>, now: Timestamp) -> Page {
        self.0.retain(|_, cursor| cursor.is_alive(now));
        let id = call_id();
        let page = Page { next: next_id(&id, &found, 0), found: Arc::clone(&found), start: 0 };
        if page.next.is_some() {
            self.0.insert(id, Cursor { found, asked: 0, used: now });
        }
        page
    }

    /// The page that an id stands for. `None` if there is no such cursor, or none anymore.
    fn page(&mut self, id: &str, now: Timestamp) -> Option<Page> {
        self.0.retain(|_, cursor| cursor.is_alive(now));
        let (base, start) = id.rsplit_once('.')?;
        let start = start.parse().ok()?;
        let cursor = self.0.get_mut(base)?;
        let follows = cursor.asked + cursor.found.query.limit;
        if start != cursor.asked && start != follows || start >= cursor.found.rows.len() {
            return None;
        }
        cursor.asked = start;
        cursor.used = now;
        let found = Arc::clone(&cursor.found);
        Some(Page { next: next_id(base, &found, start), found, start })
    }
}

impl Cursor {
    fn is_alive(&self, now: Timestamp) -> bool {
        now.duration_since(self.used) <= LIFE
    }
}

fn next_id(base: &str, found: &Found, start: usize) -> Option<String> {
    let next = start + found.query.limit;
    (next < found.rows.len() && found.query.limit > 0).then(|| format!("{base}.{next}"))
}

impl GigyaSim {
    /// Answers a search, or gives the next page of one.
    pub(super) fn search(&self, form: &Form) -> Answer {
        let wrong = |name: &str| (400_006, format!("Invalid parameter value: {name}"));
        let page = if let Some(id) = form.get("cursorId") {
            if form.contains_key("query") || form.contains_key("openCursor") {
                return Err(wrong("cursorId stands alone"));
            }
            let mut world = self.world();
            let now = world.clock.now();
            world.cursors.page(id, now).ok_or_else(|| wrong("cursorId"))?
        } else {
            let opens = form.get("openCursor").is_some_and(|open| open == "true");
            let query = Query::parse(required(form, "query")?).map_err(|error| (400_006, error.to_string()))?;
            if query.limit > self.settings().most_rows {
                return Err((400_006, format!("Invalid query: LIMIT is {} at most", self.settings().most_rows)));
            }
            if opens && query.start > 0 {
                return Err((400_006, "Invalid query: START isn't supported with a cursor".to_owned()));
            }
            let found = Arc::new(self.find(query, form.get("accountTypes").map_or("full", String::as_str))?);
            if opens {
                let mut world = self.world();
                let now = world.clock.now();
                world.cursors.open(found, now)
            } else {
                Page { start: found.query.start, found, next: None }
            }
        };
        Ok(page.answer(self.settings().nested_subscriptions))
    }

    fn find(&self, query: Query, types: &str) -> Result<Found, (i64, String)> {
        let types: Vec<_> = types.split(',').map(str::trim).collect();
        if types.iter().any(|kind| !matches!(*kind, "full" | "lite")) {
            return Err((400_006, "Invalid parameter value: accountTypes".to_owned()));
        }
        let wanted = |is_lite: bool| types.contains(&if is_lite { "lite" } else { "full" });
        let rows = self.world().indexed(query.only("UID"), query.only("profile.email")).into_iter();
        let rows = query.run(rows.filter(|row| wanted(row.account.is_lite)), self.settings().nested_subscriptions);
        Ok(Found { query, rows })
    }
}

impl Page {
    fn answer(&self, nested: bool) -> Value {
        let page = self.found.rows.iter().skip(self.start).take(self.found.query.limit);
        let rows: Vec<_> = page.map(|row| self.found.query.selected(row, nested)).collect();
        let mut answer = json!({ "objectsCount": rows.len(), "totalCount": self.found.rows.len(), "results": rows });
        if let Some(next) = &self.next {
            answer["nextCursorId"] = next.as_str().into();
        }
        answer
    }
}
