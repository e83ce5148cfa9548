//! How a simulated system fails: how often, in which ways, how slowly. And how often it was called.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How a system is doing. Shares are of all calls, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// The least time that an answer takes.
    pub latency: Duration,
    /// How much longer it may take, evenly spread.
    pub jitter: Duration,
    /// Answered 500 before anything was done.
    pub error: f64,
    /// Answered 500 after it was done.
    pub error_after: f64,
    /// Answered with the system's own way of saying "too fast".
    pub too_fast: f64,
    /// Never answered, and not done.
    pub hang: f64,
    /// The connection breaks before anything was done.
    pub reset: f64,
    /// The connection breaks after it was done.
    pub reset_after: f64,
    /// Nothing is answered but 503.
    pub down: bool,
}

impl Weather {
    /// Fails a share of calls, in all ways alike.
    #[must_use]
    pub fn stormy(share: f64) -> Self {
        let each = share / 6.0;
        Self {
            error: each,
            error_after: each,
            too_fast: each,
            hang: each,
            reset: each,
            reset_after: each,
            ..Self::default()
        }
    }
}

/// One simulated system's failures and calls. Clones are the same.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    weather: Weather,
    chance: fastrand::Rng,
    calls: BTreeMap<String, u64>,
    /// By operation, the number of the call whose answer is lost.
    lost: BTreeMap<String, u64>,
    failed: u64,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Well,
    Error,
    ErrorAfter,
    TooFast,
    Hang,
    Reset,
    ResetAfter,
    Down,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        let chance = fastrand::Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(Inner {
            weather: Weather::default(),
            chance,
            calls: BTreeMap::new(),
            lost: BTreeMap::new(),
            failed: 0,
        })))
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// The weather now.
    #[must_use]
    pub fn weather(&self) -> Weather {
        self.lock().weather
    }

    /// Takes the system down, or up again.
    pub fn set_down(&self, down: bool) {
        self.lock().weather.down = down;
    }

    /// Loses the answer to a call to come: 1 is the next one of this operation. It is done, and then the connection breaks.
    pub fn lose_answer(&self, operation: &str, nth: u64) {
        let mut inner = self.lock();
        let number = inner.calls.get(operation).copied().unwrap_or(0) + nth;
        inner.lost.insert(operation.to_owned(), number);
    }

    /// How often an operation was called, whatever became of it.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.lock().calls.get(operation).copied().unwrap_or(0)
    }

    /// How often anything was called.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.lock().calls.values().sum()
    }

    /// How many calls were made to fail.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.lock().failed
    }

    /// Counts a call, and decides what happens to it and how long it takes.
    pub(super) fn draw(&self, operation: &str) -> (Fate, Duration) {
        let mut inner = self.lock();
        *inner.calls.entry(operation.to_owned()).or_default() += 1;
        let weather = inner.weather;
        let latency = weather.latency + weather.jitter.mul_f64(inner.chance.f64());
        let mut roll = inner.chance.f64();
        let shares = [
            (weather.error, Fate::Error),
            (weather.error_after, Fate::ErrorAfter),
            (weather.too_fast, Fate::TooFast),
            (weather.hang, Fate::Hang),
            (weather.reset, Fate::Reset),
            (weather.reset_after, Fate::ResetAfter),
        ];
        let mut fate = if weather.down { Fate::Down } else { Fate::Well };
        for (share, other) in shares {
            if fate == Fate::Well && roll < share {
                fate = other;
            }
            roll -= share;
        }
        if inner.lost.get(operation) == inner.calls.get(operation) {
            fate = Fate::ResetAfter;
        }
        inner.failed += u64::from(fate != Fate::Well);
        (fate, latency)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Lets a call meet its fate: `work` does it, `too_fast` is the system's own refusal.
pub(super) async fn meet(
    (fate, latency): (Fate, Duration),
    work: impl FnOnce() -> Response<Body>,
    too_fast: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match fate {
        Fate::Well => work(),
        Fate::Error => plain(StatusCode::INTERNAL_SERVER_ERROR),
        Fate::Down => plain(StatusCode::SERVICE_UNAVAILABLE),
        Fate::ErrorAfter => {
            drop(work());
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Fate::TooFast => too_fast(),
        Fate::Hang => std::future::pending().await,
        Fate::Reset => broken(),
        Fate::ResetAfter => {
            drop(work());
            broken()
        }
    }
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from("the simulated system is failing"));
    *response.status_mut() = status;
    response
}

/// A body that ends in an error: the server cuts the connection.
fn broken() -> Response<Body> {
    let cut = futures_util::stream::once(async { Err::<Vec<u8>, _>(std::io::Error::other("cut")) });
    Response::new(Body::from_stream(cut))
}
