//! `journal forget`.

use super::desk::{ConnectionArgs, Desk, WhomArgs, unusable};
use super::words::{counted, harmless};
use crate::cli::out::say;
use crate::cli::{Ended, failed, out};
use crate::domain::{ConnectionName, Uid};
use crate::journal::{Erasable, Whom};
use clap::Args;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Whom to erase.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    whom: WhomArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Erases without asking. Without it, what would be erased is shown, and on a terminal it is asked for.
    #[arg(long)]
    yes: bool,
}

/// Says what there is, and erases it if that is confirmed.
pub async fn run(desk: &Desk, args: &ForgetArgs) -> Result<ExitCode, ExitCode> {
    let whom = args.whom.whom(&args.connection, &desk.config)?;
    let found = desk.journal.erasable(&whom).await.map_err(unusable)?;
    if let Whom::Address(address) = &whom {
        let accounts = desk.journal.accounts_at(address).await.map_err(unusable)?;
        tell_accounts(&accounts, found.others);
    }
    if (found.receipts, found.links, found.rejected) == (0, 0, 0) {
        say!("The journal has nothing of this person that could be erased.");
        return Ok(left(found));
    }
    say!(
        "The journal has of this person: {}, {}, {}.\nReceipts stay in the chain, without anything that leads to the person; \
         the rest is deleted. This can't be undone.",
        counted(found.receipts, "receipt"),
        counted(found.links, "link"),
        format!("{} set aside", counted(found.rejected, "event"))
    );
    if found.held > 0 {
        say!(
            "Careful: {} not given up, so a list may hold the address still, and once they are erased nothing leads there \
             anymore. If the account isn't deleted yet, delete it first, and come again when the gateway has taken it out.",
            if found.held == 1 { "1 link is".to_owned() } else { format!("{} links are", found.held) }
        );
    }
    if !args.yes && !is_confirmed()? {
        say!("Nothing was erased. To erase it: --yes");
        return Ok(Ended::LeftToDo.into());
    }
    let erased = desk.journal.forget(&whom).await.map_err(unusable)?;
    say!("Erased. The journal has a receipt of that, which doesn't say of whom.");
    // What leads from the address to its accounts' other receipts is erased by now.
    Ok(left(Erasable { others: found.others, ..erased }))
}

/// Whom to erase besides an address: once it is erased, nothing leads from it to them anymore.
fn tell_accounts(accounts: &[(ConnectionName, Uid)], others: u64) {
    if !accounts.is_empty() {
        say!("Accounts that had this address; each is erased by its UID, under all its addresses:");
        for (gigya, uid) in accounts {
            say!("    --uid {} --connection {gigya}", harmless(uid.expose()));
        }
    }
    if others == 0 {
        return;
    }
    let receipts = counted(others, "other receipt");
    if accounts.is_empty() {
        say!(
            "Accounts that had this address have {receipts}, and the journal can't tell their UIDs: look for them in Gigya, \
             and note them before you erase the address."
        );
    } else {
        say!("Accounts that had this address have {receipts}: these stay. Note the UIDs before you erase the address.");
    }
}

/// What has to be waited for.
fn left(found: Erasable) -> ExitCode {
    if (found.unfinished, found.kept, found.others) == (0, 0, 0) {
        return Ended::Well.into();
    }
    if found.unfinished > 0 {
        say!(
            "{} of this person left unfinished, as an opt-out may be among them. They have receipts once they are done: come \
             again then.",
            counted(found.unfinished, "event")
        );
    }
    if found.kept > 0 {
        say!(
            "Kept until what is unfinished is done, which may have to find by them whom to take out: {}.",
            counted(found.kept, "link")
        );
    }
    if found.others > 0 {
        say!("Left, of accounts that had this address: {}. Erase them with --uid.", counted(found.others, "receipt"));
    }
    Ended::LeftToDo.into()
}

fn is_confirmed() -> Result<bool, ExitCode> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    out::write(format_args!("Type erase to erase it: "));
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(|error| failed(&error))?;
    Ok(line.trim() == "erase")
}
