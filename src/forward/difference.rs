//! What may differ between an account and what an audience holds of it, and which of the two is right. No I/O.

use super::gateway::RouteEnds;
use super::subscriber::{desired, is_to_be_told, may_be_mailed, person, trusted};
use crate::domain::{Consent, Decision, Desired, Reason, decide};
use crate::esp::{Leftover, Record};
use crate::gigya::Account;

/// A difference between the two sides, named by what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// Opted out in Gigya, and may still be mailed by the ESP.
    LateOptOut,
    /// Opted out at the ESP, and Gigya doesn't know.
    UntoldOptOut,
    /// The account is deactivated, and the ESP still has a subscriber.
    Inactive,
    /// The ESP has a subscriber with the UID of an account that isn't there.
    Orphan,
    /// The subscriber has an address that the account doesn't have.
    WrongAddress,
    /// The subscriber's fields aren't the account's.
    WrongFields,
    /// Opted in in Gigya after an opt-out that the ESP still has.
    LateOptIn,
    /// Opted in at the ESP, where the route accepts that, and Gigya doesn't know.
    UntoldOptIn,
    /// Opted in in Gigya, and no subscriber.
    Missing,
    /// A subscriber without a UID at an address of no account. Left alone: nothing tells that they were ever Gigya's.
    Stranger,
}

impl Difference {
    /// All of them: what ends mail first, what begins it last.
    pub const ALL: [Self; 10] = [
        Self::LateOptOut,
        Self::UntoldOptOut,
        Self::Inactive,
        Self::Orphan,
        Self::WrongAddress,
        Self::WrongFields,
        Self::LateOptIn,
        Self::UntoldOptIn,
        Self::Missing,
        Self::Stranger,
    ];

    /// As reports and metrics have it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::LateOptOut => "late_opt_out",
            Self::UntoldOptOut => "untold_opt_out",
            Self::Inactive => "inactive",
            Self::Orphan => "orphan",
            Self::WrongAddress => "wrong_address",
            Self::WrongFields => "wrong_fields",
            Self::LateOptIn => "late_opt_in",
            Self::UntoldOptIn => "untold_opt_in",
            Self::Missing => "missing",
            Self::Stranger => "stranger",
        }
    }

    /// What it means, for whoever reads a report.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::LateOptOut => "opted out in Gigya, still mailed by the ESP",
            Self::UntoldOptOut => "opted out at the ESP, Gigya doesn't know",
            Self::Inactive => "account deactivated, subscriber still there",
            Self::Orphan => "account gone, subscriber still there",
            Self::WrongAddress => "subscriber under another address than the account's",
            Self::WrongFields => "subscriber's fields differ from the account's",
            Self::LateOptIn => "opted in again in Gigya, still out at the ESP",
            Self::UntoldOptIn => "opted in at the ESP, Gigya doesn't know",
            Self::Missing => "opted in in Gigya, no subscriber",
            Self::Stranger => "subscriber without UID or account: left alone",
        }
    }

    /// Whether healing it removes somebody because of their account: what a broken search would make of everybody.
    #[must_use]
    pub const fn is_removal(self) -> bool {
        matches!(self, Self::Orphan | Self::Inactive)
    }

    /// Whether there is anything to heal.
    #[must_use]
    pub const fn can_be_healed(self) -> bool {
        !matches!(self, Self::Stranger)
    }
}

/// What differs between an account and the record that stands for it, if it has one.
pub fn between(account: &Account, record: Option<&Record>, ends: &RouteEnds) -> Option<Difference> {
    let desired = desired(account, &ends.route);
    let Some(record) = record else {
        let is_missing = matches!(desired, Desired::Consent(Consent::OptedIn { .. })) && account.address.is_some();
        return is_missing.then_some(Difference::Missing);
    };
    let is_left = |least: Leftover| record.leftover >= least;
    match decide(desired, trusted(record.consent, ends)) {
        Decision::Keep => match desired {
            Desired::Consent(Consent::OptedIn { .. }) => wrong(account, record, ends),
            Desired::Consent(_) => is_left(Leftover::Mailable).then_some(Difference::LateOptOut),
            Desired::Awaited => None,
            Desired::Removal(_) => is_left(Leftover::ForOptedOut).then_some(Difference::Inactive),
        },
        Decision::OptIn { over_opt_out: false } => Some(Difference::Missing),
        Decision::OptIn { over_opt_out: true } => Some(Difference::LateOptIn),
        Decision::OptOut => {
            let is_held = may_be_mailed(record.consent) || is_left(Leftover::Mailable);
            is_held.then_some(Difference::LateOptOut)
        }
        Decision::Remove(_) => Some(Difference::Inactive),
        Decision::Refuse(Reason::NewerOptOut) => {
            is_to_be_told(record.consent, account, &ends.route).then_some(Difference::UntoldOptOut)
        }
        Decision::Refuse(Reason::NewerOptIn | Reason::NeverSubscribed) => {
            let is_told = ends.route.accept_opt_ins && record.consent.is_opted_in();
            is_told.then_some(Difference::UntoldOptIn)
        }
        Decision::Refuse(_) => None,
    }
}

fn wrong(account: &Account, record: &Record, ends: &RouteEnds) -> Option<Difference> {
    let address = account.address.as_ref()?;
    if *address != record.address {
        return Some(Difference::WrongAddress);
    }
    let person = person(&ends.route, account, address);
    ends.esp.differs(&ends.route.audience, record, &person).then_some(Difference::WrongFields)
}

/// Whether a record is an orphan, if no account is there whose UID it has: somebody who would be removed.
pub fn is_orphan(record: &Record, ends: &RouteEnds) -> bool {
    let removal = Desired::Removal(ends.route.on_inactive);
    let is_in = matches!(decide(removal, trusted(record.consent, ends)), Decision::Remove(_));
    is_in || record.leftover > Leftover::Nothing
}
