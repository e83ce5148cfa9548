//! Reads both sides, page by page, side by side.

use super::row::{Of, Row, combine};
use super::sort::Sorter;
use super::tally::Tally;
use super::{CompareError, Progress, Scope, Site};
use crate::domain::Email;
use crate::esp::Bookmark;
use crate::gigya::Selection;
use crate::upstream::{Deadline, Fault};
use futures_util::future::try_join_all;
use futures_util::try_join;
use serde::Deserialize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So many may come or go while the pages are read, of however few.
const SOME: u64 = 10;
/// How long a page may take, with all attempts at it. A cursor lives for five minutes.
const PAGE_TIME: Duration = Duration::from_mins(4);
/// How often a page is asked for again that couldn't be had, each in a time of its own.
const TRIES: u32 = 5;
/// The first pause before that; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(2);

/// Everybody, by address; and who has none, by UID.
pub struct Read {
    pub by_address: Sorter,
    pub by_uid: Sorter,
}

struct Desk<'a, 'b> {
    site: &'a Site<'b>,
    scope: &'a Scope,
    by_address: Mutex<Sorter>,
    by_uid: Mutex<Sorter>,
    progress: Mutex<Progress>,
    tell: &'a (dyn Fn(&Progress) + Sync),
}

/// What is needed of an account to put it in its place.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(rename = "UID", borrow)]
    uid: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    email: Option<String>,
}

