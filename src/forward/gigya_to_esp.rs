//! The line from Gigya to the ESPs.
//!
//! A webhook says only that an account changed. The account is read, and its state as it is now is forwarded,
//! so late, repeated and swapped webhooks do no harm. Events of one account in one body are one piece of work.

use super::effect::{Effect, Mark, RouteEffect};
use super::gateway::{Gateway, GigyaSide, RouteEnds};
use super::intake::{EventOutcome, Inbound, Refusal, Summary};
use super::journaling::{Group, Page, time_to_work};
use super::links::{Links, within};
use super::payload::{Payload, Told as ToldEvent};
use super::record::{Direction, Told};
use super::rounds::{ROUNDS, merge, reread, unsettled};
use super::subscriber::{Settled, Subscriber};
use super::turns::Whose;
use crate::domain::{ActedAt, Change, Consent, Email, Outcome, Reason, Uid};
use crate::esp::takes_json;
use crate::gigya::{Account, Event, EventKind, NotVerified, Reading, Rejection, Subject};
use crate::in_place::boxed;
use crate::journal::Person;
use crate::mutation::{self, Mutation};
use crate::telemetry::{Pseudonym, traces};
use crate::upstream::{self, CallId, Deadline};
use foldhash::fast::RandomState;
use futures_util::StreamExt;
use futures_util::future::join;
use jiff::SignedDuration;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// How long after an account was said to be deleted that is taken at its word, though the account should be readable.
const DELETION_IS_FRESH: SignedDuration = SignedDuration::from_mins(5);

/// One account's part of a notification.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Work {
    task: Task,
    api_key: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Task {
    Forward(Subject),
    Remove(Uid),
    /// The event at this place can't be understood.
    SetAside(usize),
}

/// What became of one account: an outcome a route, and who it was.
#[derive(Clone, Default)]
pub struct AccountOutcome {
    routes: Vec<RouteEffect>,
    subscriber: Option<Pseudonym>,
    uid: Option<Uid>,
    address: Option<Email>,
}

impl AccountOutcome {
    fn is_settled(&self) -> bool {
        self.routes.iter().all(|route| route.effect.outcome.is_settled())
    }

    /// The same for whoever comes after the change was made, which is told once.
    fn told_by_another(mut self) -> Self {
        self.routes.iter_mut().for_each(RouteEffect::leave_untold);
        self
    }
}

/// Takes one request down the line.
pub async fn receive(gateway: &Gateway, side: &GigyaSide, request: &Inbound) -> Result<Summary, Refusal> {
    // Never a compressed body, as the signature is over what was sent; and which type Gigya says isn't documented.
    takes_json(&request.headers, &side.config.common.content_types).map_err(|_| Refusal::MediaType)?;
    let common = &side.config.common;
    let received = side.clock.now();
    let deadline = Deadline::after(request.received, time_to_work(common, side.journal.as_deref()));
    let opened = side.verifier.open(&request.headers, &request.body, side.clock.now(), deadline).await;
    let notification = opened.map_err(|rejection| refuse(gateway, side, rejection))?;

    gateway.believed(&side.config.name);
    let (works, work_of) = pieces_of_work(&notification.events);
    let at_once = common.max_concurrent_calls;
    let mut results: Vec<_> = match works.as_slice() {
        // As almost always.
        [work] => vec![settle(gateway, side, work, 0, deadline).await],
        works => {
            let each = works.iter().enumerate();
            let each: Vec<_> = each.map(|(index, work)| settle(gateway, side, work, index, deadline)).collect();
            futures_util::stream::iter(each).buffered(at_once).collect().await
        }
    };
    if let Some(journal) = &side.journal {
        let whence = (side.config.name.as_str(), Direction::GigyaToEsp);
        let page = Page::of_request(&**journal, whence, common, request, received);
        write_down(&page, side, &notification.events, &works, &work_of, &mut results).await;
    }

    let mut summary = Summary { received: notification.events.len(), ..Summary::default() };
    let mut is_told = vec![false; results.len()];
    for (event, work) in notification.events.iter().zip(work_of) {
        let Some(work) = work else {
            let outcome = Outcome::Skipped(Reason::EventTypeIgnored);
            let alone = RouteEffect::nowhere(outcome);
            summary.events.push(tell(gateway, side, event, &alone, None));
            continue;
        };
        let is_told = std::mem::replace(&mut is_told[work], true);
        for settled in &results[work].routes {
            let mut settled = settled.clone();
            // Several events of one account are one change, which the first of them tells.
            if is_told {
                settled.leave_untold();
            }
            summary.events.push(tell(gateway, side, event, &settled, results[work].subscriber.clone()));
        }
    }
    Ok(summary)
}

