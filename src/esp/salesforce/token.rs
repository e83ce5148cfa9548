//! `OAuth2`: one token for all calls, fetched by one caller at a time; with client credentials, or with a signed JWT.
//!
//! Source: vendor pages "OAuth 2.0 Client Credentials Flow for Server-to-Server Integration" and "OAuth 2.0 JWT Bearer Flow".
//! Answers don't say for how long a token lasts, so that is a setting, and a call that is refused gets another one.

use crate::config::salesforce::{Salesforce as Settings, SalesforceAuth};
use crate::esp::tokens::{Keeper, Token};
use crate::upstream::{Attempts, Deadline, Fault, Health, Transport, Upstream, Verdict};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::form_urlencoded;

/// For how long a JWT is good, in seconds: a few minutes are asked for.
const JWT_LASTS: i64 = 180;

/// Where tokens come from.
pub struct Tokens {
    upstream: Upstream,
    url: String,
    client_id: SecretString,
    auth: SalesforceAuth,
    lifetime: Duration,
    keeper: Keeper,
}

#[derive(Deserialize)]
struct WireToken {
    access_token: String,
}

impl Tokens {
    /// Tokens for one organization.
    pub fn new(settings: &Settings, transport: Arc<dyn Transport>) -> Self {
        Self {
            upstream: Upstream::new(format!("salesforce/{}/auth", settings.name), transport, &settings.common),
            url: format!("{}/services/oauth2/token", settings.base_url.as_str().trim_end_matches('/')),
            client_id: settings.client_id.clone(),
            auth: settings.auth.clone(),
            lifetime: settings.token_lifetime,
            keeper: Keeper::default(),
        }
    }

    /// How the host is doing counts on, if it is the same. The next call gets a token of its own.
    pub fn succeeding(mut self, former: &Self) -> Self {
        if self.url == former.url {
            self.upstream = self.upstream.succeeding(&former.upstream);
        }
        self
    }

    /// Whether tokens can be had.
    pub fn health(&self) -> Health {
        self.upstream.health()
    }

    /// A token that is good still.
    pub async fn get(&self, deadline: Deadline) -> Result<Arc<Token>, Fault> {
        self.keeper.get(deadline, self.fetch(deadline)).await
    }

    /// A call with this token was refused for it. Returns whether another one may be tried.
    pub fn refused(&self, token: &Arc<Token>) -> bool {
        self.keeper.refused(token)
    }

    async fn fetch(&self, deadline: Deadline) -> Result<Token, Fault> {
        let form = self.form()?;
        let build = || {
            Request::builder()
                .method(Method::POST)
                .uri(&self.url)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ACCEPT, "application/json")
                .body(Bytes::from(form.expose_secret().to_owned()))
                .expect("the base URL was checked when the configuration was")
        };
        let asked = Instant::now();
        let judge = |response: &Response<Bytes>| self.judge(response);
        let wire = self.upstream.call("token", Attempts::Few, deadline, build, judge).await?;
        let end = asked + self.lifetime;
        Token::new(wire.access_token, None, end, end)
    }

    fn form(&self) -> Result<SecretString, Fault> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &self.auth {
            SalesforceAuth::ClientCredentials(secret) => {
                form.append_pair("grant_type", "client_credentials")
                    .append_pair("client_id", self.client_id.expose_secret())
                    .append_pair("client_secret", secret.expose_secret());
            }
            SalesforceAuth::JwtBearer { username, private_key, login_url } => {
                let claims = json!({
                    "iss": self.client_id.expose_secret(), "sub": username, "aud": login_url,
                    "exp": Timestamp::now().as_second() + JWT_LASTS,
                });
                let key = EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes());
                let signed = key.and_then(|key| jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key));
                let assertion = signed.map_err(|_| Fault::Configuration { code: 0 })?;
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                    .append_pair("assertion", &assertion);
            }
        }
        Ok(form.finish().into())
    }

    fn judge(&self, response: &Response<Bytes>) -> Verdict<WireToken> {
        if response.status() == StatusCode::OK {
            return match serde_json::from_slice(response.body()) {
                Ok(token) => Verdict::Answer(token),
                Err(_) => Verdict::Fail(Fault::Unavailable { cause: "answer_not_understood" }),
            };
        }
        if let Some(verdict) = Verdict::of_status(response) {
            return verdict;
        }
        let code = i64::from(response.status().as_u16());
        let hint =
            "check base_url, client_id and client_secret or private_key, and that the app lets this flow be used";
        tracing::error!(upstream = self.upstream.name(), code, hint, "Salesforce gives no token");
        Verdict::Fail(Fault::Configuration { code })
    }
}
