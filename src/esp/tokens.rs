//! `OAuth2` tokens, as any system gives them: one for all calls, fetched by one caller at a time, and given up when a call with
//! it is refused. How one is asked for is each provider's own.

use crate::upstream::{Deadline, Fault};
use http::HeaderValue;
use secrecy::SecretString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long no new token is asked for after a fresh one was refused: a person must act first.
const REST_AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// A token.
pub struct Token {
    /// As a header takes it.
    pub bearer: HeaderValue,
    /// As it was given.
    pub text: SecretString,
    /// What it may do, as far as the answer said.
    pub scope: Option<String>,
    renew: Instant,
    end: Instant,
    /// Whether a call with it was let through.
    proven: AtomicBool,
}

impl Token {
    /// A token that is to be renewed at one time and ends at another.
    ///
    /// # Errors
    /// It has what no header can.
    pub fn new(text: String, scope: Option<String>, renew: Instant, end: Instant) -> Result<Self, Fault> {
        let unusable = Fault::Unavailable { cause: "answer_not_understood" };
        let mut bearer = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| unusable)?;
        bearer.set_sensitive(true);
        Ok(Self { bearer, text: text.into(), scope, renew, end, proven: AtomicBool::new(false) })
    }

    /// A call with it was let through.
    pub fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }
}

/// Holds the token of one set of credentials. A clone holds the same.
#[derive(Clone, Default)]
pub struct Keeper {
    held: Arc<Mutex<Held>>,
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Held {
    token: Option<Arc<Token>>,
    refused_until: Option<Instant>,
}

impl Keeper {
    /// A token that is good still; `fetch` is begun only where a new one is needed. While one caller renews it early, the others
    /// go on with the one that is held.
    ///
    /// # Errors
    /// What `fetch` failed with, if none is held; or a fresh one was refused a moment ago.
    pub async fn get(
        &self,
        deadline: Deadline,
        fetch: impl Future<Output = Result<Token, Fault>>,
    ) -> Result<Arc<Token>, Fault> {
        let now = Instant::now();
        let held = self.current(now)?;
        if let Some(token) = &held
            && now < token.renew
        {
            return Ok(Arc::clone(token));
        }
        let turn = match held {
            Some(token) => match self.fetching.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(token),
            },
            None => tokio::time::timeout_at(deadline.at(), self.fetching.lock())
                .await
                .map_err(|_| Fault::DeadlineReached)?,
        };
        // Whoever had the turn before may have fetched one.
        let held = self.current(Instant::now())?;
        let token = match held {
            Some(token) if Instant::now() < token.renew => token,
            held => match (fetch.await, held) {
                (Ok(token), _) => {
                    let token = Arc::new(token);
                    self.lock().token = Some(Arc::clone(&token));
                    token
                }
                // Renewed early, so there is time to try again.
                (Err(_), Some(token)) => token,
                (Err(fault), None) => return Err(fault),
            },
        };
        drop(turn);
        Ok(token)
    }

    /// A call with this token was refused for it. Returns whether another one may be tried: not if it was fresh, as the
    /// next would fare no better.
    pub fn refused(&self, token: &Arc<Token>) -> bool {
        let mut held = self.lock();
        let was_good = token.proven.load(Ordering::Relaxed);
        if held.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token)) {
            held.token = None;
            if !was_good {
                held.refused_until = Some(Instant::now() + REST_AFTER_REFUSAL);
            }
        }
        was_good
    }

    fn current(&self, now: Instant) -> Result<Option<Arc<Token>>, Fault> {
        let held = self.lock();
        if held.refused_until.is_some_and(|until| now < until) {
            return Err(Fault::Configuration { code: 401 });
        }
        Ok(held.token.clone().filter(|token| now < token.end))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