fn tell(
    gateway: &Gateway,
    side: &GigyaSide,
    event: &Event,
    settled: &RouteEffect,
    subscriber: Option<Pseudonym>,
) -> EventOutcome {
    let route = settled.route.as_ref().map(|on| Arc::clone(&on.label));
    let outcome = EventOutcome { id: event.id.clone(), route, outcome: settled.effect.outcome };
    // When an account was closed, no consent tells: the event does.
    let acted = match settled.effect.change {
        Some(Change::Removal) => event.happened.map(ActedAt::exactly),
        _ => settled.effect.acted,
    };
    let told = Told {
        connection: &side.config.name,
        direction: Direction::GigyaToEsp,
        to: settled.route.as_ref().map_or("", |on| on.route.esp.as_str()),
        subscriber,
        effect: Effect { acted, ..settled.effect },
    };
    gateway.tell(&outcome, &told);
    outcome
}

/// Writes down what came of each account; the first of its events tells.
async fn write_down(
    page: &Page<'_>,
    side: &GigyaSide,
    events: &[Event],
    works: &[Work],
    work_of: &[Option<usize>],
    results: &mut [AccountOutcome],
) {
    let mut events_of: Vec<Vec<&Event>> = vec![Vec::new(); works.len()];
    for (event, work) in events.iter().zip(work_of) {
        if let Some(work) = work {
            events_of[*work].push(event);
        }
    }
    let each = works.iter().zip(events_of).zip(results);
    let groups = each.map(|((work, events), result)| {
        let event = *events.first()?;
        let person = Person {
            account: result.uid.clone().map(|uid| (side.config.name.clone(), uid)),
            address: result.address.clone(),
        };
        Some(Group {
            event: &event.id,
            happened: event.happened.map(ActedAt::exactly),
            routes: &mut result.routes,
            person: Box::new(move |_| person.clone()),
            payload: Box::new(move || payload(work, &events)),
        })
    });
    page.write(groups.flatten().collect()).await;
}

/// Works on an account from the journal; none if it is none that this version understands. One that was said to be deleted
/// a while ago is read, too: it may be there again.
pub async fn finish(gateway: &Gateway, side: &GigyaSide, page: &Page<'_>, payload: &Payload) -> Option<Vec<Outcome>> {
    let Payload::Account { uid, former_uid, token, deleted, api_key, events: told } = payload else { return None };
    let uid = uid.as_deref().and_then(Uid::new);
    let is_fresh = side.clock.now().duration_since(page.received) < DELETION_IS_FRESH;
    let task = match (uid, token, *deleted && is_fresh) {
        (Some(uid), _, true) => Task::Remove(uid),
        (Some(uid), _, false) => {
            Task::Forward(Subject::Account { uid, formerly: former_uid.as_deref().and_then(Uid::new) })
        }
        (None, Some(token), _) => Task::Forward(Subject::EmailAccount { token: token.clone() }),
        (None, None, _) => return None,
    };
    let work = Work { task, api_key: api_key.clone() };
    let mut result = settle(gateway, side, &work, 0, page.time_to_work()).await;
    let told = told.iter().map(|told| Event::told(&told.id, told.happened, api_key.clone()));
    let mut events: Vec<_> = told.collect();
    if events.is_empty() {
        events.push(Event::default());
    }
    let work_of = vec![Some(0); events.len()];
    write_down(page, side, &events, &[work], &work_of, std::slice::from_mut(&mut result)).await;
    let first = events.first().cloned().unwrap_or_default();
    let tell = |settled: &RouteEffect| tell(gateway, side, &first, settled, result.subscriber.clone()).outcome;
    Some(result.routes.iter().map(tell).collect())
}

fn payload(work: &Work, events: &[&Event]) -> Payload {
    let told = events.iter().map(|event| ToldEvent { id: event.id.clone(), happened: event.happened }).collect();
    match &work.task {
        Task::Forward(subject) => Payload::of_account(subject, work.api_key.clone(), told),
        Task::Remove(uid) => Payload::of_deleted(uid, work.api_key.clone(), told),
        Task::SetAside(_) => {
            let first = events.first();
            let event = first.map(|event| event.id.clone()).unwrap_or_default();
            Payload::NotUnderstood { event, said: first.and_then(|event| event.said.clone()) }
        }
    }
}

