//! `journal prune`.

use super::desk::{Desk, unusable};
use super::verify;
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
    /// Prunes although the chain of receipts doesn't hold, which it verifies first: what shows that may go. Have a copy of the
    /// database for whoever has to look into it. The receipt of the pruning says so.
    #[arg(long)]
    even_if_broken: bool,
}

/// Prunes.
pub async fn run(desk: &Desk, args: &PruneArgs) -> Result<ExitCode, ExitCode> {
    let Some(settings) = &desk.config.journal else { return Err(failed(&"there is no [journal]")) };
    let now = desk.journal.now();
    let (receipts, rejected) = (before(now, settings.keep_receipts), before(now, settings.keep_rejected));
    let verified = verify::verify(desk, &[]).await.map_err(unusable)?;
    let holds = verified.broken.is_empty();
    if !holds {
        verify::tell_broken(&verified);
        say!("{}", verify::conclusion(&verified));
        if !args.even_if_broken {
            return Err(failed(
                &"nothing was pruned: what shows that the journal was changed could go with it\n    copy the database, and find \
                  out who changed it (journal verify); then: journal prune --even-if-broken",
            ));
        }
    }
    let pruned = match (args.dry_run, holds) {
        (true, _) => desk.journal.older_than(receipts, rejected).await,
        (false, true) => desk.journal.prune(receipts, rejected).await,
        (false, false) => desk.journal.prune_broken(receipts, rejected).await,
    };
    let Pruned { receipts: gone, rejected: gone_aside } = pruned.map_err(unusable)?;
    let verb = if args.dry_run { "would go" } else { "went" };
    say!("{} written before {} {verb} (keep_receipts).", counted(gone, "receipt"), moment(receipts));
    say!("{} set aside last before {} {verb} (keep_rejected).", counted(gone_aside, "event"), moment(rejected));
    if !args.dry_run && gone > 0 {
        let so = if holds { "so" } else { "so, and that it did not hold" };
        say!("The chain begins later now, and a receipt in it says {so}.");
    }
    Ok(Ended::Well.into())
}

fn before(now: Timestamp, keep: Duration) -> Timestamp {
    now.checked_sub(keep).unwrap_or(Timestamp::UNIX_EPOCH)
}
