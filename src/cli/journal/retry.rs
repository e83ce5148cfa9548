//! `journal rejected retry`.

use super::desk::{Desk, unusable};
use super::rejected::missing;
use super::words::{outcome, times, why};
use crate::cli::out::say;
use crate::cli::{Ended, failed};
use crate::domain::Outcome;
use crate::forward::{Finish, Gateway, Payload};
use crate::journal::{Claimed, Journal, JournalFault, Rejected, RejectedId};
use crate::upstream::{HttpTransport, Transport, WallClock};
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long an event is nobody else's while it is tried here: longer than it may take.
const LEASE: Duration = Duration::from_mins(2);
/// How long an event that couldn't be done waits for a replica.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether a replica is done.
const LOOK: Duration = Duration::from_millis(200);

/// Which ones, and who tries.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// Their ids, as in the list.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All that there are.
    #[arg(long)]
    all: bool,
    /// Tries them here and now, with the configuration's credentials, rather than leaving it to a running replica.
    #[arg(long)]
    now: bool,
    /// How many seconds to wait for a running replica, to tell what became of them.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, conflicts_with = "now")]
    wait: u16,
}

/// What became of one; what is later counts more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    Done(String),
    Unfinished(String),
    NotDone(String),
}

/// Has them tried again, and says what became of each.
pub async fn run(desk: &Desk, args: &RetryArgs) -> Result<ExitCode, ExitCode> {
    let ids = if args.all { all(desk).await? } else { args.ids.clone() };
    let gateway = if args.now { Some(gateway(desk)?) } else { None };
    let owner = Uuid::new_v4().to_string();
    let (mut ended, mut waiting) = (Ended::Well, Vec::new());
    for id in &ids {
        let Some(rejected) = desk.journal.rejected_one(&RejectedId(id.clone())).await.map_err(unusable)? else {
            missing(id);
            ended = Ended::Failed;
            continue;
        };
        if let Some(hindrance) = hindrance(&rejected) {
            say!("{id}: {hindrance}");
            ended = Ended::Failed;
            continue;
        }
        let lease = gateway.as_ref().map(|_| (owner.as_str(), LEASE));
        let Some(claimed) = desk.journal.retry(&rejected, lease).await.map_err(unusable)? else {
            say!("{id}: somebody else took it up meanwhile");
            continue;
        };
        match &gateway {
            Some(gateway) => ended = worse(ended, tell(id, &here(desk, gateway, &claimed).await)),
            None => waiting.push((rejected.id, claimed)),
        }
    }
    let until = Instant::now() + Duration::from_secs(args.wait.into());
    for (id, claimed) in waiting {
        let became = elsewhere(desk, &id, &claimed, until).await.map_err(unusable)?;
        ended = worse(ended, tell(&id.0, &became));
    }
    if ids.is_empty() {
        say!("No event is set aside.");
    }
    Ok(ended.into())
}

async fn all(desk: &Desk) -> Result<Vec<String>, ExitCode> {
    let all = desk.journal.rejected().await.map_err(unusable)?;
    Ok(all.into_iter().map(|one| one.id.0).collect())
}

fn worse(one: Ended, other: Ended) -> Ended {
    let rank = |ended| [Ended::Well, Ended::LeftToDo, Ended::Failed].iter().position(|known| *known == ended);
    if rank(one) < rank(other) { other } else { one }
}

fn tell(id: &str, became: &Became) -> Ended {
    let (ended, text) = match became {
        Became::Done(text) => (Ended::Well, text),
        Became::Unfinished(text) => (Ended::LeftToDo, text),
        Became::NotDone(text) => (Ended::Failed, text),
    };
    say!("{id}: {text}");
    ended
}

/// Why an event can't be tried again, if it can't.
fn hindrance(rejected: &Rejected) -> Option<&'static str> {
    match Payload::parse(&rejected.payload) {
        Some(Payload::Account { .. } | Payload::Subscriber { .. }) => None,
        Some(Payload::NotUnderstood { .. }) => {
            Some("it wasn't understood, and trying it again can't change that: drop it once it was looked at")
        }
        None => Some("it was written by another version: try it again with that one"),
    }
}

fn gateway(desk: &Desk) -> Result<Gateway, ExitCode> {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(|error| failed(&error))?);
    let journal = Some(Arc::clone(&desk.journal) as Arc<dyn Journal>);
    let gateway = Gateway::with_journal(&desk.config, &transport, &WallClock::system(), journal);
    gateway.map_err(|error| failed(&error))
}

async fn here(desk: &Desk, gateway: &Gateway, claimed: &Claimed) -> Became {
    match gateway.finish(claimed).await {
        Finish::Done(outcomes) => {
            let told: Vec<_> = outcomes.iter().map(|one| outcome(*one)).collect();
            let told = if told.is_empty() { "no route is concerned anymore".to_owned() } else { told.join(", ") };
            let rejected = outcomes.iter().find_map(|outcome| match outcome {
                Outcome::Rejected(reason) => Some(reason.label()),
                _ => None,
            });
            match rejected {
                Some(reason) => Became::NotDone(format!("{told}: set aside again; {}", why(reason).1)),
                None => Became::Done(told),
            }
        }
        Finish::Again(reason) => {
            // Should this fail, the lease ends by itself.
            let _ = desk.journal.put_off(claimed, reason, PAUSE).await;
            let stays = "it is among the unfinished ones, and a running replica goes on with it";
            Became::Unfinished(format!("not done: {reason}; {stays}"))
        }
    }
}

/// Waits for a replica to finish one.
async fn elsewhere(desk: &Desk, id: &RejectedId, claimed: &Claimed, until: Instant) -> Result<Became, JournalFault> {
    loop {
        let Some(pending) = desk.journal.unfinished_one(&claimed.id).await? else { break };
        if Instant::now() >= until {
            let tried = match pending.attempts {
                0 => "no replica has tried it yet".to_owned(),
                attempts => format!("tried {}, last: {}", times(attempts), pending.reason),
            };
            let text = format!("among the unfinished ones; {tried}: see journal pending list");
            return Ok(Became::Unfinished(text));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(match desk.journal.rejected_one(id).await? {
        Some(again) => Became::NotDone(format!("set aside again: {}; {}", again.reason, why(&again.reason).1)),
        None => Became::Done("done by a running replica".to_owned()),
    })
}
