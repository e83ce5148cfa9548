//! The calls that the gateway makes to Gigya's REST API.
//!
//! Form posts; answers are judged by the `errorCode` in the body, as HTTP status is 200 even on errors.

use super::account::{Account, Handle};
use super::auth::{Authenticator, BadCredentials, Form};
use super::envelope::Envelope;
use super::errors::{Meaning, meaning};
use super::keys::WireKeys;
use super::tag::OptInTag;
use crate::config::{self, GigyaEndpoint};
use crate::domain::{Email, SubscriptionId, Uid};
use crate::in_place::boxed;
use crate::upstream::{self, Again, Attempts, Deadline, Fault, Upstream, Verdict, WallClock};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, Uri, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicBool, Ordering};
use url::form_urlencoded;

/// What it is when an answer can't be read.
const NOT_UNDERSTOOD: Fault = Fault::Unavailable { cause: "answer_not_understood" };

/// What reads an account.
const READ: &str = "accounts.getAccountInfo";
/// What changes accounts, and whose ids receipts tell.
const WRITES: [&str; 2] = ["accounts.setAccountInfo", "accounts.unsubscribe"];
/// What to read of an account. Sent always, as its default has changed over time.
const INCLUDE: &str = "profile,emails,loginIDs,data,subscriptions,preferences";
/// About as long as a form is, in bytes; a longer one grows.
const FORM: usize = 512;
/// As many parameters as can be added to prove who calls.
const MOST_PROOFS: usize = 5;
/// The most accounts looked at that share one address.
const MAX_SHARING: usize = 20;

/// Calls one Gigya connection.
pub struct Client {
    upstream: Upstream,
    clock: WallClock,
    endpoint: GigyaEndpoint,
    /// Of [`READ`], which nearly all calls are.
    read: Place,
    auth: Authenticator,
    mute_webhooks: bool,
    default_api_key: String,
    /// Whether any call has succeeded: only then does an ambiguous refusal mean "no such account".
    proven: AtomicBool,
}

/// Where an operation is.
struct Place {
    url: String,
    uri: Uri,
}

impl Place {
    fn of(endpoint: &GigyaEndpoint, operation: &str) -> Self {
        let url = match endpoint {
            GigyaEndpoint::DataCenter(domain) => {
                let namespace = operation.split('.').next().unwrap_or("accounts");
                format!("https://{namespace}.{domain}/{operation}")
            }
            GigyaEndpoint::BaseUrl(base) => format!("{}/{operation}", base.as_str().trim_end_matches('/')),
        };
        let uri = url.parse().expect("the URL was checked when the configuration was");
        Self { url, uri }
    }
}

/// What reading an account gave.
#[derive(Debug)]
pub enum Reading {
    /// It can be read.
    Found(Box<Account>),
    /// There is none, or none anymore.
    NotFound,
}

#[derive(Deserialize)]
struct Rows {
    #[serde(default)]
    results: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct LiteToken {
    token: String,
}

/// A registration that was begun, and becomes an account with the first call that names an address.
#[derive(Deserialize)]
pub struct Registration {
    #[serde(rename = "regToken")]
    token: String,
}

/// How an answer was understood, before it is decided what to do about it.
enum Answer {
    Done(Bytes),
    NoSuchAccount,
    NoSuchAccountOrKey,
    Clock(Option<Timestamp>),
}

impl Client {
    /// A client for one connection.
    pub fn new(connection: &config::Gigya, upstream: Upstream, clock: WallClock) -> Result<Self, BadCredentials> {
        Ok(Self {
            upstream,
            clock,
            read: Place::of(&connection.endpoint, READ),
            endpoint: connection.endpoint.clone(),
            auth: Authenticator::new(&connection.auth)?,
            mute_webhooks: connection.mute_webhooks,
            default_api_key: connection.api_keys.first().cloned().unwrap_or_default(),
            proven: AtomicBool::new(false),
        })
    }

