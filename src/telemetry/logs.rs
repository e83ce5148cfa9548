//! Log lines: JSON for machines or text for people. And what is kept out of them.
//!
//! Addresses and secrets have types that don't print. Two things remain: libraries, which know nothing of that (an
//! HTTP client may log a URL with an address in it), and panics, whose message may quote anything. So a
//! library's lines count from `warn` up only, whatever the filter says, and of a panic only the place is told.

use crate::config::{LogFormat, Telemetry};
use std::panic::PanicHookInfo;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What the lines of this crate are called.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// Why logs can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `telemetry.log_filter` isn't one.
    #[error("telemetry.log_filter is not a filter such as \"info\" or \"info,gigya_esp_gateway=debug\"")]
    Filter,
    /// Logs were set up before.
    #[error("logs are set up already")]
    Twice,
}

/// Sets logs up for this process, panics included. `writer` is `std::io::stdout` but in tests.
pub fn install<W>(telemetry: &Telemetry, writer: W) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&telemetry.log_filter).map_err(|_| LogError::Filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let quiet_libraries = filter_fn(may_be_told);
    match telemetry.log_format {
        LogFormat::Json => {
            let json = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
            json.finish().with(quiet_libraries).try_init()
        }
        LogFormat::Text => builder.with_target(false).finish().with(quiet_libraries).try_init(),
    }
    .map_err(|_| LogError::Twice)?;
    std::panic::set_hook(Box::new(tell_panic));
    Ok(())
}

fn may_be_told(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::WARN || line.target().starts_with(OURS)
}

fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "panicked; this is a bug");
}
