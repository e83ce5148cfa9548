//! Who wins: the one function in which both ways through the house end.

use super::{ActedAt, Consent, OptOutReason, Reason};
use crate::mutation::{self, Mutation};

/// What the system where something happened wants the other side to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// The person's consent, as it stands.
    Consent(Consent),
    /// Nothing yet: the person opted in at that very place, and has been asked to confirm it.
    Awaited,
    /// The person's account was deactivated or deleted: nobody may mail them, whatever their flags say.
    Removal(RemovalKind),
}

/// What removing somebody from an ESP means, by the route's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemovalKind {
    /// The record is deleted.
    Delete,
    /// The record stays, opted out.
    Unsubscribe,
    /// The address is put on the ESP's suppression list.
    Suppress,
}

/// What to do at the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It already says so: write no consent. (Fields of somebody opted in may still need an update.)
    Keep,
    /// Opt the person in. `over_opt_out` when that undoes an opt-out which is older than this opt-in;
    /// only then may an ESP be told to subscribe somebody again.
    OptIn {
        /// An older opt-out is there.
        over_opt_out: bool,
    },
    /// Opt the person out.
    OptOut,
    /// Remove the person.
    Remove(RemovalKind),
    /// The other side knows better, or there is nothing to forward.
    Refuse(Reason),
}

/// Decides what to do at a system that holds `current`, when the opposite one wants `desired`.
///
/// The rule, in one sentence: the later act counts, and in any doubt the opt-out does. A removal is an
/// opt-out that needs no comparison: an account that isn't there anymore can't have opted in later.
///
/// ```
/// use gigya_esp_gateway::domain::{ActedAt, Consent, Decision, Desired, OptOutReason, Reason, decide};
/// let opted_in = Consent::OptedIn { since: ActedAt::exactly("2026-01-01T12:00:00Z".parse()?) };
/// let opted_out = Consent::OptedOut {
///     since: ActedAt::exactly("2026-01-01T12:00:00Z".parse()?),
///     reason: OptOutReason::Unsubscribed,
/// };
/// // A tie is the opt-out's, on whichever side it is.
/// assert_eq!(decide(Desired::Consent(opted_out), opted_in), Decision::OptOut);
/// assert_eq!(decide(Desired::Consent(opted_in), opted_out), Decision::Refuse(Reason::NewerOptOut));
/// # Ok::<(), jiff::Error>(())
/// ```
#[must_use]
pub fn decide(desired: Desired, current: Consent) -> Decision {
    match desired {
        Desired::Consent(desired) => decide_consent(desired, current),
        Desired::Awaited => Decision::Refuse(Reason::DoubleOptInPending),
        Desired::Removal(kind) => decide_removal(kind, current),
    }
}

fn decide_consent(desired: Consent, current: Consent) -> Decision {
    use Consent::{OptedIn, OptedOut, Pending, Unknown};
    let resubscribes = mutation::is(Mutation::ResubscribeOnUpdate) || mutation::is(Mutation::TrustEventOrder);
    match (desired, current) {
        (Unknown, _) => Decision::Refuse(Reason::NeverSubscribed),

        (OptedIn { .. }, OptedIn { .. } | Pending { .. }) | (OptedOut { .. }, OptedOut { .. }) => Decision::Keep,
        (OptedIn { .. }, Unknown) => Decision::OptIn { over_opt_out: false },
        (OptedIn { .. }, OptedOut { .. }) if desired.outranks(&current) || resubscribes => {
            Decision::OptIn { over_opt_out: true }
        }
        (OptedIn { .. }, OptedOut { .. }) => Decision::Refuse(Reason::NewerOptOut),

        // Somebody who asked again and hasn't confirmed must not be mailed on the strength of an older opt-in:
        // between the two there was an opt-out. A newer opt-in at the other side stands.
        (Pending { since }, OptedIn { .. }) if !current.outranks(&not_confirmed(since)) => Decision::OptOut,
        (Pending { .. }, _) => Decision::Refuse(Reason::DoubleOptInPending),

        (OptedOut { .. }, OptedIn { .. } | Pending { .. })
            if current.outranks(&desired) && !mutation::is(Mutation::TrustEventOrder) =>
        {
            Decision::Refuse(Reason::NewerOptIn)
        }
        (OptedOut { .. }, Unknown | OptedIn { .. } | Pending { .. }) => Decision::OptOut,
    }
}

const fn not_confirmed(since: ActedAt) -> Consent {
    Consent::OptedOut { since, reason: OptOutReason::Other }
}

fn decide_removal(kind: RemovalKind, current: Consent) -> Decision {
    let already_gone = match current {
        Consent::Unknown => true,
        Consent::Pending { .. } | Consent::OptedIn { .. } => false,
        Consent::OptedOut { reason, .. } => match kind {
            RemovalKind::Unsubscribe => true,
            RemovalKind::Delete => reason == OptOutReason::Deleted,
            RemovalKind::Suppress => reason == OptOutReason::Suppressed,
        },
    };
    if already_gone { Decision::Keep } else { Decision::Remove(kind) }
}

#[cfg(test)]
mod tests;