    /// The same site with other settings: how its API is doing counts on, if it is at the same place. What the
    /// credentials have proven doesn't.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        if self.endpoint == former.endpoint {
            self.upstream = self.upstream.succeeding(&former.upstream);
        }
        self
    }

    /// The connection as an upstream, for its health.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Reads an account by UID.
    pub async fn account(&self, uid: &Uid, api_key: Option<&str>, deadline: Deadline) -> Result<Reading, Fault> {
        self.read_account(by_uid(uid), None, None, api_key, deadline).await
    }

    /// Reads an email account by the token that `subscriptionUpdated` carries.
    pub async fn account_by_email_token(
        &self,
        token: &str,
        api_key: Option<&str>,
        deadline: Deadline,
    ) -> Result<Reading, Fault> {
        self.lite_account(("emailToken", token), api_key, deadline).await
    }

    /// Reads whatever account Gigya keeps for an address, by a lite token. Unlike a search, this knows of
    /// accounts made a moment ago.
    pub async fn account_by_email(&self, address: &Email, deadline: Deadline) -> Result<Reading, Fault> {
        self.lite_account(("email", address.expose()), None, deadline).await
    }

    /// Reads an account once more, the way it was read before. A token stands for an address, which may be another
    /// account's by now, or nobody's: then it is read by its UID.
    pub async fn account_again(
        &self,
        account: &Account,
        api_key: Option<&str>,
        deadline: Deadline,
    ) -> Result<Reading, Fault> {
        match &account.handle {
            Handle::Uid(uid) => self.read_account(by_uid(uid), None, Some(account), api_key, deadline).await,
            Handle::RegToken(token) => {
                let form = vec![("regToken", token.into()), ("include", INCLUDE.into())];
                match self.read_account(form, Some(token.clone()), Some(account), api_key, deadline).await? {
                    Reading::Found(same) if same.uid == account.uid => Ok(Reading::Found(same)),
                    Reading::Found(_) | Reading::NotFound => self.account(&account.uid, api_key, deadline).await,
                }
            }
        }
    }

    async fn lite_account(
        &self,
        (key, value): (&'static str, &str),
        api_key: Option<&str>,
        deadline: Deadline,
    ) -> Result<Reading, Fault> {
        let form = vec![(key, value.into())];
        let answer = self.call("accounts.getLiteToken", Attempts::Few, form, api_key, deadline).await;
        let Some(body) = missing_is_none(answer)? else { return Ok(Reading::NotFound) };
        let token = parse::<LiteToken>(&body)?.token;
        let form = vec![("regToken", token.clone().into()), ("include", INCLUDE.into())];
        self.read_account(form, Some(token), None, api_key, deadline).await
    }

    /// `before` is the account as this very call has read it before, if it has.
    async fn read_account(
        &self,
        form: Form<'_>,
        reg_token: Option<String>,
        before: Option<&Account>,
        api_key: Option<&str>,
        deadline: Deadline,
    ) -> Result<Reading, Fault> {
        let Some(body) = self.call(READ, Attempts::Few, form, api_key, deadline).await? else {
            return Ok(Reading::NotFound);
        };
        let text = std::str::from_utf8(&body).map_err(|_| NOT_UNDERSTOOD)?;
        if let Some(same) = before.and_then(|before| before.read_again(text)) {
            return Ok(Reading::Found(Box::new(same)));
        }
        let is_by_uid = reg_token.is_none();
        match Account::read(text, reg_token).map_err(|_| NOT_UNDERSTOOD)? {
            Some(account) => Ok(Reading::Found(Box::new(account))),
            // Not an answer about the account that was asked for: it says nothing, and never that there is none.
            None if is_by_uid => Err(Fault::Unavailable { cause: "answer_without_uid" }),
            None => Ok(Reading::NotFound),
        }
    }

    /// The accounts that had this address when the search index was last updated, full and lite. The index
    /// is late by nature: read each account again before acting on it.
    pub async fn search_by_address(&self, address: &Email, deadline: Deadline) -> Result<Vec<Account>, Fault> {
        self.search(&format!("profile.email = \"{}\"", quoted(address.expose())), deadline).await
    }

    /// What the search index still knows of a UID, perhaps of an account deleted a moment ago.
    pub async fn search_by_uid(&self, uid: &Uid, deadline: Deadline) -> Result<Vec<Account>, Fault> {
        self.search(&format!("UID = \"{}\"", quoted(uid.expose())), deadline).await
    }

    async fn search(&self, condition: &str, deadline: Deadline) -> Result<Vec<Account>, Fault> {
        const WHAT: &str = "UID,isActive,isRegistered,profile,emails,loginIDs,subscriptions";
        let query = format!("SELECT {WHAT} FROM accounts WHERE {condition} LIMIT {MAX_SHARING}");
        let form = vec![("query", query.into()), ("accountTypes", "full,lite".into())];
        let body = self.call("accounts.search", Attempts::Few, form, None, deadline).await?;
        let rows = body.map_or(Ok(Rows { results: Vec::new() }), |body| parse::<Rows>(&body))?;
        let accounts = rows.results.into_iter().filter_map(|row| Account::read(row.get(), None).transpose());
        accounts.collect::<Result<_, _>>().map_err(|_| NOT_UNDERSTOOD)
    }

    /// Sets one subscription of an account.
    pub async fn set_subscription(
        &self,
        account: &Account,
        id: &SubscriptionId,
        subscribed: bool,
        tag: Option<OptInTag>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let change = account.subscription_change(id, subscribed, tag).to_string();
        // An opt-in that may or may not have been written must be looked at again before it is repeated.
        let attempts = if subscribed { Attempts::Once } else { Attempts::Few };
        let by_uid = ("UID", account.uid.expose().into());
        // Whose address a token stands for may have got another one meanwhile.
        let handles = match &account.handle {
            Handle::Uid(_) => vec![by_uid],
            Handle::RegToken(token) => vec![("regToken", token.into()), by_uid],
        };
        for handle in handles {
            let mut form: Form<'_> = vec![handle, ("subscriptions", (&*change).into())];
            if self.mute_webhooks {
                form.push(("muteWebhooks", "true".into()));
            }
            if self.call("accounts.setAccountInfo", attempts, form, None, deadline).await?.is_some() {
                return Ok(());
            }
        }
        Err(Fault::Refused { code: 403_047 })
    }

    /// Opts an address out by `accounts.unsubscribe`, which needs no account to be found first. Returns
    /// whether Gigya knew the address and the subscription.
    pub async fn unsubscribe(&self, address: &Email, id: &SubscriptionId, deadline: Deadline) -> Result<bool, Fault> {
        let form = vec![("email", address.expose().into()), ("subscriptionID", id.as_str().into())];
        let answer = self.call("accounts.unsubscribe", Attempts::Few, form, None, deadline).await;
        Ok(missing_is_none(answer)?.is_some())
    }

    /// Begins the registration of a lite account. Nothing is there yet, and nothing stays if it isn't finished.
    pub async fn begin_lite_account(&self, deadline: Deadline) -> Result<Registration, Fault> {
        let form = vec![("isLite", "true".into())];
        let body = self.call("accounts.initRegistration", Attempts::Few, form, None, deadline).await?;
        parse(&body.ok_or(Fault::Refused { code: 403_047 })?)
    }

    /// Makes a lite account for an address that Gigya doesn't know, opted in to one subscription. Fires webhooks even where
    /// others are muted: by these the account's UID comes to the ESPs.
    pub async fn create_lite_account(
        &self,
        registration: Registration,
        address: &Email,
        id: &SubscriptionId,
        tag: OptInTag,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let form = vec![
            ("regToken", registration.token.into()),
            ("profile", serde_json::json!({ "email": address.expose() }).to_string().into()),
            ("subscriptions", tag.first_subscription(id).to_string().into()),
        ];
        // Whether it was made, if no answer comes, is seen by who looks for the account again.
        let done = self.call("accounts.setAccountInfo", Attempts::Once, form, None, deadline).await?;
        done.map(|_| ()).ok_or(Fault::Refused { code: 403_047 })
    }

    /// The keys with which Gigya signs webhooks. Needs no credentials, and sends none.
    pub(super) async fn public_keys(&self, api_key: &str, deadline: Deadline) -> Result<WireKeys, Fault> {
        let form = vec![("apiKey", api_key.into()), ("V2", "true".into())];
        let operation = "accounts.getJWTPublicKey";
        match self.send(operation, Attempts::Few, &form, None, deadline).await? {
            Answer::Done(body) => parse(&body),
            _ => Err(Fault::Configuration { code: 403_005 }),
        }
    }

    /// Makes one authenticated call. `None` where Gigya says that there is no such account.
    pub(super) async fn call(
        &self,
        operation: &'static str,
        attempts: Attempts,
        form: Form<'_>,
        api_key: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<Bytes>, Fault> {
        let api_key = api_key.unwrap_or(&self.default_api_key);
        // On the heap while it lasts: what holds it, and is held by thousands of events, stays small for the rest of their time.
        match boxed(|| self.call_signed(operation, attempts, &form, api_key, deadline)).await? {
            Answer::Done(body) => {
                self.proven.store(true, Ordering::Relaxed);
                Ok(Some(body))
            }
            Answer::NoSuchAccount => Ok(None),
            Answer::NoSuchAccountOrKey if Box::pin(self.is_proven(api_key, deadline)).await? => Ok(None),
            Answer::NoSuchAccountOrKey => Err(Fault::Configuration { code: 403_005 }),
            Answer::Clock(_) => Err(Fault::Configuration { code: 403_002 }),
        }
    }

    /// Makes one call; if Gigya finds its time wrong, takes over Gigya's clock and makes it once more.
    async fn call_signed(
        &self,
        operation: &'static str,
        attempts: Attempts,
        form: &Form<'_>,
        api_key: &str,
        deadline: Deadline,
    ) -> Result<Answer, Fault> {
        let answer = self.send(operation, attempts, form, Some(api_key), deadline).await?;
        let Answer::Clock(Some(theirs)) = answer else { return Ok(answer) };
        if !self.auth.uses_clock() {
            return Ok(answer);
        }
        self.auth.correct_clock(theirs, self.clock.now());
        tracing::warn!(upstream = self.upstream.name(), "clock differs from Gigya's; corrected by its Date header");
        self.send(operation, attempts, form, Some(api_key), deadline).await
    }

    /// Whether the credentials are known to work; asks with a harmless search if no call has shown it yet.
    async fn is_proven(&self, api_key: &str, deadline: Deadline) -> Result<bool, Fault> {
        if !self.proven.load(Ordering::Relaxed) {
            let form = vec![("query", "SELECT UID FROM accounts LIMIT 1".into())];
            let answer = self.call_signed("accounts.search", Attempts::Few, &form, api_key, deadline).await?;
            self.proven.store(matches!(answer, Answer::Done(_)), Ordering::Relaxed);
        }
        Ok(self.proven.load(Ordering::Relaxed))
    }

    async fn send(
        &self,
        operation: &'static str,
        attempts: Attempts,
        parameters: &Form<'_>,
        sign_for: Option<&str>,
        deadline: Deadline,
    ) -> Result<Answer, Fault> {
        let other;
        let place = if operation == READ {
            &self.read
        } else {
            other = Place::of(&self.endpoint, operation);
            &other
        };
        let build = || {
            let mut form = Form::with_capacity(parameters.len() + MOST_PROOFS);
            form.extend(parameters.iter().cloned());
            let authorization = sign_for.and_then(|api_key| {
                form.push(("apiKey", api_key.into()));
                self.auth.sign(&place.url, &mut form, self.clock.now())
            });
            let body = form_urlencoded::Serializer::new(String::with_capacity(FORM)).extend_pairs(&form).finish();
            let mut request = upstream::request(Method::POST, place.uri.clone(), body.into());
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            if let Some(authorization) = authorization {
                headers.insert(header::AUTHORIZATION, authorization);
            }
            request
        };
        self.upstream.call(operation, attempts, deadline, build, |response| self.judge(operation, response)).await
    }

    fn judge(&self, operation: &str, response: &Response<Bytes>) -> Verdict<Answer> {
        let body = response.body();
        // An account is read to its end in any case.
        let envelope = if operation == READ { Envelope::before(body) } else { Envelope::of(body) };
        let code = envelope.as_ref().and_then(|envelope| envelope.error_code);
        let Some(code) = code else {
            // Not Gigya's envelope: something in between answered.
            let status = i64::from(response.status().as_u16());
            return Verdict::of_status(response).unwrap_or(Verdict::Fail(Fault::Configuration { code: status }));
        };
        let call_id = envelope.and_then(|envelope| envelope.call_id);
        let meaning = meaning(code);
        if !matches!(meaning, Meaning::Done | Meaning::NoSuchAccount | Meaning::NoSuchAccountOrKey) || code == 200_008 {
            let call_id = call_id.unwrap_or_default();
            tracing::warn!(upstream = self.upstream.name(), operation, code, call_id, "Gigya answered with an error");
        }
        match meaning {
            Meaning::Done => {
                if WRITES.contains(&operation) {
                    upstream::note(call_id);
                }
                Verdict::Answer(Answer::Done(body.clone()))
            }
            Meaning::NoSuchAccount => Verdict::Answer(Answer::NoSuchAccount),
            Meaning::NoSuchAccountOrKey => Verdict::Answer(Answer::NoSuchAccountOrKey),
            Meaning::Clock => Verdict::Answer(Answer::Clock(date(response))),
            Meaning::Failing => Verdict::Again(Again::Failing { code }),
            Meaning::Busy => Verdict::Again(Again::Busy { code }),
            Meaning::SlowDown => Verdict::Again(Again::SlowDown { wait: None }),
            Meaning::Configuration => Verdict::Fail(Fault::Configuration { code }),
            Meaning::Refused => Verdict::Fail(Fault::Refused { code }),
        }
    }
}

fn by_uid(uid: &Uid) -> Form<'_> {
    vec![("UID", uid.expose().into()), ("include", INCLUDE.into())]
}

/// For calls that look somebody up: a refusal of the data means that there is nobody.
fn missing_is_none(answer: Result<Option<Bytes>, Fault>) -> Result<Option<Bytes>, Fault> {
    match answer {
        Err(Fault::Refused { .. }) => Ok(None),
        answer => answer,
    }
}

/// Text between double quotes in a search query.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn date(response: &Response<Bytes>) -> Option<Timestamp> {
    let text = response.headers().get(header::DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// Parses what should be there after a success; if it isn't, something is failing over there.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| NOT_UNDERSTOOD)
}
