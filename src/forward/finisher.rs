//! Finishes what was acknowledged before it was done: every replica asks the journal now and then for events that are due,
//! works on them as if they had come just now, and takes them off together with the receipts.

use super::gateway::Gateway;
use super::journaling::Page;
use super::live::Live;
use super::payload::Payload;
use super::record::Direction;
use super::{esp_to_gigya, gigya_to_esp};
use crate::domain::{Outcome, Reason};
use crate::journal::{Claimed, Entries, EventKey, Journal, JournalFault, SetAside};
use crate::mutation::{self, Mutation};
use crate::telemetry::metrics as meter;
use futures_util::FutureExt;
use jiff::SignedDuration;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often links that were given up long ago are taken off.
const TIDIED_EVERY: Duration = Duration::from_mins(10);
/// How often the journal is asked while there is nothing to do.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one event may take.
const TIME: Duration = Duration::from_secs(30);
/// How long an event is nobody else's: longer than it may take, and how long it waits for another replica if this one is
/// killed.
const LEASE: Duration = Duration::from_secs(45);
/// Events worked on at once.
const AT_ONCE: usize = 16;
/// The first pause after an event that couldn't be finished; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long an event is left to other replicas that this one can do nothing about.
const FOR_OTHERS: SignedDuration = SignedDuration::from_hours(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What became of an unfinished event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It is done, or set aside.
    Done(Vec<Outcome>),
    /// It must be tried again later.
    Again(Reason),
}

/// Finishes events until `stop`; what is begun then is ended first.
pub async fn finish_all(live: Live, journal: Arc<dyn Journal>, stop: CancellationToken) {
    let owner = Uuid::new_v4().to_string();
    let mut tidied: Option<Instant> = None;
    // An outage is told once, not twice a second for as long as it lasts.
    let mut told = None;
    while !stop.is_cancelled() {
        let found = match journal.claim(&owner, LEASE, AT_ONCE).await {
            Ok(claimed) => {
                told = None;
                let found = !claimed.is_empty();
                finish_some(&live.now(), &journal, &claimed).await;
                found
            }
            Err(fault) => {
                if told.as_ref() != Some(&fault) {
                    tracing::error!(%fault, "unfinished events can't be read");
                }
                told = Some(fault);
                false
            }
        };
        tell_waiting(&*journal).await;
        if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDIED_EVERY) {
            tidied = Some(Instant::now());
            if let Err(fault) = journal.tidy().await {
                tracing::error!(%fault, "links that were given up can't be taken off");
            }
        }
        if !found {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

async fn tell_waiting(journal: &dyn Journal) {
    if let Ok(waiting) = journal.waiting().await {
        let oldest = waiting.oldest.map(|oldest| journal.now().duration_since(oldest));
        let oldest = oldest.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        meter::journal_waiting(waiting.unfinished, oldest, waiting.rejected);
    }
}

async fn finish_some(gateway: &Gateway, journal: &Arc<dyn Journal>, claimed: &[Claimed]) {
    let each = claimed.iter().map(|claimed| async move {
        if mutation::is(Mutation::ForgetTheUnfinished) {
            let finished = vec![claimed.id.clone()];
            let _ = journal.commit(Entries { finished, ..Entries::default() }).await;
        }
        // Whatever happens to one, the others are finished.
        let finish = AssertUnwindSafe(gateway.finish(claimed)).catch_unwind().await;
        let finish = finish.unwrap_or(Finish::Again(Reason::Internal));
        let put_off = match finish {
            Finish::Done(_) => Ok(()),
            Finish::Again(reason) => journal.put_off(claimed, reason, pause(claimed.attempts)).await,
        };
        if let Err(fault) = put_off {
            // The lease ends by itself.
            tracing::error!(%fault, "an unfinished event can't be given back");
        }
    });
    futures_util::future::join_all(each).await;
}

fn pause(attempts: i64) -> Duration {
    let doubled = u32::try_from(attempts.clamp(0, 16)).unwrap_or_default();
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doubled)).min(LONGEST_PAUSE);
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl Gateway {
    /// Works on an event from the journal, with both sides read anew.
    pub async fn finish(&self, claimed: &Claimed) -> Finish {
        let Some(journal) = &self.journal else { return Finish::Again(Reason::JournalUnavailable) };
        let page = |direction| {
            let whence = (claimed.connection.as_str(), direction);
            Page::of_unfinished(&**journal, whence, claimed, Instant::now() + TIME)
        };
        let Some(payload) = Payload::parse(&claimed.payload) else {
            return self.not_for_us(&**journal, claimed, Reason::Malformed).await;
        };
        let finish = match &payload {
            Payload::Account { .. } => match self.gigya_side(&claimed.connection) {
                Some(side) if !side.routes.is_empty() => {
                    gigya_to_esp::finish(self, side, &page(Direction::GigyaToEsp), &payload).await
                }
                _ => return self.not_for_us(&**journal, claimed, Reason::NoRoute).await,
            },
            Payload::Subscriber { audiences, .. } => match self.esp_side(&claimed.connection) {
                Some(side) if side.has_route(audiences) => {
                    esp_to_gigya::finish(self, side, &page(Direction::EspToGigya), &payload).await
                }
                _ => return self.not_for_us(&**journal, claimed, Reason::NoRoute).await,
            },
            Payload::NotUnderstood { .. } => None,
        };
        let Some(finish) = finish else { return self.not_for_us(&**journal, claimed, Reason::Malformed).await };
        let again = finish.iter().find(|outcome| !outcome.is_settled());
        match again {
            Some(outcome) => Finish::Again(outcome.reason().unwrap_or(Reason::Internal)),
            None => Finish::Done(finish),
        }
    }

    /// For what this replica can do nothing about. Another one may be of a later version, or have a newer configuration; only
    /// what waits for long is set aside.
    async fn not_for_us(&self, journal: &dyn Journal, claimed: &Claimed, reason: Reason) -> Finish {
        let waits = journal.now().duration_since(claimed.received);
        if waits < FOR_OTHERS { Finish::Again(reason) } else { self.set_aside(journal, claimed, reason).await }
    }

    /// A person must look.
    async fn set_aside(&self, journal: &dyn Journal, claimed: &Claimed, reason: Reason) -> Finish {
        let event =
            EventKey { connection: claimed.connection.clone(), event: claimed.id.0.clone(), route: String::new() };
        let direction = direction(&claimed.direction);
        // So that it can be found, should this person have to be forgotten.
        let person = Payload::parse(&claimed.payload).map(|payload| payload.person(&claimed.connection));
        let person = person.unwrap_or_default();
        let rejected = SetAside { event, direction, reason, person, payload: claimed.payload.clone() };
        let entries = Entries { rejected: vec![rejected], finished: vec![claimed.id.clone()], ..Entries::default() };
        match journal.commit(entries).await {
            Ok(()) => Finish::Done(vec![Outcome::Rejected(reason)]),
            Err(JournalFault { .. }) => Finish::Again(Reason::JournalUnavailable),
        }
    }
}

fn direction(label: &str) -> &'static str {
    [Direction::GigyaToEsp, Direction::EspToGigya]
        .into_iter()
        .map(Direction::label)
        .find(|known| *known == label)
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        for (attempts, longest) in [(0, 1), (1, 2), (2, 4), (5, 32), (9, 60), (1_000_000, 60)] {
            let longest = Duration::from_secs(longest);
            for _ in 0..100 {
                let pause = pause(attempts);
                assert!(pause <= longest && pause >= longest / 2, "{attempts}: {pause:?}");
            }
        }
    }
}
