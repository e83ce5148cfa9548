//! The operations port: whether the process lives, whether it wants work, how it is doing.

use super::answer::{self, Answer, Problem};
use super::guard::{Arrival, Port};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
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

/// Answers for the operations port.
pub(super) struct Operations {
    readiness: Readiness,
    metrics: RenderMetrics,
}

/// Where a path of this port leads.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Live,
    Ready,
    Metrics,
    Nowhere,
}

impl Operations {
    pub(super) fn new(readiness: Readiness, metrics: RenderMetrics) -> Self {
        Self { readiness, metrics }
    }

    fn ready(&self) -> Answer {
        let reasons = self.readiness.reasons();
        let ready = reasons.is_empty();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        answer::json(status, &ReadinessBody { ready, reasons })
    }
}

impl Port for Operations {
    type Place = Place;

    fn find(&self, path: &str) -> (Place, &'static str) {
        match path {
            "/livez" => (Place::Live, "livez"),
            "/readyz" => (Place::Ready, "readyz"),
            "/metrics" => (Place::Metrics, "metrics"),
            _ => (Place::Nowhere, "unknown"),
        }
    }

    async fn answer(&self, place: Place, request: Request<Incoming>, arrival: Arrival<'_>) -> Answer {
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match place {
            Place::Nowhere => Problem::NotFound.answer(arrival.id),
            _ if !reading => Problem::Method("GET, HEAD").answer(arrival.id),
            Place::Live => answer::with_type(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"),
            Place::Ready => self.ready(),
            Place::Metrics => {
                answer::with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", (self.metrics)())
            }
        }
    }
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
