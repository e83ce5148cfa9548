//! `journal status`.

use super::desk::{Desk, unusable};
use super::words::moment;
use crate::cli::out::say;
use crate::cli::{Ended, failed};
use crate::config::{Journal as Settings, JournalStore};
use crate::http::words::{length, number};
use crate::journal::{Census, Journal};
use clap::Args;
use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// How to say it.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Says how much there is.
pub async fn run(desk: &Desk, args: &StatusArgs) -> Result<ExitCode, ExitCode> {
    let Some(settings) = &desk.config.journal else { return Err(failed(&"there is no [journal]")) };
    let census = desk.journal.census().await.map_err(unusable)?;
    if args.json {
        let (unfinished, rejected) = (census.oldest_unfinished, census.oldest_rejected);
        say!(
            "{:#}",
            json!({
                "bytes": census.bytes,
                "receipts": { "count": census.receipts, "first_at": census.first, "last_at": census.last },
                "links": { "count": census.links },
                "rejected": { "count": census.rejected, "oldest_at": rejected },
                "unfinished": { "count": census.unfinished, "oldest_at": unfinished },
            })
        );
    } else {
        say!("{}", table(settings, &census, desk.journal.now()));
    }
    Ok(Ended::Well.into())
}

fn table(settings: &Settings, census: &Census, now: Timestamp) -> String {
    let count = |count: i64| number(u64::try_from(count).unwrap_or_default());
    let age = |at: Option<Timestamp>| {
        let told = |at| format!("the oldest from {}, {} ago", moment(at), length(since(at, now)));
        at.map(told).unwrap_or_default()
    };
    let kept = |time: Duration| format!("kept {}", length(time));
    let span = census.first.zip(census.last).map(|(first, last)| format!("{} to {}", moment(first), moment(last)));
    let place = match &settings.store {
        JournalStore::Sqlite(path) => format!("SQLite, {}", path.display()),
        JournalStore::Postgres(_) => "PostgreSQL".to_owned(),
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["WHAT", "HOW MUCH", "", ""]);
    table.add_row(["database", &format!("{} bytes", count(census.bytes)), &place, ""]);
    table.add_row(["receipts", &count(census.receipts), &span.unwrap_or_default(), &kept(settings.keep_receipts)]);
    table.add_row(["links", &count(census.links), "", "kept while a list may hold the address"]);
    table.add_row(["set aside", &count(census.rejected), &age(census.oldest_rejected), &kept(settings.keep_rejected)]);
    table.add_row(["unfinished", &count(census.unfinished), &age(census.oldest_unfinished), "kept until done"]);
    table.trim_fmt()
}

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}
