//! The calls about callbacks and subscriptions. Bodies and answers are lists.
//!
//! Source: vendor pages "createCallback", "updateCallback", "createSubscription" and their neighbours.

use crate::esp::marketing_cloud::client::Client;
use crate::esp::setup::{change, look};
use crate::upstream::{Attempts, Fault};
use bytes::Bytes;
use http::Method;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// What is told of by the subscription.
pub const UNSUBSCRIBE: &str = "EngagementEvents.EmailUnsubscribe";
/// The most events in one callback: the least that can be asked for, as all of it must be done within 3 seconds.
pub const BATCH: u64 = 100;

/// A callback as it is listed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Callback {
    #[serde(rename = "callbackId")]
    pub id: String,
    #[serde(rename = "callbackName")]
    pub name: String,
    pub url: String,
    pub max_batch_size: Option<u64>,
    pub status: String,
}

impl Callback {
    pub fn is_verified(&self) -> bool {
        self.status.eq_ignore_ascii_case("verified")
    }
}

/// A subscription as it is listed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subscription {
    #[serde(rename = "subscriptionId")]
    pub id: String,
    #[serde(rename = "subscriptionName")]
    pub name: String,
    #[serde(deserialize_with = "or_empty")]
    pub event_category_types: Vec<String>,
    pub status: String,
}

/// A callback as it was made, with what is never shown again.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    #[serde(rename = "callbackId")]
    pub id: String,
    #[serde(deserialize_with = "secret")]
    pub signature_key: SecretString,
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}

impl Client {
    pub(super) async fn callbacks(&self) -> Result<Vec<Callback>, Fault> {
        self.listed("callback.list", "/platform/v1/ens-callbacks").await
    }

    pub(super) async fn subscriptions(&self, callback: &str) -> Result<Vec<Subscription>, Fault> {
        self.listed("subscription.list", &format!("/platform/v1/ens-subscriptions-by-cb/{callback}")).await
    }

    /// Marketing Cloud calls the URL before it answers. Tried once: the URL can be registered only once.
    pub(super) async fn create_callback(&self, name: &str, url: &str) -> Result<Made, Fault> {
        let body = json!([{ "callbackName": name, "url": url, "maxBatchSize": BATCH }]);
        let answer = self.put("callback.create", Attempts::Once, Method::POST, "ens-callbacks", &body).await?;
        first(&answer)
    }

    /// Makes a new signature key; the one before is no longer good.
    pub(super) async fn regenerate(&self, callback: &str) -> Result<Made, Fault> {
        let body = json!([{ "callbackId": callback }]);
        let answer = self.put("callback.regenerate", Attempts::Once, Method::PUT, "ens-regenerate", &body).await?;
        first(&answer)
    }

    pub(super) async fn shrink_batch(&self, callback: &Callback) -> Result<(), Fault> {
        let (id, name) = (&callback.id, &callback.name);
        let body = json!([{ "callbackId": id, "callbackName": name, "maxBatchSize": BATCH }]);
        self.put("callback.update", Attempts::Few, Method::PUT, "ens-callbacks", &body).await.map(drop)
    }

    /// A callback that has subscriptions can't be deleted.
    pub(super) async fn delete_callback(&self, callback: &str) -> Result<(), Fault> {
        for subscription in self.subscriptions(callback).await? {
            self.undo("subscription.delete", &format!("ens-subscriptions/{}", subscription.id)).await?;
        }
        self.undo("callback.delete", &format!("ens-callbacks/{callback}")).await
    }

    pub(super) async fn create_subscription(&self, callback: &str, name: &str) -> Result<(), Fault> {
        let body = json!([{ "callbackId": callback, "subscriptionName": name, "eventCategoryTypes": [UNSUBSCRIBE] }]);
        self.put("subscription.create", Attempts::Once, Method::POST, "ens-subscriptions", &body).await.map(drop)
    }

    pub(super) async fn activate_subscription(&self, held: &Subscription) -> Result<(), Fault> {
        let body = json!([{
            "subscriptionId": held.id, "subscriptionName": held.name,
            "eventCategoryTypes": held.event_category_types, "status": "active",
        }]);
        self.put("subscription.update", Attempts::Few, Method::PUT, "ens-subscriptions", &body).await.map(drop)
    }

    /// An account without any may answer that there is no such thing.
    async fn listed<T: for<'de> Deserialize<'de>>(&self, operation: &'static str, path: &str) -> Result<Vec<T>, Fault> {
        let call = (Method::GET, path);
        let answer = self.rest_trying(operation, Attempts::Few, call, &Value::Null, look()).await?;
        answer.map_or_else(|| Ok(Vec::new()), |body| parsed(&body))
    }

    async fn put(
        &self,
        operation: &'static str,
        attempts: Attempts,
        method: Method,
        what: &str,
        body: &Value,
    ) -> Result<Bytes, Fault> {
        let path = format!("/platform/v1/{what}");
        let answer = self.rest_trying(operation, attempts, (method, &path), body, change()).await?;
        answer.ok_or(Fault::Configuration { code: 404 })
    }

    /// What isn't there anymore is deleted.
    async fn undo(&self, operation: &'static str, what: &str) -> Result<(), Fault> {
        let path = format!("/platform/v1/{what}");
        self.rest_trying(operation, Attempts::Few, (Method::DELETE, &path), &Value::Null, change()).await.map(drop)
    }
}

fn first<T: for<'de> Deserialize<'de>>(answer: &[u8]) -> Result<T, Fault> {
    let all: Vec<T> = parsed(answer)?;
    all.into_iter().next().ok_or(Fault::Unavailable { cause: "answer_not_understood" })
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Unavailable { cause: "answer_not_understood" })
}
