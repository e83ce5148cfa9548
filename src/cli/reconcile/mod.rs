//! `reconcile`: compares both sides in full, and heals what differs.

pub mod metrics;
mod report;
mod watch;

use super::journal::words::counted;
use super::{ConfigFile, Ended, failed};
use crate::cli::out::complain;
use crate::config::{self, Config};
use crate::forward::Gateway;
use crate::journal::{Database, Journal};
use crate::reconcile::{self, CompareError, Limits, Plan, Scope, Stopped, Tally};
use crate::telemetry::{self, Pseudonyms};
use crate::upstream::{HttpTransport, Transport, WallClock};
use clap::Args;
use jiff::Timestamp;
use report::{Report, Writer};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
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
    since: Option<Since>,
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
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
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

impl ReconcileArgs {
    /// What is compared: a plan of something else isn't gone on with. From when on is another time each night.
    fn compared(&self) -> String {
        let extent = match &self.since {
            Some(since) => format!("what changed since {}", since.said),
            None => "everything".to_owned(),
        };
        let mut routes = self.routes.clone();
        routes.sort();
        format!("{extent} of {}", if routes.is_empty() { "all routes".to_owned() } else { routes.join(", ") })
    }
}

/// From when on, as it was said, and what that is.
#[derive(Clone, Debug)]
struct Since {
    said: String,
    time: Timestamp,
}

/// A time, or how long ago.
fn since(text: &str) -> Result<Since, String> {
    let wrong = || "write a time like 2026-11-25T03:00:00Z, or how long ago like 26h".to_owned();
    let said = |time| Since { said: text.to_owned(), time };
    if let Ok(time) = text.parse::<Timestamp>() {
        return if time > Timestamp::now() { Err("this is in the future".to_owned()) } else { Ok(said(time)) };
    }
    let ago = config::duration(text).ok_or_else(wrong)?;
    Timestamp::now().checked_sub(ago).map(said).map_err(|_| wrong())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "write a number from 0 to 100".to_owned())
}

/// Compares, and heals if so asked.
pub fn run(args: &ReconcileArgs) -> Result<ExitCode, ExitCode> {
    let config = args.file.load()?.at_the_pace_of_reconcile();
    let known: Vec<String> = config.routes.iter().map(|route| route.label()).collect();
    if let Some(route) = args.routes.iter().find(|route| !known.contains(route)) {
        complain!("error: there is no route {route}; configured are:\n    {}", known.join("\n    "));
        return Err(Ended::Refused.into());
    }
    let mut telemetry = config.telemetry.clone();
    // There, the bar tells.
    if std::io::stderr().is_terminal() {
        telemetry.log_filter = LevelFilter::WARN.into();
    }
    telemetry.traces = None;
    let telemetry = telemetry::install(&telemetry, std::io::stderr).map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    let ended = runtime.block_on(reconcile(args, &config));
    telemetry.end();
    ended
}

