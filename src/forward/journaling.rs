//! What a request leaves in the journal before it is answered: receipts of what was changed, links, events set aside, and
//! what is still to be done. All in one transaction; if it can't be written, nothing that depends on it counts as settled.

use super::effect::{Effect, RouteEffect};
use super::intake::Inbound;
use super::payload::Payload;
use super::record::Direction;
use crate::config::{Common, OnDeadline};
use crate::domain::{ActedAt, Change, Outcome, Reason};
use crate::journal::{Claimed, Entries, EventKey, Journal, PendingId, Person, Receipt, Seen, SetAside, Unfinished};
use crate::mutation::{self, Mutation};
use crate::upstream::{CallId, Deadline};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// The part of a request's time that is kept for writing: a tenth, or this if that is less.
const TO_WRITE: Duration = Duration::from_millis(300);

/// How long work may take, so that there is time left to write down what came of it.
pub fn time_to_work(common: &Common, journal: Option<&dyn Journal>) -> Duration {
    match journal {
        Some(_) => common.deadline.saturating_sub((common.deadline / 10).min(TO_WRITE)),
        None => common.deadline,
    }
}

/// Where one request's part of the journal is written.
pub struct Page<'a> {
    pub journal: &'a dyn Journal,
    pub connection: &'a str,
    pub direction: Direction,
    /// The request's id, as in logs.
    pub request: &'a str,
    /// When the gateway was told.
    pub received: Timestamp,
    /// By when it must be written.
    pub until: Instant,
    pub on_deadline: OnDeadline,
    /// What was left unfinished before, and is worked on now.
    pub finishing: Option<PendingId>,
}

/// What belongs together, because it was worked on together: an account's events, or one notice.
pub struct Group<'a> {
    /// The sender's id of the event that tells.
    pub event: &'a str,
    /// When it happened, as the event itself says.
    pub happened: Option<ActedAt>,
    /// What came of it.
    pub routes: &'a mut [RouteEffect],
    /// Whom it is about.
    pub person: Box<dyn Fn(&RouteEffect) -> Person + Send + Sync + 'a>,
    /// What it says.
    pub payload: Box<dyn Fn() -> Payload + Send + Sync + 'a>,
}

/// What was taken up of a group.
struct Taken {
    /// For each of its routes, whether it must not be answered without the journal.
    needed: Vec<bool>,
    /// Whether what isn't done of it is among what is written.
    is_finished_later: bool,
}