fn refuse(gateway: &Gateway, side: &GigyaSide, rejection: Rejection) -> Refusal {
    let connection = side.config.name.as_str();
    match rejection {
        Rejection::NotVerified(reason) => {
            let hint = match reason {
                NotVerified::ApiKey => "an event's site is not in api_keys; add it if it belongs to this connection",
                NotVerified::Issuer => {
                    "the token's issuer is none of this connection's sites; see api_keys, jwt_issuer"
                }
                NotVerified::Stale => "see signature_max_age and clock_tolerance, and check this machine's clock",
                _ => "",
            };
            gateway.not_believed(&side.config.name, &reason.to_string());
            tracing::warn!(connection, %reason, hint, "webhook refused: not verified");
            Refusal::NotVerified
        }
        Rejection::Malformed(what) => {
            tracing::warn!(connection, what, "webhook refused: malformed");
            Refusal::Malformed(what)
        }
        Rejection::NoKeys(fault) => {
            tracing::warn!(connection, %fault, "webhook put off: Gigya's keys can't be had");
            Refusal::Unavailable
        }
    }
}

/// Which accounts a notification is about, each once, and which of them each event is about.
fn pieces_of_work(events: &[Event]) -> (Vec<Work>, Vec<Option<usize>>) {
    let mut works: Vec<Work> = Vec::new();
    let mut known: HashMap<Task, usize, RandomState> = HashMap::default();
    let work_of = events.iter().enumerate().map(|(place, event)| {
        let task = match &event.kind {
            EventKind::Malformed => Task::SetAside(place),
            EventKind::Changed(subject) => Task::Forward(subject.clone()),
            EventKind::Deleted(uid) => Task::Remove(uid.clone()),
            EventKind::Ignored => return None,
        };
        Some(*known.entry(task.clone()).or_insert_with(|| {
            works.push(Work { task, api_key: event.api_key.clone() });
            works.len() - 1
        }))
    });
    let work_of = work_of.collect();
    (works, work_of)
}

async fn settle(gateway: &Gateway, side: &GigyaSide, work: &Work, index: usize, deadline: Deadline) -> AccountOutcome {
    let span = traces::subscriber(index);
    // In a box, as are the pieces below: what a request takes while it lasts is the sum of them, and each is moved about.
    let settle = boxed(|| settle_account(gateway, side, work, deadline)).instrument(span.clone());
    let settled = match (&side.journal, &work.task) {
        (None, Task::Forward(_) | Task::Remove(_)) => {
            match side.turns.take(work, patience(deadline), AccountOutcome::is_settled, settle).await {
                (settled, Whose::Own) => settled,
                (settled, Whose::Shared) => settled.told_by_another(),
            }
        }
        // With a journal, each body writes down what it found itself.
        _ => settle.await,
    };
    match (&settled.subscriber, settled.routes.first()) {
        (Some(subscriber), _) => traces::is_about(&span, subscriber),
        // Nobody was found to go any further with.
        (None, Some(route)) => traces::settled(&span, route.effect.outcome),
        (None, None) => {}
    }
    settled
}

async fn settle_account(gateway: &Gateway, side: &GigyaSide, work: &Work, deadline: Deadline) -> AccountOutcome {
    let api_key = work.api_key.as_deref();
    let read = || traces::station("read the account");
    let (reading, uid, formerly, links) = match &work.task {
        Task::Forward(Subject::Account { uid, formerly }) => {
            let uids: Vec<_> = std::iter::once(uid).chain(formerly).collect();
            let reading = side.client.account(uid, api_key, deadline).instrument(read());
            let (reading, links) = join(reading, Links::of(side, &uids, deadline)).await;
            (reading, Some(uid), formerly.as_ref(), links)
        }
        Task::Forward(Subject::EmailAccount { token }) => {
            let reading = side.client.account_by_email_token(token, api_key, deadline).instrument(read()).await;
            let links = match &reading {
                Ok(Reading::Found(account)) => Links::of(side, &[&account.uid], deadline).await,
                _ => Links::default(),
            };
            (reading, None, None, links)
        }
        Task::Remove(uid) => (Ok(Reading::NotFound), Some(uid), None, Links::of(side, &[uid], deadline).await),
        Task::SetAside(_) => {
            let routes = vec![RouteEffect::nowhere(Outcome::Rejected(Reason::Malformed))];
            return AccountOutcome { routes, ..AccountOutcome::default() };
        }
    };
    match reading {
        Ok(Reading::Found(account)) => {
            let subscriber = account.address.as_ref().map_or_else(
                || gateway.pseudonyms.of_uid(&account.uid),
                |address| gateway.pseudonyms.of_email(address),
            );
            let (uid, address) = (Some(account.uid.clone()), account.address.clone());
            // One act is told by several events. Of two that come at once, the second is to find what the first one did.
            let person = account.uid.clone();
            let forward = boxed(|| forward(side, *account, formerly, &links, api_key, deadline));
            let routes = side.people.alone(&person, patience(deadline), forward).await;
            AccountOutcome { routes, subscriber: Some(subscriber), uid, address }
        }
        Ok(Reading::NotFound) => {
            let (routes, address) = Box::pin(remove_gone(side, uid, formerly, &links, deadline)).await;
            let subscriber = uid.map(|uid| gateway.pseudonyms.of_uid(uid));
            AccountOutcome { routes, subscriber, uid: uid.cloned(), address }
        }
        Err(fault) => AccountOutcome { uid: uid.cloned(), ..every_route(side, fault.outcome()) },
    }
}

