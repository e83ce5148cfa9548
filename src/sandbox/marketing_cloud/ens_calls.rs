//! The calls about callbacks and subscriptions to events. Bodies and answers are lists, except for verification.

use super::MarketingCloudSim;
use super::door::Call;
use super::ens::{Callback, Subscription, new_id, new_key};
use super::rest::{Answer, Refused, refused};
use crate::sandbox::Sealed;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;
use url::{Host, Url};

/// How long a new callback may take to answer its first call.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);
/// How long its verification key is good.
const VERIFICATION_LASTS: SignedDuration = SignedDuration::from_hours(4);

impl MarketingCloudSim {
    /// Answers `POST /platform/v1/ens-callbacks`: while the call is open, each URL is called with its verification
    /// key, unsigned.
    pub(super) async fn create_callbacks(&self, call: &Call) -> Option<Answer> {
        let created = match self.admit(call).and_then(|body| self.add_callbacks(&body)) {
            Ok(created) => created,
            Err(refusal) => return Some(Err(refusal)),
        };
        for callback in &created {
            if !self.probe(callback).await {
                let message = "MCMS_UWH_Runtime_GeneralFailure_probeCallbackLiveness: the URL did not answer 200";
                if let Some(held) = self.ens().callback(&callback.id) {
                    // It stays, dead, and its URL can't be registered again until it is deleted.
                    held.verification = None;
                    held.reason = message.to_owned();
                }
                return Some(Err(refused(400, 10000, message)));
            }
        }
        let shown = |callback: &Callback| {
            json!({
                "callbackName": callback.name, "callbackId": callback.id, "url": callback.url,
                "signatureKey": callback.signature_key, "maxBatchSize": callback.max_batch,
            })
        };
        Some(Ok((201, created.iter().map(shown).collect())))
    }

    /// Exactly 200 is an answer.
    async fn probe(&self, callback: &Callback) -> bool {
        let key = callback.verification.as_ref().map(|(key, _)| key);
        let body = json!({ "callbackId": callback.id, "verificationKey": key }).to_string();
        let headers = vec![("content-type", "application/json".to_owned())];
        let probe = Sealed { headers, body: body.into_bytes() };
        self.courier().ask(&callback.url, &probe, PROBE_PATIENCE).await.is_some_and(|(status, _)| status == 200)
    }

    fn add_callbacks(&self, body: &Value) -> Result<Vec<Callback>, Refused> {
        let now = self.inner.around.clock.now();
        let mut ens = self.ens();
        let mut created = Vec::new();
        for item in items(body)? {
            let url = required(item, "url")?;
            if !may_be_called(url) {
                return Err(refused(400, 10003, "url must be https, without a port and without a query"));
            }
            if ens.callbacks.iter().any(|callback| callback.url == url) {
                return Err(refused(304, 30004, "The URL is registered already"));
            }
            created.push(Callback {
                id: new_id(),
                name: required(item, "callbackName")?.to_owned(),
                url: url.to_owned(),
                signature_key: self.settings().signature_key.clone(),
                max_batch: Some(batch_size(item)?.unwrap_or(1000)),
                is_verified: false,
                verification: Some((new_id(), now)),
                reason: String::new(),
            });
        }
        ens.callbacks.extend(created.iter().cloned());
        Ok(created)
    }

