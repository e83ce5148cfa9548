//! `sandbox`: a simulated Gigya, simulated ESPs and the real gateway, on this machine only.

use super::{Ended, failed};
use crate::cli::out::say;
use crate::config::{LogFormat, Telemetry};
use crate::http;
use crate::sandbox::braze::BrazeSettings;
use crate::sandbox::brevo::BrevoSettings;
use crate::sandbox::gigya::{GigyaSettings, WebhookVersion};
use crate::sandbox::klaviyo::KlaviyoSettings;
use crate::sandbox::mailchimp::MailchimpSettings;
use crate::sandbox::salesforce::SalesforceSettings;
use crate::sandbox::sendgrid::SendgridSettings;
use crate::sandbox::shipped::{Shipped, System};
use crate::sandbox::story::{self, Line};
use crate::sandbox::{Esps, Folder, Nobody, Sandbox, Setup, page};
use crate::telemetry;
use clap::{Args, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What to do in the sandbox.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Tells a story in the terminal instead of serving the page; fails if a side ends wrong.
    #[arg(long)]
    script: bool,
    /// Which ESPs take part. The story is told with the first three.
    #[arg(long, value_enum, default_value_t = Esp::Both)]
    esp: Esp,
    /// The page's port on 127.0.0.1; 0 for any that is free.
    #[arg(long, default_value_t = 7070)]
    port: u16,
    /// How Gigya signs its webhooks: with a token (2.0), or with HMAC-SHA1 (1.1). The story always has tokens.
    #[arg(long, value_enum, default_value_t = Webhooks::V2_0, conflicts_with = "script")]
    webhooks: Webhooks,
    /// Shows the gateway's log lines, on standard error.
    #[arg(long)]
    log: bool,
}

/// A choice of ESPs.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Esp {
    CampaignMonitor,
    MarketingCloud,
    /// Campaign Monitor and Marketing Cloud
    Both,
    /// Contacts of a Salesforce (CRM)
    Salesforce,
    Braze,
    Brevo,
    Klaviyo,
    Mailchimp,
    Sendgrid,
}

impl Esp {
    /// The one that the story is told with, if it is.
    const fn of_story(self) -> Option<Esps> {
        match self {
            Self::CampaignMonitor => Some(Esps::CampaignMonitor),
            Self::MarketingCloud => Some(Esps::MarketingCloud),
            Self::Both => Some(Esps::Both),
            _ => None,
        }
    }

    fn setup(self) -> Setup {
        let shipped = |system| Setup::with_further(Shipped::new(system));
        match self {
            Self::CampaignMonitor => Setup::with_esps(Esps::CampaignMonitor),
            Self::MarketingCloud => Setup::with_esps(Esps::MarketingCloud),
            Self::Both => Setup::with_esps(Esps::Both),
            Self::Salesforce => Setup::with_further(SalesforceSettings::default()),
            Self::Braze => shipped(System::Braze(BrazeSettings::default())),
            Self::Brevo => shipped(System::Brevo(BrevoSettings::default())),
            Self::Klaviyo => shipped(System::Klaviyo(KlaviyoSettings::default())),
            Self::Mailchimp => shipped(System::Mailchimp(MailchimpSettings::default())),
            Self::Sendgrid => shipped(System::Sendgrid(SendgridSettings::default())),
        }
    }
}

/// A choice of versions of Gigya's webhooks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Webhooks {
    #[value(name = "1.1")]
    V1_1,
    #[value(name = "2.0")]
    V2_0,
}

impl From<Webhooks> for WebhookVersion {
    fn from(webhooks: Webhooks) -> Self {
        match webhooks {
            Webhooks::V1_1 => Self::V1_1,
            Webhooks::V2_0 => Self::V2_0,
        }
    }
}

/// Runs the sandbox.
pub fn run(args: &SandboxArgs) -> Result<ExitCode, ExitCode> {
    if args.log {
        let telemetry = Telemetry { log_format: LogFormat::Text, ..Telemetry::default() };
        telemetry::install(&telemetry, std::io::stderr).map_err(|error| failed(&error))?;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    if args.script {
        let cast = args.esp.of_story().ok_or_else(|| {
            failed(&"the story is told with --esp campaign-monitor, marketing-cloud or both; for others, leave --script out and act on the page")
        })?;
        return runtime.block_on(script(cast));
    }
    runtime.block_on(page(args))
}

async fn script(cast: Esps) -> Result<ExitCode, ExitCode> {
    let stdout = std::io::stdout();
    let has_colours = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let told = story::play(cast, Nobody, |line| {
        let text = if has_colours { coloured(line) } else { line.to_string() };
        // Whoever stopped reading, as `head` does, doesn't stop the story.
        let _ = writeln!(stdout.lock(), "{text}");
    });
    told.await.map_err(|error| failed(&error))?;
    Ok(Ended::Well.into())
}

fn coloured(line: &Line) -> String {
    const BOLD: &str = "1";
    const GREEN: &str = "32";
    const YELLOW: &str = "33";
    const FAINT: &str = "2";
    let colour = match line {
        Line::Title(_) | Line::Act(_) => BOLD,
        Line::Stands(_) => GREEN,
        Line::Webhook { status: 200, .. } => return line.to_string(),
        Line::Webhook { .. } => YELLOW,
        Line::Note(_) => FAINT,
    };
    format!("\x1b[{colour}m{line}\x1b[0m")
}

async fn page(args: &SandboxArgs) -> Result<ExitCode, ExitCode> {
    let port = args.port;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        failed(&format!("cannot listen on 127.0.0.1:{port}: {error}; choose another port with --port, or --port 0"))
    })?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let setup = Setup {
        // As at Gigya: for a while, a search still finds what was deleted.
        gigya: GigyaSettings {
            index_delay: Duration::from_secs(3),
            webhooks: args.webhooks.into(),
            ..GigyaSettings::default()
        },
        ..args.esp.setup()
    };
    // Short, so that a broken system shows soon.
    let folder = Folder::make().map_err(|error| failed(&format!("there is no room for temporary files: {error}")))?;
    let setup = setup.with_lines("deadline = \"5s\"\nattempt_timeout = \"2s\"").with_journal(&folder.journal());
    let sandbox = Sandbox::start(setup, Nobody).await.map_err(|error| failed(&error))?;
    let stop = http::stop_signal().map_err(|error| failed(&error))?;
    say!("The sandbox is on http://{address}/ (stop it with Ctrl-C).");
    say!("The gateway receives Gigya's webhooks on {}", sandbox.gigya_url(0));
    say!("Its status page is on http://{}/", sandbox.operations[0]);
    say!("Its metrics are on http://{}/metrics", sandbox.operations[0]);
    let config = folder.write(&sandbox).map_err(|error| failed(&error))?;
    tell_commands(&config);
    let router = page::router(Arc::new(sandbox));
    // The page's stream of events never ends by itself: stopping does not wait for it.
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served.map_err(|error| failed(&error))?,
        () = stop.cancelled() => {}
    }
    folder.remove();
    Ok(Ended::Well.into())
}

/// What can be tried beside it.
fn tell_commands(config: &Path) {
    say!("Beside it, in another terminal (its configuration and journal go when it is stopped):");
    for command in ["receipts --address NAME@example.org", "verify"] {
        say!("    gigya-esp-gateway journal --config {} {command}", config.display());
    }
    for command in ["check --online", "register"] {
        say!("    gigya-esp-gateway {command} --config {}", config.display());
    }
}
