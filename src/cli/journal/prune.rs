//! `journal prune`.

use super::desk::{Desk, unusable};
use super::words::{counted, moment};
use crate::cli::out::say;
use crate::cli::{Ended, failed};
use crate::journal::{Journal, Pruned};
use clap::Args;
use jiff::Timestamp;
use std::process::ExitCode;
use std::time::Duration;

/// How to prune.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Says how much would go, and removes nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Prunes.
pub async fn run(desk: &Desk, args: &PruneArgs) -> Result<ExitCode, ExitCode> {
    let Some(settings) = &desk.config.journal else { return Err(failed(&"there is no [journal]")) };
    let now = desk.journal.now();
    let (receipts, rejected) = (before(now, settings.keep_receipts), before(now, settings.keep_rejected));
    let pruned = if args.dry_run {
        desk.journal.older_than(receipts, rejected).await
    } else {
        desk.journal.prune(receipts, rejected).await
    };
    let Pruned { receipts: gone, rejected: gone_aside } = pruned.map_err(unusable)?;
    let verb = if args.dry_run { "would go" } else { "went" };
    say!("{} written before {} {verb} (keep_receipts).", counted(gone, "receipt"), moment(receipts));
    say!("{} set aside last before {} {verb} (keep_rejected).", counted(gone_aside, "event"), moment(rejected));
    if !args.dry_run && gone > 0 {
        say!("The chain begins later now, and a receipt in it says so: journal verify holds.");
    }
    Ok(Ended::Well.into())
}

fn before(now: Timestamp, keep: Duration) -> Timestamp {
    now.checked_sub(keep).unwrap_or(Timestamp::UNIX_EPOCH)
}
