//! A simulated Gigya site: accounts, the REST calls that a gateway makes, and signed webhooks.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `people` | what people do: sign up, subscribe, unsubscribe, change address, leave |
//! | `account` | accounts, full and lite, and the email accounts that hold their subscriptions |
//! | `drift` | what happens without anybody being told |
//! | `world` | what a site holds, and what changes there |
//! | `index` | what the search index doesn't know yet |
//! | `rest` | the REST calls, form in, envelope out |
//! | `credentials` | the three ways in which a call proves who makes it |
//! | `search` | the queries of `accounts.search`: a small SQL |
//! | `cursors` | `accounts.search` as a call: one page, or page after page |
//! | `webhooks` | which webhooks there are, the calls about them, and the schema
//! | `signer` | webhook signatures: RS256 tokens with a key of its own, and HMAC-SHA1 |

mod account;
mod credentials;
mod cursors;
mod drift;
mod index;
mod people;
mod rest;
mod search;
mod signer;
mod webhooks;
mod world;

pub use credentials::Credentials;
pub use drift::StockedAccount;
pub use people::AccountView;
pub use signer::{Signer, TokenParts};

use super::{Clock, Courier, Faults, Sealed, Surroundings, Temper};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use webhooks::Webhooks;
use world::World;

/// A simulated Gigya site. Clones are the same site.
#[derive(Clone)]
pub struct GigyaSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: GigyaSettings,
    world: Mutex<World>,
    faults: Faults,
    clock: Clock,
    courier: Courier,
    signer: Arc<Signer>,
    webhooks: Arc<Mutex<Webhooks>>,
}

/// What kind of site it is.
#[derive(Clone, Debug)]
pub struct GigyaSettings {
    /// The site's API key.
    pub api_key: String,
    /// The one application that may call, and how.
    pub credentials: Credentials,
    /// How its webhooks are signed, and so of which version they are.
    pub webhooks: WebhookVersion,
    /// The partner secret that signs webhooks of versions 1.0 and 1.1, base64.
    pub webhook_secret: String,
    /// How long a change takes to be found by a search.
    pub index_delay: Duration,
    /// How long a deleted account is found by a search, if that is longer.
    pub deleted_is_found: Duration,
    /// The most rows that a page of a search may have: 10000, or 1000 as another page of SAP's says.
    pub most_rows: usize,
    /// Whether an account's addresses of before aren't told of.
    pub forgets_addresses: bool,
    /// Whether ids such as `pets.canine` are one dotted key, or objects in each other.
    pub nested_subscriptions: bool,
    /// What reading an unknown UID answers: 403005 or 403047; which of the two isn't documented.
    pub unknown_uid_code: i64,
    /// Subscriptions whose opt-ins must be confirmed by mail.
    pub double_opt_in: Vec<String>,
    /// Whether a lite account can't be registered with an address that has an account; else that one is changed. Which of the
    /// two Gigya does isn't documented.
    pub refuses_known_addresses: bool,
    /// Subscriptions in its schema. (Others can be written all the same, which a real site refuses.)
    pub subscriptions: Vec<String>,
    /// Fields of the profile in its schema.
    pub profile_fields: Vec<String>,
    /// Fields of the data in its schema.
    pub data_fields: Vec<String>,
    /// Whether the data takes any other field, too.
    pub dynamic_data: bool,
    /// Methods that the application may not call.
    pub denied: Vec<String>,
}

/// A version of Gigya's webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookVersion {
    /// Full accounts only, HMAC, neither API key nor call id.
    V1_0,
    /// Lite accounts too, HMAC.
    V1_1,
    /// Signed with a token.
    V2_0,
}

impl Default for GigyaSettings {
    fn default() -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            api_key: "4_SimulatedSite".to_owned(),
            credentials: Credentials::example(),
            webhooks: WebhookVersion::V2_0,
            webhook_secret: "c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0".to_owned(),
            index_delay: Duration::ZERO,
            deleted_is_found: Duration::ZERO,
            most_rows: 10_000,
            forgets_addresses: false,
            nested_subscriptions: false,
            unknown_uid_code: 403_005,
            double_opt_in: Vec::new(),
            refuses_known_addresses: false,
            subscriptions: owned(&["newsletter", "offers", "pets.canine"]),
            profile_fields: owned(&["email", "firstName", "lastName", "country", "zip", "birthYear", "locale"]),
            data_fields: owned(&["loyalty.tier"]),
            dynamic_data: true,
            denied: Vec::new(),
        }
    }
}

