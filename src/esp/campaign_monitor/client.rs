//! The calls that the gateway makes to Campaign Monitor.
//!
//! Source: vendor pages "Subscribers" and "Clients" of API v3.3, and its SDKs. Codes that describe a person's
//! state (203 to 208) are answers here, not faults.

use super::listing::IMPORT;
use super::wire::{self, WireSubscriber, WireWrite};
use super::{INFO, callback};
use crate::config::{self, CampaignMonitor as Settings, SubscribeWith};
use crate::domain::{Audience, ConnectionName, Consent, Email, RemovalKind};
use crate::esp::{Bookmark, Esp, ListPage, NotTaken, Person, ProviderInfo, Received, Record, Whom, Written};
use crate::in_place::boxed;
use crate::json;
use crate::upstream::{self, Again, Attempts, Deadline, Fault, Health, Transport, Upstream, Verdict, all};
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use url::form_urlencoded;

/// New address of an update is on the list already.
const ADDRESS_TAKEN: i64 = 201;
/// Subscriber not in list, or removed already.
const NOT_IN_LIST: i64 = 203;
/// Import had some failures.
const PARTIAL_IMPORT: i64 = 210;
/// How long to wait between two looks for a subscriber that was added to the queue.
const QUEUE_LOOK: Duration = Duration::from_millis(250);
/// About as long as the path to a subscriber is, in bytes; a longer one grows.
const PATH: usize = 192;

