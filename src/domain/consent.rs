//! What a person said about one subscription, and which of two sayings counts.

use super::ActedAt;
use crate::mutation::{self, Mutation};
use jiff::Timestamp;

/// What a system knows of a person's consent to one subscription.
///
/// A last-writer-wins register: of two known states the later act counts, and where it can't be told which
/// was later, the opt-out does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Nothing was ever said.
    Unknown,
    /// Opted in, but the double opt-in is not confirmed: nobody may mail them yet.
    Pending {
        /// When the person asked for it.
        since: ActedAt,
    },
    /// Opted in.
    OptedIn {
        /// When the person acted.
        since: ActedAt,
    },
    /// Opted out.
    OptedOut {
        /// When the person acted.
        since: ActedAt,
        /// How it came about.
        reason: OptOutReason,
    },
}

/// How an opt-out came about, as far as a system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptOutReason {
    /// The person said stop: in their account, or by a link in a mail.
    Unsubscribed,
    /// The person reported a mail as spam.
    Complained,
    /// Mail to the address came back.
    Bounced,
    /// The record was deleted at the ESP.
    Deleted,
    /// The address is on the ESP's suppression list.
    Suppressed,
    /// Out for a cause the ESP names in a way this gateway doesn't know.
    Other,
}

impl OptOutReason {
    /// The reason as a label for logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Complained => "complained",
            Self::Bounced => "bounced",
            Self::Deleted => "deleted",
            Self::Suppressed => "suppressed",
            Self::Other => "other",
        }
    }
}

/// A place in the order of acts: nothing, then by instant, and at one instant the opt-out last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Nothing,
    LongAgo(Polarity),
    At(Timestamp, Polarity),
    JustNow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Polarity {
    Pending,
    In,
    Out,
}

impl Consent {
    /// Whether somebody may be mailed on the strength of it.
    #[must_use]
    pub const fn is_opted_in(&self) -> bool {
        matches!(self, Self::OptedIn { .. })
    }

    /// When the person acted; `None` if they never did.
    #[must_use]
    pub const fn since(&self) -> Option<ActedAt> {
        match self {
            Self::Unknown => None,
            Self::Pending { since } | Self::OptedIn { since } | Self::OptedOut { since, .. } => Some(*since),
        }
    }

    /// Whether this counts against `other`: it was said strictly later, or it is the opt-out and not earlier.
    ///
    /// An opt-in is placed at its earliest possible instant and an opt-out at its latest, so any doubt is the
    /// opt-out's gain. A total order, so that the winner of many doesn't depend on who is asked first.
    #[must_use]
    pub fn outranks(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    /// The one of two that counts. Commutative, associative and idempotent up to equal rank.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        if other.outranks(&self) { other } else { self }
    }

    fn rank(&self) -> Rank {
        let opt_in = |since: &ActedAt, polarity| match since.earliest() {
            Some(at) => Rank::At(at, polarity),
            None => Rank::LongAgo(polarity),
        };
        match self {
            Self::Unknown => Rank::Nothing,
            Self::Pending { since } => opt_in(since, Polarity::Pending),
            Self::OptedIn { since } => opt_in(since, Polarity::In),
            Self::OptedOut { since, .. } if mutation::is(Mutation::OptInWinsTies) => opt_in(since, Polarity::Pending),
            Self::OptedOut { since, .. } => match since.latest() {
                Some(at) => Rank::At(at, Polarity::Out),
                None => Rank::JustNow,
            },
        }
    }
}
