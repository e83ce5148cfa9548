//! A simulated Braze workspace: users, email subscription groups, and a webhook campaign that tells when somebody's state
//! in a group changes.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `world` | users, and what each call does to them |
//! | `rest` | the calls |
//! | `people` | what people, the mail and the company do |
//! | `callbacks` | the webhook, whose body and headers are the customer's own |
//!
//! Written from the vendor's pages about the endpoints of subscription groups and user data. Braze has no webhooks for
//! opt-outs of its own; a campaign with a webhook message is how a customer makes one.

mod callbacks;
mod people;
mod rest;
mod world;

pub use world::UserView;

use super::{Courier, Faults, Surroundings, Temper};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use world::World;

/// A simulated Braze workspace. Clones are the same.
#[derive(Clone)]
pub struct BrazeSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: BrazeSettings,
    world: Mutex<World>,
    faults: Faults,
    courier: Courier,
}

/// What kind of workspace it is.
#[derive(Clone, Debug)]
pub struct BrazeSettings {
    /// Its REST API key.
    pub api_key: String,
    /// The token that its webhook campaign sends.
    pub callback_token: String,
    /// Its email subscription groups. The first is the newsletter's.
    pub groups: Vec<String>,
    /// How long attributes wait in the queue.
    pub queue: Duration,
}

impl Default for BrazeSettings {
    fn default() -> Self {
        Self {
            api_key: "simulated-braze-key".to_owned(),
            callback_token: "simulated-braze-callback-token".to_owned(),
            groups: vec![
                "6ae9c8a5-1c1c-4c1f-8a52-9f1a3d3f0a01".to_owned(),
                "6ae9c8a5-1c1c-4c1f-8a52-9f1a3d3f0a02".to_owned(),
            ],
            queue: Duration::from_millis(20),
        }
    }
}

impl BrazeSim {
    /// Starts a workspace. Needs a Tokio runtime, on which its webhooks are delivered.
    #[must_use]
    pub fn start(settings: BrazeSettings, around: Surroundings) -> Self {
        let (world, faults) = (World::new(&settings, around.clock.clone()), Faults::new(around.seed));
        let token = settings.callback_token.clone();
        let seal = move |events: &[Value]| callbacks::seal(&token, events);
        let courier = Courier::start("Braze", Temper { batch: 1, ..Temper::default() }, around, seal);
        Self { inner: Arc::new(Inner { world: Mutex::new(world), faults, courier, settings }) }
    }

    /// Serves its API on a free port; `http://{address}` is its base URL.
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

    /// What kind of workspace it is.
    #[must_use]
    pub fn settings(&self) -> &BrazeSettings {
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