/// Reads a Gigya connection and all audiences of its routes.
pub async fn read(
    site: &Site<'_>,
    scope: &Scope,
    tally: &mut Tally,
    tell: &(dyn Fn(&Progress) + Sync),
) -> Result<Read, CompareError> {
    let sorter = || Mutex::new(Sorter::new(&scope.scratch, scope.memory));
    let desk = Desk { site, scope, by_address: sorter(), by_uid: sorter(), progress: Mutex::default(), tell };
    let audiences = (0..site.audiences.len()).map(|index| desk.audience(index));
    let (accounts, _) = try_join!(desk.accounts(), try_join_all(audiences))?;
    tally.accounts += accounts;
    tally.calls += lock(&desk.progress).calls;
    let inner = |sorter: Mutex<Sorter>| sorter.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Read { by_address: inner(desk.by_address), by_uid: inner(desk.by_uid) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether asking again would not help.
fn is_hopeless(fault: &Fault) -> bool {
    matches!(fault, Fault::Configuration { .. }) || fault.outcome().is_settled()
}

impl Desk<'_, '_> {
    async fn accounts(&self) -> Result<u64, CompareError> {
        let first = self.site.lines[0];
        let system = format!("gigya/{}", first.route().gigya);
        let selection =
            Selection::new(self.site.lines.iter().map(crate::forward::Line::route), self.scope.since, self.scope.page);
        let (mut read, mut total, mut cursor) = (0, None, None::<String>);
        let mut bytes = Vec::new();
        loop {
            self.goes_on()?;
            let page = self.patiently(&system, TRIES, || {
                first.client().page(&selection, cursor.as_deref(), Deadline::after(Instant::now(), PAGE_TIME))
            });
            let page = page.await?;
            for row in &page.results {
                let json = row.get();
                Row::new(Of::Account, vec![json.as_bytes()]).encode(&mut bytes);
                let Ok(place) = serde_json::from_str::<Place<'_>>(json) else { continue };
                let address = place.profile.and_then(|profile| Email::parse(&profile.email?).ok());
                match (address, place.uid) {
                    (Some(address), Some(_)) => lock(&self.by_address).push(address.folded().as_bytes(), &bytes)?,
                    (None, Some(uid)) => lock(&self.by_uid).push(uid.as_bytes(), &bytes)?,
                    (_, None) => {}
                }
            }
            read += page.results.len() as u64;
            let first_told = page.total.filter(|_| total.is_none());
            total = total.or(page.total);
            self.came(page.results.len(), first_told);
            if total.is_some_and(|total| read > 2 * total + 10 * self.scope.page as u64) {
                return Err(CompareError::Endless { system, read });
            }
            match page.next {
                Some(next) if !page.results.is_empty() => cursor = Some(next),
                _ => break,
            }
        }
        match total {
            // Some may have come or gone meanwhile; a list that broke off is another thing.
            Some(total) if read < total - (total / 100).max(SOME).min(total) => {
                Err(CompareError::Short { system, read, total })
            }
            _ => Ok(read),
        }
    }

    async fn audience(&self, index: usize) -> Result<(), CompareError> {
        let line = self.site.lines[self.site.audiences[index][0]];
        let (esp, audience) = (line.esp(), &line.route().audience);
        let system = format!("{}/{} {audience}", esp.provider().slug, esp.name());
        let of = Of::audience(index);
        let is_by_address = esp.one_record_an_address();
        // Where a record has a key of its own, its parts are brought together before its address is known.
        let mut by_key = Sorter::new(&self.scope.scratch, self.scope.memory / self.site.audiences.len());
        let (mut bookmark, mut bytes) = (None::<Bookmark>, Vec::new());
        let mut begun_anew = 0;
        loop {
            self.goes_on()?;
            let anew = bookmark.as_ref().and_then(|mark| mark.anew.clone());
            let tries = if anew.is_some() { 1 } else { TRIES };
            let page = self.patiently(&system, tries, || {
                esp.list(audience, bookmark.as_ref(), Deadline::after(Instant::now(), PAGE_TIME))
            });
            let page = match (page.await, anew) {
                (Ok(page), _) => page,
                (Err(CompareError::Read { fault, .. }), Some(anew)) if begun_anew < TRIES && !is_hopeless(&fault) => {
                    begun_anew += 1;
                    tracing::warn!(system, %fault, attempt = begun_anew, "a page is lost; its list is read again");
                    self.pause(PAUSE * begun_anew).await?;
                    bookmark = Some(Bookmark::at(anew));
                    continue;
                }
                (Err(error), _) => return Err(error),
            };
            for part in &page.parts {
                let address = is_by_address.then(|| Email::parse(&part.key.0).ok()).flatten();
                match address {
                    Some(address) => {
                        Row::new(of, vec![&part.said]).encode(&mut bytes);
                        lock(&self.by_address).push(address.folded().as_bytes(), &bytes)?;
                    }
                    None => by_key.push(part.key.0.as_bytes(), &part.said)?,
                }
            }
            self.came(page.parts.len(), page.total);
            match page.next {
                Some(next) => bookmark = Some(next),
                None => break,
            }
        }
        let (mut sorted, mut parts) = (by_key.sorted()?, Vec::new());
        while sorted.next_group(&mut parts)? {
            let parts: Vec<&[u8]> = parts.iter().map(|row| row.row.as_slice()).collect();
            let Some(record) = combine(esp, &line, &parts) else { continue };
            Row::new(of, parts).encode(&mut bytes);
            lock(&self.by_address).push(record.address.folded().as_bytes(), &bytes)?;
        }
        Ok(())
    }

    /// Asks for a page until it comes; what passes is waited for longer than one call would.
    async fn patiently<T, F>(&self, system: &str, tries: u32, ask: impl Fn() -> F) -> Result<T, CompareError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut pause = PAUSE;
        let mut told = None;
        for attempt in 1.. {
            let fault = match ask().await {
                Ok(page) => return Ok(page),
                // Why the breaker is open, the fault before it told.
                Err(open @ Fault::Unavailable { cause: "breaker_open" }) => told.unwrap_or(open),
                Err(fault) => *told.insert(fault),
            };
            if attempt >= tries || is_hopeless(&fault) {
                return Err(CompareError::Read { system: system.to_owned(), fault });
            }
            tracing::warn!(system, %fault, attempt, "a page can't be had; it is asked for again");
            self.pause(pause).await?;
            pause *= 2;
        }
        unreachable!("the loop ends by itself")
    }

    async fn pause(&self, time: Duration) -> Result<(), CompareError> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.scope.stop.cancelled() => Err(CompareError::Stopped),
        }
    }

    fn goes_on(&self) -> Result<(), CompareError> {
        if self.scope.stop.is_cancelled() { Err(CompareError::Stopped) } else { Ok(()) }
    }

    fn came(&self, rows: usize, more: Option<u64>) {
        let mut progress = lock(&self.progress);
        progress.read += rows as u64;
        progress.total = (progress.total + more.unwrap_or(0)).max(progress.read);
        progress.calls += 1;
        (self.tell)(&progress);
    }
}
