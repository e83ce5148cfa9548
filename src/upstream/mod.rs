//! One outbound call: deadline, retry, pace, breaker, transport.
//!
//! `gigya` and the providers in `esp` build requests and judge answers; everything between the two is
//! here. A request that failed in a way that can pass is tried again, few times, with jitter, and never
//! past the deadline that the whole webhook shares; an upstream that keeps failing is left alone for a
//! while, so that senders hear 503 at once. Imports `telemetry`, `config` and `domain`.

mod breaker;
mod clock;
mod deadline;
mod fault;
mod health;
mod pace;
mod trail;
mod transport;

pub use breaker::{Breaker, BreakerState};
pub use clock::WallClock;
pub use deadline::Deadline;
pub use fault::Fault;
pub use health::{Health, LastError};
pub use pace::Pace;
pub use trail::{CallId, followed, note};
pub use transport::{HttpTransport, Transport, TransportError};

use crate::config::Common;
use crate::mutation::{self, Mutation};
use crate::telemetry::metrics::{self as meter, UpstreamMeter, Wait};
use crate::telemetry::traces;
use ::metrics::Gauge;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, join, join_all};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::Instrument;

/// The first pause before trying again; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often an attempt is made again that the other side didn't take up.
const MOST_AGAIN: usize = 2;
/// How many headers a request has room for.
const HEADERS: usize = 6;
/// The longest pause that is kept though the system asks for more: then it is asked again.
const LONGEST_TOLD: Duration = Duration::from_mins(5);
/// The longest pause that the gateway chooses itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One outside system, as seen by whoever calls it.
pub struct Upstream {
    name: String,
    transport: Arc<dyn Transport>,
    breaker: Arc<Breaker>,
    pace: Arc<Pace>,
    permits: Arc<Semaphore>,
    max_concurrent_calls: usize,
    max_calls_per_minute: usize,
    attempt_timeout: Duration,
    meter: UpstreamMeter,
    record: Arc<health::Record>,
}

/// How often a call may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Once: for a write that must not be repeated without looking again first. (What wasn't taken up wasn't tried.)
    Once,
    /// A few times: for calls that end in the same state however often they are made.
    Few,
}

impl Attempts {
    fn limit(self) -> u32 {
        match self {
            Self::Once if mutation::is(Mutation::RepeatOptIns) => Self::Few.limit(),
            Self::Once => 1,
            Self::Few => 4,
        }
    }
}

/// What an answer means, as judged by who knows the system.
#[derive(Debug)]
pub enum Verdict<T> {
    /// The call is done.
    Answer(T),
    /// It failed in a way that can pass.
    Again(Again),
    /// Trying again will not help.
    Fail(Fault),
}

/// A failure that can pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The system is failing; `code` is its own code or the HTTP status.
    Failing {
        /// The system's own code or the HTTP status.
        code: i64,
    },
    /// The system is well and refuses for now: two writers at once, data not ready yet.
    Busy {
        /// The system's own code or the HTTP status.
        code: i64,
    },
    /// The system asks everybody to slow down, and doesn't say for how long.
    TooFast,
    /// The system asks to slow down: everybody, if it says for how long.
    SlowDown {
        /// How long it asked to wait.
        wait: Option<Duration>,
    },
}

impl<T> Verdict<T> {
    /// Judges by HTTP status alone what every system means alike: 429 and 5xx. `None` for the rest.
    #[must_use]
    pub fn of_status(response: &Response<Bytes>) -> Option<Self> {
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => Some(Self::Again(Again::SlowDown { wait: retry_after(response) })),
            StatusCode::REQUEST_TIMEOUT => Some(Self::Again(Again::Failing { code: 408 })),
            status if status.is_server_error() => match retry_after(response) {
                Some(wait) => Some(Self::Again(Again::SlowDown { wait: Some(wait) })),
                None => Some(Self::Again(Again::Failing { code: i64::from(status.as_u16()) })),
            },
            _ => None,
        }
    }
}

/// `Retry-After` in seconds; its other form, a date, is not used by the systems we call and is ignored.
fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_TOLD))
}

impl Upstream {
    /// `name` is what logs and metrics call it: `gigya/main`.
    #[must_use]
    pub fn new(name: String, transport: Arc<dyn Transport>, common: &Common) -> Self {
        meter::breaker_state(&name, BreakerState::Closed as u8);
        Self {
            meter: UpstreamMeter::new(&name),
            record: Arc::default(),
            name,
            transport,
            breaker: Arc::default(),
            pace: Arc::new(Pace::new(common.max_calls_per_minute)),
            permits: Arc::new(Semaphore::new(common.max_concurrent_calls)),
            max_concurrent_calls: common.max_concurrent_calls,
            max_calls_per_minute: common.max_calls_per_minute,
            attempt_timeout: common.attempt_timeout,
        }
    }

