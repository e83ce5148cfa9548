//! The line from an ESP to Gigya.
//!
//! An opt-out is taken at its word and forwarded with the time at which the person acted. An opt-in is not: the
//! subscriber is looked at first, so that a late notice never opts in somebody who has left since.

use super::effect::{Effect, Mark, RouteEffect};
use super::errand::{Errand, acted};
use super::gateway::{EspSide, Gateway, Incoming};
use super::intake::{EventOutcome, Inbound, Refusal, Summary};
use super::journaling::{Group, Page, time_to_work};
use super::payload::Payload;
use super::progress::{BodyDigest, Done, Settled};
use super::record::{Direction, Told};
use crate::domain::{Email, Outcome, Reason};
use crate::esp::{NotTaken, Notice, Received};
use crate::in_place::boxed;
use crate::journal::Person;
use crate::telemetry::traces;
use crate::upstream::{self, Deadline};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use tracing::Instrument;

/// Outcomes that are told in one go. Between two of them other requests have their turn, as a body may hold tens of
/// thousands of events that are settled at once.
const TOLD_AT_ONCE: usize = 100;

/// Takes one request down the line.
pub async fn receive(
    gateway: &Gateway,
    side: &EspSide,
    token: Option<&SecretString>,
    request: &Inbound,
) -> Result<Summary, Refusal> {
    let common = side.esp.common();
    let received_at = gateway.now();
    let deadline = Deadline::after(request.received, time_to_work(common, gateway.journal.as_deref()));
    let received = side.esp.receive(token, &request.headers, &request.body, deadline).await;
    let notices = match received.map_err(|reason| refuse(gateway, side, reason))? {
        Received::Notices(notices) => notices,
        Received::Handshake => return Ok(Summary::default()),
    };
    if notices.iter().flat_map(|notice| &notice.audiences).any(|audience| !side.routes.contains_key(audience)) {
        let what = "the list belongs to no route of this connection";
        return Err(refuse(gateway, side, NotTaken::Malformed(what.to_owned())));
    }

    gateway.believed(side.esp.name());
    let body = BodyDigest::of(side.esp.name().as_str(), &request.body);
    let before = side.progress.of(body, Instant::now());
    let mut in_order = settle_all(gateway, side, &notices, &before, deadline).await;
    in_order.sort_by_key(|(index, _)| *index);
    if let Some(journal) = &gateway.journal {
        let whence = (side.esp.name().as_str(), Direction::EspToGigya);
        let page = Page::of_request(&**journal, whence, common, request, received_at);
        let groups = in_order.iter_mut().map(|(index, routes)| group(&notices[*index], routes));
        page.write(groups.collect()).await;
    }
    let mut events = Vec::with_capacity(in_order.len());
    for some in in_order.chunks(TOLD_AT_ONCE) {
        events.extend(some.iter().flat_map(|(index, done)| tell(gateway, side, &notices[*index], done)));
        tokio::task::yield_now().await;
    }
    let acknowledgement = side.esp.provider().acknowledgement.filter(|_| token.is_some());
    let summary = Summary { received: notices.len(), events, acknowledgement };
    if summary.is_settled() {
        side.progress.forget(body);
    } else {
        in_order.retain(|(_, settled)| settled.iter().all(|settled| settled.effect.outcome.is_settled()));
        side.progress.remember(body, in_order.into_iter().collect(), Instant::now());
    }
    Ok(summary)
}

/// Works on a notice from the journal; none if it is no notice that this version understands.
pub async fn finish(gateway: &Gateway, side: &EspSide, page: &Page<'_>, payload: &Payload) -> Option<Vec<Outcome>> {
    let notice = payload.to_notice()?;
    let mut settled = settle(side, &notice, page.time_to_work()).await;
    page.write(vec![group(&notice, &mut settled)]).await;
    Some(tell(gateway, side, &notice, &settled).into_iter().map(|event| event.outcome).collect())
}

/// What the journal is told of a notice.
fn group<'a>(notice: &'a Notice, routes: &'a mut Settled) -> Group<'a> {
    let person = move |settled: &RouteEffect| {
        let news = notice.news.as_ref().ok();
        let uid = settled.mark.uid.as_ref().or_else(|| news.and_then(|news| news.uid.as_ref()));
        let gigya = settled.route.as_ref().map(|on| on.route.gigya.clone());
        Person { account: gigya.zip(uid.cloned()), address: news.map(|news| news.address.clone()) }
    };
    Group {
        event: &notice.id,
        happened: None,
        routes,
        person: Box::new(person),
        payload: Box::new(|| Payload::of_notice(notice)),
    }
}

fn refuse(gateway: &Gateway, side: &EspSide, reason: NotTaken) -> Refusal {
    let connection = side.esp.name().as_str();
    match reason {
        NotTaken::NotVerified(reason) => {
            gateway.not_believed(side.esp.name(), reason);
            tracing::warn!(connection, reason, "callback refused: not verified");
            Refusal::NotVerified
        }
        NotTaken::MediaType => Refusal::MediaType,
        NotTaken::Malformed(what) => {
            tracing::warn!(connection, what, "callback refused: malformed");
            Refusal::Malformed(what)
        }
    }
}

