//! What every request gets, on either port: an id, a place in the count, a span, a net under it, a line in the metrics.

use super::answer::{Answer, Problem};
use super::server::Handler;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument;
use uuid::Uuid;

/// The header that a request's id comes in with and goes out with.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id taken over from a sender.
const LONGEST_ID: usize = 64;

/// What a port does with a request that the guard let through.
pub(super) trait Port: Send + Sync + 'static {
    /// Where a path leads.
    type Place: Send;

    /// Finds where a path leads, and its name in metrics, logs and spans: one of few, never the path itself, which
    /// may end in a token.
    fn find(&self, path: &str) -> (Self::Place, &'static str);

    /// Answers a request.
    fn answer(
        &self,
        place: Self::Place,
        request: Request<Incoming>,
        arrival: Arrival<'_>,
    ) -> impl Future<Output = Answer> + Send;
}

/// Which request it is, and since when.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    /// The request's id.
    pub id: &'a str,
    /// When its head was complete.
    pub at: Instant,
}

/// Stands before a port.
pub(super) struct Guard<P> {
    port: P,
    in_flight: Option<InFlight>,
}

impl<P: Port> Guard<P> {
    /// Lets everything through.
    pub(super) fn new(port: P) -> Self {
        Self { port, in_flight: None }
    }

    /// Lets at most `limit` requests through at once, and turns others away before any work.
    pub(super) fn with_limit(port: P, limit: usize) -> Self {
        Self { port, in_flight: Some(InFlight::new(limit)) }
    }
}

impl<P: Port> Handler for Guard<P> {
    async fn handle(&self, mut request: Request<Incoming>) -> Answer {
        let at = Instant::now();
        let id = request_id(request.headers());
        let (place, endpoint) = self.port.find(request.uri().path());
        hide(request.headers_mut());
        let span = tracing::info_span!("request", endpoint, request_id = id);
        let work = async {
            let permit = match &self.in_flight {
                None => None,
                Some(in_flight) => match in_flight.enter() {
                    None => return Problem::Overloaded.answer(&id),
                    permit => permit,
                },
            };
            let answer = self.port.answer(place, request, Arrival { id: &id, at });
            let answer = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
                // Not what it panicked with: that may quote anything.
                tracing::error!(request_id = id, "the gateway panicked; this is a bug");
                Problem::Internal.answer(&id)
            });
            drop(permit);
            tell(&id, endpoint, answer.status(), at);
            answer
        };
        let mut answer = work.instrument(span).await;
        count(endpoint, answer.status(), at);
        if let Ok(id) = HeaderValue::try_from(id) {
            answer.headers_mut().insert(X_REQUEST_ID, id);
        }
        answer
    }
}

/// The id that the sender gave, if it can stand in logs, headers and URIs as it is; else a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane) {
        Some(id) => id.to_owned(),
        None => Uuid::new_v4().to_string(),
    }
}

/// Makes every header value print as "Sensitive". Which of them are secret only their verifiers know.
fn hide(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        value.set_sensitive(true);
    }
}

fn tell(request_id: &str, endpoint: &str, status: StatusCode, at: Instant) {
    let milliseconds = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status.is_success() {
        tracing::debug!(request_id, endpoint, status = status.as_u16(), milliseconds, "answered");
    } else {
        tracing::info!(request_id, endpoint, status = status.as_u16(), milliseconds, "answered");
    }
}

fn count(endpoint: &'static str, status: StatusCode, at: Instant) {
    let status = label(status);
    metrics::counter!("gateway_http_requests_total", "endpoint" => endpoint, "status" => status).increment(1);
    metrics::histogram!("gateway_http_request_duration_seconds", "endpoint" => endpoint).record(at.elapsed());
}

/// A status as a label that costs no allocation. Every status that `answer` makes is here.
fn label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        400 => "400",
        401 => "401",
        404 => "404",
        405 => "405",
        408 => "408",
        413 => "413",
        415 => "415",
        503 => "503",
        _ => "other",
    }
}

/// Counts requests in flight, and knows when it is enough.
struct InFlight {
    free: Semaphore,
    gauge: metrics::Gauge,
    shed: metrics::Counter,
}

/// One request's place.
struct Place<'a> {
    _permit: SemaphorePermit<'a>,
    gauge: &'a metrics::Gauge,
}

impl InFlight {
    fn new(limit: usize) -> Self {
        Self {
            free: Semaphore::new(limit.min(Semaphore::MAX_PERMITS)),
            gauge: metrics::gauge!("gateway_http_in_flight"),
            shed: metrics::counter!("gateway_http_shed_total"),
        }
    }

    /// A place, or none: nobody waits, as the sender's redelivery is the queue.
    fn enter(&self) -> Option<Place<'_>> {
        let Ok(permit) = self.free.try_acquire() else {
            self.shed.increment(1);
            return None;
        };
        self.gauge.increment(1.0);
        Some(Place { _permit: permit, gauge: &self.gauge })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(sent.as_bytes()).unwrap());
        request_id(&headers)
    }

    #[test]
    fn a_sane_id_is_taken_over() {
        for sane in ["a", "0f1e-AB_c.9", &"x".repeat(LONGEST_ID)] {
            assert_eq!(id_for(sane), sane);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        for odd in ["", "a b", "a\"b", "a%0d", "ann@example.com", "ü", &"x".repeat(LONGEST_ID + 1)] {
            let id = id_for(odd);
            assert!(Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 4), "{odd:?} -> {id:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn headers_do_not_print() {
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", HeaderValue::from_static("canary"));
        hide(&mut headers);
        assert!(!format!("{headers:?}").contains("canary"));
    }
}
