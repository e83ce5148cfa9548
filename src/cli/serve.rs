//! `serve`: receives webhooks of both sides and forwards them, until it is asked to stop.

use super::{ConfigFile, failed};
use crate::config::Config;
use crate::forward::Gateway;
use crate::http;
use crate::telemetry::{self, metrics};
use crate::upstream::{HttpTransport, Transport, WallClock};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the gateway.
pub fn run(file: &ConfigFile) -> Result<ExitCode, ExitCode> {
    let config = file.load()?;
    let telemetry = telemetry::install(&config.telemetry, std::io::stdout).map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    let ended = runtime.block_on(serve(config));
    // Outside of the runtime, as it blocks, and after the last request.
    telemetry.end();
    ended
}

async fn serve(config: Config) -> Result<ExitCode, ExitCode> {
    let metrics = metrics::install();
    let transport = HttpTransport::new().map_err(|error| failed(&error))?;
    let transport: Arc<dyn Transport> = Arc::new(transport);
    let gateway = Gateway::new(&config, &transport, &WallClock::system()).map_err(|error| failed(&error))?;
    let stop = http::stop_signal().map_err(|error| failed(&error))?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // The exporter keeps every measured time until somebody sums them up.
        let mut every = tokio::time::interval(std::time::Duration::from_secs(5));
        loop {
            every.tick().await;
            upkeep.run_upkeep();
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
    bound.serve(Arc::new(gateway), Arc::new(move || metrics.render()), stop).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