/// One Campaign Monitor client.
pub struct CampaignMonitor {
    pub(super) settings: Settings,
    pub(super) upstream: Upstream,
    authorization: HeaderValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireError {
    #[serde(deserialize_with = "number_or_text")]
    code: i64,
    #[serde(default)]
    result_data: Option<ImportResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImportResult {
    #[serde(default)]
    failure_details: Vec<FailureDetail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailureDetail {
    #[serde(deserialize_with = "number_or_text")]
    code: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Import<'a> {
    subscribers: [&'a WireWrite<'a>; 1],
    resubscribe: bool,
    queue_subscription_based_auto_responders: bool,
    restart_subscription_based_autoresponders: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Addresses<'a> {
    email_addresses: [&'a str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Address<'a> {
    email_address: &'a str,
}

/// An answer: the body of a success, or the code of a state report.
pub(super) enum Answer {
    Done(Bytes),
    State(i64),
}

impl CampaignMonitor {
    /// Connects as configured.
    #[must_use]
    pub fn new(settings: &Settings, transport: Arc<dyn Transport>) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{}:x", settings.api_key.expose_secret()));
        let mut authorization =
            HeaderValue::try_from(format!("Basic {credentials}")).expect("base64 is a header value");
        authorization.set_sensitive(true);
        let upstream = Upstream::new(format!("campaign-monitor/{}", settings.name), transport, &settings.common);
        Self { settings: settings.clone(), upstream, authorization }
    }

    /// The same connection with other settings: how the API is doing counts on, if it is the same.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        if self.settings.base_url == former.settings.base_url {
            self.upstream = self.upstream.succeeding(&former.upstream);
        }
        self
    }

    /// Imports; the answer's body is the result, also where some failed.
    pub(super) async fn call_import(&self, path: &str, body: Bytes, deadline: Deadline) -> Result<Bytes, Fault> {
        const OPERATION: &str = "subscribers.import";
        let judge = |response: &Response<Bytes>| match partly_done(response) {
            Some(result) => Verdict::Answer(Answer::Done(result)),
            None => self.judge(OPERATION, response),
        };
        let build = || self.request(&Method::POST, path, Some(&body));
        match self.upstream.call(OPERATION, Attempts::Few, deadline, build, judge).await? {
            Answer::Done(body) => Ok(body),
            Answer::State(code) => Err(Fault::Refused { code }),
        }
    }

    pub(super) async fn call(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        attempts: Attempts,
        deadline: Deadline,
    ) -> Result<Answer, Fault> {
        let judge = |response: &Response<Bytes>| self.judge(operation, response);
        let build = || self.request(&method, path, body.as_ref());
        self.upstream.call(operation, attempts, deadline, build, judge).await
    }

    pub(super) fn request(&self, method: &Method, path: &str, body: Option<&Bytes>) -> Request<Bytes> {
        let place = [self.settings.base_url.as_str().trim_end_matches('/'), path].concat();
        let place = Uri::from_maybe_shared(Bytes::from(place))
            .expect("the base URL was checked when the configuration was, and the rest is percent-encoded");
        let mut request = upstream::request(method.clone(), place, body.cloned().unwrap_or_default());
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        request
    }

    pub(super) fn judge(&self, operation: &str, response: &Response<Bytes>) -> Verdict<Answer> {
        if response.status().is_success() {
            return Verdict::Answer(Answer::Done(response.body().clone()));
        }
        if let Some(verdict) = Verdict::of_status(response) {
            return verdict;
        }
        let status = i64::from(response.status().as_u16());
        let error = serde_json::from_slice::<WireError>(response.body()).ok();
        let code = match &error {
            Some(WireError { code: PARTIAL_IMPORT, result_data: Some(result) }) => {
                // An import of one that failed, failed for that one.
                result.failure_details.first().map_or(PARTIAL_IMPORT, |detail| detail.code)
            }
            Some(error) => error.code,
            None => status,
        };
        match (response.status(), code) {
            (StatusCode::BAD_REQUEST, ADDRESS_TAKEN..=208) => Verdict::Answer(Answer::State(code)),
            (_, 429) => Verdict::Again(Again::SlowDown { wait: None }),
            (StatusCode::BAD_REQUEST, _) if error.is_some() && !is_configuration(code) => {
                tracing::warn!(upstream = self.upstream.name(), operation, code, "Campaign Monitor refused the data");
                Verdict::Fail(Fault::Refused { code })
            }
            // 401 for wrong or expired credentials and for lists of somebody else, 403, 404, and what isn't theirs.
            _ => {
                tracing::error!(upstream = self.upstream.name(), operation, code, "Campaign Monitor refused the call");
                Verdict::Fail(Fault::Configuration { code })
            }
        }
    }

    /// `/subscribers/{list}{tail}` with the address as a query, percent-encoded.
    pub(super) fn subscriber_path(audience: &Audience, tail: &str, address: Option<&Email>) -> String {
        let mut path = String::with_capacity(PATH);
        path.push_str("/subscribers/");
        path.extend(form_urlencoded::byte_serialize(audience.as_str().as_bytes()));
        path.extend([tail, ".json"]);
        if let Some(address) = address {
            path.push_str("?email=");
            path.extend(form_urlencoded::byte_serialize(address.expose().as_bytes()));
        }
        path
    }

    async fn read(&self, audience: &Audience, address: &Email, deadline: Deadline) -> Result<Option<Record>, Fault> {
        let path = Self::subscriber_path(audience, "", Some(address)) + "&includetrackingpreference=true";
        match self.call("subscriber.get", Method::GET, &path, None, Attempts::Few, deadline).await? {
            Answer::State(NOT_IN_LIST) => Ok(None),
            Answer::State(code) => Err(Fault::Failing { code }),
            Answer::Done(body) => {
                let wire: WireSubscriber<'_> =
                    json::read(&body).map_err(|_| Fault::Unavailable { cause: "answer_not_understood" })?;
                Ok(wire.into_record(&self.settings))
            }
        }
    }

    async fn unsubscribe(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let path = Self::subscriber_path(audience, "/unsubscribe", None);
        let body = Some(json(&Address { email_address: record.address.expose() }));
        let answer = self.call("subscriber.unsubscribe", Method::POST, &path, body, Attempts::Few, deadline).await?;
        Ok(done_or_gone(&answer))
    }

    async fn delete(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let path = Self::subscriber_path(audience, "", Some(&record.address));
        let answer = self.call("subscriber.delete", Method::DELETE, &path, None, Attempts::Few, deadline).await?;
        Ok(done_or_gone(&answer))
    }

    /// Waits until somebody who was added to Campaign Monitor's queue can be read.
    async fn await_queue(&self, audience: &Audience, address: &Email, deadline: Deadline) -> Result<Written, Fault> {
        loop {
            match self.read(audience, address, deadline).await? {
                Some(record) if record.consent.is_opted_in() => return Ok(Written::Done),
                Some(record) if matches!(record.consent, Consent::Pending { .. }) => {
                    return Ok(Written::Done);
                }
                _ if !deadline.allows(QUEUE_LOOK) => return Err(Fault::DeadlineReached),
                _ => tokio::time::sleep(QUEUE_LOOK).await,
            }
        }
    }
}

#[async_trait]
impl Esp for CampaignMonitor {
    fn provider(&self) -> &'static ProviderInfo {
        &INFO
    }

    fn name(&self) -> &ConnectionName {
        &self.settings.name
    }

    fn common(&self) -> &config::Common {
        &self.settings.common
    }

    fn remarks(&self) -> Vec<String> {
        vec![format!("times are read in {}", self.settings.time_zone.iana_name().unwrap_or("UTC"))]
    }

    fn one_record_an_address(&self) -> bool {
        true
    }

    /// The API can't look for a custom field.
    fn finds_by_uid(&self) -> bool {
        false
    }

    fn health(&self) -> Vec<Health> {
        vec![self.upstream.health()]
    }

    async fn receive(
        &self,
        token: Option<&SecretString>,
        headers: &HeaderMap,
        body: &[u8],
        _: Deadline,
    ) -> Result<Received, NotTaken> {
        callback::receive(&self.settings, token, headers, body).map(Received::Notices)
    }

    /// By address only.
    async fn find(&self, audience: &Audience, whom: &Whom<'_>, deadline: Deadline) -> Result<Vec<Record>, Fault> {
        let reads = whom.addresses.iter().map(|address| boxed(|| self.read(audience, address, deadline)));
        let mut found: Vec<Record> = Vec::new();
        for record in all(reads).await?.into_iter().flatten() {
            if found.iter().all(|known| known.address != record.address) {
                found.push(record);
            }
        }
        Ok(found)
    }

    fn differs(&self, _: &Audience, record: &Record, person: &Person) -> bool {
        wire::differs(record, person, &self.settings)
    }

    async fn opt_in(
        &self,
        audience: &Audience,
        _: Option<&Record>,
        person: &Person,
        over_opt_out: bool,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let mut write = wire::write(person, None, &self.settings);
        // Undoing an opt-out may be tried once: before a second time, the opt-out must be looked at again.
        let attempts = if over_opt_out { Attempts::Once } else { Attempts::Few };
        let (operation, tail, body) = match self.settings.subscribe_with {
            SubscribeWith::Import => {
                let import = Import {
                    subscribers: [&write],
                    resubscribe: over_opt_out,
                    queue_subscription_based_auto_responders: true,
                    restart_subscription_based_autoresponders: false,
                };
                ("subscriber.import", "/import", json(&import))
            }
            SubscribeWith::Add => {
                write.resubscribe = Some(over_opt_out);
                write.restart_subscription_based_autoresponders = Some(false);
                ("subscriber.add", "", json(&write))
            }
        };
        let path = Self::subscriber_path(audience, tail, None);
        match self.call(operation, Method::POST, &path, Some(body), attempts, deadline).await? {
            Answer::State(_) => Ok(Written::Held),
            Answer::Done(_) if self.settings.subscribe_with == SubscribeWith::Add => {
                self.await_queue(audience, &person.address, deadline).await
            }
            Answer::Done(body) => Ok(match serde_json::from_slice::<ImportResult>(&body) {
                Ok(result) if !result.failure_details.is_empty() => Written::Held,
                _ => Written::Done,
            }),
        }
    }

    fn update_may_opt_in(&self, _: &Audience) -> bool {
        false
    }

    async fn update(
        &self,
        audience: &Audience,
        record: &Record,
        person: &Person,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let mut write = wire::write(person, Some(record), &self.settings);
        write.resubscribe = Some(false);
        write.restart_subscription_based_autoresponders = Some(false);
        let path = Self::subscriber_path(audience, "", Some(&record.address));
        let body = Some(json(&write));
        match self.call("subscriber.update", Method::PUT, &path, body, Attempts::Few, deadline).await? {
            Answer::Done(_) => Ok(Written::Done),
            Answer::State(ADDRESS_TAKEN | NOT_IN_LIST) => Ok(Written::Moved),
            Answer::State(_) => Ok(Written::Held),
        }
    }

    async fn opt_out(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        // Somebody who never confirmed can't be unsubscribed; only the record can go.
        if matches!(record.consent, Consent::Pending { .. }) {
            return self.delete(audience, record, deadline).await;
        }
        self.unsubscribe(audience, record, deadline).await
    }

    async fn remove(
        &self,
        audience: &Audience,
        record: &Record,
        kind: RemovalKind,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        match kind {
            RemovalKind::Unsubscribe => self.opt_out(audience, record, deadline).await,
            RemovalKind::Delete => self.delete(audience, record, deadline).await,
            RemovalKind::Suppress => {
                let client = self.settings.client_id.as_deref().unwrap_or_default();
                let client: String = form_urlencoded::byte_serialize(client.as_bytes()).collect();
                let path = format!("/clients/{client}/suppress.json");
                let body = Some(json(&Addresses { email_addresses: [record.address.expose()] }));
                self.call("client.suppress", Method::POST, &path, body, Attempts::Few, deadline).await?;
                // A list may be set not to follow the suppression list.
                self.opt_out(audience, record, deadline).await?;
                Ok(Written::Done)
            }
        }
    }

    /// Deletes it: an unsubscribe would call back as one.
    async fn discard(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        self.delete(audience, record, deadline).await
    }

    async fn list(&self, audience: &Audience, from: Option<&Bookmark>, deadline: Deadline) -> Result<ListPage, Fault> {
        self.page(audience, from, deadline).await
    }

    fn combine(&self, _: &Audience, parts: &[&[u8]]) -> Option<Record> {
        self.one_of(parts)
    }

    fn load_size(&self, _: &Audience) -> usize {
        IMPORT
    }

    async fn load(
        &self,
        audience: &Audience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Result<Written, Fault>>, Fault> {
        self.import(audience, people, deadline).await
    }
}

/// Somebody who isn't there, or is out already, needs no opting out: 203 to 208.
const fn done_or_gone(answer: &Answer) -> Written {
    match answer {
        Answer::Done(_) => Written::Done,
        Answer::State(_) => Written::NothingToDo,
    }
}

/// The result of an import of which some failed: it comes as an error's details.
fn partly_done(response: &Response<Bytes>) -> Option<Bytes> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Partly<'a> {
        code: i64,
        #[serde(borrow)]
        result_data: &'a serde_json::value::RawValue,
    }
    let partly: Partly<'_> = serde_json::from_slice(response.body()).ok()?;
    (partly.code == PARTIAL_IMPORT).then(|| Bytes::copy_from_slice(partly.result_data.get().as_bytes()))
}

/// Codes that a person must see to, although they come as 400: consent to track missing or invalid, custom
/// field keys, webhooks, paging.
const fn is_configuration(code: i64) -> bool {
    matches!(code, 100..=102 | 120..=122 | 214 | 215 | 253 | 601..=603 | 800..=803)
}

pub(super) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("plain structs serialize").into()
}

/// `Code` is a number, which one vendor SDK types as text.
pub(super) fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Number(i64),
        Text(String),
    }
    match Code::deserialize(deserializer)? {
        Code::Number(code) => Ok(code),
        Code::Text(code) => code.trim().parse().map_err(serde::de::Error::custom),
    }
}
