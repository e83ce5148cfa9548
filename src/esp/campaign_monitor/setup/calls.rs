//! The calls about lists, their webhooks and fields, and the client.
//!
//! Source: vendor pages "Lists", "Clients", "Account" and "Webhooks" of API v3.3, and its SDKs.

use crate::esp::campaign_monitor::client::{Answer, CampaignMonitor, json};
use crate::esp::setup::{change, look};
use crate::upstream::{Attempts, Deadline, Fault, Verdict};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use url::form_urlencoded;

/// A webhook's test could not be delivered.
const NOT_DELIVERED: i64 = 610;

/// What a webhook of ours is told.
pub const EVENTS: [&str; 3] = ["Subscribe", "Update", "Deactivate"];
/// What it is written in. Listed as `Json`.
pub const FORMAT: &str = "json";

/// A webhook as it is listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Webhook {
    #[serde(rename = "WebhookID")]
    pub id: String,
    pub events: Vec<String>,
    pub url: String,
    pub status: String,
    pub payload_format: String,
}

/// A custom field as it is listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Field {
    pub field_name: String,
    pub data_type: String,
}

/// What a list says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct List {
    #[serde(deserialize_with = "or_default")]
    pub title: String,
    pub confirmed_opt_in: bool,
    #[serde(deserialize_with = "or_default")]
    pub unsubscribe_setting: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Client {
    basic_details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Details {
    time_zone: String,
}

/// What became of a webhook's test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    /// The receiver answered 2xx.
    Delivered,
    /// It didn't; its status, if there was an answer.
    NotDelivered(Option<u16>),
}

fn or_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl CampaignMonitor {
    pub(super) async fn webhooks(&self, list: &str) -> Result<Vec<Webhook>, Fault> {
        self.answer_of("webhook.list", &of_list(list, "/webhooks")).await
    }

    /// Makes one; its id. Tried once: nothing over there prevents a second one.
    pub(super) async fn create_webhook(&self, list: &str, url: &str) -> Result<String, Fault> {
        let body = json!({ "Events": EVENTS, "Url": url, "PayloadFormat": FORMAT });
        let path = of_list(list, "/webhooks");
        let answer = self.write("webhook.create", Method::POST, &path, Some(&body), Attempts::Once).await?;
        parsed(&answer)
    }

    /// Has a webhook called with made-up events.
    pub(super) async fn test_webhook(&self, list: &str, id: &str) -> Result<Tested, Fault> {
        const OPERATION: &str = "webhook.test";
        let path = of_list(list, &format!("/webhooks/{}/test", encoded(id)));
        let build = || self.request(&Method::GET, &path, None);
        let judge = |response: &Response<Bytes>| match not_delivered(response) {
            Some(tested) => Verdict::Answer(tested),
            None => match self.judge(OPERATION, response) {
                Verdict::Answer(Answer::Done(_)) => Verdict::Answer(Tested::Delivered),
                Verdict::Answer(Answer::State(code)) => Verdict::Fail(Fault::Refused { code }),
                Verdict::Again(again) => Verdict::Again(again),
                Verdict::Fail(fault) => Verdict::Fail(fault),
            },
        };
        self.upstream.call(OPERATION, Attempts::Once, change(), build, judge).await
    }

    pub(super) async fn activate_webhook(&self, list: &str, id: &str) -> Result<(), Fault> {
        let path = of_list(list, &format!("/webhooks/{}/activate", encoded(id)));
        self.write("webhook.activate", Method::PUT, &path, None, Attempts::Few).await.map(drop)
    }

    pub(super) async fn delete_webhook(&self, list: &str, id: &str) -> Result<(), Fault> {
        let path = of_list(list, &format!("/webhooks/{}", encoded(id)));
        self.write("webhook.delete", Method::DELETE, &path, None, Attempts::Few).await.map(drop)
    }

    pub(super) async fn fields(&self, list: &str) -> Result<Vec<Field>, Fault> {
        self.answer_of("field.list", &of_list(list, "/customfields")).await
    }

    /// Makes a field for text. A second one of the same name is refused over there.
    pub(super) async fn create_field(&self, list: &str, name: &str) -> Result<(), Fault> {
        let body = json!({ "FieldName": name, "DataType": "Text", "Options": [], "VisibleInPreferenceCenter": false });
        let path = of_list(list, "/customfields");
        self.write("field.create", Method::POST, &path, Some(&body), Attempts::Once).await.map(drop)
    }

    pub(super) async fn list(&self, list: &str) -> Result<List, Fault> {
        self.answer_of("list.get", &of_list(list, "")).await
    }

    /// The label of a client's time zone: `(GMT+01:00) Amsterdam, Berlin, Bern`.
    pub(super) async fn time_zone_of(&self, client: &str) -> Result<String, Fault> {
        let client: Client = self.answer_of("client.get", &format!("/clients/{}.json", encoded(client))).await?;
        Ok(client.basic_details.time_zone)
    }

    /// Any key may ask for the time.
    pub(super) async fn prove_key(&self) -> Result<(), Fault> {
        self.get("system.date", "/systemdate.json", look()).await.map(drop)
    }

    async fn answer_of<T: for<'de> Deserialize<'de>>(&self, operation: &'static str, path: &str) -> Result<T, Fault> {
        parsed(&self.get(operation, path, look()).await?)
    }

    async fn get(&self, operation: &'static str, path: &str, deadline: Deadline) -> Result<Bytes, Fault> {
        done(self.call(operation, Method::GET, path, None, Attempts::Few, deadline).await?)
    }

    async fn write(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
        attempts: Attempts,
    ) -> Result<Bytes, Fault> {
        done(self.call(operation, method, path, body.map(json), attempts, change()).await?)
    }
}

/// What the answer to a test says that could not be delivered; none if it isn't such an answer.
fn not_delivered(response: &Response<Bytes>) -> Option<Tested> {
    if response.status() != StatusCode::BAD_REQUEST {
        return None;
    }
    let error: Value = serde_json::from_slice(response.body()).ok()?;
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    let status = number(&error["ResultData"]["FailureResponseCode"]).and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (100..1000).contains(status));
    (number(&error["Code"])? == NOT_DELIVERED).then_some(Tested::NotDelivered(status))
}

fn of_list(list: &str, tail: &str) -> String {
    format!("/lists/{}{tail}.json", encoded(list))
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn done(answer: Answer) -> Result<Bytes, Fault> {
    match answer {
        Answer::Done(body) => Ok(body),
        Answer::State(code) => Err(Fault::Refused { code }),
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Unavailable { cause: "answer_not_understood" })
}
