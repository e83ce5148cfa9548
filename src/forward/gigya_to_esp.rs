//! The line from Gigya to the ESPs.
//!
//! A webhook says only that an account changed. The account is read, and its state as it is now is forwarded,
//! so late, repeated and swapped webhooks do no harm. Events of one account in one body are one piece of work.

use super::effect::{Effect, RouteEffect};
use super::gateway::{Gateway, GigyaSide};
use super::intake::{EventOutcome, Inbound, Refusal, Summary};
use super::record::{Direction, Told};
use super::rounds::{ROUNDS, merge, reread, unsettled};
use super::subscriber::{Settled, Subscriber};
use crate::config::Route;
use crate::domain::{ActedAt, Change, Consent, Outcome, Reason, Uid};
use crate::esp::takes_json;
use crate::gigya::{Account, Event, EventKind, NotVerified, Reading, Rejection, Subject};
use crate::mutation::{self, Mutation};
use crate::telemetry::{Pseudonym, traces};
use crate::upstream::Deadline;
use futures_util::StreamExt;
use futures_util::future::join_all;
use std::collections::{HashMap, HashSet};
use tracing::Instrument;

/// One account's part of a notification.
struct Work {
    task: Task,
    api_key: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Task {
    Forward(Subject),
    Remove(Uid),
}

/// What became of one account: an outcome a route, and who it was.
#[derive(Clone, Default)]
struct AccountOutcome {
    routes: Vec<RouteEffect>,
    subscriber: Option<Pseudonym>,
}

/// Takes one request down the line.
pub async fn receive(gateway: &Gateway, side: &GigyaSide, request: &Inbound) -> Result<Summary, Refusal> {
    // Never a compressed body, as the signature is over what was sent; and which type Gigya says isn't documented.
    takes_json(&request.headers, &side.config.common.content_types).map_err(|_| Refusal::MediaType)?;
    let deadline = Deadline::after(request.received, side.config.common.deadline);
    let opened = side.verifier.open(&request.headers, &request.body, side.clock.now(), deadline).await;
    let notification = opened.map_err(|rejection| refuse(gateway, side, rejection))?;

    gateway.believed(side.config.name.as_str());
    let (works, work_of) = pieces_of_work(&notification.events);
    let at_once = side.config.common.max_concurrent_calls;
    let each = works.iter().enumerate();
    let each: Vec<_> = each.map(|(index, work)| settle(gateway, side, work, index, deadline)).collect();
    let results: Vec<_> = futures_util::stream::iter(each).buffered(at_once).collect().await;

    let mut summary = Summary { received: notification.events.len(), events: Vec::new() };
    let mut told_before = HashSet::new();
    for (event, work) in notification.events.iter().zip(work_of) {
        let Some(work) = work else {
            let outcome = match event.kind {
                EventKind::Malformed => Outcome::Rejected(Reason::Malformed),
                _ => Outcome::Skipped(Reason::EventTypeIgnored),
            };
            let alone = RouteEffect::nowhere(outcome);
            summary.events.push(tell(gateway, side, event, &alone, None));
            continue;
        };
        for (route, settled) in results[work].routes.iter().enumerate() {
            let mut settled = settled.clone();
            // Several events of one account are one change, which the first of them tells.
            if !told_before.insert((work, route)) {
                settled.effect.change = None;
                if settled.effect.outcome == Outcome::Applied {
                    settled.effect.outcome = Outcome::Unchanged;
                }
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
    let route = settled.route.as_ref().map(|route| route.label());
    let outcome = EventOutcome { id: event.id.clone(), route, outcome: settled.effect.outcome };
    // When an account was closed, no consent tells: the event does.
    let acted = match settled.effect.change {
        Some(Change::Removal) => event.happened.map(ActedAt::exactly),
        _ => settled.effect.acted,
    };
    let told = Told {
        connection: side.config.name.as_str(),
        direction: Direction::GigyaToEsp,
        to: settled.route.as_ref().map_or("", |route| route.esp.as_str()),
        subscriber,
        effect: Effect { acted, ..settled.effect },
    };
    gateway.tell(&outcome, &told);
    outcome
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
            gateway.not_believed(connection, &reason.to_string());
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
    let mut known: HashMap<Task, usize> = HashMap::new();
    let work_of = events.iter().map(|event| {
        let task = match &event.kind {
            EventKind::Changed(subject) => Task::Forward(subject.clone()),
            EventKind::Deleted(uid) => Task::Remove(uid.clone()),
            EventKind::Ignored | EventKind::Malformed => return None,
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
    let settled = settle_account(gateway, side, work, deadline).instrument(span.clone()).await;
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
    let (reading, uid, formerly) = match &work.task {
        Task::Forward(Subject::Account { uid, formerly }) => {
            (side.client.account(uid, api_key, deadline).instrument(read()).await, Some(uid), formerly.as_ref())
        }
        Task::Forward(Subject::EmailAccount { token }) => {
            (side.client.account_by_email_token(token, api_key, deadline).instrument(read()).await, None, None)
        }
        Task::Remove(uid) => (Ok(Reading::NotFound), Some(uid), None),
    };
    match reading {
        Ok(Reading::Found(account)) => {
            let subscriber = account.address.as_ref().map_or_else(
                || gateway.pseudonyms.of_uid(&account.uid),
                |address| gateway.pseudonyms.of_email(address),
            );
            let routes = forward(side, *account, formerly, api_key, deadline).await;
            AccountOutcome { routes, subscriber: Some(subscriber) }
        }
        Ok(Reading::NotFound) => {
            let routes = remove_gone(side, uid, formerly, deadline).await;
            AccountOutcome { routes, subscriber: uid.map(|uid| gateway.pseudonyms.of_uid(uid)) }
        }
        Err(fault) => every_route(side, fault.outcome()),
    }
}

fn every_route(side: &GigyaSide, outcome: Outcome) -> AccountOutcome {
    let routes = side.routes.iter().map(|ends| RouteEffect::on(&ends.route, outcome));
    let mut routes: Vec<_> = routes.collect();
    if routes.is_empty() {
        routes.push(RouteEffect::nowhere(outcome));
    }
    AccountOutcome { routes, subscriber: None }
}

/// Brings every route's audience in line with an account. After anybody was opted in, the account is read again:
/// if the person opted out in between, the opt-out is forwarded now, by us, as whoever forwarded it before us
/// may have found nothing to opt out. And the other way round, so that the two sides don't stay apart.
async fn forward(
    side: &GigyaSide,
    mut account: Account,
    formerly: Option<&Uid>,
    api_key: Option<&str>,
    deadline: Deadline,
) -> Vec<RouteEffect> {
    if side.routes.is_empty() {
        return vec![RouteEffect::nowhere(Outcome::Skipped(Reason::NoRoute))];
    }
    let mut effects: Vec<Option<Effect>> = vec![None; side.routes.len()];
    let mut open: Vec<usize> = (0..side.routes.len()).collect();
    for _ in 0..ROUNDS {
        let settled = settle_routes(side, &account, formerly, &open, api_key, deadline).await;
        let mut again = Vec::new();
        for (route, settled) in open.iter().zip(settled) {
            effects[*route] =
                Some(merge(effects[*route], settled.effect.or_acted(acted(&side.routes[*route].route, &account))));
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
    let routes = side.routes.iter().zip(effects);
    routes
        .map(|(ends, effect)| {
            RouteEffect::on(&ends.route, effect.unwrap_or(Outcome::Deferred(Reason::Internal).into()))
        })
        .collect()
}

async fn settle_routes(
    side: &GigyaSide,
    account: &Account,
    formerly: Option<&Uid>,
    routes: &[usize],
    api_key: Option<&str>,
    deadline: Deadline,
) -> Vec<Settled> {
    let each = routes.iter().map(|route| async move {
        let ends = &side.routes[*route];
        Subscriber { side, ends, account, formerly, also_at: &[], api_key, deadline }.forward().await
    });
    join_all(each).await
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

/// When the person acted.
fn acted(route: &Route, account: &Account) -> Option<ActedAt> {
    account.consent(&route.subscription, false).since()
}

/// For an account that can't be read anymore. The search index is late by nature, which helps here: it may still
/// know the address. If not, an ESP that knows people by their UID can take them out; for others only a journal could
/// tell, and the event is set aside. `formerly` is a UID that it had before.
async fn remove_gone(
    side: &GigyaSide,
    uid: Option<&Uid>,
    formerly: Option<&Uid>,
    deadline: Deadline,
) -> Vec<RouteEffect> {
    let Some(uid) = uid else {
        return every_route(side, Outcome::Rejected(Reason::AddressUnknown)).routes;
    };
    let read = traces::station("read the account");
    let known = match side.client.search_by_uid(uid, deadline).instrument(read).await {
        Ok(rows) => rows.into_iter().find(|row| row.address.is_some()),
        Err(fault) => return every_route(side, fault.outcome()).routes,
    };
    // Should the address be somebody else's by now, who is opted in, the subscriber stays theirs.
    let account = known.map_or_else(|| Account::gone(uid), Account::into_gone);
    let each = side.routes.iter().map(|ends| async {
        let can_be_found = account.address.is_some() || ends.esp.finds_by_uid();
        let effect = if can_be_found {
            Subscriber { side, ends, account: &account, formerly, also_at: &[], api_key: None, deadline }
                .forward()
                .await
                .effect
        } else {
            Outcome::Rejected(Reason::AddressUnknown).into()
        };
        RouteEffect::on(&ends.route, effect)
    });
    let routes = join_all(each).await;
    if routes.is_empty() { every_route(side, Outcome::Skipped(Reason::NoRoute)).routes } else { routes }
}
