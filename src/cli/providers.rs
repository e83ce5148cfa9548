//! `providers`: which ESPs there are, and what each can do. Needs no configuration.

use super::{Ended, out};
use crate::esp::{self, Offer};
use clap::Args;
use std::fmt::Write;
use std::process::ExitCode;

/// How to print it.
#[derive(Debug, Args)]
pub struct ProvidersArgs {
    /// As a table in Markdown: the README's.
    #[arg(long)]
    markdown: bool,
}

/// Prints what each can do.
#[allow(clippy::unnecessary_wraps, reason = "every command ends alike")]
pub fn run(args: &ProvidersArgs) -> Result<ExitCode, ExitCode> {
    let offers = esp::offers();
    out::write(format_args!("{}", if args.markdown { markdown(&offers) } else { plain(&offers) }));
    Ok(Ended::Well.into())
}

fn markdown(offers: &[Offer]) -> String {
    let mut text = String::from(
        "| ESP | connection | the gateway can | removal | it tells | verified by | `reconcile` | limits |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for offer in offers {
        let Offer { title, table, verified_by, limits, .. } = offer;
        let (writes, removal, tells) = (offer.writes.join(", "), offer.removal.join(", "), told(offer));
        let reconcile = reconcile(offer);
        let _ = writeln!(
            text,
            "| {title} | `{table}` | {writes} | {removal} | {tells} | {} | {reconcile} | {limits} |",
            or_dash(verified_by)
        );
    }
    text
}

fn plain(offers: &[Offer]) -> String {
    let mut text = String::new();
    for offer in offers {
        let _ = writeln!(text, "{}\n    {}", offer.title, offer.table);
        for (name, value) in [
            ("the gateway can", offer.writes.join(", ")),
            ("removal", offer.removal.join(", ")),
            ("it tells", told(offer)),
            ("verified by", or_dash(&offer.verified_by).to_owned()),
            ("reconcile", reconcile(offer).to_owned()),
            ("limits", or_dash(&offer.limits).to_owned()),
        ] {
            let _ = writeln!(text, "    {name:<16} {value}");
        }
    }
    text
}

fn told(offer: &Offer) -> String {
    if offer.tells.is_empty() { "nothing".to_owned() } else { offer.tells.join(", ") }
}

fn reconcile(offer: &Offer) -> &'static str {
    if offer.reconcile { "yes" } else { "no" }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
