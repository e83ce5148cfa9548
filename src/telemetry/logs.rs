//! Log lines: JSON for machines or text for people, on standard output.

use crate::config::{LogFormat, Telemetry};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

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

/// Sets logs up for this process. `writer` is `std::io::stdout` but in tests.
pub fn install<W>(telemetry: &Telemetry, writer: W) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&telemetry.log_filter).map_err(|_| LogError::Filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_span_events(FmtSpan::NONE);
    match telemetry.log_format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => builder.with_target(false).try_init(),
    }
    .map_err(|_| LogError::Twice)
}
