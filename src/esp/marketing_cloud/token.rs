//! `OAuth2` client credentials: one token for all calls, fetched by one caller at a time, before it ends.
//!
//! Source: vendor page "Get an Access Token for a Server-to-Server Integration". The vendor asks for about one token in
//! 20 minutes, and limits the endpoint. `scope` is left out: an empty one would be a token without rights.

use super::rest;
use crate::config::MarketingCloud as Settings;
use crate::upstream::{Attempts, Deadline, Fault, Health, Transport, Upstream, Verdict};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A token is renewed this long before it ends, or after four fifths of its time if that is sooner.
const EARLY: Duration = Duration::from_mins(2);
/// How long a token is taken to last that doesn't say.
const UNTOLD: Duration = Duration::from_mins(1);
/// The longest that a token is taken to last, whatever is said: some 20 minutes are documented.
const LONGEST: Duration = Duration::from_hours(24);
/// How long no new token is asked for after a fresh one was refused: a person must act first.
const REST_AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// A token.
pub struct Token {
    /// As REST takes it.
    pub bearer: HeaderValue,
    /// As SOAP takes it.
    pub text: SecretString,
    /// What it may do, as the answer says.
    pub scope: Option<String>,
    renew: Instant,
    end: Instant,
    /// Whether a call with it was let through.
    proven: AtomicBool,
}

impl Token {
    /// A call with it was let through.
    pub fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }
}

/// Where tokens come from.
pub struct Tokens {
    upstream: Upstream,
    url: String,
    request: SecretString,
    held: Arc<Mutex<Held>>,
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Held {
    token: Option<Arc<Token>>,
    refused_until: Option<Instant>,
}

#[derive(Deserialize)]
struct WireToken {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
}

impl Tokens {
    /// Tokens for one business unit.
    pub fn new(settings: &Settings, transport: Arc<dyn Transport>) -> Self {
        let request = json!({
            "grant_type": "client_credentials", "client_id": settings.client_id.expose_secret(),
            "client_secret": settings.client_secret.expose_secret(), "account_id": settings.account_id,
        });
        Self {
            upstream: Upstream::new(format!("marketing-cloud/{}/auth", settings.name), transport, &settings.common),
            url: format!("{}/v2/token", settings.auth_base_url.as_str().trim_end_matches('/')),
            request: request.to_string().into(),
            held: Arc::default(),
            fetching: Arc::default(),
        }
    }

    /// How the host is doing counts on, if it is the same; the token that is held, too, if the same credentials got it.
    pub fn succeeding(mut self, former: &Self) -> Self {
        if self.url == former.url {
            self.upstream = self.upstream.succeeding(&former.upstream);
            if self.request.expose_secret() == former.request.expose_secret() {
                self.held = Arc::clone(&former.held);
                self.fetching = Arc::clone(&former.fetching);
            }
        }
        self
    }

    /// Whether tokens can be had.
    pub fn health(&self) -> Health {
        self.upstream.health()
    }

    /// A token that is good still. While one caller renews it early, the others go on with the one that is held.
    pub async fn get(&self, deadline: Deadline) -> Result<Arc<Token>, Fault> {
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
            held => match (self.fetch(deadline).await, held) {
                (Ok(token), _) => {
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

    fn current(&self, now: Instant) -> Result<Option<Arc<Token>>, Fault> {
        let held = self.lock();
        if held.refused_until.is_some_and(|until| now < until) {
            return Err(Fault::Configuration { code: 401 });
        }
        Ok(held.token.clone().filter(|token| now < token.end))
    }

    /// A call with this token was refused for it. Returns whether another one may be tried: not if it was fresh, as the
    /// next would fare no better.
    pub fn refused(&self, token: &Arc<Token>) -> bool {
        let mut held = self.lock();
        if held.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token)) {
            held.token = None;
            if !token.proven.load(Ordering::Relaxed) {
                held.refused_until = Some(Instant::now() + REST_AFTER_REFUSAL);
            }
        }
        token.proven.load(Ordering::Relaxed)
    }

    async fn fetch(&self, deadline: Deadline) -> Result<Arc<Token>, Fault> {
        let build = || {
            Request::builder()
                .method(Method::POST)
                .uri(&self.url)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Bytes::from(self.request.expose_secret().to_owned()))
                .expect("the base URL was checked when the configuration was")
        };
        let asked = Instant::now();
        let judge = |response: &Response<Bytes>| self.judge(response);
        let wire = self.upstream.call("token", Attempts::Few, deadline, build, judge).await?;
        let unusable = Fault::Unavailable { cause: "answer_not_understood" };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", wire.access_token)).map_err(|_| unusable)?;
        bearer.set_sensitive(true);
        let lasts = wire.expires_in.map_or(UNTOLD, |seconds| Duration::from_secs(seconds).min(LONGEST));
        Ok(Arc::new(Token {
            bearer,
            text: wire.access_token.into(),
            scope: wire.scope,
            renew: asked + lasts.saturating_sub(EARLY.min(lasts / 5)),
            end: asked + lasts,
            proven: AtomicBool::new(false),
        }))
    }

    fn judge(&self, response: &Response<Bytes>) -> Verdict<WireToken> {
        if response.status() == StatusCode::OK {
            return match serde_json::from_slice(response.body()) {
                Ok(token) => Verdict::Answer(token),
                Err(_) => Verdict::Fail(Fault::Unavailable { cause: "answer_not_understood" }),
            };
        }
        if let Some(verdict) = rest::pace(response) {
            return verdict;
        }
        let code = i64::from(response.status().as_u16());
        let hint = "check client_id, client_secret, account_id and the subdomain";
        tracing::error!(upstream = self.upstream.name(), code, hint, "Marketing Cloud gives no token");
        Verdict::Fail(Fault::Configuration { code })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