impl GigyaSim {
    /// Starts a site. Needs a Tokio runtime, on which its webhooks are delivered.
    #[must_use]
    pub fn start(settings: GigyaSettings, around: Surroundings) -> Self {
        let signer = Arc::new(Signer::new(&settings.api_key, &settings.webhook_secret));
        Self::start_with(settings, around, signer)
    }

    /// The same with a signer that was made before, as making its key takes long.
    #[must_use]
    pub fn start_with(settings: GigyaSettings, around: Surroundings, signer: Arc<Signer>) -> Self {
        let clock = around.clock.clone();
        let webhooks: Arc<Mutex<Webhooks>> = Arc::default();
        let seal = {
            let (signer, clock, settings) = (Arc::clone(&signer), clock.clone(), settings.clone());
            let webhooks = Arc::clone(&webhooks);
            move |events: &[Value]| {
                let webhooks = webhooks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let target = webhooks.target();
                let version = target.map_or(settings.webhooks, |webhook| webhook.version);
                let signs = target.is_some_and(|webhook| !webhook.signing_user_key.is_empty());
                let secret = if signs { &settings.credentials.secret } else { &settings.webhook_secret };
                seal(&signer, secret, &clock, version, events)
            }
        };
        let faults = Faults::new(around.seed);
        let courier = Courier::start("Gigya", Temper::default(), around, seal);
        let world = Mutex::new(World::new(clock.clone(), &settings));
        Self { inner: Arc::new(Inner { settings, world, faults, clock, courier, signer, webhooks }) }
    }

    /// Serves its REST API on a free port; `http://{address}` is its base URL.
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

    /// What signs its webhooks.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.inner.signer
    }

    /// What kind of site it is.
    #[must_use]
    pub fn settings(&self) -> &GigyaSettings {
        &self.inner.settings
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    fn webhooks(&self) -> MutexGuard<'_, Webhooks> {
        self.inner.webhooks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Fires an event, in the fields that the site's version has.
    fn fire(&self, kind: &str, call_id: &str, data: Value) {
        let version = {
            let webhooks = self.webhooks();
            match webhooks.target() {
                Some(webhook) if webhook.events.iter().any(|wanted| wanted == kind) => webhook.version,
                // Nobody is told. Where no webhook was ever made, the courier alone knows where events go.
                None if webhooks.is_empty() => self.inner.settings.webhooks,
                _ => return,
            }
        };
        let is_lite = data.get("accountType") == Some(&json!("lite"));
        let is_new =
            matches!(kind, "accountMerged" | "accountUidChanged" | "accountProgressed" | "subscriptionUpdated");
        match version {
            WebhookVersion::V1_0 if is_lite || is_new => return,
            WebhookVersion::V1_1 if is_new => return,
            _ => {}
        }
        let mut event = json!({
            "type": kind, "id": crate::sandbox::new_uuid().to_string(), "timestamp": self.inner.clock.now().as_second(),
        });
        if version == WebhookVersion::V1_0 {
            event["data"] = json!({ "uid": data["uid"] });
        } else {
            event["callId"] = call_id.into();
            event["version"] = if version == WebhookVersion::V1_1 { "1.1" } else { "2.0" }.into();
            event["apiKey"] = self.inner.settings.api_key.clone().into();
            event["data"] = data;
        }
        self.inner.courier.take(event);
    }
}

/// Makes a notification of some events, and signs it.
fn seal(signer: &Signer, secret: &str, clock: &Clock, version: WebhookVersion, events: &[Value]) -> Sealed {
    let (nonce, now) = (crate::sandbox::new_uuid().to_string(), clock.now().as_second());
    let body = json!({ "events": events, "nonce": nonce, "timestamp": now }).to_string().into_bytes();
    let signature = match version {
        WebhookVersion::V1_0 | WebhookVersion::V1_1 => ("x-gigya-sig-hmac-sha1", Signer::hmac_with(secret, &body)),
        WebhookVersion::V2_0 => ("x-gigya-sig-jwt", signer.token(&signer.parts(&body, &nonce, now))),
    };
    Sealed { headers: vec![("content-type", "application/json".to_owned()), signature], body }
}
