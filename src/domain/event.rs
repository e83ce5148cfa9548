//! What became of one subscription event.

use std::fmt;

/// What became of one subscription event. Each ends in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The other side was changed.
    Applied,
    /// The other side said so already.
    Unchanged,
    /// Rightly not forwarded.
    Skipped(Reason),
    /// Can never be forwarded; recorded for a person to look at.
    Rejected(Reason),
    /// Could not be forwarded now: the sender must try again.
    Deferred(Reason),
}

impl Outcome {
    /// How an event can end that somebody may want to be alarmed by.
    pub const FAILURES: [Self; 11] = [
        Self::Rejected(Reason::AddressUnknown),
        Self::Rejected(Reason::NoAddress),
        Self::Rejected(Reason::Malformed),
        Self::Rejected(Reason::RefusedByOtherSide),
        Self::Deferred(Reason::Unavailable),
        Self::Deferred(Reason::RateLimited),
        Self::Deferred(Reason::DeadlineReached),
        Self::Deferred(Reason::Configuration),
        Self::Deferred(Reason::Unsettled),
        Self::Deferred(Reason::JournalUnavailable),
        Self::Deferred(Reason::Internal),
    ];

    /// Whether the sender need not come again: nothing is left to do, or it is written down.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Deferred(reason) if !matches!(reason, Reason::Journaled))
    }

    /// The outcome without its reason, as a label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Skipped(_) => "skipped",
            Self::Rejected(_) => "rejected",
            Self::Deferred(_) => "deferred",
        }
    }

    /// The reason, where the outcome has one.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Applied | Self::Unchanged => None,
            Self::Skipped(reason) | Self::Rejected(reason) | Self::Deferred(reason) => Some(reason),
        }
    }
}

/// What an event that was applied changed at the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// The person's fields or address, and no consent.
    Profile,
    /// The person was opted in.
    OptIn,
    /// The person was opted out.
    OptOut,
    /// The person was taken out, as their account is gone.
    Removal,
}

impl Change {
    /// Every change there is.
    pub const ALL: [Self; 4] = [Self::Profile, Self::OptIn, Self::OptOut, Self::Removal];

    /// The change as it stands in logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::OptIn => "opt_in",
            Self::OptOut => "opt_out",
            Self::Removal => "removal",
        }
    }

    /// Whether nobody may mail the person from now on.
    #[must_use]
    pub const fn ends_mail(self) -> bool {
        matches!(self, Self::OptOut | Self::Removal)
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident => $label:literal,)+) => {
        /// Why an event was skipped, rejected or deferred. Labels are part of the answer's contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The reason as it stands in answers, logs and metrics.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

reasons! {
    // Skipped
    /// A kind of event that has nothing to do with subscriptions, or that this version doesn't know.
    EventTypeIgnored => "event_type_ignored",
    /// No route takes its subscription anywhere.
    NoRoute => "no_route",
    /// The account never had the subscription.
    NeverSubscribed => "never_subscribed",
    /// The double opt-in is not confirmed yet.
    DoubleOptInPending => "double_opt_in_pending",
    /// The other side holds an opt-out that is not older than this opt-in.
    NewerOptOut => "newer_opt_out",
    /// The other side holds an opt-in that is newer than this opt-out.
    NewerOptIn => "newer_opt_in",
    /// The route doesn't accept opt-ins from the ESP.
    OptInsNotAccepted => "opt_ins_not_accepted",
    /// The route doesn't forward bounces.
    BouncesNotForwarded => "bounces_not_forwarded",
    /// The other side doesn't know this person.
    UnknownSubscriber => "unknown_subscriber",
    /// The notice is about an address that the person no longer has.
    AddressNotCurrent => "address_not_current",
    /// The ESP has the address on its suppression list, or otherwise refuses to hold it opted in.
    HeldByEsp => "held_by_esp",
    // Rejected
    /// The account is gone and nothing tells which address it had.
    AddressUnknown => "address_unknown",
    /// The account has no usable email address.
    NoAddress => "no_address",
    /// The event lacks what it must have to be understood.
    Malformed => "malformed",
    /// The other side refuses the data, and always will.
    RefusedByOtherSide => "refused_by_other_side",
    // Deferred
    /// The other side can't be reached or is failing.
    Unavailable => "unavailable",
    /// The other side asks to slow down.
    RateLimited => "rate_limited",
    /// The deadline passed first.
    DeadlineReached => "deadline_reached",
    /// The other side refuses the gateway's credentials or configuration; a person must act.
    Configuration => "configuration",
    /// Both sides kept changing while the event was forwarded.
    Unsettled => "unsettled",
    /// The journal, which must have it, can't be read or written.
    JournalUnavailable => "journal_unavailable",
    /// It is written in the journal, and a replica finishes it; the sender need not come again.
    Journaled => "journaled",
    /// The gateway failed; this is a bug.
    Internal => "internal",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
