//! `journal rejected`.

use super::desk::{Desk, unusable};
use super::retry::{self, RetryArgs};
use super::words::{counted, harmless, moment, why};
use crate::cli::Ended;
use crate::cli::out::say;
use crate::forward::Payload;
use crate::journal::{Rejected, RejectedId};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// What to do about them.
#[derive(Debug, Subcommand)]
pub enum RejectedCommand {
    /// Lists them, the earliest first: why each was set aside, and what to do about it.
    List,
    /// Shows one, with the event itself. Addresses and UIDs are in it.
    Show(ShowArgs),
    /// Has some tried again. Both sides are read anew: nothing is done that was right then and isn't now.
    ///
    /// Exit status: 0 each is done; 1 one is set aside again, can't be tried again or isn't there; 3 one is unfinished still.
    Retry(RetryArgs),
    /// Drops some for good: nobody looks at them anymore.
    Drop(DropArgs),
}

/// Which one.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its id, as in the list.
    #[arg(value_name = "ID")]
    id: String,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct DropArgs {
    /// Their ids, as in the list.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Does it.
pub async fn run(desk: &Desk, command: &RejectedCommand) -> Result<ExitCode, ExitCode> {
    match command {
        RejectedCommand::List => list(desk).await,
        RejectedCommand::Show(args) => show(desk, &args.id).await,
        RejectedCommand::Retry(args) => retry::run(desk, args).await,
        RejectedCommand::Drop(args) => drop_some(desk, &args.ids).await,
    }
}

async fn list(desk: &Desk) -> Result<ExitCode, ExitCode> {
    let rejected = desk.journal.rejected().await.map_err(unusable)?;
    if !rejected.is_empty() {
        say!("{}\n", table(&rejected));
    }
    let reasons: BTreeSet<_> = rejected.iter().map(|one| one.reason.as_str()).collect();
    for reason in reasons {
        let (meaning, remedy) = why(reason);
        say!("{reason}: {meaning}\n    {remedy}");
    }
    say!("{} set aside.", counted(u64::try_from(rejected.len()).unwrap_or(u64::MAX), "event"));
    Ok(Ended::Well.into())
}

fn table(rejected: &[Rejected]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["ID", "SET ASIDE", "LAST", "TIMES", "FROM", "ROUTE", "REASON"]);
    for one in rejected {
        let (first, last, times) = (moment(one.first), moment(one.last), one.times.to_string());
        table.add_row([&one.id.0, &first, &last, &times, &one.event.connection, &one.event.route, &one.reason]);
    }
    table.trim_fmt()
}

async fn show(desk: &Desk, id: &str) -> Result<ExitCode, ExitCode> {
    let found = desk.journal.rejected_one(&RejectedId(id.to_owned())).await.map_err(unusable)?;
    let Some(one) = found else { return Err(missing(id)) };
    let (meaning, remedy) = why(&one.reason);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in [
        ("id", one.id.0.as_str()),
        ("set aside", &moment(one.first)),
        ("last", &moment(one.last)),
        ("times", &one.times.to_string()),
        ("from", &one.event.connection),
        ("direction", &one.direction),
        ("route", if one.event.route.is_empty() { "none" } else { &one.event.route }),
        ("event", &harmless(&one.event.event)),
        ("reason", &one.reason),
        ("meaning", meaning),
        ("what to do", remedy),
    ] {
        table.add_row([name, value]);
    }
    say!("{}\n\n{}", table.trim_fmt(), event(&one.payload));
    Ok(Ended::Well.into())
}

/// The event itself, as JSON if it is of this version's making.
fn event(payload: &[u8]) -> String {
    let known = Payload::parse(payload).and_then(|payload| serde_json::to_string_pretty(&payload).ok());
    let text = known.unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned());
    harmless(&text)
}

async fn drop_some(desk: &Desk, ids: &[String]) -> Result<ExitCode, ExitCode> {
    let mut ended = Ended::Well;
    for id in ids {
        if desk.journal.drop_rejected(&RejectedId(id.clone())).await.map_err(unusable)? {
            say!("{id}: dropped");
        } else {
            missing(id);
            ended = Ended::Failed;
        }
    }
    Ok(ended.into())
}

/// Says that there is no such event.
pub fn missing(id: &str) -> ExitCode {
    let id = harmless(id);
    crate::cli::failed(&format!("{id}: no event is set aside under this id; see journal rejected list"))
}
