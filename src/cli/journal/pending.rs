//! `journal pending`.

use super::desk::{Desk, unusable};
use super::words::{counted, moment};
use crate::cli::Ended;
use crate::cli::out::say;
use crate::http::words::length;
use crate::journal::{Journal, Pending};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use jiff::Timestamp;
use std::process::ExitCode;
use std::time::Duration;

/// What to do about them.
#[derive(Debug, Subcommand)]
pub enum PendingCommand {
    /// Lists them, the earliest first. Any running replica finishes them; nothing has to be done here.
    List(PendingListArgs),
}

/// Which.
#[derive(Debug, Args)]
pub struct PendingListArgs {
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    most: u32,
}

/// Lists them.
pub async fn list(desk: &Desk, args: &PendingListArgs) -> Result<ExitCode, ExitCode> {
    let pending = desk.journal.unfinished(args.most.into()).await.map_err(unusable)?;
    let all = u64::try_from(desk.journal.waiting().await.map_err(unusable)?.unfinished).unwrap_or_default();
    if !pending.is_empty() {
        say!("{}", table(&pending, desk.journal.now()));
    }
    say!("{} unfinished.", counted(all, "event"));
    Ok(Ended::Well.into())
}

fn table(pending: &[Pending], now: Timestamp) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["ID", "RECEIVED", "AGE", "FROM", "DIRECTION", "TRIED", "WHY", "NEXT"]);
    for one in pending {
        let age = length(Duration::try_from(now.duration_since(one.received)).unwrap_or_default());
        let next = match one.leased_to {
            Some(until) => format!("being worked on, until {} at most", moment(until)),
            None if one.next <= now => "due".to_owned(),
            None => moment(one.next),
        };
        let attempts = one.attempts.to_string();
        let (received, why) = (moment(one.received), one.reason.as_str());
        table.add_row([&one.id.0, &received, &age, &one.connection, &one.direction, &attempts, why, &next]);
    }
    table.trim_fmt()
}
