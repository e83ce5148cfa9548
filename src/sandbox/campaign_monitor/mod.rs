//! A simulated Campaign Monitor client: lists, subscribers, the API v3.3 calls about them, and list webhooks.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `people` | what people and the mail do: forms, unsubscribe links, complaints, bounces, the preference centre |
//! | `drift` | what happens without anybody being told |
//! | `world` | what each call does to lists and subscribers |
//! | `list` | a list's subscribers, in the orders in which they are read |
//! | `rest` | the calls |
//! | `pages` | the calls that read a list as a whole |
//! | `webhooks` | which webhooks the lists have, and the calls about them
//! | `setup` | the calls about lists' fields, the client and the time
//! | `callbacks` | webhook payloads, JSON and XML |

mod callbacks;
mod drift;
mod list;
mod pages;
mod people;
mod rest;
mod setup;
mod webhooks;
mod world;

pub use drift::StockedSubscriber;
pub use list::State;
pub use people::SubscriberView;

use super::{Courier, Faults, Surroundings, Temper};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use webhooks::Webhooks;
use world::World;

/// A simulated Campaign Monitor client. Clones are the same.
#[derive(Clone)]
pub struct CampaignMonitorSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: CampaignMonitorSettings,
    world: Mutex<World>,
    faults: Faults,
    courier: Courier,
    webhooks: Arc<Mutex<Webhooks>>,
}

/// What kind of client it is.
#[derive(Clone, Debug)]
pub struct CampaignMonitorSettings {
    /// Its API key.
    pub api_key: String,
    /// Its id.
    pub client_id: String,
    /// Its time zone, in which it tells times.
    pub time_zone: TimeZone,
    /// Its lists.
    pub lists: Vec<ListSettings>,
    /// How long an added subscriber waits in the queue. (An import doesn't.)
    pub queue: Duration,
    /// How often one person may be added or updated within a minute; 0 for as often as you like. Unpublished,
    /// but real: "Subscriber was added too many times too quickly".
    pub writes_a_minute: usize,
    /// What its webhooks are written in.
    pub format: Format,
    /// Whether times carry the day only, as some of its reports do.
    pub coarse_times: bool,
    /// What its time zone is called over there.
    pub time_zone_label: String,
}

/// What kind of list it is.
#[derive(Clone, Debug)]
pub struct ListSettings {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Its custom fields, by name.
    pub fields: Vec<String>,
    /// Whether new subscribers must confirm.
    pub confirmed_opt_in: bool,
    /// Whether unsubscribing suppresses the address for every list of the client.
    pub unsubscribe_from_all: bool,
}

/// What webhooks are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, as documented.
    Json,
    /// XML; its element names are not documented, and are our reading.
    Xml,
}

impl ListSettings {
    /// An ordinary list with the field that holds Gigya's UID, and one more.
    #[must_use]
    pub fn ordinary(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            fields: vec!["GigyaUID".to_owned(), "First Name".to_owned()],
            confirmed_opt_in: false,
            unsubscribe_from_all: false,
        }
    }
}

impl Default for CampaignMonitorSettings {
    fn default() -> Self {
        Self {
            api_key: "simulated-campaign-monitor-key".to_owned(),
            client_id: "c0ffee00c0ffee00c0ffee00c0ffee00".to_owned(),
            time_zone: TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC),
            lists: vec![ListSettings::ordinary("a58ee1d3039b8bec838e6d1482a8a965")],
            queue: Duration::from_millis(300),
            writes_a_minute: 0,
            format: Format::Json,
            coarse_times: false,
            time_zone_label: "(GMT+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna".to_owned(),
        }
    }
}

impl CampaignMonitorSim {
    /// Starts a client. Needs a Tokio runtime, on which its webhooks are delivered.
    #[must_use]
    pub fn start(settings: CampaignMonitorSettings, around: Surroundings) -> Self {
        let webhooks: Arc<Mutex<Webhooks>> = Arc::default();
        let (format, known) = (settings.format, Arc::clone(&webhooks));
        let (world, faults) = (World::new(&settings, around.clock.clone()), Faults::new(around.seed));
        let seal = move |events: &[Value]| {
            let known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            callbacks::seal(known.target().map_or(format, |webhook| webhook.format), events)
        };
        let courier = Courier::start("Campaign Monitor", Temper::default(), around, seal);
        Self { inner: Arc::new(Inner { world: Mutex::new(world), faults, courier, webhooks, settings }) }
    }

    /// Serves its API on a free port; `http://{address}/api/v3.3` is its base URL.
    pub async fn serve(&self) -> std::io::Result<SocketAddr> {
        super::serve(self.router()).await
    }

    /// How it fails, and how often it was called.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What delivers its webhooks. One for all lists: each request still holds events of one list only, if the
    /// client has one list.
    #[must_use]
    pub fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    /// What kind of client it is.
    #[must_use]
    pub fn settings(&self) -> &CampaignMonitorSettings {
        &self.inner.settings
    }

    fn webhooks(&self) -> MutexGuard<'_, Webhooks> {
        self.inner.webhooks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hands what happened to the webhooks.
    fn publish(&self, happenings: Vec<Value>) {
        for event in happenings {
            if self.webhooks().wants(&event) {
                self.inner.courier.take(event);
            }
        }
    }
}