impl<'a> Page<'a> {
    /// Of a request that was received just now.
    pub fn of_request(
        journal: &'a dyn Journal,
        (connection, direction): (&'a str, Direction),
        common: &Common,
        request: &'a Inbound,
        received: Timestamp,
    ) -> Self {
        Self {
            journal,
            connection,
            direction,
            request: &request.request_id,
            received,
            until: request.received + common.deadline,
            on_deadline: common.on_deadline,
            finishing: None,
        }
    }

    /// Of an event that was left unfinished.
    pub fn of_unfinished(
        journal: &'a dyn Journal,
        (connection, direction): (&'a str, Direction),
        claimed: &'a Claimed,
        until: Instant,
    ) -> Self {
        Self {
            journal,
            connection,
            direction,
            request: &claimed.id.0,
            received: claimed.received,
            until,
            on_deadline: OnDeadline::Journal,
            finishing: Some(claimed.id.clone()),
        }
    }

    /// By when work must end that begins now, so that there is time left to write.
    pub fn time_to_work(&self) -> Deadline {
        let now = Instant::now();
        Deadline::after(now, self.until.saturating_duration_since(now).mul_f64(0.9))
    }

    /// Writes down what came of some work. What can't be written down is put off.
    pub async fn write(&self, groups: Vec<Group<'_>>) {
        let mut entries = Entries::default();
        let mut groups: Vec<_> = groups.into_iter().map(|group| (self.take_up(&group, &mut entries), group)).collect();
        let all_done =
            groups.iter().all(|(_, group)| group.routes.iter().all(|route| route.effect.outcome.is_settled()));
        entries.finished.extend(self.finishing.clone().filter(|_| all_done));
        if entries.is_empty() {
            return;
        }
        let written = match tokio::time::timeout_at(self.until, self.journal.commit(entries)).await {
            Ok(Ok(())) => true,
            Ok(Err(fault)) => {
                tracing::error!(connection = self.connection, %fault, "the journal can't be written");
                false
            }
            Err(_) => {
                tracing::error!(connection = self.connection, "the journal wasn't written in time");
                false
            }
        };
        let written = written || mutation::is(Mutation::AnswerBeforeTheCommit);
        for (taken, group) in &mut groups {
            for (needs_it, route) in taken.needed.iter().zip(group.routes.iter_mut()) {
                let is_settled = route.effect.outcome.is_settled();
                if !written && is_settled && *needs_it {
                    route.effect.outcome = Outcome::Deferred(Reason::JournalUnavailable);
                } else if written && !is_settled && taken.is_finished_later {
                    route.effect.outcome = Outcome::Deferred(Reason::Journaled);
                }
            }
        }
    }

    /// Whether what isn't done is written down. What is being finished is written down already.
    fn is_finished_later(&self) -> bool {
        self.on_deadline == OnDeadline::Journal && self.finishing.is_none()
    }

    /// What a group has to have written.
    fn take_up(&self, group: &Group<'_>, entries: &mut Entries) -> Taken {
        let unsettled = group.routes.iter().find(|route| !route.effect.outcome.is_settled());
        let unsettled = unsettled.filter(|_| self.is_finished_later()).map(|route| (route, (group.payload)()));
        // Of a notice whose ESP couldn't say whom it is about, there is nothing to write down by which it could be finished.
        let unsettled = unsettled.filter(|(_, payload)| !matches!(payload, Payload::NotUnderstood { .. }));
        let is_finished_later = unsettled.is_some();
        if let Some((route, payload)) = unsettled {
            entries.unfinished.push(Unfinished {
                connection: self.connection.to_owned(),
                direction: self.direction.label(),
                person: (group.person)(route),
                received: self.received,
                reason: route.effect.outcome.reason().unwrap_or(Reason::Internal),
                payload: payload.to_bytes(),
            });
        }
        let needed = group.routes.iter().map(|route| self.take_up_route(group, route, entries)).collect();
        Taken { needed, is_finished_later }
    }

    fn take_up_route(&self, group: &Group<'_>, route: &RouteEffect, entries: &mut Entries) -> bool {
        let Effect { outcome, change, found, .. } = route.effect;
        entries.links.extend(route.mark.links.iter().cloned());
        let mut is_needed = !route.mark.links.is_empty() || !route.mark.back.is_empty();
        for back in &route.mark.back {
            let change = back.change.unwrap_or(Change::Profile);
            let receipt = self.receipt(group, route, change);
            let direction = self.direction.back().label();
            entries.receipts.push(Receipt { direction, acted: back.acted, ..receipt });
        }
        match (change, outcome) {
            // Even if something else about it failed.
            (Some(change), _) => {
                entries.receipts.push(self.receipt(group, route, change));
                is_needed = true;
            }
            // Of what this replica remembers, all was written before.
            (None, Outcome::Unchanged) if route.mark.is_remembered => {}
            (None, Outcome::Unchanged) => {
                // An opt-out that is in effect has a receipt, whoever wrote it.
                let is_out = found.is_some();
                let receipt = self.receipt(group, route, found.unwrap_or(Change::Profile));
                is_needed |= is_out;
                entries.seen.push(Seen { receipt, is_out });
            }
            (None, Outcome::Applied | Outcome::Rejected(_) | Outcome::Skipped(_) | Outcome::Deferred(_)) => {}
        }
        // Whatever else of it was done.
        if let Outcome::Rejected(reason) = outcome {
            entries.rejected.push(SetAside {
                event: self.key(group, route),
                direction: self.direction.label(),
                reason,
                person: (group.person)(route),
                payload: (group.payload)().to_bytes(),
            });
            is_needed = true;
        }
        is_needed
    }

    fn receipt(&self, group: &Group<'_>, route: &RouteEffect, change: Change) -> Receipt {
        Receipt {
            event: self.key(group, route),
            request: self.request.to_owned(),
            direction: self.direction.label(),
            change,
            person: (group.person)(route),
            // When an account was closed, or a name changed, no consent tells: the event does.
            acted: match change {
                Change::Removal | Change::Profile => group.happened,
                Change::OptIn | Change::OptOut => route.effect.acted,
            },
            received: self.received,
            accepted: route.mark.at.unwrap_or(self.received),
            call_id: route.mark.call.as_ref().map(CallId::as_str).map(ToOwned::to_owned),
        }
    }

    fn key(&self, group: &Group<'_>, route: &RouteEffect) -> EventKey {
        EventKey {
            connection: self.connection.to_owned(),
            event: group.event.to_owned(),
            route: route.route.as_ref().map_or_else(String::new, |on| on.label.to_string()),
        }
    }
}
