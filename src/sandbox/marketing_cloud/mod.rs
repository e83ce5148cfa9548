//! A simulated Marketing Cloud account: subscribers, publication lists, data extensions, the REST and SOAP calls
//! about them, contact deletion, and the Event Notification Service.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `settings` | what kind of account it is |
//! | `people` | what people, the mail and administrators do |
//! | `drift` | what happens without anybody being told |
//! | `world` | what each write does to subscribers and lists |
//! | `subscribers` | subscribers, by key, number and address |
//! | `rows`, `async_rows` | data extensions: rows read, and written at once or later |
//! | `contacts` | contact deletion: queued, suppressing, done |
//! | `tokens` | access tokens |
//! | `door` | what every call passes: counting, faults, which room it is for |
//! | `rest` | the REST calls |
//! | `ens`, `ens_calls` | callbacks and subscriptions to events, and the calls about them |
//! | `events` | what an event looks like, and its signature |
//! | `soap` | the SOAP calls |

mod async_rows;
mod contacts;
mod door;
mod drift;
mod ens;
mod ens_calls;
mod events;
mod people;
mod rest;
mod rows;
mod settings;
mod soap;
mod subscribers;
mod tokens;
mod world;

pub use drift::StockedContact;
pub use ens::CallbackStatus;
pub use events::sign;
pub use people::SubscriberView;
pub use settings::{DataExtensionSettings, KeyReading, MarketingCloudSettings, Redelivery};
pub use world::Status;

use super::{Courier, Faults, Surroundings, Temper};
use door::Scripted;
use ens::Ens;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokens::Tokens;
use world::World;

/// A simulated Marketing Cloud account. Clones are the same.
#[derive(Clone)]
pub struct MarketingCloudSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: MarketingCloudSettings,
    around: Surroundings,
    world: Mutex<World>,
    tokens: Mutex<Tokens>,
    ens: Arc<Mutex<Ens>>,
    scripted: Mutex<HashMap<String, VecDeque<Scripted>>>,
    faults: Faults,
    courier: Courier,
}

impl MarketingCloudSim {
    /// Starts an account. Needs a Tokio runtime, on which its events are delivered.
    #[must_use]
    pub fn start(settings: MarketingCloudSettings, around: Surroundings) -> Self {
        let ens = Arc::new(Mutex::new(Ens::default()));
        let (reading, signer) = (settings.key_reading, Arc::clone(&ens));
        let seal = move |events: &[Value]| {
            let key = lock(&signer).signature_key();
            events::seal(&key, reading, events)
        };
        let temper = settings.redelivery.temper();
        let courier = Courier::start("Marketing Cloud", temper, around.clone(), seal);
        let inner = Inner {
            world: Mutex::new(World::new(&settings, around.clock.clone())),
            tokens: Mutex::default(),
            scripted: Mutex::default(),
            faults: Faults::new(around.seed),
            ens,
            courier,
            around,
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Serves it on a free port, which is the host of authentication, REST and SOAP alike: `http://{address}`.
    pub async fn serve(&self) -> std::io::Result<SocketAddr> {
        super::serve(self.router()).await
    }

    /// How it fails, and how often it was called.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What delivers its events: all of them to one callback, the youngest that is verified and has an active
    /// subscription. Which that is, is for [`register`](Self::register) or the REST calls to say.
    #[must_use]
    pub fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    /// What kind of account it is.
    #[must_use]
    pub fn settings(&self) -> &MarketingCloudSettings {
        &self.inner.settings
    }

    /// Every token that was given out is no longer good.
    pub fn revoke_tokens(&self) {
        lock(&self.inner.tokens).revoke();
    }

    /// Answers the next call of an operation so, whatever it asks; several queue up. (The operations are those
    /// that `faults().calls` counts.)
    pub fn fail_next(&self, operation: &str, status: u16, body: &str, headers: &[(&str, &str)]) {
        let scripted = Scripted::new(status, body, headers);
        lock(&self.inner.scripted).entry(operation.to_owned()).or_default().push_back(scripted);
    }

    /// The account as it is now: what was to happen until now has.
    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.inner.world);
        world.let_time_pass();
        world.write_taken_rows();
        world
    }

    fn ens(&self) -> MutexGuard<'_, Ens> {
        lock(&self.inner.ens)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
