//! `journal`: what a person asks the journal, and does with it. One file a question.

mod desk;
mod forget;
mod page;
mod pending;
mod prune;
mod receipts;
mod rejected;
mod report;
mod retry;
mod status;
mod verify;
pub mod words;

use super::{ConfigFile, failed};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// What to do with the journal.
#[derive(Debug, Args)]
pub struct JournalArgs {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Answers "when did you honour my opt-out?": every change of a person's consent, with when each side had it.
    ///
    /// Exit status: 0 answered, even if there is nothing; 1 answered, but the chain of receipts doesn't hold, or the journal
    /// can't be read; 2 the configuration or the command line is refused.
    Receipts(receipts::ReceiptsArgs),
    /// Shows that no receipt was changed, removed or inserted since it was written, and says the chain's last hash.
    ///
    /// Exit status: 0 all holds; 1 something doesn't, or the journal can't be read.
    Verify(verify::VerifyArgs),
    /// Erases a person from the journal, once told to. The chain holds, and a receipt says that somebody was erased.
    ///
    /// Exit status: 0 erased, or there was nothing; 3 not confirmed, or something is left: events of this person are unfinished
    /// still, for which the links are kept (come again when they are done), or accounts that had the address have receipts under
    /// others (erase them by UID); 1 nothing was erased, as the journal can't be written.
    Forget(forget::ForgetArgs),
    /// Events that can never be forwarded as they are: why, what to do, and to try them again.
    #[command(subcommand)]
    Rejected(rejected::RejectedCommand),
    /// Events that were acknowledged and are still to be done.
    #[command(subcommand)]
    Pending(pending::PendingCommand),
    /// Removes what is older than `keep_receipts` and `keep_rejected` of the configuration say, once it has verified the chain.
    ///
    /// Exit status: 0 pruned, or there was nothing; 1 nothing was pruned, as the chain doesn't hold, or the journal can't be
    /// written.
    Prune(prune::PruneArgs),
    /// How much there is, and since when.
    Status(status::StatusArgs),
}

/// Does it.
pub fn run(args: &JournalArgs) -> Result<ExitCode, ExitCode> {
    let config = args.file.load()?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let desk = desk::Desk::open(config).await?;
        match &args.command {
            JournalCommand::Receipts(args) => receipts::run(&desk, args).await,
            JournalCommand::Verify(args) => verify::run(&desk, args).await,
            JournalCommand::Forget(args) => forget::run(&desk, args).await,
            JournalCommand::Rejected(command) => rejected::run(&desk, command).await,
            JournalCommand::Pending(pending::PendingCommand::List(args)) => pending::list(&desk, args).await,
            JournalCommand::Prune(args) => prune::run(&desk, args).await,
            JournalCommand::Status(args) => status::run(&desk, args).await,
        }
    })
}
