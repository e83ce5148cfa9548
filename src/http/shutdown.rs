//! How it ends: the signal, and the order in which things stop.

use super::operations::Readiness;
use super::server::{Handler, Listener, Server};
use std::io;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. Further ones change nothing:
/// draining is bounded anyway.
pub fn stop_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let token = stop.clone();
    let signal = signal()?;
    tokio::spawn(async move {
        let name = signal.await;
        tracing::info!(signal = name, "stopping");
        token.cancel();
    });
    Ok(stop)
}

#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = &'static str> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = &'static str> + Send> {
    Ok(async {
        // An error means that no signal will ever come; the process can still be ended by its supervisor.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "interrupt"
    })
}

/// Serves both ports until `stop`; then readiness says no, load balancers get `delay` to notice, webhooks drain, and
/// only then the operations port goes, so that the draining can be watched.
pub(super) async fn in_order<L: Listener, W: Handler, O: Handler>(
    webhooks: Server<L, W>,
    operations: Server<L, O>,
    readiness: Readiness,
    delay: Duration,
    stop: CancellationToken,
) {
    let refuse = CancellationToken::new();
    let webhooks_gone = CancellationToken::new();
    let announce = async {
        stop.cancelled().await;
        readiness.set_draining();
        tokio::time::sleep(delay).await;
        refuse.cancel();
    };
    let webhooks = async {
        webhooks.run(refuse.clone()).await;
        webhooks_gone.cancel();
    };
    tokio::join!(announce, webhooks, operations.run(webhooks_gone.clone()));
}