    /// Answers the other calls.
    pub(super) fn answer_ens(&self, call: &Call, operation: &str, body: &Value) -> Answer {
        let segments = call.segments();
        let id = segments.get(3).copied().unwrap_or_default();
        let answer = match operation {
            "ens.callback.list" => Ok((200, self.ens().callbacks.iter().map(callback_shown).collect())),
            "ens.callback.get" => self.ens().callback(id).map(|held| (200, callback_shown(held))).ok_or_else(not_here),
            "ens.callback.update" => self.update_callbacks(body),
            "ens.callback.delete" => self.delete_callback(id),
            "ens.verify" => self.verify(body),
            "ens.regenerate" => self.regenerate(body),
            "ens.subscription.create" => self.create_subscriptions(body),
            "ens.subscription.update" => self.update_subscriptions(body),
            "ens.subscription.delete" => self.delete_subscription(id),
            "ens.subscription.get" => {
                let ens = self.ens();
                let held = ens.subscriptions.iter().find(|subscription| subscription.id == id);
                held.map(|held| (200, subscription_shown(held))).ok_or_else(not_here)
            }
            "ens.subscription.list" => {
                let ens = self.ens();
                let own = ens.subscriptions.iter().filter(|subscription| subscription.callback == id);
                Ok((200, own.map(subscription_shown).collect()))
            }
            _ => Err(refused(400, 30000, "There is no such route")),
        };
        self.aim_if_changed(operation);
        answer
    }

    fn aim_if_changed(&self, operation: &str) {
        if !operation.ends_with("get") && !operation.ends_with("list") {
            self.aim();
        }
    }

    fn update_callbacks(&self, body: &Value) -> Answer {
        let mut ens = self.ens();
        let mut updated = Vec::new();
        for item in items(body)? {
            let held = ens.callback(required(item, "callbackId")?).ok_or_else(not_here)?;
            if let Some(size) = batch_size(item)? {
                held.max_batch = Some(size);
            }
            if let Some(name) = item["callbackName"].as_str() {
                held.name = name.to_owned();
            }
            updated.push(callback_shown(held));
        }
        Ok((200, updated.into()))
    }

    fn delete_callback(&self, id: &str) -> Answer {
        let mut ens = self.ens();
        ens.callback(id).ok_or_else(not_here)?;
        if ens.subscriptions.iter().any(|subscription| subscription.callback == id) {
            return Err(refused(409, 30002, "The callback has subscriptions"));
        }
        ens.callbacks.retain(|callback| callback.id != id);
        Ok((200, Value::Null))
    }

    /// The key is good once, and for four hours.
    fn verify(&self, body: &Value) -> Answer {
        let now = self.inner.around.clock.now();
        let mut ens = self.ens();
        let held = ens.callback(required(body, "callbackId")?).ok_or_else(not_here)?;
        let key = required(body, "verificationKey")?;
        let is_good = held
            .verification
            .as_ref()
            .is_some_and(|(expected, sent)| expected == key && now.duration_since(*sent) <= VERIFICATION_LASTS);
        if !is_good {
            return Err(refused(404, 30003, "The verification key doesn't exist"));
        }
        held.verification = None;
        held.is_verified = true;
        Ok((200, callback_shown(held)))
    }

    fn regenerate(&self, body: &Value) -> Answer {
        let mut ens = self.ens();
        let mut made = Vec::new();
        for item in items(body)? {
            let held = ens.callback(required(item, "callbackId")?).ok_or_else(not_here)?;
            held.signature_key = new_key();
            made.push(json!({ "callbackId": held.id, "signatureKey": held.signature_key }));
        }
        Ok((200, made.into()))
    }

    fn create_subscriptions(&self, body: &Value) -> Answer {
        let mut ens = self.ens();
        let mut created = Vec::new();
        for item in items(body)? {
            let callback = required(item, "callbackId")?;
            ens.callback(callback).ok_or_else(not_here)?;
            let types = event_types(item)?.ok_or_else(|| refused(400, 10002, "eventCategoryTypes is required"))?;
            // Only transactional sends can be filtered.
            if item["filters"].as_array().is_some_and(|filters| !filters.is_empty()) {
                return Err(refused(400, 10005, "These events can't be filtered"));
            }
            let (id, name) = (new_id(), required(item, "subscriptionName")?.to_owned());
            let callback = callback.to_owned();
            created.push(Subscription { id, callback, name, types, is_active: true, reason: String::new() });
        }
        let answer = created.iter().map(subscription_shown).collect();
        ens.subscriptions.extend(created);
        Ok((201, answer))
    }

