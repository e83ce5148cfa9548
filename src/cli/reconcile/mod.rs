//! `reconcile`: compares both sides in full, and heals what differs.

mod report;
mod watch;

use super::{ConfigFile, Ended, failed};
use crate::cli::out::complain;
use crate::config::{self, Config};
use crate::forward::Gateway;
use crate::journal::{Database, Journal};
use crate::reconcile::{self, Limits, Plan, Scope, Tally};
use crate::telemetry::Pseudonyms;
use crate::upstream::{HttpTransport, Transport, WallClock};
use clap::Args;
use jiff::Timestamp;
use report::{Report, Writer};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use watch::Watch;

/// How many bytes a sorter may use before it goes to a file.
const MEMORY: usize = 24 << 20;

/// What to compare, and what to do about it.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Heals what differs. Without it, nothing is changed.
    #[arg(long, conflicts_with = "dry_run")]
    apply: bool,
    /// Says only what differs, as is the default.
    #[arg(long)]
    dry_run: bool,
    /// This route only, as logs have it: 'main/newsletter -> news/LIST'. May be given several times.
    #[arg(long = "route", value_name = "ROUTE")]
    routes: Vec<String>,
    /// Only accounts that changed since then: a time (2026-11-25T03:00:00Z), or how long ago (26h). Finds no orphans.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Keeps what was found in this folder, so that a run that was stopped is gone on with by the next one. It has addresses
    /// in it until it is done.
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Where temporary files go: about a kilobyte for each account and each subscriber.
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// The most subscribers to remove because their accounts are gone or deactivated; else as configured.
    #[arg(long, value_name = "NUMBER")]
    max_removals: Option<u64>,
    /// The largest part of all subscribers to remove for that, in percent; else as configured.
    #[arg(long, value_name = "PERCENT")]
    max_removal_percent: Option<f64>,
    /// Shows addresses and UIDs, not only pseudonyms as in logs.
    #[arg(long)]
    show_addresses: bool,
    /// The summary as JSON.
    #[arg(long)]
    json: bool,
    /// Writes everything that differs into this file, a line each.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Writes metrics of this run into this file, for the node exporter's textfile collector.
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
}

/// A time, or how long ago.
fn since(text: &str) -> Result<Timestamp, String> {
    let wrong = || "write a time like 2026-11-25T03:00:00Z, or how long ago like 26h".to_owned();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago = config::duration(text).ok_or_else(wrong)?;
    Timestamp::now().checked_sub(ago).map_err(|_| wrong())
}

/// Compares, and heals if so asked.
pub fn run(args: &ReconcileArgs) -> Result<ExitCode, ExitCode> {
    let config = args.file.load()?.at_the_pace_of_reconcile();
    let known: Vec<String> = config.routes.iter().map(|route| route.label()).collect();
    if let Some(route) = args.routes.iter().find(|route| !known.contains(route)) {
        complain!("error: there is no route {route}; configured are:\n    {}", known.join("\n    "));
        return Err(Ended::Refused.into());
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    runtime.block_on(reconcile(args, &config))
}

async fn reconcile(args: &ReconcileArgs, config: &Config) -> Result<ExitCode, ExitCode> {
    let gateway = connect(config).await?;
    let scratch = args.scratch.clone().unwrap_or_else(reconcile::default_scratch);
    let scope = Scope {
        routes: args.routes.clone(),
        since: args.since,
        scratch: scratch.clone(),
        memory: MEMORY,
        page: config.reconcile.accounts_per_page,
        stop: stop_when_asked(),
    };
    // What isn't to be healed isn't kept for another run, which would take it for its own.
    let mut plan = match args.state.as_ref().filter(|_| args.apply) {
        Some(folder) => Plan::in_folder(folder),
        None => Plan::fleeting(&scratch),
    }
    .map_err(|error| failed(&error))?;
    let writer = Writer::begin(args.csv.as_deref(), Pseudonyms::from_config(config), args.show_addresses)?;
    let mut tally = Tally { listener: writer.listener(), ..Tally::default() };
    let watch = Watch::begin();
    let began = Timestamp::now();
    if plan.is_whole() {
        watch.say("going on with what an earlier run found");
        plan.tell(&mut tally);
    } else {
        let told = |progress: &reconcile::Progress| watch.read(progress);
        let compared = reconcile::compare(&gateway, &scope, &mut plan, &mut tally, &told);
        match compared.await {
            Err(stopped @ reconcile::CompareError::Stopped) => {
                complain!("{stopped}");
                return Ok(Ended::LeftToDo.into());
            }
            compared => compared.map_err(|error| failed(&error))?,
        }
    }
    let mut stopped = None;
    if args.apply {
        let limits = Limits {
            removals: args.max_removals.unwrap_or(config.reconcile.max_removals as u64),
            removals_in_percent: args.max_removal_percent.unwrap_or(config.reconcile.max_removal_share * 100.0),
        };
        let run = began.strftime("%Y%m%dT%H%M%S").to_string();
        watch.begin_healing(tally.to_heal());
        let told = |done| watch.healed(done);
        let healed = reconcile::heal(&gateway, plan, &limits, &mut tally, &run, &scope.stop, &told);
        stopped = Some(healed.await.map_err(|error| failed(&error))?);
    }
    watch.end();
    let report =
        Report { args, tally: &tally, stopped: stopped.as_ref(), began, ended: Timestamp::now(), writer: &writer };
    writer.end()?;
    report.show();
    if let Some(file) = &args.metrics_file {
        report.write_metrics(file)?;
    }
    Ok(report.ended().into())
}

async fn connect(config: &Config) -> Result<Gateway, ExitCode> {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(|error| failed(&error))?);
    let clock = WallClock::system();
    let journal: Option<Arc<dyn Journal>> = match &config.journal {
        Some(settings) => {
            let opened = Database::open_existing(settings, clock.clone()).await.map_err(|error| failed(&error))?;
            Some(Arc::new(opened))
        }
        None => None,
    };
    Gateway::with_journal(config, &transport, &clock, journal).map_err(|error| failed(&error))
}

/// Cancelled by SIGINT or SIGTERM: what is under way is ended, nothing new begun.
fn stop_when_asked() -> CancellationToken {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        let terminated = async {
            #[cfg(unix)]
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
            #[cfg(not(unix))]
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
        asked.cancel();
    });
    stop
}
