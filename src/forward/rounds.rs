//! What both lines do after a write: the account is read again, and if it is no longer what was decided by, the work begins
//! again. So whoever changed something meanwhile, and whose own notice may have found nothing to do yet, is seen.

use super::gateway::{GigyaSide, RouteEnds};
use super::subscriber::Subscriber;
use crate::domain::{Email, Outcome, Reason};
use crate::gigya::{Account, Reading};
use crate::telemetry::traces;
use crate::upstream::{Deadline, Fault};
use tracing::Instrument;

/// How often an account may change under our hands before its events are put off.
pub const ROUNDS: usize = 4;

/// One account at one route, until both are at rest.
pub async fn settle(
    side: &GigyaSide,
    ends: &RouteEnds,
    account: &Account,
    also_at: &[Email],
    deadline: Deadline,
) -> Outcome {
    let mut account = account.clone();
    let mut outcome = None;
    for _ in 0..ROUNDS {
        let subscriber = Subscriber { side, ends, account: &account, formerly: None, also_at, api_key: None, deadline };
        let settled = subscriber.settle().await;
        let merged = merge(outcome, settled.outcome);
        outcome = Some(merged);
        if !settled.look_again {
            return merged;
        }
        let now = match reread(side, &account, None, deadline).await {
            Ok(now) => now.unwrap_or_else(|| account.clone().into_gone()),
            Err(fault) => return fault.outcome(),
        };
        if !account.has_moved(&now, &ends.route) {
            return merged;
        }
        account = now;
    }
    Outcome::Deferred(Reason::Unsettled)
}

/// A later round's outcome counts; what an earlier one changed stays told. And a call that was given up may still take
/// effect behind the later round's back, so its event must come again.
pub fn merge(before: Option<Outcome>, now: Outcome) -> Outcome {
    match (before, now) {
        (Some(given_up @ Outcome::Deferred(reason)), _) if reason != Reason::Unsettled => given_up,
        (Some(Outcome::Applied), Outcome::Unchanged | Outcome::Skipped(_)) => Outcome::Applied,
        _ => now,
    }
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