/// How long to wait for others who work on the same: whoever has waited for half of the time that is left has the other half for
/// work of their own.
fn patience(deadline: Deadline) -> Duration {
    // Between replicas nobody waits. What holds there is to be seen to hold without this.
    if mutation::is(Mutation::DropTheRereadAfterOptOut) || mutation::is(Mutation::ForgetOwnLinks) {
        return Duration::ZERO;
    }
    deadline.left().unwrap_or_default() / 2
}

fn every_route(side: &GigyaSide, outcome: Outcome) -> AccountOutcome {
    let routes = side.routes.iter().map(|ends| RouteEffect::on(ends, outcome));
    let mut routes: Vec<_> = routes.collect();
    if routes.is_empty() {
        routes.push(RouteEffect::nowhere(outcome));
    }
    AccountOutcome { routes, ..AccountOutcome::default() }
}

/// Brings every route's audience in line with an account. After anybody was opted in, the account is read again:
/// if the person opted out in between, the opt-out is forwarded now, by us, as whoever forwarded it before us
/// may have found nothing to opt out. And the other way round, so that the two sides don't stay apart.
async fn forward(
    side: &GigyaSide,
    mut account: Account,
    formerly: Option<&Uid>,
    links: &Links,
    api_key: Option<&str>,
    deadline: Deadline,
) -> Vec<RouteEffect> {
    if side.routes.is_empty() {
        return vec![RouteEffect::nowhere(Outcome::Skipped(Reason::NoRoute))];
    }
    let mut effects: Vec<Option<Effect>> = vec![None; side.routes.len()];
    let mut marks: Vec<Mark> = vec![Mark::default(); side.routes.len()];
    let mut open: Vec<usize> = (0..side.routes.len()).collect();
    for _ in 0..ROUNDS {
        let settled = settle_routes(side, &account, formerly, links, &open, api_key, deadline).await;
        let mut again = Vec::new();
        for (route, (settled, call)) in open.iter().zip(settled) {
            marks[*route].call = call.or(marks[*route].call);
            marks[*route].at = Some(side.clock.now());
            effects[*route] = Some(merge(effects[*route], settled.effect.or_acted(settled.acted)));
            if settled.look_again {
                again.push(*route);
            }
        }
        if again.is_empty() || mutation::is(Mutation::DropTheReread) {
            open.clear();
            break;
        }
        let now = match reread(side, &account, api_key, deadline).await {
            Ok(Some(now)) => now,
            // Gone in between. The deletion's own webhook removes it, too; this makes sure.
            Ok(None) => account.clone().into_gone(),
            Err(fault) => {
                for route in again {
                    effects[route] = effects[route].map(|before| Effect { outcome: fault.outcome(), ..before });
                }
                open.clear();
                break;
            }
        };
        again.retain(|route| account.has_moved(&now, &side.routes[*route].route));
        open = again;
        account = now;
        if open.is_empty() {
            break;
        }
    }
    for route in open {
        effects[route] = Some(unsettled(effects[route]));
    }
    if !account.is_active && side.config.clear_flags_on_inactive {
        clear_flags(side, &account, &mut effects, deadline).await;
    }
    let routes = side.routes.iter().zip(effects).zip(marks);
    routes
        .map(|((ends, effect), mark)| {
            let effect = effect.unwrap_or(Outcome::Deferred(Reason::Internal).into());
            let settled = RouteEffect { mark, ..RouteEffect::on(ends, effect) };
            with_links(side, ends, &account.uid, links, settled)
        })
        .collect()
}

