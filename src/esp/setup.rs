//! What must be there at the other side for a connection to work: what `register` makes, and what `check --online` proves.
//!
//! Each system implements [`SetUp`] in its own folder; whoever calls it sees [`Finding`]s and [`Step`]s, and no system's
//! wire. Texts in them show no secret: a URL that ends in a token is told without it.

mod lookout;

pub use lookout::Lookout;

use super::{campaign_monitor, http, marketing_cloud};
use crate::config::{self, Route};
use crate::upstream::{Deadline, Fault, Transport};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a call that only looks may take, with all its attempts.
const LOOK: Duration = Duration::from_secs(20);
/// How long a call that changes something may take. Some call the gateway back before they answer, and wait for it.
const CHANGE: Duration = Duration::from_secs(90);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_mins(1);

/// What this gateway is to the systems that are set up for it.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Where senders reach the webhook port, without a slash at its end.
    pub public_url: Option<String>,
    /// Where they reached it before, likewise: what is there of it over there is this gateway's, and moves.
    pub moved_from: Option<String>,
    /// Every route.
    pub routes: Vec<Arc<Route>>,
    /// Where a secret goes that is shown only once.
    pub secret_file: Option<PathBuf>,
    /// Whether a secret over there that isn't known here may be ended for a new one.
    pub new_key: bool,
}

/// One connection whose far side can be set up.
#[async_trait]
pub trait SetUp: Send + Sync {
    /// Its table in the configuration: `gigya.main`.
    fn connection(&self) -> &str;

    /// Compares what `register` makes with what is there. Changes nothing.
    async fn survey(&self) -> Vec<Finding>;

    /// Does what a survey says that `register` does, all that can be done. `tell` hears what is begun.
    async fn mend(&self, tell: &Tell<'_>) -> Vec<Step>;

    /// Proves what webhooks will need: credentials, permissions, lists, fields. Changes nothing.
    async fn prove(&self) -> Vec<Finding>;
}

/// Hears a line on what is being done.
pub type Tell<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The connection's table in the configuration: `gigya.main`.
    pub connection: String,
    /// What was looked at.
    pub subject: String,
    /// How it is.
    pub state: State,
    /// The same in words; may be empty.
    pub detail: String,
    /// What puts it right; none if nothing needs to be done.
    pub fix: Option<Fix>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// Not there.
    Missing,
    /// There, and not as it should be.
    Differs,
    /// There, and switched off.
    Deactivated,
    /// There once too often.
    Extra,
    /// Can't work as it is.
    Wrong,
    /// Worth knowing.
    Remark,
    /// Couldn't be looked at.
    Unknown,
}

impl State {
    /// Its name, in tables and JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Deactivated => "deactivated",
            Self::Extra => "extra",
            Self::Wrong => "wrong",
            Self::Remark => "remark",
            Self::Unknown => "unknown",
        }
    }
}

/// What puts a thing right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Whether `register --apply` does it; else a person must.
    pub by_register: bool,
    /// What is to be done.
    pub what: String,
}

/// One thing that was done, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The connection's table in the configuration.
    pub connection: String,
    /// What it was done to.
    pub subject: String,
    /// What was done.
    pub done: Result<String, Trouble>,
}

/// Why something isn't known or done, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What stood in the way.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl Trouble {
    /// Says what stood in the way, and what to do.
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }

    /// A fault of which the system's own code says no more than its kind does.
    #[must_use]
    pub fn of(fault: Fault, fix_configuration: &str) -> Self {
        let fix = match fault {
            Fault::Configuration { .. } => fix_configuration,
            Fault::Refused { .. } => "see what the code means in the vendor's documentation",
            Fault::RateLimited => "try again in a few minutes",
            Fault::Journal | Fault::Unavailable { .. } | Fault::Failing { .. } | Fault::DeadlineReached => {
                "see that this machine reaches the system and that it is up, then try again"
            }
        };
        Self::new(fault.to_string(), fix)
    }
}

/// Makes findings and steps of one connection.
#[derive(Clone)]
pub struct Scribe {
    /// Its table in the configuration.
    pub connection: String,
    /// Knows why its calls weren't answered.
    pub lookout: Lookout,
}

impl Scribe {
    fn finding(&self, subject: &str, state: State, detail: &str, fix: Option<(bool, &str)>) -> Finding {
        let fix = fix.map(|(by_register, what)| Fix { by_register, what: what.to_owned() });
        // It may hold a name that somebody chose over there.
        let detail = detail.replace(char::is_control, " ");
        Finding { connection: self.connection.clone(), subject: subject.to_owned(), state, detail, fix }
    }

    /// All is well.
    pub fn ok(&self, subject: &str, detail: &str) -> Finding {
        self.finding(subject, State::Ok, detail, None)
    }

    /// `register` puts it right.
    pub fn ours(&self, subject: &str, state: State, detail: &str, fix: &str) -> Finding {
        self.finding(subject, state, detail, Some((true, fix)))
    }

    /// A person must put it right.
    pub fn yours(&self, subject: &str, state: State, detail: &str, fix: &str) -> Finding {
        self.finding(subject, state, detail, Some((false, fix)))
    }

    /// Worth knowing.
    pub fn remark(&self, subject: &str, detail: &str) -> Finding {
        self.finding(subject, State::Remark, detail, None)
    }

    /// Couldn't be looked at, or can't work, for the reason that the trouble is.
    pub fn trouble(&self, subject: &str, fault: Fault, trouble: &Trouble) -> Finding {
        let state = match fault {
            Fault::Configuration { .. } | Fault::Refused { .. } => State::Wrong,
            _ => State::Unknown,
        };
        let unanswered = match fault {
            Fault::Unavailable { cause: "connection" | "breaker_open" } | Fault::DeadlineReached => {
                self.lookout.unanswered()
            }
            _ => None,
        };
        self.yours(subject, state, unanswered.as_deref().unwrap_or(&trouble.what), &trouble.fix)
    }

    /// What was done, or not.
    pub fn step(&self, subject: &str, done: Result<String, Trouble>) -> Step {
        Step { connection: self.connection.clone(), subject: subject.to_owned(), done }
    }
}

/// By when a call that only looks must be over.
#[must_use]
pub fn look() -> Deadline {
    Deadline::after(Instant::now(), LOOK)
}

/// By when a call that changes something must be over.
#[must_use]
pub fn change() -> Deadline {
    Deadline::after(Instant::now(), CHANGE)
}

/// The settings of a connection for calls that no webhook waits for.
#[must_use]
pub fn unhurried(common: &config::Common) -> config::Common {
    config::Common { attempt_timeout: ATTEMPT, ..common.clone() }
}

/// The far side of an ESP connection as configured.
#[must_use]
pub fn connect(esp: &config::Esp, site: &Site, transport: Arc<dyn Transport>) -> Box<dyn SetUp> {
    match esp {
        config::Esp::CampaignMonitor(connection) => {
            Box::new(campaign_monitor::CampaignMonitorSetUp::new(connection, site, transport))
        }
        config::Esp::MarketingCloud(connection) => {
            Box::new(marketing_cloud::MarketingCloudSetUp::new(connection, site, &transport))
        }
        config::Esp::Http(connection) => Box::new(http::DescribedSetUp::new(connection, site, transport)),
    }
}
