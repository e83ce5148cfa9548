//! `journal receipts`.

use super::desk::{ConnectionArgs, Desk, WhomArgs, unusable};
use super::report::{Entry, Report};
use super::{page, verify};
use crate::cli::out::say;
use crate::cli::{Ended, failed};
use crate::esp;
use crate::journal::{Journal, Whom};
use crate::upstream::{HttpTransport, Transport};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Whose receipts, and how.
#[derive(Debug, Args)]
pub struct ReceiptsArgs {
    #[command(flatten)]
    whom: WhomArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How: a table for the terminal; JSON for a program; a page that explains itself, to be printed or handed on.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Where to, rather than to standard output: a new file, readable by this user alone. Never overwritten.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A choice of formats.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
    Html,
}

/// Answers.
pub async fn run(desk: &Desk, args: &ReceiptsArgs) -> Result<ExitCode, ExitCode> {
    let report = report(desk, args.whom.whom(&args.connection, &desk.config)?).await?;
    let text = match args.format {
        Format::Table => report.table(),
        Format::Json => format!("{:#}", report.json()),
        Format::Html => page::of(&report),
    };
    match &args.output {
        Some(path) => {
            write(path, &text).map_err(|error| {
                failed(&format!("{}: {error}; name a file that isn't there, in a folder that is", path.display()))
            })?;
            say!("Written to {}", path.display());
        }
        None => say!("{text}"),
    }
    if report.chain.broken.is_empty() {
        return Ok(Ended::Well.into());
    }
    Err(failed(&"the chain of receipts doesn't hold: what is shown may have been changed; see journal verify"))
}

async fn report(desk: &Desk, whom: Whom) -> Result<Report, ExitCode> {
    let evidence = match &whom {
        Whom::Address(address) => desk.journal.receipts_at(address).await,
        Whom::Account(gigya, uid) => desk.journal.receipts_of(gigya, uid).await,
    };
    Ok(Report {
        changes: evidence.map_err(unusable)?.iter().filter_map(Entry::of).collect(),
        chain: verify::verify(desk, &[]).await.map_err(unusable)?,
        systems: systems(desk)?,
        made: desk.journal.now(),
        whom,
    })
}

/// What each connection is.
fn systems(desk: &Desk) -> Result<BTreeMap<String, String>, ExitCode> {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(|error| failed(&error))?);
    let gigya = desk.config.gigya.keys().map(|name| (name.as_str().to_owned(), "SAP Customer Data Cloud".to_owned()));
    let esps = desk.config.esps.values().map(|connection| {
        let esp = esp::connect(connection, Arc::clone(&transport));
        (esp.name().as_str().to_owned(), esp.provider().title.to_owned())
    });
    Ok(gigya.chain(esps).collect())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