async fn reconcile(args: &ReconcileArgs, config: &Config) -> Result<ExitCode, ExitCode> {
    let began = Timestamp::now();
    let tell = |tally: &Tally, succeeded, withheld| {
        let Some(file) = &args.metrics_file else { return Ok(()) };
        let routes: Vec<String> = config.routes.iter().map(|route| route.label()).collect();
        let run = metrics::Run { tally, routes: &routes, began, ended: Timestamp::now(), succeeded, withheld };
        run.write(file).map_err(|error| failed(&format!("--metrics-file {}: {error}", file.display())))
    };
    // Whatever becomes of this run, it hasn't succeeded yet.
    tell(&Tally::default(), false, false)?;
    let scratch = args.scratch.clone().unwrap_or_else(reconcile::default_scratch);
    // What isn't to be healed isn't kept for another run, which would take it for its own.
    let plan = match args.state.as_ref().filter(|_| args.apply) {
        Some(folder) => Plan::in_folder(folder, &args.compared()),
        None => Plan::fleeting(&scratch),
    };
    let plan = plan.map_err(|error| failed(&error))?;
    let mut writer = Writer::begin(args.csv.as_deref(), Pseudonyms::from_config(config), args.show_addresses)?;
    let gateway = connect(config).await?;
    let left_out = reconcile::cannot_be_read(&gateway, &args.routes);
    for route in &left_out {
        complain!("{route}: not compared, as this ESP's connection has no way to read an audience as a whole");
    }
    let meant = if args.routes.is_empty() { config.routes.len() } else { args.routes.len() };
    if left_out.len() >= meant {
        complain!(
            "error: nothing can be compared; describe how the audience is read: [[http.NAME.list]], in docs/any-esp.md"
        );
        return Err(Ended::Refused.into());
    }
    let mut tally = Tally { listener: writer.listener(), ..Tally::default() };
    let work = Work { args, config, gateway: &gateway, scratch, began };
    let stopped = match work.run(plan, &mut tally).await {
        Ok(stopped) => stopped,
        Err(code) => {
            tell(&tally, false, false)?;
            return Err(code);
        }
    };
    // Its listener writes as long as it is there.
    tally.listener = None;
    writer.end()?;
    let report =
        Report { args, tally: &tally, stopped: stopped.as_ref(), began, ended: Timestamp::now(), writer: &writer };
    report.show();
    let withheld = stopped.as_ref().is_some_and(|stopped| stopped.withheld.is_some());
    tell(&tally, !withheld, withheld)?;
    Ok(report.ended().into())
}

/// One run.
struct Work<'a> {
    args: &'a ReconcileArgs,
    config: &'a Config,
    gateway: &'a Gateway,
    scratch: PathBuf,
    began: Timestamp,
}

impl Work<'_> {
    async fn run(self, mut plan: Plan, tally: &mut Tally) -> Result<Option<Stopped>, ExitCode> {
        let Self { args, config, gateway, scratch, began } = self;
        let settings = config.reconcile;
        let scope = Scope {
            routes: args.routes.clone(),
            since: args.since.as_ref().map(|since| since.time),
            scratch,
            memory: MEMORY,
            page: settings.accounts_per_page,
            stop: stop_when_asked(),
        };
        let watch = Watch::begin();
        if plan.is_whole() {
            watch.say("going on with what an earlier run found");
            plan.tell(tally).map_err(|error| failed(&error))?;
        } else {
            watch.say("reading both sides");
            let told = |progress: &reconcile::Progress| watch.read(progress);
            match reconcile::compare(gateway, &scope, &mut plan, tally, &told).await {
                Err(stopped @ CompareError::Stopped) => {
                    watch.end();
                    complain!("{stopped}");
                    return Err(Ended::LeftToDo.into());
                }
                compared => compared.map_err(|error| failed(&error))?,
            }
        }
        if !args.apply {
            watch.end();
            return Ok(None);
        }
        let limits = Limits {
            removals: args.max_removals.unwrap_or(settings.max_removals as u64),
            removals_in_percent: args.max_removal_percent.unwrap_or(settings.max_removal_share * 100.0),
        };
        let run = began.strftime("%Y%m%dT%H%M%S").to_string();
        watch.say(&format!("healing {}", counted(tally.to_heal(), "difference")));
        watch.begin_healing(tally.to_heal());
        let told = |done| watch.healed(done);
        let stopped = reconcile::heal(gateway, plan, &limits, tally, &run, &scope.stop, &told).await;
        watch.end();
        stopped.map(Some).map_err(|error| failed(&error))
    }
}

async fn connect(config: &Config) -> Result<Gateway, ExitCode> {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::for_large_answers().map_err(|error| failed(&error))?);
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
        complain!("stopping: what is under way is ended first; again, to stop at once");
        asked.cancel();
        // What is under way then is as if the process were killed: the next run looks at it again.
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    stop
}
