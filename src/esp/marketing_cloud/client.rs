//! The calls that the gateway makes to Marketing Cloud, each with a token; one that is refused is renewed once.

use super::callback::Handshake;
use super::rest;
use super::soap::{self, Action, Filter, Message, Row, Written};
use super::token::Tokens;
use crate::config::MarketingCloud as Settings;
use crate::esp::tokens::Token;
use crate::upstream::{Attempts, Deadline, Fault, Health, Transport, Upstream, all};
use bytes::Bytes;
use http::{Method, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most pages read of one retrieval: 2,500 objects each.
const MAX_PAGES: usize = 40;

/// What is asked for of a subscriber. Attributes come with it whether asked for or not.
const SUBSCRIBER: [&str; 5] = ["ID", "SubscriberKey", "EmailAddress", "Status", "UnsubscribedDate"];
/// What is asked for of a membership; the last one can't be had everywhere.
const MEMBERSHIP: [&str; 4] = ["SubscriberKey", "ListID", "Status", "ModifiedDate"];

/// A subscriber as it is written. What is `None` is left as it is.
#[derive(Debug, Default)]
pub struct Write<'a> {
    pub key: &'a str,
    pub address: Option<&'a str>,
    pub status: Option<&'a str>,
    /// Profile attributes.
    pub attributes: Vec<(&'a str, String)>,
    /// Lists: id, action, status.
    pub lists: Vec<(&'a str, &'static str, Option<&'a str>)>,
}

/// One business unit.
pub struct Client {
    tokens: Tokens,
    soap: Upstream,
    rest: Upstream,
    soap_url: String,
    rest_url: String,
    lookup_batch: usize,
    /// Whether list memberships can be asked for their times.
    lists_have_dates: AtomicBool,
}

impl Client {
    /// Connects as configured.
    pub fn new(settings: &Settings, transport: &Arc<dyn Transport>) -> Self {
        let upstream = |kind: &str| {
            let name = format!("marketing-cloud/{}/{kind}", settings.name);
            Upstream::new(name, Arc::clone(transport), &settings.common)
        };
        let base = |url: &url::Url| url.as_str().trim_end_matches('/').to_owned();
        Self {
            tokens: Tokens::new(settings, Arc::clone(transport)),
            soap: upstream("soap"),
            rest: upstream("rest"),
            soap_url: base(&settings.soap_base_url) + "/Service.asmx",
            rest_url: base(&settings.rest_base_url),
            lookup_batch: settings.lookup_batch,
            lists_have_dates: AtomicBool::new(true),
        }
    }

    /// The same business unit with other settings: see [`super::MarketingCloud::connect_succeeding`].
    pub fn succeeding(mut self, former: &Self) -> Self {
        self.tokens = self.tokens.succeeding(&former.tokens);
        if self.rest_url == former.rest_url {
            self.rest = self.rest.succeeding(&former.rest);
        }
        if self.soap_url == former.soap_url {
            self.soap = self.soap.succeeding(&former.soap);
            self.lists_have_dates = AtomicBool::new(former.lists_have_dates.load(Ordering::Relaxed));
        }
        self
    }

    /// What its tokens may do; `None` if they don't say.
    pub(super) async fn scopes(&self, deadline: Deadline) -> Result<Option<Vec<String>>, Fault> {
        let token = self.tokens.get(deadline).await?;
        Ok(token.scope.as_ref().map(|scope| scope.split_whitespace().map(ToOwned::to_owned).collect()))
    }

    /// How each of the three hosts is doing.
    pub fn health(&self) -> Vec<Health> {
        vec![self.tokens.health(), self.rest.health(), self.soap.health()]
    }

    async fn soap(
        &self,
        operation: &'static str,
        action: Action,
        body: &str,
        attempts: Attempts,
        deadline: Deadline,
    ) -> Result<Message, Fault> {
        let mut token = self.tokens.get(deadline).await?;
        loop {
            let build = || {
                let envelope = soap::envelope(token.text.expose_secret(), body);
                Request::builder()
                    .method(Method::POST)
                    .uri(&self.soap_url)
                    .header(header::CONTENT_TYPE, "text/xml; charset=utf-8")
                    .header("SOAPAction", action.name())
                    .body(Bytes::from(envelope))
                    .expect("the base URL was checked when the configuration was")
            };
            let judge = |response: &_| soap::judge(self.soap.name(), operation, action, response);
            match self.soap.call(operation, attempts, deadline, build, judge).await? {
                soap::Answer::Done(message) => {
                    token.prove();
                    return Ok(message);
                }
                soap::Answer::TokenRefused => token = self.another(&token, deadline).await?,
            }
        }
    }

    async fn rest(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: &Value,
        deadline: Deadline,
    ) -> Result<Option<Bytes>, Fault> {
        self.rest_trying(operation, Attempts::Few, (method, path), body, deadline).await
    }

    pub(super) async fn rest_trying(
        &self,
        operation: &'static str,
        attempts: Attempts,
        (method, path): (Method, &str),
        body: &Value,
        deadline: Deadline,
    ) -> Result<Option<Bytes>, Fault> {
        let mut token = self.tokens.get(deadline).await?;
        let (url, body) = (format!("{}{path}", self.rest_url), body.to_string());
        loop {
            let build = || {
                Request::builder()
                    .method(method.clone())
                    .uri(&url)
                    .header(header::AUTHORIZATION, &token.bearer)
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(if body == "null" { Bytes::new() } else { Bytes::from(body.clone()) })
                    .expect("the base URL was checked when the configuration was, and the rest is percent-encoded")
            };
            let judge = |response: &_| rest::judge(self.rest.name(), operation, response);
            match self.rest.call(operation, attempts, deadline, build, judge).await? {
                rest::Answer::Done(body) => {
                    token.prove();
                    return Ok(Some(body));
                }
                rest::Answer::NotFound => return Ok(None),
                rest::Answer::TokenRefused => token = self.another(&token, deadline).await?,
            }
        }
    }

    /// Another token than one that was refused, if that one was good before.
    async fn another(&self, refused: &Arc<Token>, deadline: Deadline) -> Result<Arc<Token>, Fault> {
        if !self.tokens.refused(refused) {
            tracing::error!(upstream = self.soap.name(), "Marketing Cloud refuses a fresh token; check the package");
            return Err(Fault::Configuration { code: 401 });
        }
        self.tokens.get(deadline).await
    }

    /// Subscribers that fit.
    pub async fn subscribers(&self, filter: &Filter<'_>, deadline: Deadline) -> Result<Vec<Row>, Fault> {
        let found = self.retrieve("subscriber.retrieve", "Subscriber", &SUBSCRIBER, filter, deadline).await?;
        found.ok_or(Fault::Unavailable { cause: "answer_not_understood" })
    }

    /// Subscribers by their numbers, in as few calls as go.
    pub async fn subscribers_by_id(&self, ids: &[&str], deadline: Deadline) -> Result<Vec<Row>, Fault> {
        self.in_batches("ID", ids, deadline).await
    }

    /// Subscribers by their keys, in as few calls as go.
    pub async fn subscribers_by_key(&self, keys: &[&str], deadline: Deadline) -> Result<Vec<Row>, Fault> {
        self.in_batches("SubscriberKey", keys, deadline).await
    }

    async fn in_batches(&self, property: &str, values: &[&str], deadline: Deadline) -> Result<Vec<Row>, Fault> {
        let batches = values
            .chunks(self.lookup_batch)
            .map(|batch| async move { self.subscribers(&Filter::In(property, batch.to_vec()), deadline).await });
        Ok(all(batches).await?.into_iter().flatten().collect())
    }

    /// Memberships of publication lists that fit. Whether they have times isn't certain: asked for as long as that is
    /// not refused.
    pub async fn memberships(&self, filter: &Filter<'_>, deadline: Deadline) -> Result<Vec<Row>, Fault> {
        const OPERATION: &str = "membership.retrieve";
        if self.lists_have_dates.load(Ordering::Relaxed) {
            if let Some(rows) = self.retrieve(OPERATION, "ListSubscriber", &MEMBERSHIP, filter, deadline).await? {
                return Ok(rows);
            }
            self.lists_have_dates.store(false, Ordering::Relaxed);
            let what = "Marketing Cloud doesn't tell when somebody left a list; such an opt-out counts as just now";
            tracing::warn!(upstream = self.soap.name(), what, "retrieving memberships without times");
        }
        let found = self.retrieve(OPERATION, "ListSubscriber", &MEMBERSHIP[..3], filter, deadline).await?;
        found.ok_or(Fault::Unavailable { cause: "answer_not_understood" })
    }

    /// Rows of a data extension that fit; `None` if it lacks one of the columns.
    pub async fn rows(
        &self,
        data_extension: &str,
        columns: &[&str],
        filter: &Filter<'_>,
        deadline: Deadline,
    ) -> Result<Option<Vec<Row>>, Fault> {
        let object = format!("DataExtensionObject[{data_extension}]");
        self.retrieve("row.retrieve", &object, columns, filter, deadline).await
    }

    /// A page of all subscribers, and by what the next one is asked for.
    pub async fn subscriber_page(
        &self,
        continued: Option<&str>,
        deadline: Deadline,
    ) -> Result<(Vec<Row>, Option<String>), Fault> {
        let page = self.page("subscribers.retrieve", "Subscriber", &SUBSCRIBER, None, continued, deadline).await?;
        page.ok_or(Fault::Unavailable { cause: "answer_not_understood" })
    }

    /// A page of memberships that fit. Asked without times from the beginning, where those can't be had.
    pub async fn membership_page(
        &self,
        filter: &Filter<'_>,
        continued: Option<&str>,
        deadline: Deadline,
    ) -> Result<(Vec<Row>, Option<String>), Fault> {
        const OPERATION: &str = "memberships.retrieve";
        if self.lists_have_dates.load(Ordering::Relaxed) {
            let all = &MEMBERSHIP;
            if let Some(page) = self.page(OPERATION, "ListSubscriber", all, Some(filter), continued, deadline).await? {
                return Ok(page);
            }
            self.lists_have_dates.store(false, Ordering::Relaxed);
        }
        let some = &MEMBERSHIP[..3];
        let page = self.page(OPERATION, "ListSubscriber", some, Some(filter), continued, deadline).await?;
        page.ok_or(Fault::Unavailable { cause: "answer_not_understood" })
    }

    /// A page of a data extension's rows, as JSON.
    pub async fn rowset(
        &self,
        data_extension: &str,
        page: u64,
        size: usize,
        deadline: Deadline,
    ) -> Result<Bytes, Fault> {
        let key = encoded(data_extension);
        let path = format!("/data/v1/customobjectdata/key/{key}/rowset?$page={page}&$pagesize={size}");
        let answer = self.rest("rows.read", Method::GET, &path, &Value::Null, deadline).await?;
        answer.ok_or(Fault::Configuration { code: 404 })
    }

    /// Everything that fits; `None` if a property can't be asked for.
    pub(super) async fn retrieve(
        &self,
        operation: &'static str,
        object: &str,
        properties: &[&str],
        filter: &Filter<'_>,
        deadline: Deadline,
    ) -> Result<Option<Vec<Row>>, Fault> {
        let (mut rows, mut continued) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let page = self.page(operation, object, properties, Some(filter), continued.as_deref(), deadline).await?;
            let Some((some, next)) = page else { return Ok(None) };
            rows.extend(some);
            if next.is_none() {
                return Ok(Some(rows));
            }
            continued = next;
        }
        Err(Fault::Unavailable { cause: "too_many_pages" })
    }

    /// One page of what fits, and by what the next one is asked for; `None` if a property can't be asked for.
    async fn page(
        &self,
        operation: &'static str,
        object: &str,
        properties: &[&str],
        filter: Option<&Filter<'_>>,
        continued: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<(Vec<Row>, Option<String>)>, Fault> {
        let body = soap::retrieve(object, properties, filter, continued);
        // What continues a retrieval is told once: asked for again, it would be the page after it.
        let attempts = if continued.is_some() { Attempts::Once } else { Attempts::Few };
        let page = self.soap(operation, Action::Retrieve, &body, attempts, deadline).await?;
        if page.is_unknown_property() {
            return Ok(None);
        }
        if page.is_error() {
            // Its text may quote what was asked for.
            tracing::error!(upstream = self.soap.name(), operation, "Marketing Cloud could not retrieve");
            return Err(Fault::Unavailable { cause: "retrieve_error" });
        }
        let next = page.has_more().then(|| page.request_id.clone());
        Ok(Some((page.results, next)))
    }

    /// Creates a subscriber; with `over`, updates one that is there.
    pub async fn create(
        &self,
        write: &Write<'_>,
        over: bool,
        attempts: Attempts,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let operation = if over { "subscriber.upsert" } else { "subscriber.create" };
        let body = soap::create(&write.object(), over);
        self.write(operation, Action::Create, &body, attempts, deadline).await
    }

    /// Creates subscribers; one that is there already stays as it is. What became of each, as far as that is told.
    pub async fn create_many(&self, writes: &[Write<'_>], deadline: Deadline) -> Result<Vec<Option<Written>>, Fault> {
        let objects: String = writes.iter().map(Write::object).collect();
        let body = soap::create(&objects, false);
        let answer = self.soap("subscribers.create", Action::CreateMany, &body, Attempts::Few, deadline).await?;
        Ok(answer.written_many(writes.len()))
    }

    /// Updates a subscriber that is there.
    pub async fn update(&self, write: &Write<'_>, deadline: Deadline) -> Result<Written, Fault> {
        let body = soap::update(&write.object());
        self.write("subscriber.update", Action::Update, &body, Attempts::Few, deadline).await
    }

    /// Deletes a subscriber, without erasing the contact.
    pub async fn delete(&self, key: &str, deadline: Deadline) -> Result<Written, Fault> {
        let body = soap::delete(&Write { key, ..Write::default() }.object());
        self.write("subscriber.delete", Action::Delete, &body, Attempts::Few, deadline).await
    }

    /// Opts somebody out so that it counts in reports: of a list, or of everything.
    pub async fn log_unsubscribe(
        &self,
        key: &str,
        list: Option<&str>,
        reason: &str,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let mut parameters = vec![("SubscriberKey", key)];
        parameters.extend(list.map(|list| ("ListID", list)));
        parameters.push(("Reason", reason));
        let body = soap::execute("LogUnsubEvent", &parameters);
        self.write("unsubscribe.log", Action::Execute, &body, Attempts::Few, deadline).await
    }

    async fn write(
        &self,
        operation: &'static str,
        action: Action,
        body: &str,
        attempts: Attempts,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let written = self.soap(operation, action, body, attempts, deadline).await?.written()?;
        match written {
            Written::Refused { code } => {
                tracing::warn!(upstream = self.soap.name(), operation, code, "Marketing Cloud refused the data");
                Err(Fault::Refused { code })
            }
            Written::NoSuchList => {
                tracing::error!(upstream = self.soap.name(), operation, "Marketing Cloud has no such publication list");
                Err(Fault::Configuration { code: 13000 })
            }
            written => Ok(written),
        }
    }

    /// Writes one row of a data extension, over one with the same key.
    pub async fn upsert_row(
        &self,
        data_extension: &str,
        (column, key): (&str, &str),
        values: Map<String, Value>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let row = json!({ "keys": { column: key }, "values": values });
        self.upsert("row.upsert", data_extension, vec![row], deadline).await
    }

    /// Writes rows of a data extension, over those with the same keys. A fault may leave some of them written.
    pub async fn upsert_rows(
        &self,
        data_extension: &str,
        column: &str,
        rows: Vec<(&str, Map<String, Value>)>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let row = |(key, values)| json!({ "keys": { column: key }, "values": values });
        self.upsert("rows.upsert", data_extension, rows.into_iter().map(row).collect(), deadline).await
    }

    async fn upsert(
        &self,
        operation: &'static str,
        data_extension: &str,
        rows: Vec<Value>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let path = format!("/hub/v1/dataevents/key:{}/rowset", encoded(data_extension));
        let done = self.rest(operation, Method::POST, &path, &Value::Array(rows), deadline).await?;
        done.map(drop).ok_or(Fault::Configuration { code: 404 })
    }

    /// Deletes a row. One that isn't there is no error.
    pub async fn delete_row(
        &self,
        data_extension: &str,
        (column, key): (&str, &str),
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let object = format!(
            "<Objects xsi:type=\"DataExtensionObject\"><CustomerKey>{}</CustomerKey><Keys><Key><Name>{}</Name>\
             <Value>{}</Value></Key></Keys></Objects>",
            soap::element(data_extension),
            soap::element(column),
            soap::element(key)
        );
        let body = soap::delete(&object);
        self.write("row.delete", Action::Delete, &body, Attempts::Few, deadline).await.map(drop)
    }

    /// Asks for a contact's deletion, which is queued there. Not to be undone.
    pub async fn delete_contact(&self, key: &str, deadline: Deadline) -> Result<(), Fault> {
        let body = json!({ "values": [key], "DeleteOperationType": "ContactAndAttributes" });
        let path = "/contacts/v1/contacts/actions/delete?type=keys";
        let Some(answer) = self.rest("contact.delete", Method::POST, path, &body, deadline).await? else {
            return Ok(());
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if answer["operationInitiated"] == json!(false) || answer["hasErrors"] == json!(true) {
            tracing::error!(upstream = self.rest.name(), "Marketing Cloud didn't begin the contact's deletion");
            return Err(Fault::Configuration { code: 200 });
        }
        Ok(())
    }

    /// Verifies a new callback. Returns whether Marketing Cloud knew it.
    pub async fn verify(&self, handshake: &Handshake, deadline: Deadline) -> Result<bool, Fault> {
        let body = json!({ "callbackId": handshake.callback_id, "verificationKey": handshake.verification_key });
        Ok(self.rest("callback.verify", Method::POST, "/platform/v1/ens-verify", &body, deadline).await?.is_some())
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Write<'_> {
    fn object(&self) -> String {
        use std::fmt::Write as _;
        let mut text =
            format!("<Objects xsi:type=\"Subscriber\"><SubscriberKey>{}</SubscriberKey>", soap::element(self.key));
        if let Some(address) = self.address {
            let _ = write!(text, "<EmailAddress>{}</EmailAddress>", soap::element(address));
        }
        if let Some(status) = self.status {
            let _ = write!(text, "<Status>{status}</Status>");
        }
        for (name, value) in &self.attributes {
            let (name, value) = (soap::element(name), soap::element(value));
            let _ = write!(text, "<Attributes><Name>{name}</Name><Value>{value}</Value></Attributes>");
        }
        for (id, action, status) in &self.lists {
            let _ = write!(text, "<Lists><ID>{}</ID><Action>{action}</Action>", soap::element(id));
            if let Some(status) = status {
                let _ = write!(text, "<Status>{status}</Status>");
            }
            text.push_str("</Lists>");
        }
        text.push_str("</Objects>");
        text
    }
}
