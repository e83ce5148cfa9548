//! The operations port: whether the process lives, whether it wants work, how it is doing.

use super::answer::{self, Problem};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use utoipa::ToSchema;

/// Renders the metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

/// What `/readyz` says. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// From now on work is welcome, unless the process is stopping already.
    pub fn set_ready(&self) {
        let _ = self.0.compare_exchange(STARTING, READY, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// From now on, and for good, work should be sent elsewhere.
    pub fn set_draining(&self) {
        self.0.store(DRAINING, Ordering::Relaxed);
    }

    /// Why work is not welcome; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> &'static [&'static str] {
        match self.0.load(Ordering::Relaxed) {
            READY => &[],
            DRAINING => &["draining"],
            _ => &["starting"],
        }
    }
}

/// Whether work is welcome.
#[derive(Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(super) struct ReadinessBody {
    /// Whether it is.
    ready: bool,
    /// Why not: `starting`, `draining`.
    reasons: &'static [&'static str],
}

/// What the operations port tells about.
#[derive(Clone)]
struct Operations {
    readiness: Readiness,
    metrics: RenderMetrics,
}

/// The operations port's paths, with those of the status page.
pub(super) fn router(readiness: Readiness, metrics: RenderMetrics, status: Router) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(Operations { readiness, metrics })
        .merge(status)
        .method_not_allowed_fallback(async || Problem::Method("GET, HEAD"))
        .fallback(async || Problem::NotFound)
}

async fn live() -> Response {
    answer::with_type(StatusCode::OK, "text/plain; charset=utf-8", "ok\n")
}

async fn ready(State(operations): State<Operations>) -> Response {
    let reasons = operations.readiness.reasons();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json(status, &ReadinessBody { ready, reasons })
}

async fn render(State(operations): State<Operations>) -> Response {
    answer::with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", (operations.metrics)())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_is_for_good() {
        let readiness = Readiness::default();
        assert_eq!(readiness.reasons(), ["starting"]);
        readiness.set_ready();
        assert!(readiness.reasons().is_empty());
        readiness.clone().set_draining();
        readiness.set_ready();
        assert_eq!(readiness.reasons(), ["draining"]);
    }
}
