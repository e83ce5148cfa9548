//! The connections that the targets look at, and how they are run.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gigya_esp_gateway::config::{Config, Environment, Gigya};
use gigya_esp_gateway::domain::{Email, Uid};
use gigya_esp_gateway::esp::{self, Esp, Field, FieldValue, Person};
use gigya_esp_gateway::sandbox::gigya::Signer;
use gigya_esp_gateway::upstream::{Deadline, Transport};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// The list of the route to Campaign Monitor.
pub const LIST: &str = "0123456789abcdef0123456789abcdef";
/// The token of Campaign Monitor's callback.
pub const CALLBACK_TOKEN: &str = "fedcba9876543210fedcba9876543210";
/// The secret that signs Gigya's webhooks 1.x.
pub const GIGYA_SECRET: &str = "c2VjcmV0LW9mLWdpZ3lh";
const SIGNATURE_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const CONFIG: &str = r#"
[gigya.main]
api_keys = ["4_AbCdEf"]
data_center = "eu1.gigya.com"
user_key = "AAbb"
secret = { env = "GIGYA_SECRET" }

[gigya.old]
api_keys = ["4_AbCdEf"]
data_center = "eu1.gigya.com"
user_key = "AAbb"
secret = { env = "GIGYA_SECRET" }
auth = "signed"
webhook_auth = "hmac-sha1"
webhook_secrets = [{ env = "GIGYA_SECRET" }]

[campaign_monitor.news]
api_key = { env = "CM_API_KEY" }
callback_tokens = [{ env = "CM_CALLBACK_TOKEN" }]
time_zone = "Europe/Berlin"

[marketing_cloud.crm]
subdomain = "mc-example"
account_id = "1476456"
client_id = { env = "SFMC_CLIENT_ID" }
client_secret = { env = "SFMC_CLIENT_SECRET" }
signature_keys = [{ env = "SFMC_SIGNATURE_KEY" }]

[salesforce.sales]
base_url = "https://example.my.salesforce.com"
client_id = { env = "SFMC_CLIENT_ID" }
client_secret = { env = "SFMC_CLIENT_SECRET" }
organization_id = "00D5e000000KQ2eEAG"
outbound_tokens = [{ env = "CM_CALLBACK_TOKEN" }]
callback_secrets = [{ env = "CM_CALLBACK_TOKEN" }]
callback_auth = "bearer"

[http.mail]
base_url = "https://api.example.com"
callback_secrets = [{ env = "CM_CALLBACK_TOKEN" }]
[http.mail.read]
path = "/people/{email}"
state = "/state"
states = [{ equals = "active", means = "opted_in" }]
[http.mail.subscribe]
path = "/people/{email}"
[http.mail.unsubscribe]
path = "/people/{email}/stop"
[http.mail.callback]
verify = "token"
events = "/events"
type = "/type"
kinds = [{ equals = "stop", means = "opted_out" }, { equals = "start", means = "opted_in" }, { equals = "open", means = "ignored" }]
id = "/id"
address = "/email"
former_address = "/old"
uid = "/uid"
audience = "/list"
time = [{ pointer = "/at", format = "unix" }, { pointer = "/log/*/at", format = "rfc3339" }, { pointer = "/day", format = "%d.%m.%Y", zone = "Europe/Berlin" }]

[[route]]
subscription = "main/newsletter"
audience = "news/0123456789abcdef0123456789abcdef"
accept_opt_ins = true
create_lite_accounts = true
forward_bounces = true
fields = { Name = "{profile.firstName} {profile.lastName}", Stores = "data.stores", Age = "profile.age" }

[[route]]
subscription = "main/pets.canine"
audience = "crm/publication-list:69238+data-extension:PROFILES"
fields = { City = "profile.city" }

[[route]]
subscription = "old/newsletter"
audience = "crm/publication-list:70001"

[[route]]
subscription = "old/mail"
audience = "mail/7"

[[route]]
subscription = "old/sales"
audience = "sales/Contact"
"#;

/// Its configuration.
pub fn config() -> &'static Config {
    static READ: OnceLock<Config> = OnceLock::new();
    READ.get_or_init(|| {
        let environment: Environment = [
            ("GIGYA_SECRET", GIGYA_SECRET),
            ("CM_API_KEY", "cm-key"),
            ("CM_CALLBACK_TOKEN", CALLBACK_TOKEN),
            ("SFMC_CLIENT_ID", "sfmc-client"),
            ("SFMC_CLIENT_SECRET", "sfmc-secret"),
            ("SFMC_SIGNATURE_KEY", SIGNATURE_KEY),
        ]
        .into_iter()
        .collect();
        Config::parse(CONFIG, Path::new("fuzz.toml"), &environment).expect("it is as the example says")
    })
}

/// A Gigya connection: `main` takes tokens; `old` takes HMAC, and signs its calls, for which it minds Gigya's clock.
pub fn gigya(name: &str) -> &'static Gigya {
    config().gigya.iter().find(|(known, _)| known.as_str() == name).expect("it is configured").1
}

/// A connection to an ESP, `news`, `crm`, `sales` or `mail`, with nothing known yet.
pub fn esp(name: &str, transport: Arc<dyn Transport>) -> Arc<dyn Esp> {
    let (_, settings) = config().esps.iter().find(|(known, _)| known.as_str() == name).expect("it is configured");
    esp::connect(settings, transport)
}

/// Who signs for Gigya.
pub fn signer() -> &'static Signer {
    static MADE: OnceLock<Signer> = OnceLock::new();
    MADE.get_or_init(|| Signer::new("4_AbCdEf", GIGYA_SECRET))
}

/// Marketing Cloud's signature over a body.
pub fn ens_signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNATURE_KEY.as_bytes()).expect("a key of any length will do");
    mac.update(body);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// One header.
pub fn headers(name: &'static str, value: &str) -> HeaderMap {
    let value = HeaderValue::try_from(value).expect("signatures are text");
    [(HeaderName::from_static(name), value)].into_iter().collect()
}

/// Ann, with fields of these values.
pub fn person(fields: &[(&str, FieldValue)]) -> Person {
    let fields = fields.iter().map(|(name, value)| Field { name: (*name).to_owned(), value: value.clone() });
    Person {
        address: Email::parse("ann@example.org").expect("it is one"),
        uid: Uid::new("u-ann").expect("it is one"),
        fields: fields.collect(),
    }
}

/// Time enough for everything: nothing waits really.
pub fn deadline() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_mins(1))
}

/// Runs one input to its end, by a clock that jumps to whatever is waited for.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can be made").block_on(work)
}
