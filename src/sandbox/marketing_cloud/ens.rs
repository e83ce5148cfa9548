//! Callbacks and subscriptions to events: what is registered (vendor pages "createCallback", "verifyCallback",
//! "createSubscription" and their neighbours). `ens_calls` has the calls themselves.

use super::door::Call;
use super::events::{OPEN, UNSUBSCRIBE};
use super::{MarketingCloudSim, Temper};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

/// The call that makes callbacks, and calls them.
pub const CREATE_CALLBACKS: &str = "ens.callback.create";

/// What is registered.
#[derive(Default)]
pub struct Ens {
    pub callbacks: Vec<Callback>,
    pub subscriptions: Vec<Subscription>,
    /// The callback that events are brought to, and so whose key signs them.
    target: Option<String>,
}

/// Somewhere to bring events.
#[derive(Clone)]
pub struct Callback {
    pub id: String,
    pub name: String,
    pub url: String,
    pub signature_key: String,
    /// None if it was registered without any call: the courier's temper decides.
    pub max_batch: Option<usize>,
    pub is_verified: bool,
    /// The verification key that was sent to it and when, until it is used.
    pub verification: Option<(String, Timestamp)>,
    pub reason: String,
}

/// Which events a callback wants.
#[derive(Clone)]
pub struct Subscription {
    pub id: String,
    pub callback: String,
    pub name: String,
    pub types: Vec<String>,
    pub is_active: bool,
    pub reason: String,
}

/// How the registered callback is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackStatus {
    /// There is one.
    pub is_registered: bool,
    /// One of them was verified.
    pub is_verified: bool,
    /// One of them is verified and has an active subscription to unsubscribing.
    pub is_subscribed: bool,
    /// Events are lost now, as it failed too often.
    pub is_suspended: bool,
    /// How many events it will never get.
    pub dropped: usize,
}

/// A name for a call.
pub fn operation(call: &Call) -> &'static str {
    match (call.method.as_str(), &call.segments()[2..]) {
        ("POST", ["ens-callbacks"]) => CREATE_CALLBACKS,
        ("GET", ["ens-callbacks"]) => "ens.callback.list",
        ("GET", ["ens-callbacks", _]) => "ens.callback.get",
        ("PUT", ["ens-callbacks"]) => "ens.callback.update",
        ("DELETE", ["ens-callbacks", _]) => "ens.callback.delete",
        ("POST", ["ens-verify"]) => "ens.verify",
        ("PUT", ["ens-regenerate"]) => "ens.regenerate",
        ("POST", ["ens-subscriptions"]) => "ens.subscription.create",
        ("PUT", ["ens-subscriptions"]) => "ens.subscription.update",
        ("GET", ["ens-subscriptions", _]) => "ens.subscription.get",
        ("DELETE", ["ens-subscriptions", _]) => "ens.subscription.delete",
        ("GET", ["ens-subscriptions-by-cb", _]) => "ens.subscription.list",
        _ => "rest.other",
    }
}

/// What a package must be allowed for a call (vendor page "REST permissions").
pub fn scope(operation: &str) -> Option<String> {
    let (room, verb) = operation.strip_prefix("ens.")?.split_once('.').unwrap_or(("callback", "update"));
    let verb = if matches!(verb, "list" | "get") { "read" } else { verb };
    Some(format!("event_notification_{room}_{verb}"))
}

impl Ens {
    /// The callback that an event of this type would be brought to now.
    fn listener(&self, kind: Option<&str>) -> Option<&Callback> {
        let wants = |subscription: &Subscription| {
            subscription.is_active && kind.is_none_or(|kind| subscription.types.iter().any(|wanted| wanted == kind))
        };
        let is_wanted = |callback: &&Callback| {
            let mut own = self.subscriptions.iter().filter(|subscription| subscription.callback == callback.id);
            callback.is_verified && own.any(wants)
        };
        self.callbacks.iter().rev().find(is_wanted)
    }

    /// Whether anybody gets to know of events of this type.
    pub fn is_listened_to(&self, kind: &str) -> bool {
        self.listener(Some(kind)).is_some()
    }

    /// What events are signed with.
    pub fn signature_key(&self) -> String {
        let target = self.callbacks.iter().find(|callback| Some(&callback.id) == self.target.as_ref());
        target.map(|callback| callback.signature_key.clone()).unwrap_or_default()
    }

    pub fn callback(&mut self, id: &str) -> Option<&mut Callback> {
        self.callbacks.iter_mut().find(|callback| callback.id == id)
    }
}

impl MarketingCloudSim {
    /// A URL as if it were registered, verified and subscribed to unsubscribing and opening already, signed with
    /// the settings' key.
    pub fn register(&self, url: &str) {
        let mut ens = self.ens();
        ens.callbacks.retain(|callback| callback.url != url);
        let id = new_id();
        ens.callbacks.push(Callback {
            id: id.clone(),
            name: "registered".to_owned(),
            url: url.to_owned(),
            signature_key: self.settings().signature_key.clone(),
            max_batch: None,
            is_verified: true,
            verification: None,
            reason: String::new(),
        });
        ens.subscriptions.push(Subscription {
            id: new_id(),
            callback: id,
            name: "registered".to_owned(),
            types: vec![UNSUBSCRIBE.to_owned(), OPEN.to_owned()],
            is_active: true,
            reason: String::new(),
        });
        drop(ens);
        self.aim();
    }

    /// Pauses every subscription, as an administrator may: what happens meanwhile is lost.
    pub fn pause_subscriptions(&self) {
        self.ens().subscriptions.iter_mut().for_each(|subscription| subscription.is_active = false);
        self.aim();
    }

    /// How the registered callback is doing.
    #[must_use]
    pub fn callback_status(&self) -> CallbackStatus {
        let ens = self.ens();
        CallbackStatus {
            is_registered: !ens.callbacks.is_empty(),
            is_verified: ens.callbacks.iter().any(|callback| callback.is_verified),
            is_subscribed: ens.is_listened_to(UNSUBSCRIBE),
            is_suspended: self.courier().is_suspended(),
            dropped: self.courier().dropped(),
        }
    }

    /// Brings events to whom they are for after a change. What waits for a callback that is no longer active is
    /// lost (vendor page "ENS retries and suspensions").
    pub(super) fn aim(&self) {
        let mut ens = self.ens();
        let target = ens.listener(None).cloned();
        ens.target = target.as_ref().map(|callback| callback.id.clone());
        drop(ens);
        let Some(target) = target else { return self.courier().forget() };
        if let Some(batch) = target.max_batch {
            self.courier().set_temper(Temper { batch, ..self.courier().temper() });
        }
        self.courier().deliver_to(&target.url);
    }
}

pub fn new_id() -> String {
    crate::sandbox::new_uuid().to_string()
}

/// A signature key: base64 of 32 bytes.
pub fn new_key() -> String {
    BASE64_STANDARD.encode([crate::sandbox::new_uuid().into_bytes(), crate::sandbox::new_uuid().into_bytes()].concat())
}
