//! Sets logs and traces up for a process, and ends them.
//!
//! Log lines have spans of their own (`request`), traces have others ([`traces::TARGET`]); neither sees the other's. So
//! the log's filter decides nothing about traces, and where there are none, their spans are never made.

use super::lines::{JsonLines, Members, TextLines};
use super::metrics;
use super::traces::{self, Exporting};
use crate::config::{LogFilter, LogFormat, Telemetry};
use opentelemetry::trace::TracerProvider;
use std::panic::PanicHookInfo;
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// What the lines of this crate are called.
const OURS: &str = env!("CARGO_CRATE_NAME");
/// The span that log lines take a request's id from, whatever the filter says.
const REQUEST: &str = "request";
/// How long [`Installed::end`] may take: a collector that doesn't answer must not keep the process from its end.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Why logs or traces can't be set up, or changed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Telemetry was set up before.
    #[error("logs are set up already")]
    Twice,
    /// The exporter of traces can't be made.
    #[error("traces cannot be sent: {0}; see telemetry.otlp_endpoint")]
    Exporter(String),
}

/// Logs and traces, set up. Dropping it changes nothing.
pub struct Installed {
    filter: reload::Handle<Targets, Registry>,
    exporting: Option<Exporting>,
}

/// Sets logs and, where configured, traces up for this process, panics included. `writer` is where log lines go.
///
/// # Errors
/// An exporter that can't be made; and whoever comes second.
pub fn install<W>(telemetry: &Telemetry, writer: W) -> Result<Installed, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (dispatch, installed) = assemble(telemetry, writer)?;
    dispatch.try_init().map_err(|_| TelemetryError::Twice)?;
    watch_panics();
    Ok(installed)
}

/// Has panics of this process logged, by their place, and counted.
pub fn watch_panics() {
    std::panic::set_hook(Box::new(tell_panic));
}

/// The same without making it this process's.
fn assemble<W>(telemetry: &Telemetry, writer: W) -> Result<(Dispatch, Installed), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (chosen, filter) = reload::Layer::new(telemetry.log_filter.targets().clone());
    let told = chosen.and(filter_fn(may_be_told)).or(filter_fn(is_request).with_max_level_hint(LevelFilter::INFO));
    let exporting = telemetry.traces.as_ref().map(Exporting::start).transpose().map_err(TelemetryError::Exporter)?;
    let spans = exporting.as_ref().map(|exporting| {
        tracing_opentelemetry::layer()
            .with_tracer(exporting.provider().tracer(OURS))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(traces::is_traced).with_max_level_hint(LevelFilter::INFO))
    });
    // Without traces, there is no second layer: even one that takes nothing would be asked whenever a request goes on, and who alone
    // listens has nothing to keep apart.
    let registry = tracing_subscriber::registry();
    let dispatch = match spans {
        Some(spans) => Dispatch::new(registry.with(lines(telemetry, writer).with_filter(told)).with(spans)),
        None => Dispatch::new(registry.with(Only(told)).with(lines(telemetry, writer))),
    };
    Ok((dispatch, Installed { filter, exporting }))
}

/// Writes log lines.
fn lines<S, W>(telemetry: &Telemetry, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    match telemetry.log_format {
        LogFormat::Json => Box::new(lines.fmt_fields(Members).event_format(JsonLines)),
        LogFormat::Text => Box::new(lines.fmt_fields(DefaultFields::new()).event_format(TextLines)),
    }
}

/// Lets nothing else through to any layer.
struct Only<F>(F);

impl<S: Subscriber, F: Filter<S> + 'static> Layer<S> for Only<F> {
    fn register_callsite(&self, told: &'static Metadata<'static>) -> Interest {
        self.0.callsite_enabled(told)
    }

    fn enabled(&self, told: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(told, &context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }
}

impl Installed {
    /// Changes which lines are logged from now on.
    pub fn set_filter(&self, filter: &LogFilter) {
        // Fails only where the subscriber is gone, which has nothing to filter then.
        let _ = self.filter.reload(filter.targets().clone());
    }

    /// Sends what traces are left, and no more from then on. Blocks for at most three seconds, so not for a runtime's
    /// own threads; whatever the collector hasn't taken by then is lost. Again, it does nothing.
    pub fn end(&self) {
        if let Some(exporting) = &self.exporting {
            exporting.end(END_WITHIN);
        }
    }
}

/// Addresses and secrets have types that don't print. Two things remain: libraries, which know nothing of that (an
/// HTTP client may log a URL with an address in it), and panics, whose message may quote anything. So a
/// library's lines count from `warn` up only, whatever the filter says, and of a panic only the place is told.
fn may_be_told(line: &Metadata<'_>) -> bool {
    (*line.level() <= Level::WARN || line.target().starts_with(OURS)) && !traces::is_traced(line)
}

fn is_request(line: &Metadata<'_>) -> bool {
    line.is_span() && line.name() == REQUEST && line.target().starts_with(OURS) && !traces::is_traced(line)
}

fn tell_panic(panic: &PanicHookInfo<'_>) {
    metrics::panicked();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "panicked; this is a bug");
}

#[cfg(test)]
pub(super) mod tests;
