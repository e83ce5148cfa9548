//! The commands, one file each. Errors go to standard error; [`Ended`] says with which status a command ends.

mod check;
mod ended;
mod far_sides;
mod journal;
mod online;
mod openapi;
mod out;
mod progress;
mod providers;
mod reconcile;
mod register;
mod sandbox;
mod serve;
mod stored;

pub use ended::Ended;
pub use reconcile::metrics::METRICS as RECONCILE_METRICS;

use crate::config::{Config, Environment};
use clap::{Args, Parser, Subcommand};
use out::complain;
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps SAP Customer Data Cloud (Gigya) and an email service provider in step, webhook by webhook.
///
/// No opt-out is ever lost, and none is ever undone by anything but a newer opt-in.
#[derive(Debug, Parser)]
#[command(version, after_help = "Try it without any account: gigya-esp-gateway sandbox")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receives webhooks of both sides and forwards them.
    Serve(ConfigFile),
    /// Checks the configuration and says what it means.
    Check(check::CheckArgs),
    /// Makes at both sides what points at the gateway: webhooks, callbacks, fields. Shows a plan unless told to apply it.
    ///
    /// Exit status: 0 nothing to do, or all of it done; 3 there is something to do; 1 something failed, or couldn't be
    /// looked at; 2 the configuration is refused.
    Register(register::RegisterArgs),
    /// Compares both sides in full and says how they differ; heals that if told to.
    ///
    /// Exit status: 0 both sides are the same, or are so now; 3 something is left to be done; 1 a side couldn't be read, or
    /// removals were held back; 2 the configuration or the command line is refused.
    Reconcile(reconcile::ReconcileArgs),
    /// Answers when an opt-out was honoured; verifies, erases, prunes; shows what was set aside and has it tried again.
    Journal(journal::JournalArgs),
    /// Shows it at work without any account: a simulated Gigya, simulated ESPs, and a page.
    Sandbox(sandbox::SandboxArgs),
    /// Says which ESPs there are, and what each can do.
    Providers(providers::ProvidersArgs),
    /// Prints the description of the HTTP interface (`OpenAPI` 3.1, JSON).
    Openapi,
}

/// Which configuration to use.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration file. Its keys can be overridden: `GATEWAY_SERVER__LISTEN=0.0.0.0:80`.
    #[arg(short, long, global = true, env = "GATEWAY_CONFIG", default_value = "gateway.toml", value_name = "FILE")]
    config: PathBuf,
}

impl ConfigFile {
    /// Reads and checks it; what is wrong goes to standard error.
    fn load(&self) -> Result<Config, ExitCode> {
        Config::load(&self.config, &Environment::of_process()).map_err(|errors| {
            complain!("{errors}");
            Ended::Refused.into()
        })
    }
}

impl Cli {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let ended = match self.command {
            Command::Serve(file) => serve::run(&file),
            Command::Check(args) => check::run(&args),
            Command::Register(args) => register::run(&args),
            Command::Reconcile(args) => reconcile::run(&args),
            Command::Journal(args) => journal::run(&args),
            Command::Openapi => openapi::run(),
            Command::Providers(args) => providers::run(&args),
            Command::Sandbox(args) => sandbox::run(&args),
        };
        out::end(ended.unwrap_or_else(|code| code))
    }
}

/// Says what went wrong, for commands that end because of it.
fn failed(what: &dyn std::fmt::Display) -> ExitCode {
    complain!("error: {what}");
    Ended::Failed.into()
}
