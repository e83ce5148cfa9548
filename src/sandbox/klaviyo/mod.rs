//! A simulated Klaviyo account: profiles, lists, consent to email, and system webhooks.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `world` | profiles, and what each job does to them |
//! | `rest` | the calls, in JSON:API |
//! | `people` | what people, the mail and the company do |
//! | `callbacks` | webhook payloads, signed |
//!
//! Written from the vendor's API document (revision 2026-07-15) and its page "Working with system webhooks".

mod callbacks;
mod people;
mod rest;
mod world;

pub use world::{ConsentState, ProfileView};

use super::{Courier, Faults, Surroundings, Temper};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use world::World;

/// A simulated Klaviyo account. Clones are the same.
#[derive(Clone)]
pub struct KlaviyoSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: KlaviyoSettings,
    world: Mutex<World>,
    faults: Faults,
    courier: Courier,
}

/// What kind of account it is.
#[derive(Clone, Debug)]
pub struct KlaviyoSettings {
    /// Its private API key.
    pub api_key: String,
    /// Its lists. The first is the newsletter's.
    pub lists: Vec<String>,
    /// The key that signs its webhooks.
    pub secret_key: String,
    /// Whether the unsubscribe link leaves everything, and not the list alone.
    pub link_leaves_everything: bool,
    /// How long jobs wait in the queue.
    pub queue: Duration,
}

impl Default for KlaviyoSettings {
    fn default() -> Self {
        Self {
            api_key: "pk_simulated".to_owned(),
            lists: vec!["Y6nRLr".to_owned(), "Z7oSMs".to_owned()],
            secret_key: "simulated-klaviyo-secret-key".to_owned(),
            link_leaves_everything: false,
            queue: Duration::from_millis(20),
        }
    }
}

impl KlaviyoSim {
    /// Starts an account. Needs a Tokio runtime, on which its webhooks are delivered.
    #[must_use]
    pub fn start(settings: KlaviyoSettings, around: Surroundings) -> Self {
        let (world, faults) = (World::new(&settings, around.clock.clone()), Faults::new(around.seed));
        let (secret, clock) = (settings.secret_key.clone(), around.clock.clone());
        let seal = move |events: &[Value]| callbacks::seal(&secret, clock.now(), events);
        let courier = Courier::start("Klaviyo", Temper::default(), around, seal);
        Self { inner: Arc::new(Inner { world: Mutex::new(world), faults, courier, settings }) }
    }

    /// Serves its API on a free port; `http://{address}/api` is its base URL.
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
    pub fn settings(&self) -> &KlaviyoSettings {
        &self.inner.settings
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hands what happened to the webhook.
    fn publish(&self, happened: Vec<Value>) {
        for event in happened {
            self.inner.courier.take(event);
        }
    }
}