/// Settles every notice, in any order; as many people at once as calls may be made.
async fn settle_all(
    gateway: &Gateway,
    side: &EspSide,
    notices: &[Notice],
    before: &Done,
    deadline: Deadline,
) -> Vec<(usize, Settled)> {
    let mut waiting = by_person(notices).into_iter();
    let mut settled = Vec::with_capacity(notices.len());
    // What is done for one person takes kilobytes while it lasts, so it is begun only when its turn has come.
    let mut under_way = FuturesUnordered::new();
    loop {
        let room = side.esp.common().max_concurrent_calls.saturating_sub(under_way.len());
        let groups = waiting.by_ref().take(room);
        under_way.extend(groups.map(|group| settle_group(gateway, side, notices, group, before, deadline)));
        match under_way.next().await {
            Some(group) => settled.extend(group),
            None => return settled,
        }
    }
}

/// Which notices are about one person: these are worked on in order, different people side by side.
fn by_person(notices: &[Notice]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut group_of: HashMap<&Email, usize> = HashMap::new();
    for (index, notice) in notices.iter().enumerate() {
        let Ok(news) = &notice.news else {
            groups.push(vec![index]);
            continue;
        };
        let addresses = || [Some(&news.address), news.former_address.as_ref()].into_iter().flatten();
        let known = addresses().find_map(|address| group_of.get(address).copied());
        let group = known.unwrap_or_else(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(index);
        for address in addresses() {
            group_of.insert(address, group);
        }
    }
    groups
}

async fn settle_group(
    gateway: &Gateway,
    side: &EspSide,
    notices: &[Notice],
    group: Vec<usize>,
    before: &Done,
    deadline: Deadline,
) -> Vec<(usize, Settled)> {
    let mut settled = Vec::with_capacity(group.len());
    for index in group {
        let outcomes = match before.get(&index) {
            Some(before) => before.iter().map(again).collect(),
            None => {
                let (notice, span) = (&notices[index], traces::subscriber(index));
                if let (false, Ok(news)) = (span.is_disabled(), &notice.news) {
                    traces::is_about(&span, &gateway.pseudonyms.of_email(&news.address));
                }
                settle(side, notice, deadline).instrument(span).await
            }
        };
        settled.push((index, outcomes));
    }
    settled
}

/// What was done before is there already.
fn again(before: &RouteEffect) -> RouteEffect {
    let outcome = match before.effect.outcome {
        Outcome::Applied => Outcome::Unchanged,
        outcome => outcome,
    };
    let effect = Effect { outcome, change: None, ..before.effect };
    RouteEffect {
        route: before.route.clone(),
        effect,
        mark: Mark { uid: before.mark.uid.clone(), is_remembered: true, ..Mark::default() },
    }
}

async fn settle(side: &EspSide, notice: &Notice, deadline: Deadline) -> Settled {
    let mut settled = Vec::new();
    let routes: Vec<_> = notice.audiences.iter().filter_map(|audience| side.routes.get(audience)).collect();
    for Incoming { ends, gigya } in routes.into_iter().flatten() {
        let (effect, mark) = match &notice.news {
            Err(outcome) => ((*outcome).into(), Mark::default()),
            Ok(news) => {
                let errand = Errand { side, gigya, ends, news, deadline, mark: Mutex::default() };
                let span = traces::forward(&ends.label);
                let (effect, call) = upstream::followed(boxed(|| errand.settle()).instrument(span.clone())).await;
                let effect = effect.unwrap_or_else(|fault| fault.outcome().into()).or_acted(acted(news));
                traces::settled(&span, effect.outcome);
                let mark = errand.mark.into_inner().unwrap_or_else(PoisonError::into_inner);
                (effect, Mark { at: Some(gigya.clock.now()), call, ..mark })
            }
        };
        settled.push(RouteEffect { mark, ..RouteEffect::on(ends, effect) });
    }
    if settled.is_empty() {
        let outcome = notice.news.as_ref().err().copied().unwrap_or(Outcome::Skipped(Reason::NoRoute));
        settled.push(RouteEffect::nowhere(outcome));
    }
    settled
}

fn tell(gateway: &Gateway, side: &EspSide, notice: &Notice, settled: &Settled) -> Vec<EventOutcome> {
    let tell = |RouteEffect { route: on, effect, .. }: &RouteEffect| {
        let route = on.as_ref().map(|on| Arc::clone(&on.label));
        let event = EventOutcome { id: notice.id.clone(), route, outcome: effect.outcome };
        let told = Told {
            connection: side.esp.name(),
            direction: Direction::EspToGigya,
            to: on.as_ref().map_or("", |on| on.route.gigya.as_str()),
            subscriber: notice.news.as_ref().ok().map(|news| gateway.pseudonyms.of_email(&news.address)),
            effect: *effect,
        };
        gateway.tell(&event, &told);
        event
    };
    settled.iter().map(tell).collect()
}
