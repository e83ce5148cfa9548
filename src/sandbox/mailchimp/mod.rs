//! A simulated Mailchimp account: audiences, which its API calls lists, their members, and audience webhooks.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `world` | members, and what each call does to them |
//! | `rest` | the calls of Marketing API 3.0 |
//! | `people` | what people, the mail and the company do |
//! | `callbacks` | webhook payloads, signed or not |
//!
//! Written from the vendor's pages "Webhooks" and "Rate limits and timeouts", its notes on consent, and its API document.

mod callbacks;
mod people;
mod rest;
mod world;

pub use world::{MemberView, Status, member_id};

use super::{Courier, Faults, Surroundings, Temper};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use world::World;

/// A simulated Mailchimp account. Clones are the same.
#[derive(Clone)]
pub struct MailchimpSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: MailchimpSettings,
    world: Mutex<World>,
    faults: Faults,
    courier: Courier,
}

/// What kind of account it is.
#[derive(Clone, Debug)]
pub struct MailchimpSettings {
    /// Its API key.
    pub api_key: String,
    /// Its lists. The first is the newsletter's.
    pub lists: Vec<String>,
    /// The secret that signs its webhooks; none for webhooks that were made before there were signatures.
    pub signing_secret: Option<String>,
    /// Whether its webhooks are told of changes by the API, too.
    pub tells_of_api: bool,
}

impl Default for MailchimpSettings {
    fn default() -> Self {
        Self {
            api_key: "0123456789abcdef0123456789abcdef-us6".to_owned(),
            lists: vec!["a6b5da1054".to_owned(), "b7c6eb2165".to_owned()],
            signing_secret: Some("simulated-mailchimp-signing-secret".to_owned()),
            tells_of_api: true,
        }
    }
}

impl MailchimpSim {
    /// Starts an account. Needs a Tokio runtime, on which its webhooks are delivered.
    #[must_use]
    pub fn start(settings: MailchimpSettings, around: Surroundings) -> Self {
        let (world, faults) = (World::new(&settings, around.clock.clone()), Faults::new(around.seed));
        let (secret, clock) = (settings.signing_secret.clone(), around.clock.clone());
        let seal = move |events: &[Value]| callbacks::seal(secret.as_deref(), clock.now(), events);
        let courier = Courier::start("Mailchimp", Temper { batch: 1, ..Temper::default() }, around, seal);
        Self { inner: Arc::new(Inner { world: Mutex::new(world), faults, courier, settings }) }
    }

    /// Serves its API on a free port; `http://{address}/3.0` is its base URL.
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
    pub fn settings(&self) -> &MailchimpSettings {
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
