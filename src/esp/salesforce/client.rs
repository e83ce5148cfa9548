//! The calls that the gateway makes to Salesforce, each with a token; one that is refused is renewed once.

use super::rest::{self, Answer, Refusal, WireError};
use super::token::Tokens;
use super::wire::Row;
use crate::config::salesforce::{Salesforce as Settings, SalesforceObject};
use crate::domain::Uid;
use crate::upstream::{Attempts, Deadline, Fault, Health, Transport, Upstream};
use bytes::Bytes;
use http::{Method, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// The most records that a collection takes.
pub const COLLECTION: usize = 200;

/// One organization.
pub struct Client {
    tokens: Tokens,
    upstream: Upstream,
    base: String,
    /// `/services/data/v60.0`.
    root: String,
    uid_field: String,
    save_duplicates: bool,
}

/// A page of a query's answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// How many records the whole answer has.
    #[serde(default)]
    pub total_size: Option<u64>,
    /// Where the rest is.
    #[serde(default)]
    pub next_records_url: Option<String>,
    /// Whether this is the last page.
    pub done: bool,
    /// The records.
    pub records: Vec<Row>,
}

/// What became of one record of a collection.
#[derive(Deserialize)]
struct Saved {
    success: bool,
    #[serde(default)]
    created: Option<bool>,
    #[serde(default)]
    errors: Vec<WireError>,
}

/// What became of somebody who was to be made if they weren't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Made.
    New,
    /// There already, and written to.
    Known,
}

/// One call.
struct Call<'a> {
    operation: &'static str,
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    unless_modified_since: Option<&'a str>,
    attempts: Attempts,
}

impl Client {
    /// Connects as configured.
    pub fn new(settings: &Settings, transport: &Arc<dyn Transport>) -> Self {
        Self {
            tokens: Tokens::new(settings, Arc::clone(transport)),
            upstream: Upstream::new(
                format!("salesforce/{}/rest", settings.name),
                Arc::clone(transport),
                &settings.common,
            ),
            base: settings.base_url.as_str().trim_end_matches('/').to_owned(),
            root: format!("/services/data/{}", settings.api_version),
            uid_field: settings.uid_field.clone(),
            save_duplicates: settings.save_duplicates,
        }
    }

    /// The same organization with other settings.
    pub fn succeeding(mut self, former: &Self) -> Self {
        if self.base == former.base {
            self.tokens = self.tokens.succeeding(&former.tokens);
            self.upstream = self.upstream.succeeding(&former.upstream);
        }
        self
    }

    /// How tokens and calls are doing.
    pub fn health(&self) -> Vec<Health> {
        vec![self.tokens.health(), self.upstream.health()]
    }

    async fn call(&self, call: Call<'_>, deadline: Deadline) -> Result<Result<Bytes, Refusal>, Fault> {
        let mut token = self.tokens.get(deadline).await?;
        let body = call.body.map(|body| Bytes::from(body.to_string()));
        let mut is_renewed = false;
        loop {
            let build = || {
                let mut request = Request::builder()
                    .method(call.method.clone())
                    .uri(format!("{}{}", self.base, call.path))
                    .header(header::AUTHORIZATION, &token.bearer)
                    .header(header::ACCEPT, "application/json")
                    .header(header::CONTENT_TYPE, "application/json");
                if let Some(since) = call.unless_modified_since {
                    request = request.header(header::IF_UNMODIFIED_SINCE, since);
                }
                if self.save_duplicates {
                    request = request.header("Sforce-Duplicate-Rule-Header", "allowSave=true");
                }
                request
                    .body(body.clone().unwrap_or_default())
                    .expect("the base URL was checked when the configuration was, and the rest is percent-encoded")
            };
            let judge = |response: &_| rest::judge(self.upstream.name(), call.operation, response);
            match self.upstream.call(call.operation, call.attempts, deadline, build, judge).await? {
                Answer::Done(body) => {
                    token.prove();
                    return Ok(Ok(body));
                }
                Answer::No(refusal) => {
                    token.prove();
                    return Ok(Err(refusal));
                }
                Answer::TokenRefused if self.tokens.refused(&token) && !is_renewed => {
                    is_renewed = true;
                    token = self.tokens.get(deadline).await?;
                }
                Answer::TokenRefused => {
                    tracing::error!(upstream = self.upstream.name(), "Salesforce refuses a fresh token; check the app");
                    return Err(Fault::Configuration { code: 401 });
                }
            }
        }
    }

