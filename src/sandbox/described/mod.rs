//! A simulated ESP of nobody in particular: what an `[http.NAME]` table describes. It has audiences of people with an id,
//! a state with its time, and fields; a subscribe that leaves out who is out unless told to; signed callbacks in batches.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `world` | what each call and each person does |
//! | `rest` | the calls |

mod rest;
mod world;

pub use world::{Person, State};

use super::further::{FurtherEsp, Started};
use super::{Courier, Faults, Sealed, Surroundings, Temper};
use crate::sandbox::esp::DescribedAudience;
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use world::World;

/// The audience of the sandbox.
pub const AUDIENCE: &str = "7";
const LIST: &str = r#"
[[http.mail.list]]
path = "/audiences/{audience}/people"
query = { limit = "{limit}", offset = "{offset}" }
each = "/people"
limit = 3
total = "/total"
"#;
const KEY: &str = "simulated-described-key";
const CALLBACK_SECRET: &str = "simulated-described-callback-secret";

/// What kind of ESP it is.
#[derive(Clone, Debug, Default)]
pub struct DescribedSettings {
    /// Whether its subscribe lifts an opt-out, always.
    pub subscribe_lifts: bool,
    /// Whether its records can't change their address.
    pub never_moves: bool,
    /// How many looks at somebody it takes until a write shows; 0 for at once.
    pub queue: u32,
    /// Whether it tells no times of states.
    pub timeless: bool,
    /// Whether its audience can't be read as a whole, as far as its description says.
    pub unlisted: bool,
    /// Whether it refuses to unsubscribe anybody, by a 422 that its description doesn't know.
    pub refuses_to_stop: bool,
    /// Lines for its connection's table.
    pub lines: String,
    /// Lines for its route.
    pub route: String,
}

/// A simulated ESP. Clones are the same.
#[derive(Clone)]
pub struct DescribedSim {
    inner: Arc<Inner>,
}

struct Inner {
    settings: DescribedSettings,
    world: Mutex<World>,
    faults: Faults,
    courier: Courier,
}

impl DescribedSim {
    /// Starts it. Needs a Tokio runtime, on which its callbacks are delivered.
    #[must_use]
    pub fn start(settings: DescribedSettings, around: Surroundings) -> Self {
        let (clock, faults) = (around.clock.clone(), Faults::new(around.seed));
        let signing = around.clock.clone();
        let courier = Courier::start("Described", Temper::default(), around, move |events| {
            seal(events, signing.now().as_second())
        });
        let world = Mutex::new(World::new(settings.clone(), clock));
        Self { inner: Arc::new(Inner { settings, world, faults, courier }) }
    }

    /// Serves its API on a free port; `http://{address}/v1` is its base URL.
    pub async fn serve(&self) -> std::io::Result<SocketAddr> {
        super::serve(self.router()).await
    }

    /// How it fails, and how often it was called.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What delivers its callbacks.
    #[must_use]
    pub fn courier(&self) -> &Courier {
        &self.inner.courier
    }

    /// Everybody whom it holds.
    #[must_use]
    pub fn people(&self) -> Vec<Person> {
        self.world().people().cloned().collect()
    }

    /// Somebody does something there, or something is done to them; whether it could be.
    pub fn happens(&self, email: &str, state: State, from: &[State]) -> bool {
        let told = self.world().happens(email, state, from);
        self.publish(told.iter().flatten());
        told.is_some()
    }

    /// Somebody at the company deletes them there. Whether they were there.
    pub fn delete(&self, email: &str) -> bool {
        let told = self.world().delete(email);
        self.publish(told.iter());
        told.is_some()
    }

    /// Something happens that no description knows.
    pub fn something_else(&self, event: Value) {
        self.inner.courier.take(event);
    }

