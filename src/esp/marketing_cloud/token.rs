//! `OAuth2` client credentials: one token for all calls, fetched by one caller at a time, before it ends.
//!
//! Source: vendor page "Get an Access Token for a Server-to-Server Integration". The vendor asks for about one token in
//! 20 minutes, and limits the endpoint. `scope` is left out: an empty one would be a token without rights.

use super::rest;
use crate::config::MarketingCloud as Settings;
use crate::esp::tokens::{Keeper, Token};
use crate::upstream::{Attempts, Deadline, Fault, Health, Transport, Upstream, Verdict};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A token is renewed this long before it ends, or after four fifths of its time if that is sooner.
const EARLY: Duration = Duration::from_mins(2);
/// How long a token is taken to last that doesn't say.
const UNTOLD: Duration = Duration::from_mins(1);
/// The longest that a token is taken to last, whatever is said: some 20 minutes are documented.
const LONGEST: Duration = Duration::from_hours(24);
/// Where tokens come from.
pub struct Tokens {
    upstream: Upstream,
    url: String,
    request: SecretString,
    keeper: Keeper,
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
            keeper: Keeper::default(),
        }
    }

    /// How the host is doing counts on, if it is the same; the token that is held, too, if the same credentials got it.
    pub fn succeeding(mut self, former: &Self) -> Self {
        if self.url == former.url {
            self.upstream = self.upstream.succeeding(&former.upstream);
            if self.request.expose_secret() == former.request.expose_secret() {
                self.keeper = former.keeper.clone();
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
        self.keeper.get(deadline, self.fetch(deadline)).await
    }

    /// A call with this token was refused for it. Returns whether another one may be tried.
    pub fn refused(&self, token: &Arc<Token>) -> bool {
        self.keeper.refused(token)
    }

    async fn fetch(&self, deadline: Deadline) -> Result<Token, Fault> {
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
        let lasts = wire.expires_in.map_or(UNTOLD, |seconds| Duration::from_secs(seconds).min(LONGEST));
        let renew = asked + lasts.saturating_sub(EARLY.min(lasts / 5));
        Token::new(wire.access_token, wire.scope, renew, asked + lasts)
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
}

#[cfg(test)]
mod tests;