    fn update_subscriptions(&self, body: &Value) -> Answer {
        let mut ens = self.ens();
        let mut updated = Vec::new();
        for item in items(body)? {
            let id = required(item, "subscriptionId")?;
            let held = ens.subscriptions.iter_mut().find(|held| held.id == id).ok_or_else(not_here)?;
            match item["status"].as_str() {
                Some("active") => held.is_active = true,
                Some("paused") => held.is_active = false,
                Some(_) => return Err(refused(400, 10005, "status must be active or paused")),
                None => {}
            }
            held.reason = item["statusReason"].as_str().unwrap_or_default().to_owned();
            if let Some(name) = item["subscriptionName"].as_str() {
                held.name = name.to_owned();
            }
            if let Some(types) = event_types(item)? {
                held.types = types;
            }
            updated.push(subscription_shown(held));
        }
        Ok((200, updated.into()))
    }

    fn delete_subscription(&self, id: &str) -> Answer {
        let mut ens = self.ens();
        let before = ens.subscriptions.len();
        ens.subscriptions.retain(|subscription| subscription.id != id);
        if ens.subscriptions.len() < before { Ok((200, Value::Null)) } else { Err(not_here()) }
    }
}

fn not_here() -> Refused {
    refused(404, 30003, "It doesn't exist for this MID")
}

fn items(body: &Value) -> Result<&Vec<Value>, Refused> {
    body.as_array().filter(|items| !items.is_empty()).ok_or_else(|| refused(400, 10001, "The body must be a list"))
}

fn required<'a>(item: &'a Value, name: &str) -> Result<&'a str, Refused> {
    let text = item[name].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| refused(400, 10002, &format!("{name} is required")))
}

fn batch_size(item: &Value) -> Result<Option<usize>, Refused> {
    let Some(size) = item.get("maxBatchSize") else { return Ok(None) };
    let size = size.as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| (100..=1000).contains(size));
    size.map(Some).ok_or_else(|| refused(400, 10005, "maxBatchSize must be from 100 to 1000"))
}

fn event_types(item: &Value) -> Result<Option<Vec<String>>, Refused> {
    let Some(types) = item.get("eventCategoryTypes") else { return Ok(None) };
    let families = ["EngagementEvents.", "TransactionalSendEvents.", "SendEvents."];
    let known = |kind: &Value| {
        let kind = kind.as_str().filter(|kind| families.iter().any(|family| kind.starts_with(family)));
        kind.map(ToOwned::to_owned)
    };
    let types = types.as_array().and_then(|types| types.iter().map(known).collect::<Option<Vec<_>>>());
    let types = types.filter(|types| !types.is_empty());
    types.map(Some).ok_or_else(|| refused(400, 10005, "eventCategoryTypes has an unknown one"))
}

/// `https://host[/path]` is called, without port and without query. And, unlike at Marketing Cloud, `http` on this
/// machine with any port: that is where the gateway of a sandbox or a test listens.
fn may_be_called(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_secure = url.scheme() == "https" && url.port().is_none();
    (is_secure || url.scheme() == "http" && is_here) && url.query().is_none()
}

/// Never with the signature key: it is shown only where it is made.
fn callback_shown(callback: &Callback) -> Value {
    json!({
        "callbackName": callback.name, "callbackId": callback.id, "url": callback.url,
        "maxBatchSize": callback.max_batch.unwrap_or(1000),
        "status": if callback.is_verified { "verified" } else { "unverified" }, "statusReason": callback.reason,
    })
}

fn subscription_shown(subscription: &Subscription) -> Value {
    json!({
        "subscriptionId": subscription.id, "subscriptionName": subscription.name,
        "callbackId": subscription.callback, "eventCategoryTypes": subscription.types, "filters": [],
        "status": if subscription.is_active { "active" } else { "paused" }, "statusReason": subscription.reason,
    })
}
