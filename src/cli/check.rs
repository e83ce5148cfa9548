//! `check`: whether the configuration is right, and what it means. Shows no token or secret.

use super::{ConfigFile, Ended, failed, online, out};
use crate::config::{Config, GigyaAuth, GigyaWebhookAuth, JournalStore};
use crate::esp;
use crate::forward::Gateway;
use crate::http::words::length;
use crate::upstream::{HttpTransport, Transport, WallClock};
use clap::Args;
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Asks every system, too: proves credentials, permissions, lists, fields, webhooks, and that the journal can be opened, and
    /// changes nothing; a permission that only a change would prove is named. Exit status 1 if there is a problem, or something couldn't be looked at.
    #[arg(long)]
    online: bool,
}

/// Checks and says.
pub fn run(args: &CheckArgs) -> Result<ExitCode, ExitCode> {
    let config = args.file.load()?;
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(|error| failed(&error))?);
    Gateway::new(&config, &transport, &WallClock::system()).map_err(|error| failed(&error))?;
    out::write(format_args!("{}", summary(&config, &transport)));
    if args.online { online::run(&config) } else { Ok(Ended::Well.into()) }
}

fn summary(config: &Config, transport: &Arc<dyn Transport>) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    line(format!("webhooks on {}, operations on {}", config.server.listen, config.server.admin_listen));
    for gigya in config.gigya.values() {
        let signed = match gigya.webhook_auth {
            GigyaWebhookAuth::Jwt { .. } => "X-Gigya-Sig-Jwt",
            GigyaWebhookAuth::HmacSha1 { .. } => "X-Gigya-Sig-Hmac-Sha1",
        };
        let calls = match gigya.auth {
            GigyaAuth::Secret { .. } => "user key and secret",
            GigyaAuth::Signed { .. } => "signed requests",
            GigyaAuth::Bearer { .. } => "bearer tokens",
        };
        line(format!("POST /webhooks/gigya/{}: verified by {signed}; calls by {calls}", gigya.name));
    }
    for connection in config.esps.values() {
        let esp = esp::connect(connection, Arc::clone(transport));
        let info = esp.provider();
        let token = if esp.has_token_in_path() { "/{token}" } else { "" };
        line(format!("POST /webhooks/{}/{}{token}: {}", info.slug, esp.name(), info.title));
        for remark in esp.remarks() {
            line(format!("    {remark}"));
        }
    }
    for route in &config.routes {
        line(format!("route {}: {} fields, on_inactive {:?}", route.label(), route.fields.len(), route.on_inactive));
    }
    if let Some(journal) = &config.journal {
        let place = match &journal.store {
            JournalStore::Sqlite(path) => format!("SQLite, {}", path.display()),
            JournalStore::Postgres(_) => "PostgreSQL".to_owned(),
        };
        let (receipts, rejected) = (length(journal.keep_receipts), length(journal.keep_rejected));
        line(format!("journal in {place}: receipts kept {receipts}, events set aside {rejected}, by journal prune"));
    }
    line("The configuration is valid.".to_owned());
    text
}
