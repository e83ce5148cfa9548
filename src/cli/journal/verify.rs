//! `journal verify`.

use super::desk::{Desk, unusable};
use super::words::counted;
use crate::cli::Ended;
use crate::cli::out::say;
use crate::cli::progress::Progress;
use crate::journal::{JournalFault, Noted, Verified};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What to compare with.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What an earlier verify said, as kept elsewhere: it must be in the chain still. May be given several times.
    #[arg(long, value_name = "HASH@SEQ")]
    expect: Vec<Noted>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies and says.
pub async fn run(desk: &Desk, args: &VerifyArgs) -> Result<ExitCode, ExitCode> {
    let verified = verify(desk, &args.expect).await.map_err(unusable)?;
    if args.json {
        say!("{:#}", as_json(&verified));
    } else {
        tell_broken(&verified);
        say!("{}", conclusion(&verified));
        if !verified.broken.is_empty() {
            return Ok(Ended::Failed.into());
        }
        say!("Keep this elsewhere, where nobody who can write the journal can: {}", verified.end());
        say!("Later, journal verify --expect {} shows that nothing up to here was touched.", verified.end());
    }
    Ok(if verified.broken.is_empty() { Ended::Well } else { Ended::Failed }.into())
}

/// What doesn't hold, a line each.
pub fn tell_broken(verified: &Verified) {
    for broken in &verified.broken {
        say!("place {}: {}", broken.seq, broken.what);
    }
}

/// Walks the chain; says so to whoever waits.
pub async fn verify(desk: &Desk, noted: &[Noted]) -> Result<Verified, JournalFault> {
    let progress = Progress::begin();
    progress.tell("verifying the chain of receipts");
    desk.journal.verify(noted).await
}

/// Whether all holds, in a sentence.
pub fn conclusion(verified: &Verified) -> String {
    let receipts = counted(verified.receipts, "receipt");
    let pruned = match (verified.first, verified.pruned_broken) {
        (1, _) => String::new(),
        (first, false) => format!(" Those before place {first} were pruned."),
        (first, true) => {
            format!(" Those before place {first} were pruned, some of them although the chain did not hold then.")
        }
    };
    let erased = match verified.erased {
        0 => String::new(),
        erased => format!(" {erased} of them of people who were erased."),
    };
    let holds = if verified.broken.is_empty() { "holds" } else { "DOES NOT HOLD" };
    format!("The chain of {receipts} {holds}.{erased}{pruned}")
}

/// As JSON has it.
pub fn as_json(verified: &Verified) -> Value {
    let broken = verified.broken.iter().map(|broken| json!({ "seq": broken.seq, "what": broken.what }));
    json!({
        "holds": verified.broken.is_empty(), "receipts": verified.receipts, "erased": verified.erased,
        "first_seq": verified.first, "last_seq": verified.last, "last_hash": verified.hash,
        "pruned_broken": verified.pruned_broken,
        "broken": broken.collect::<Vec<_>>(),
    })
}
