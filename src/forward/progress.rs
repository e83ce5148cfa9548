//! How far a callback had come whose redelivery is awaited.
//!
//! A body of a thousand events may take longer than its sender waits for. What was done stays done, but to find that out
//! each account would be read again at every redelivery, and a slow Gigya might never let one come to its end. So this
//! replica remembers, of bodies that it answered 503, which events it had settled. It is a saving of calls and nothing
//! else: a body that it doesn't know is worked on from the beginning, with the same end. Told apart by their bytes,
//! events are never taken for others that only look alike.

use super::effect::RouteEffect;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a redelivery is awaited. Senders try again within minutes, later at most once an hour.
const AWAITED: Duration = Duration::from_hours(2);
/// The most bodies remembered; of more, the oldest is forgotten.
const MOST: usize = 200;

/// What became of one event: an effect for each route that it concerns.
pub type Settled = Vec<RouteEffect>;

/// The events of one body that are settled, by their place in it.
pub type Done = HashMap<usize, Settled>;
type Awaited = HashMap<BodyDigest, (Instant, Done)>;

/// The bodies whose redelivery is awaited.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Awaited>);

/// Which body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// Of a body to one connection.
    pub fn of(connection: &str, body: &[u8]) -> Self {
        Self(Sha256::new().chain_update(connection).chain_update([0]).chain_update(body).finalize().into())
    }
}

impl Progress {
    /// The events that were settled before.
    pub fn of(&self, body: BodyDigest, now: Instant) -> Done {
        let all = self.lock();
        let known = all.get(&body).filter(|(until, _)| now < *until);
        known.map(|(_, settled)| settled.clone()).unwrap_or_default()
    }

    /// Remembers what is settled of a body that will come again.
    pub fn remember(&self, body: BodyDigest, settled: Done, now: Instant) {
        let mut all = self.lock();
        all.retain(|_, (until, _)| now < *until);
        if all.len() >= MOST
            && !all.contains_key(&body)
            && let Some(oldest) = all.iter().min_by_key(|(_, (until, _))| *until).map(|(body, _)| *body)
        {
            all.remove(&oldest);
        }
        all.insert(body, (now + AWAITED, settled));
    }

    /// A body that won't come again.
    pub fn forget(&self, body: BodyDigest) {
        self.lock().remove(&body);
    }

    fn lock(&self) -> MutexGuard<'_, Awaited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;

    fn settled() -> Done {
        HashMap::from([(7, vec![RouteEffect::nowhere(Outcome::Applied)])])
    }

    #[test]
    fn a_body_is_known_by_its_bytes_and_its_connection() {
        let (progress, now) = (Progress::default(), Instant::now());
        progress.remember(BodyDigest::of("crm", b"body"), settled(), now);
        assert!(progress.of(BodyDigest::of("crm", b"body"), now).contains_key(&7));
        assert!(progress.of(BodyDigest::of("crm", b"bodz"), now).is_empty());
        assert!(progress.of(BodyDigest::of("news", b"body"), now).is_empty());
        progress.forget(BodyDigest::of("crm", b"body"));
        assert!(progress.of(BodyDigest::of("crm", b"body"), now).is_empty());
    }

    #[test]
    fn it_is_forgotten_after_a_time_and_when_there_are_too_many() {
        let (progress, now) = (Progress::default(), Instant::now());
        let body = |number: usize| BodyDigest::of("crm", &number.to_be_bytes());
        progress.remember(body(0), settled(), now);
        assert!(progress.of(body(0), now + AWAITED).is_empty());
        for number in 1..=MOST {
            progress.remember(body(number), settled(), now + Duration::from_secs(1));
        }
        assert!(progress.of(body(0), now).is_empty());
        assert!(!progress.of(body(MOST), now).is_empty());
        assert_eq!(progress.lock().len(), MOST);
    }
}