    fn publish<'a>(&self, told: impl Iterator<Item = &'a Value>) {
        for event in told {
            self.inner.courier.take(event.clone());
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The tables that describe it to a gateway.
    fn tables(&self, at: SocketAddr) -> String {
        let settings = &self.inner.settings;
        let rules = format!(
            "subscribe_may_lift_opt_out = {}\nupdate_may_opt_in = false\nqueued = {}",
            settings.subscribe_lifts,
            settings.queue > 0
        );
        let time = if settings.timeless {
            String::new()
        } else {
            "time = { pointer = \"/since\", format = \"unix\", of = \"state\" }".to_owned()
        };
        let moves = !settings.never_moves;
        let list = if settings.unlisted { "" } else { LIST };
        let (lines, route) = (&settings.lines, &settings.route);
        format!(
            r#"
[http.mail]
title = "Nobody in particular"
base_url = "http://{at}/v1"
secrets = {{ key = {{ env = "DESCRIBED_KEY" }} }}
callback_secrets = [{{ env = "DESCRIBED_CALLBACK_SECRET" }}]
headers = {{ Authorization = "Bearer {{secret:key}}" }}
{lines}

[http.mail.rules]
uid_field = "gigya_uid"
{rules}

[[http.mail.read]]
path = "/audiences/{{audience}}/people/{{email|lower}}"
answers = [{{ status = 404, pointer = "/error", equals = "nobody", means = "absent" }}]
key = "/id"
address = "/email"
uid = "/fields/gigya_uid"
fields = ["/fields"]
state = "/state"
states = [
    {{ equals = "active", means = "opted_in" }},
    {{ equals = "stopped", means = "opted_out", reason = "unsubscribed" }},
    {{ equals = "bounced", means = "opted_out", reason = "bounced" }},
    {{ equals = "complained", means = "opted_out", reason = "complained" }},
]
{time}

[http.mail.subscribe]
method = "PUT"
path = "/audiences/{{audience}}/people/{{email|lower}}"
json = {{ fields = "{{fields}}", force = false }}
answers = [{{ status = 409, pointer = "/error", equals = "out", means = "held" }}]

[http.mail.resubscribe]
method = "PUT"
path = "/audiences/{{audience}}/people/{{email|lower}}"
json = {{ fields = "{{fields}}", force = true }}

[http.mail.update]
method = "PATCH"
path = "/audiences/{{audience}}/people/{{former_email|lower}}"
json = {{ email = "{{email}}", fields = "{{fields}}" }}
answers = [{{ status = [404, 409], means = "moved" }}]
moves_address = {moves}

[http.mail.unsubscribe]
path = "/audiences/{{audience}}/people/{{email|lower}}/stop"
answers = [{{ status = 404, pointer = "/error", equals = "nobody", means = "nothing_to_do" }}]

[http.mail.delete]
method = "DELETE"
path = "/people/{{record}}"
answers = [{{ status = 404, pointer = "/error", equals = "nobody", means = "nothing_to_do" }}]

{list}
[http.mail.callback]
verify = "hmac"
header = "X-Signature"
timestamp_header = "X-Timestamp"
signed = "{{timestamp}}.{{body}}"
events = "/events"
type = "/type"
kinds = [
    {{ equals = "subscribed", means = "opted_in" }},
    {{ equals = "stopped", means = "opted_out", reason = "unsubscribed" }},
    {{ equals = "complained", means = "opted_out", reason = "complained" }},
    {{ equals = "bounced", means = "opted_out", reason = "bounced" }},
    {{ equals = "deleted", means = "opted_out", reason = "deleted" }},
    {{ equals = "changed", means = "changed" }},
    {{ equals = "opened", means = "ignored" }},
]
id = "/id"
address = "/email"
former_address = "/old_email"
uid = "/uid"
audience = "/audience"
time = {{ pointer = "/at", format = "unix" }}

[[route]]
subscription = "main/newsletter"
audience = "mail/{AUDIENCE}"
fields = {{ first_name = "profile.firstName" }}
{route}
"#
        )
    }
}

#[async_trait]
impl FurtherEsp for DescribedSettings {
    async fn start(&self, around: Surroundings) -> std::io::Result<Started> {
        let sim = DescribedSim::start(self.clone(), around);
        let tables = sim.tables(sim.serve().await?);
        let courier = sim.courier().clone();
        Ok(Started {
            esp: Arc::new(DescribedAudience::new(sim)),
            tables,
            secrets: vec![("DESCRIBED_KEY", KEY.to_owned()), ("DESCRIBED_CALLBACK_SECRET", CALLBACK_SECRET.to_owned())],
            register: Box::new(move |gateway| courier.deliver_to(&format!("{gateway}/webhooks/http/mail"))),
        })
    }
}

/// A request with some events, signed.
fn seal(events: &[Value], now: i64) -> Sealed {
    let body = json!({ "events": events }).to_string().into_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(CALLBACK_SECRET.as_bytes()).expect("a key of any length will do");
    mac.update(format!("{now}.").as_bytes());
    mac.update(&body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-timestamp", now.to_string()),
        ("x-signature", signature),
    ];
    Sealed { headers, body }
}
