//! What both lines do after a write: the account is read again, and if it is no longer what was decided by, the work begins
//! again. So whoever changed something meanwhile, and whose own notice may have found nothing to do yet, is seen.

use super::effect::Effect;
use super::effect::Mark;
use super::gateway::{GigyaSide, RouteEnds};
use super::links::Links;
use super::subscriber::Subscriber;
use crate::domain::{Email, Outcome, Reason};
use crate::gigya::{Account, Reading};
use crate::telemetry::traces;
use crate::upstream::{Deadline, Fault};
use tracing::Instrument;

/// How often an account may change under our hands before its events are put off.
pub const ROUNDS: usize = 4;

/// One account at one route, until both are at rest; with what the journal is to be told of it.
pub async fn settle(
    side: &GigyaSide,
    ends: &RouteEnds,
    account: &Account,
    also_at: &[Email],
    deadline: Deadline,
) -> (Effect, Mark) {
    let links = Links::of(side, &[&account.uid], deadline).await;
    let mut effect = settle_in_rounds(side, ends, account, also_at, &links, deadline).await;
    if links.are_lost && !ends.esp.finds_by_uid() && effect.outcome.is_settled() {
        effect.outcome = Outcome::Deferred(Reason::JournalUnavailable);
    }
    let is_settled = effect.outcome.is_settled();
    let links = if is_settled { links.changes(side, ends, &account.uid) } else { Vec::new() };
    (effect, Mark { links, ..Mark::default() })
}

async fn settle_in_rounds(
    side: &GigyaSide,
    ends: &RouteEnds,
    account: &Account,
    also_at: &[Email],
    links: &Links,
    deadline: Deadline,
) -> Effect {
    let mut account = account.clone();
    let mut before = None;
    for _ in 0..ROUNDS {
        let subscriber =
            Subscriber { side, ends, account: &account, formerly: None, also_at, links, api_key: None, deadline };
        let settled = subscriber.settle().await;
        let merged = merge(before, settled.effect.or_acted(settled.acted));
        before = Some(merged);
        if !settled.look_again {
            return merged;
        }
        let now = match reread(side, &account, None, deadline).await {
            Ok(now) => now.unwrap_or_else(|| account.clone().into_gone()),
            Err(fault) => return Effect { outcome: fault.outcome(), ..merged },
        };
        if !account.has_moved(&now, &ends.route) {
            return merged;
        }
        account = now;
    }
    unsettled(before)
}

/// A later round's outcome counts; what an earlier one changed stays told. And a call that was given up may still take
/// effect behind the later round's back, so its event must come again.
pub fn merge(before: Option<Effect>, now: Effect) -> Effect {
    let Some(before) = before else { return now };
    let outcome = match (before.outcome, now.outcome) {
        (given_up @ Outcome::Deferred(reason), _) if reason != Reason::Unsettled => given_up,
        (Outcome::Applied, Outcome::Unchanged | Outcome::Skipped(_)) => Outcome::Applied,
        _ => now.outcome,
    };
    // Of several changes, the last is how it is now.
    let last = if now.change.is_some() { now } else { before };
    Effect { outcome, found: now.found, ..last }
}

/// What was done before so many changes that it is put off.
pub fn unsettled(before: Option<Effect>) -> Effect {
    let unsettled = Outcome::Deferred(Reason::Unsettled);
    Effect { outcome: unsettled, ..before.unwrap_or(unsettled.into()) }
}

/// Reads an account again, as it was read before; none if it is gone.
pub async fn reread(
    side: &GigyaSide,
    account: &Account,
    api_key: Option<&str>,
    deadline: Deadline,
) -> Result<Option<Account>, Fault> {
    let read = side.client.account_again(account, api_key, deadline).instrument(traces::station("read the account"));
    Ok(match read.await? {
        Reading::Found(now) => Some(*now),
        Reading::NotFound => None,
    })
}