    /// The same system with other settings or credentials: what `former` knows of how it is doing counts on, and what
    /// it was asked for in pace. Limits that are the same are kept by both together.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        self.breaker = Arc::clone(&former.breaker);
        self.record = Arc::clone(&former.record);
        self.pace = if self.max_calls_per_minute == former.max_calls_per_minute {
            Arc::clone(&former.pace)
        } else {
            Arc::new(former.pace.at_rate(self.max_calls_per_minute))
        };
        if self.max_concurrent_calls == former.max_concurrent_calls {
            self.permits = Arc::clone(&former.permits);
        }
        meter::breaker_state(&self.name, self.breaker_state() as u8);
        self
    }

    /// Makes one call: `build` makes the request, anew each time that it is sent; `judge` says what an answer means.
    ///
    /// # Errors
    /// What `judge` failed it with, or what stood in the way until the deadline or the last attempt.
    pub async fn call<T: Send>(
        &self,
        operation: &'static str,
        attempts: Attempts,
        deadline: Deadline,
        build: impl Fn() -> Request<Bytes> + Send + Sync,
        judge: impl Fn(&Response<Bytes>) -> Verdict<T> + Send + Sync,
    ) -> Result<T, Fault> {
        let mut attempt = 1;
        loop {
            let again = match self.attempt(operation, attempt, deadline, &build, &judge).await {
                Verdict::Answer(answer) => return Ok(answer),
                Verdict::Fail(fault) => return Err(fault),
                Verdict::Again(again) => again,
            };
            let pause = pause_before(attempt, again);
            if attempt >= attempts.limit() || !deadline.allows(pause) {
                return Err(again.into());
            }
            meter::upstream_retry(&self.name, operation);
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt<T: Send>(
        &self,
        operation: &'static str,
        attempt: u32,
        deadline: Deadline,
        build: &(impl Fn() -> Request<Bytes> + Send + Sync),
        judge: &(impl Fn(&Response<Bytes>) -> Verdict<T> + Send + Sync),
    ) -> Verdict<T> {
        let Some(turn) = self.pace.reserve(Instant::now(), deadline.at()) else {
            return Verdict::Fail(Fault::RateLimited);
        };
        if !turn.is_zero() {
            meter::upstream_waited(&self.name, Wait::Pace, turn);
            tokio::time::sleep(turn).await;
        }
        let Some(_permit) = self.place(deadline).await else {
            return Verdict::Fail(Fault::DeadlineReached);
        };
        let started = Instant::now();
        let Some(pass) = self.breaker.admit(started) else {
            return Verdict::Fail(Fault::Unavailable { cause: "breaker_open" });
        };
        let Some(left) = deadline.left_at(started) else {
            return Verdict::Fail(Fault::DeadlineReached);
        };
        let until = started + left.min(self.attempt_timeout);
        let mut request = build();
        let span = traces::attempt(&self.name, operation, attempt, request.method(), request.uri());
        let (mut again, mut sent) = (MOST_AGAIN, started);
        let answer = loop {
            traces::pass_on(&span, request.headers_mut());
            let _counted = Counted::begin(&self.meter.in_flight);
            let answering = self.transport.send(request, until.saturating_duration_since(sent));
            match answering.instrument(span.clone()).await {
                // Made anew rather than kept: it hardly ever happens.
                Err(TransportError::NotTakenUp) if again > 0 => {
                    (again, sent, request) = (again - 1, Instant::now(), build());
                }
                answer => break answer,
            }
        };
        let ended = Instant::now();
        let status = answer.as_ref().ok().map(Response::status);
        let (verdict, result, healthy) = match answer {
            Ok(response) => {
                let verdict = judge(&response);
                let (result, healthy) = match &verdict {
                    Verdict::Answer(_) => ("ok", true),
                    Verdict::Fail(_) => ("refused", true),
                    Verdict::Again(Again::SlowDown { .. } | Again::TooFast) => ("slow_down", true),
                    Verdict::Again(Again::Busy { .. }) => ("busy", true),
                    Verdict::Again(Again::Failing { .. }) => ("failing", false),
                };
                (verdict, result, healthy)
            }
            // The deadline cutting an attempt short says nothing about the other side's health.
            Err(TransportError::TimedOut) if left < self.attempt_timeout => {
                (Verdict::Fail(Fault::DeadlineReached), "cut_short", true)
            }
            Err(error) => {
                tracing::warn!(upstream = %self.name, operation, %error, "call failed");
                (Verdict::Again(Again::Failing { code: 0 }), error.label(), false)
            }
        };
        traces::attempted(&span, status, result);
        self.meter.called(operation, result, ended - started);
        self.remember(operation, &verdict, ended);
        // What one caller is told counts for all.
        match &verdict {
            Verdict::Again(Again::SlowDown { wait: Some(wait) }) => self.pace.rest(ended, *wait),
            Verdict::Again(Again::TooFast) => self.pace.refused(ended),
            Verdict::Answer(_) => self.pace.answered(),
            Verdict::Again(_) | Verdict::Fail(_) => {}
        }
        if pass.settle(healthy, ended) {
            let state = self.breaker_state();
            tracing::warn!(upstream = %self.name, ?state, "breaker changed");
            meter::breaker_state(&self.name, state as u8);
        }
        verdict
    }

    /// A place among the calls under way; `None` if there is none until the deadline.
    async fn place(&self, deadline: Deadline) -> Option<SemaphorePermit<'_>> {
        if let Ok(free) = self.permits.try_acquire() {
            return Some(free);
        }
        let began = Instant::now();
        let place = tokio::time::timeout_at(deadline.at(), self.permits.acquire()).await;
        meter::upstream_waited(&self.name, Wait::Queue, began.elapsed());
        place.ok().map(|permit| permit.expect("the semaphore is never closed"))
    }

    fn remember<T>(&self, operation: &'static str, verdict: &Verdict<T>, now: Instant) {
        let fault = match verdict {
            Verdict::Answer(_) => {
                self.meter.succeeded();
                return self.record.succeeded(now);
            }
            // It is well, and won't have the data, or says so that there is nobody: the event's outcome tells.
            Verdict::Fail(Fault::Refused { .. }) => return,
            Verdict::Fail(fault) => *fault,
            Verdict::Again(again) => (*again).into(),
        };
        self.record.failed(now, operation, fault.to_string());
    }

    /// How it is doing, as far as calls to it tell.
    #[must_use]
    pub fn health(&self) -> Health {
        self.record.health(&self.name, self.breaker_state(), Instant::now())
    }

    /// Whether calls are let through, wait, or are being tried again after a time of failures.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.state(Instant::now())
    }

    /// What logs and metrics call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// One attempt's place in the count of those under way.
struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn begin(gauge: &'a Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A request, with room for the headers that it gets on its way, too.
#[must_use]
pub fn request(method: Method, place: Uri, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = place;
    *request.headers_mut() = HeaderMap::with_capacity(HEADERS);
    request
}

/// Makes calls side by side and waits for all of them, though one has failed: an open breaker refuses all but one, and that
/// one must come to its end for it to close.
///
/// # Errors
/// The first fault, in the calls' order.
pub async fn all<T>(calls: impl IntoIterator<Item = impl Future<Output = Result<T, Fault>>>) -> Result<Vec<T>, Fault> {
    together(calls).await.into_iter().collect()
}

/// All of some work, done side by side; one piece alone without what that takes for many.
pub fn together<W: Future>(work: impl IntoIterator<Item = W>) -> impl Future<Output = Vec<W::Output>> {
    let mut work = work.into_iter();
    match (work.next(), work.next()) {
        (Some(alone), None) => Either::Left(alone.map(|done| vec![done])),
        (first, second) => Either::Right(join_all(first.into_iter().chain(second).chain(work))),
    }
}

/// The same for two calls of different kinds.
///
/// # Errors
/// The first fault, in the calls' order.
pub async fn both<A, B>(
    first: impl Future<Output = Result<A, Fault>>,
    second: impl Future<Output = Result<B, Fault>>,
) -> Result<(A, B), Fault> {
    let (first, second) = join(first, second).await;
    Ok((first?, second?))
}

/// Full jitter: anywhere between nothing and the step's length, so that many callers spread out. A wait that
/// the system asked for is kept, with a little added for the same reason.
fn pause_before(attempt: u32, again: Again) -> Duration {
    let step = FIRST_PAUSE.saturating_mul(1 << attempt.min(8)).min(LONGEST_PAUSE);
    let jitter = step.mul_f64(fastrand::f64());
    match again {
        Again::SlowDown { wait: Some(wait) } => wait + jitter,
        _ => jitter,
    }
}

#[cfg(test)]
mod tests;