/// A route's effect with what changes of its links; put off if these couldn't be read, as somebody may be left where nobody
/// looked.
fn with_links(side: &GigyaSide, ends: &RouteEnds, uid: &Uid, links: &Links, mut settled: RouteEffect) -> RouteEffect {
    if !settled.effect.outcome.is_settled() {
        return settled;
    }
    if links.are_lost && !ends.esp.finds_by_uid() {
        settled.effect.outcome = Outcome::Deferred(Reason::JournalUnavailable);
    } else {
        settled.mark.links = links.changes(side, ends, uid);
    }
    settled
}

async fn settle_routes(
    side: &GigyaSide,
    account: &Account,
    formerly: Option<&Uid>,
    links: &Links,
    routes: &[usize],
    api_key: Option<&str>,
    deadline: Deadline,
) -> Vec<(Settled, Option<CallId>)> {
    let each = routes.iter().map(|route| async move {
        let ends = &side.routes[*route];
        let subscriber = Subscriber { side, ends, account, formerly, also_at: &[], links, api_key, deadline };
        upstream::followed(boxed(|| subscriber.forward())).await
    });
    upstream::together(each).await
}

async fn clear_flags(side: &GigyaSide, account: &Account, effects: &mut [Option<Effect>], deadline: Deadline) {
    let mut cleared = Vec::new();
    for (ends, effect) in side.routes.iter().zip(effects) {
        let id = &ends.route.subscription;
        let is_set = !matches!(account.consent(id, false), Consent::Unknown | Consent::OptedOut { .. });
        if !is_set || cleared.contains(&id) {
            continue;
        }
        match side.client.set_subscription(account, id, false, None, deadline).await {
            Ok(()) => cleared.push(id),
            Err(fault) => *effect = Effect::combined(effect.iter().copied().chain([fault.outcome().into()])),
        }
    }
}

/// For an account that can't be read anymore. The search index is late by nature, which helps here: it may still
/// know the address. If not, an ESP that knows people by their UID can take them out; for others a journal can tell. If
/// nothing does, the event is set aside. `formerly` is a UID that it had before. Tells the address, too, if one is known.
async fn remove_gone(
    side: &GigyaSide,
    uid: Option<&Uid>,
    formerly: Option<&Uid>,
    links: &Links,
    deadline: Deadline,
) -> (Vec<RouteEffect>, Option<Email>) {
    let Some(uid) = uid else {
        return (every_route(side, Outcome::Rejected(Reason::AddressUnknown)).routes, None);
    };
    let read = traces::station("read the account");
    let known = match side.client.search_by_uid(uid, deadline).instrument(read).await {
        Ok(rows) => rows.into_iter().find(|row| row.address.is_some()),
        Err(fault) => return (every_route(side, fault.outcome()).routes, None),
    };
    // Should the address be somebody else's by now, who is opted in, the subscriber stays theirs.
    let mut account = known.map_or_else(|| Account::gone(uid), Account::into_gone);
    // Sent to one audience, it may be known to others.
    account.address = account.address.or_else(|| links.last());
    let each = side.routes.iter().map(|ends| async {
        if account.address.is_none() && !ends.esp.finds_by_uid() {
            return RouteEffect::on(ends, nowhere_to_be_found(side, ends, uid, links, deadline).await);
        }
        let subscriber =
            Subscriber { side, ends, account: &account, formerly, also_at: &[], links, api_key: None, deadline };
        let (settled, call) = upstream::followed(subscriber.forward()).await;
        let mark = Mark { call, at: Some(side.clock.now()), ..Mark::default() };
        let effect = RouteEffect { mark, ..RouteEffect::on(ends, settled.effect) };
        with_links(side, ends, uid, links, effect)
    });
    let routes = upstream::together(each).await;
    let address = account.address.clone();
    let routes = if routes.is_empty() { every_route(side, Outcome::Skipped(Reason::NoRoute)).routes } else { routes };
    (routes, address)
}

/// For an account of which nothing tells where its subscriber is.
async fn nowhere_to_be_found(
    side: &GigyaSide,
    ends: &RouteEnds,
    uid: &Uid,
    links: &Links,
    deadline: Deadline,
) -> Effect {
    let Some(journal) = &side.journal else { return Outcome::Rejected(Reason::AddressUnknown).into() };
    if links.are_lost {
        return Outcome::Deferred(Reason::JournalUnavailable).into();
    }
    let was_removed = journal.was_removed(&side.config.name, uid, &ends.label);
    match within(deadline.left().unwrap_or_default(), was_removed).await {
        Ok(true) => Effect::found(Change::Removal, None),
        Ok(false) => Outcome::Rejected(Reason::AddressUnknown).into(),
        Err(_) => Outcome::Deferred(Reason::JournalUnavailable).into(),
    }
}