    async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        deadline: Deadline,
    ) -> Result<T, Fault> {
        let attempts = Attempts::Few;
        let call = Call { operation, method: Method::GET, path, body: None, unless_modified_since: None, attempts };
        let body = self.call(call, deadline).await?.map_err(|refusal| match refusal {
            Refusal::Data | Refusal::Moved => Fault::Configuration { code: 400 },
            other => other.fault(),
        })?;
        serde_json::from_slice(&body).map_err(|_| Fault::Unavailable { cause: "answer_not_understood" })
    }

    /// A query's first page.
    pub async fn query(&self, soql: &str, deadline: Deadline) -> Result<Page, Fault> {
        let path = format!("{}/query?q={}", self.root, utf8_percent_encode(soql, NON_ALPHANUMERIC));
        self.read("query", &path, deadline).await
    }

    /// A query's further page. It is where the page before said, and nowhere but below the API.
    pub async fn more(&self, path: &str, deadline: Deadline) -> Result<Page, Fault> {
        let is_plain = path.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'/' | b'-' | b'.' | b'_'));
        if !path.starts_with("/services/data/") || !is_plain || path.contains("..") {
            return Err(Fault::Unavailable { cause: "answer_not_understood" });
        }
        self.read("query.more", path, deadline).await
    }

    /// Everything that fits, whatever pages it comes in.
    pub async fn query_all(&self, soql: &str, deadline: Deadline) -> Result<Vec<Row>, Fault> {
        let mut page = self.query(soql, deadline).await?;
        let mut rows = std::mem::take(&mut page.records);
        while !page.done {
            // A record that isn't read may be the one that is out.
            let next = page.next_records_url.take().ok_or(Fault::Unavailable { cause: "list_incomplete" })?;
            page = self.more(&next, deadline).await?;
            rows.append(&mut page.records);
        }
        Ok(rows)
    }

    /// What an object is made of.
    pub async fn describe(&self, object: SalesforceObject, deadline: Deadline) -> Result<Value, Fault> {
        self.read("describe", &format!("{}/sobjects/{}/describe", self.root, object.name()), deadline).await
    }

    /// Makes a record with this UID, or writes to the one that has it.
    pub async fn upsert(
        &self,
        object: SalesforceObject,
        uid: &Uid,
        row: Row,
        deadline: Deadline,
    ) -> Result<Result<Made, Refusal>, Fault> {
        let uid = utf8_percent_encode(uid.expose(), NON_ALPHANUMERIC);
        let path = format!("{}/sobjects/{}/{}/{uid}", self.root, object.name(), self.uid_field);
        let (operation, attempts) = ("upsert", Attempts::Few);
        let body = Value::Object(row);
        let call = Call {
            operation,
            method: Method::PATCH,
            path: &path,
            body: Some(&body),
            unless_modified_since: None,
            attempts,
        };
        let answer = self.call(call, deadline).await?;
        Ok(answer.map(|body| {
            // Older versions answer an update with nothing at all.
            let saved = serde_json::from_slice::<Saved>(&body).ok();
            if saved.and_then(|saved| saved.created) == Some(true) { Made::New } else { Made::Known }
        }))
    }

    /// Makes, or writes to, many; what became of each, in order. Each row has its UID in it.
    pub async fn upsert_many(
        &self,
        object: SalesforceObject,
        rows: Vec<Row>,
        deadline: Deadline,
    ) -> Result<Vec<Result<Made, Refusal>>, Fault> {
        let count = rows.len();
        let records = rows.into_iter().map(|mut row| {
            row.insert("attributes".to_owned(), json!({ "type": object.name() }));
            Value::Object(row)
        });
        let body = json!({ "allOrNone": false, "records": records.collect::<Vec<_>>() });
        let path = format!("{}/composite/sobjects/{}/{}", self.root, object.name(), self.uid_field);
        let (operation, attempts) = ("collection.upsert", Attempts::Few);
        let call = Call {
            operation,
            method: Method::PATCH,
            path: &path,
            body: Some(&body),
            unless_modified_since: None,
            attempts,
        };
        let answer = self.call(call, deadline).await?.map_err(Refusal::fault)?;
        let saved: Vec<Saved> =
            serde_json::from_slice(&answer).map_err(|_| Fault::Unavailable { cause: "answer_not_understood" })?;
        if saved.len() != count {
            return Err(Fault::Unavailable { cause: "answer_not_understood" });
        }
        Ok(saved.into_iter().map(|saved| self.of_saved(&saved)).collect())
    }

    fn of_saved(&self, saved: &Saved) -> Result<Made, Refusal> {
        if saved.success {
            return Ok(if saved.created == Some(true) { Made::New } else { Made::Known });
        }
        let code = saved.errors.first().map_or("UNKNOWN", WireError::code);
        tracing::warn!(
            upstream = self.upstream.name(),
            operation = "collection.upsert",
            code,
            "Salesforce refused a record"
        );
        Err(rest::meaning(code))
    }

    /// Writes to a record; with a time, only if it hasn't changed since, and once.
    pub async fn update(
        &self,
        object: SalesforceObject,
        id: &str,
        row: Row,
        unless_modified_since: Option<&str>,
        attempts: Attempts,
        deadline: Deadline,
    ) -> Result<Result<(), Refusal>, Fault> {
        let path = format!("{}/sobjects/{}/{id}", self.root, object.name());
        let (operation, body) = ("update", Value::Object(row));
        let call =
            Call { operation, method: Method::PATCH, path: &path, body: Some(&body), unless_modified_since, attempts };
        Ok(self.call(call, deadline).await?.map(drop))
    }

    /// Deletes a record; it stays in the recycle bin for a while.
    pub async fn delete(
        &self,
        object: SalesforceObject,
        id: &str,
        deadline: Deadline,
    ) -> Result<Result<(), Refusal>, Fault> {
        let path = format!("{}/sobjects/{}/{id}", self.root, object.name());
        let (operation, attempts) = ("delete", Attempts::Few);
        let call =
            Call { operation, method: Method::DELETE, path: &path, body: None, unless_modified_since: None, attempts };
        Ok(self.call(call, deadline).await?.map(drop))
    }
}
