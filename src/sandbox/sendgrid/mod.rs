//! A simulated SendGrid account: contacts in lists, unsubscribe groups, the suppressions that hold for everything, and
//! the Event Webhook.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `world` | contacts and suppressions |
//! | `rest` | the calls of API v3 |
//! | `people` | what people, the mail and the company do |
//! | `callbacks` | events, signed |
//!
//! Written from the vendor's API document (folders "new marketing campaigns" and "suppression management") and its
//! pages about the Event Webhook.

mod callbacks;
mod people;
mod rest;
mod world;

use super::{Courier, Faults, Surroundings, Temper};
use callbacks::Signer;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use world::World;

/// A simulated SendGrid account. Clones are the same.
#[derive(Clone)]
pub struct SendgridSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: SendgridSettings,
    verification_key: String,
    world: Mutex<World>,
    faults: Faults,
    courier: Courier,
}

/// What kind of account it is.
#[derive(Clone, Debug)]
pub struct SendgridSettings {
    /// Its API key.
    pub api_key: String,
    /// The list that its newsletter goes to.
    pub list: String,
    /// Its unsubscribe groups. The first is the newsletter's.
    pub groups: Vec<u64>,
    /// How long written contacts wait in the queue.
    pub queue: Duration,
}

impl Default for SendgridSettings {
    fn default() -> Self {
        Self {
            api_key: "SG.simulated".to_owned(),
            list: "ca7c1e4e-4f34-4d2c-a9b4-6f6bcb9f3b4d".to_owned(),
            groups: vec![101, 102],
            queue: Duration::from_millis(20),
        }
    }
}

impl SendgridSim {
    /// Starts an account. Needs a Tokio runtime, on which its webhooks are delivered.
    #[must_use]
    pub fn start(settings: SendgridSettings, around: Surroundings) -> Self {
        let (world, faults) = (World::new(&settings, around.clock.clone()), Faults::new(around.seed));
        let signer = Signer::new();
        let (verification_key, clock) = (signer.verification_key(), around.clock.clone());
        let seal = move |events: &[Value]| signer.seal(clock.now(), events);
        let courier = Courier::start("SendGrid", Temper::default(), around, seal);
        Self { inner: Arc::new(Inner { verification_key, world: Mutex::new(world), faults, courier, settings }) }
    }

    /// Serves its API on a free port; `http://{address}/v3` is its base URL.
    pub async fn serve(&self) -> std::io::Result<SocketAddr> {
        super::serve(self.router()).await
    }

    /// How it fails, and how often it was called.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What delivers its webhooks.
    #[must_use]
    pub fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    /// What kind of account it is.
    #[must_use]
    pub fn settings(&self) -> &SendgridSettings {
        &self.inner.settings
    }

    /// The key that verifies its webhooks, as the account's pages show it.
    #[must_use]
    pub fn verification_key(&self) -> &str {
        &self.inner.verification_key
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hands what happened to the webhook.
    fn publish(&self, event: Value) {
        self.inner.courier.take(event);
    }
}
