//! Why a call to an outside system did not succeed, and what that means for the event it served.

use super::Again;
use crate::domain::{Outcome, Reason};

/// Why a call did not succeed. Carries codes and fixed words only, never what was sent or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The system can't be reached or is failing. Passes.
    #[error("unavailable ({cause})")]
    Unavailable {
        /// Which kind of failure, as a label.
        cause: &'static str,
    },
    /// The system failed with a code. Passes.
    #[error("failing with code {code}")]
    Failing {
        /// The system's own code or the HTTP status.
        code: i64,
    },
    /// The system asks to slow down, for longer than there is time. Passes.
    #[error("rate limited")]
    RateLimited,
    /// The webhook's deadline came first. Passes.
    #[error("deadline reached")]
    DeadlineReached,
    /// The system refuses the gateway's credentials, permissions or set-up. Passes once a person acts.
    #[error("refused for its configuration, code {code}")]
    Configuration {
        /// The system's own code or the HTTP status.
        code: i64,
    },
    /// The journal can't tell what must be known. Passes.
    #[error("the journal can't be read")]
    Journal,
    /// The system refuses the data, and always will.
    #[error("refused with code {code}")]
    Refused {
        /// The system's own code or the HTTP status.
        code: i64,
    },
}

impl Fault {
    /// What the event ends in because of it.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Unavailable { .. } | Self::Failing { .. } => Outcome::Deferred(Reason::Unavailable),
            Self::RateLimited => Outcome::Deferred(Reason::RateLimited),
            Self::DeadlineReached => Outcome::Deferred(Reason::DeadlineReached),
            Self::Journal => Outcome::Deferred(Reason::JournalUnavailable),
            Self::Configuration { .. } => Outcome::Deferred(Reason::Configuration),
            Self::Refused { .. } => Outcome::Rejected(Reason::RefusedByOtherSide),
        }
    }
}

impl From<Again> for Fault {
    fn from(again: Again) -> Self {
        match again {
            Again::Failing { code: 0 } => Self::Unavailable { cause: "connection" },
            Again::Failing { code } | Again::Busy { code } => Self::Failing { code },
            Again::SlowDown { .. } | Again::TooFast => Self::RateLimited,
        }
    }
}
