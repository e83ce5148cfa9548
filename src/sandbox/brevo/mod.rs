//! A simulated Brevo account: contacts, the lists that they are on, the blocklist, and marketing webhooks.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `world` | contacts, and what each call does to them |
//! | `rest` | the calls of API v3 |
//! | `people` | what people, the mail and the company do |
//! | `callbacks` | webhook payloads |
//!
//! Written from the vendor's pages "Manage your contacts", "Marketing webhooks" and "Secure webhook calls", and from the
//! models of its client libraries. What they leave open is said where it is decided.

mod callbacks;
mod people;
mod rest;
mod world;

pub use world::ContactView;

use super::{Courier, Faults, Surroundings, Temper};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use world::World;

/// A simulated Brevo account. Clones are the same.
#[derive(Clone)]
pub struct BrevoSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: BrevoSettings,
    world: Mutex<World>,
    faults: Faults,
    courier: Courier,
}

/// What kind of account it is.
#[derive(Clone, Debug)]
pub struct BrevoSettings {
    /// Its API key.
    pub api_key: String,
    /// The token that its webhook sends.
    pub callback_token: String,
    /// Its lists. The first is the newsletter's.
    pub lists: Vec<u64>,
    /// Whether a contact is shown with its `ext_id`. Not every answer has it.
    pub shows_ext_id: bool,
    /// By how many seconds the `ts` of events about contacts is ahead; in the vendor's example it is an hour.
    pub ts_ahead: i64,
}

impl Default for BrevoSettings {
    fn default() -> Self {
        Self {
            api_key: "xkeysib-simulated".to_owned(),
            callback_token: "simulated-brevo-callback-token".to_owned(),
            lists: vec![7, 8],
            shows_ext_id: true,
            ts_ahead: 3600,
        }
    }
}

impl BrevoSim {
    /// Starts an account. Needs a Tokio runtime, on which its webhooks are delivered.
    #[must_use]
    pub fn start(settings: BrevoSettings, around: Surroundings) -> Self {
        let (world, faults) = (World::new(&settings, around.clock.clone()), Faults::new(around.seed));
        let token = settings.callback_token.clone();
        let temper = Temper { batch: 1, ..Temper::default() };
        let courier = Courier::start("Brevo", temper, around, move |events: &[Value]| callbacks::seal(&token, events));
        Self { inner: Arc::new(Inner { world: Mutex::new(world), faults, courier, settings }) }
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
    pub fn settings(&self) -> &BrevoSettings {
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
