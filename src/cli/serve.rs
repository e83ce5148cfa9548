//! `serve`: receives webhooks of both sides and forwards them, until it is asked to stop. A SIGHUP or a changed secret file
//! loads the configuration anew.

use super::{ConfigFile, Ended, failed};
use crate::config::{self, Config, Environment, Traces};
use crate::forward::{Gateway, Live, finish_all};
use crate::http;
use crate::journal::{self, Journal};
use crate::reload::{ApplyLive, Hangups, Reloader, Running};
use crate::telemetry::{self, Installed, batch, metrics};
use crate::upstream::{HttpTransport, Transport, WallClock};
use secrecy::ExposeSecret;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long an event from the journal that is being finished may hold up the end.
const TO_FINISH: Duration = Duration::from_secs(5);

/// Runs the gateway.
pub fn run(file: &ConfigFile) -> Result<ExitCode, ExitCode> {
    let runtime = runtime().map_err(|error| failed(&error))?;
    // First of all, as nothing that takes long must be ended by a SIGHUP.
    let hangups = {
        let _inside = runtime.enter();
        Hangups::listen().map_err(|error| failed(&error))?
    };
    let config = file.load()?;
    let telemetry = telemetry::install(&config.telemetry, batch::Batched).map_err(|error| failed(&error))?;
    let telemetry = Arc::new(telemetry);
    let ended = runtime.block_on(serve(file, config, &telemetry, hangups));
    batch::keep_no_more();
    // Not waited for: a look at a file may hang as long as its disk does.
    runtime.shutdown_background();
    // Outside of the runtime, as it blocks, and after the last request.
    telemetry.end();
    ended
}

/// What the gateway runs on. With one processor, on this thread alone: handing work from thread to thread costs more than
/// it brings then.
fn runtime() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if processors == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.on_thread_park(batch::give_out).enable_all().build()
}

async fn serve(
    file: &ConfigFile,
    config: Config,
    telemetry: &Arc<Installed>,
    hangups: Hangups,
) -> Result<ExitCode, ExitCode> {
    let metrics = metrics::install();
    let transport = HttpTransport::new().map_err(|error| failed(&error))?;
    let transport: Arc<dyn Transport> = Arc::new(transport);
    let clock = WallClock::system();
    let journal = open(config.journal.as_ref(), &clock).await?;
    let gateway = Gateway::with_journal(&config, &transport, &clock, journal.clone());
    let live = Live::new(gateway.map_err(|error| failed(&error))?);
    let stop = http::stop_signal().map_err(|error| failed(&error))?;
    let finishing = journal.clone().map(|journal| tokio::spawn(finish_all(live.clone(), journal, stop.clone())));
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // The exporter keeps every measured time until somebody sums them up.
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            upkeep.upkeep();
            batch::give_all_out();
        }
    });
    let bound = http::Bound::bind(&config.server).await.map_err(|error| failed(&error))?;
    tracing::info!(
        webhooks = %bound.webhook_addr(),
        operations = %bound.admin_addr(),
        routes = config.routes.len(),
        version = env!("CARGO_PKG_VERSION"),
        "started"
    );
    let apply_live = apply_live(&config, Arc::clone(telemetry));
    let running = Running { config, live: live.clone(), transport, clock };
    let reloader = Reloader::new(file.config.clone(), Environment::of_process(), running, apply_live);
    let reloads = reloader.reloads();
    let reloading = tokio::spawn(reloader.run(hangups, stop.clone()));
    bound.showing(reloads).serve(Arc::new(live), Arc::new(move || metrics.render()), stop).await;
    reloading.abort();
    if let Some(finishing) = finishing
        && tokio::time::timeout(TO_FINISH, finishing).await.is_err()
    {
        // Another replica takes it up when its lease has ended.
        tracing::warn!("an unfinished event is left to others");
    }
    if let Some(journal) = journal {
        journal.close().await;
    }
    tracing::info!("stopped");
    Ok(Ended::Well.into())
}

async fn open(settings: Option<&config::Journal>, clock: &WallClock) -> Result<Option<Arc<dyn Journal>>, ExitCode> {
    let Some(settings) = settings else { return Ok(None) };
    journal::open(settings, clock.clone()).await.map(Some).map_err(|error| failed(&error))
}

/// What follows a new configuration besides the gateway, and which keys can't.
fn apply_live(started_with: &Config, telemetry: Arc<Installed>) -> ApplyLive {
    let started_with = started_with.telemetry.clone();
    Box::new(move |new| {
        let mut waiting = Vec::new();
        if started_with.log_format != new.telemetry.log_format {
            waiting.push("telemetry.log_format");
        }
        waiting.extend(waiting_for_traces(started_with.traces.as_ref(), new.telemetry.traces.as_ref()));
        telemetry.set_filter(&new.telemetry.log_filter);
        waiting
    })
}

/// The keys about traces that differ: the exporter is made once.
fn waiting_for_traces(old: Option<&Traces>, new: Option<&Traces>) -> Vec<&'static str> {
    let (Some(old), Some(new)) = (old, new) else {
        return if old.is_some() == new.is_some() { Vec::new() } else { vec!["telemetry.otlp_endpoint"] };
    };
    let headers = |traces: &Traces| -> Vec<(String, String)> {
        traces.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
    };
    let differs = [
        ("telemetry.otlp_endpoint", old.endpoint != new.endpoint),
        ("telemetry.otlp_headers", headers(old) != headers(new)),
        ("telemetry.trace_ratio", old.ratio.total_cmp(&new.ratio).is_ne()),
        ("telemetry.service_name", old.service_name != new.service_name),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
