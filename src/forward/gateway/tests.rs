//! What stays when a gateway takes another one's place.

use super::*;
use crate::config::Environment;
use crate::domain::Outcome;
use crate::forward::Live;
use crate::forward::effect::RouteEffect;
use crate::forward::progress::BodyDigest;
use crate::upstream::{BreakerState, Deadline, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const CONFIGURATION: &str = r#"
[gigya.main]
api_keys = ["4_A"]
data_center = "eu1.gigya.com"
user_key = "AAbb"
secret = { env = "GIGYA_SECRET" }

[campaign_monitor.news]
api_key = { env = "CM_API_KEY" }
callback_tokens = [{ env = "CM_CALLBACK_TOKEN" }]
time_zone = "Europe/Berlin"

[marketing_cloud.crm]
subdomain = "mc-example"
account_id = "100001"
client_id = { env = "SFMC_CLIENT_ID" }
client_secret = { env = "SFMC_CLIENT_SECRET" }
signature_keys = [{ env = "SFMC_SIGNATURE_KEY" }]

[[route]]
subscription = "main/newsletter"
audience = "news/1"

[[route]]
subscription = "main/offers"
audience = "crm/publication-list:2"
"#;

const SECRETS: [(&str, &str); 6] = [
    ("GIGYA_SECRET", "c2VjcmV0"),
    ("CM_API_KEY", "cm-key"),
    ("CM_CALLBACK_TOKEN", "0123456789abcdef0123456789abcdef"),
    ("SFMC_CLIENT_ID", "sfmc-client"),
    ("SFMC_CLIENT_SECRET", "sfmc-secret"),
    ("SFMC_SIGNATURE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
];

/// Nobody is ever reached.
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn send(&self, _: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, TransportError> {
        Err(TransportError::TimedOut)
    }
}

fn config(text: &str, secrets: &[(&str, &str)]) -> Config {
    let environment: Environment = SECRETS.iter().chain(secrets).copied().collect();
    Config::parse(text, Path::new("gateway.toml"), &environment).unwrap()
}

fn transport() -> Arc<dyn Transport> {
    Arc::new(Nowhere)
}

fn first() -> Gateway {
    Gateway::new(&config(CONFIGURATION, &[]), &transport(), &WallClock::system()).unwrap()
}

fn renewed(gateway: &Gateway, config: &Config) -> Gateway {
    gateway.renewed(config, &transport(), &WallClock::system()).unwrap()
}

fn same_esp(one: &Gateway, other: &Gateway, name: &str) -> bool {
    Arc::ptr_eq(&one.esps[name].esp, &other.esps[name].esp)
}

fn same_gigya(one: &Gateway, other: &Gateway) -> bool {
    let (one, other) = (&one.gigya["main"], &other.gigya["main"]);
    Arc::ptr_eq(&one.client, &other.client) && Arc::ptr_eq(&one.verifier, &other.verifier)
}

fn same_progress(one: &Gateway, other: &Gateway, name: &str) -> bool {
    Arc::ptr_eq(&one.esps[name].progress, &other.esps[name].progress)
}

/// Calls until the breaker of Campaign Monitor opens.
async fn open_breaker(gateway: &Gateway) {
    let esp = &gateway.esps["news"].esp;
    let address = crate::domain::Email::parse("ann@example.org").unwrap();
    let audience = Audience::new("1");
    while esp.health()[0].breaker != BreakerState::Open {
        let whom = crate::esp::Whom { uids: vec![], addresses: vec![&address], fields: &[] };
        let deadline = Deadline::after(Instant::now(), Duration::from_mins(1));
        let _ = esp.find(&audience, &whom, deadline).await;
    }
}

#[test]
fn what_is_set_as_it_was_stays_the_same() {
    let gateway = first();
    let now = renewed(&gateway, &config(&format!("# again\n{CONFIGURATION}"), &[]));
    assert!(same_gigya(&gateway, &now));
    for name in ["news", "crm"] {
        assert!(same_esp(&gateway, &now, name) && same_progress(&gateway, &now, name), "{name}");
    }
}

#[test]
fn a_secret_or_setting_makes_its_connection_another_one_and_no_other() {
    let gateway = first();
    let rotated = renewed(&gateway, &config(CONFIGURATION, &[("CM_API_KEY", "another")]));
    assert!(!same_esp(&gateway, &rotated, "news") && same_esp(&gateway, &rotated, "crm"));
    assert!(same_gigya(&gateway, &rotated));
    let text = CONFIGURATION.replace("user_key = ", "mute_webhooks = true\nuser_key = ");
    let muted = renewed(&gateway, &config(&text, &[]));
    assert!(!same_gigya(&gateway, &muted));
    assert!(same_esp(&gateway, &muted, "news") && same_esp(&gateway, &muted, "crm"));
}

#[test]
fn a_new_audience_is_known_to_its_connection() {
    let gateway = first();
    let more = "\n[[route]]\nsubscription = \"main/more\"\naudience = \"crm/publication-list:3\"\n";
    let now = renewed(&gateway, &config(&format!("{CONFIGURATION}{more}"), &[]));
    assert!(!same_esp(&gateway, &now, "crm"), "it reads what the routes' audiences mean");
    assert!(same_esp(&gateway, &now, "news"));
}

/// Else a new route would miss what was settled for the others.
#[test]
fn progress_is_kept_only_if_all_that_ends_there_is_as_it_was() {
    let gateway = first();
    let body = BodyDigest::of("news", b"body");
    let settled = HashMap::from([(0, vec![RouteEffect::nowhere(Outcome::Applied)])]);
    gateway.esps["news"].progress.remember(body, settled, Instant::now());
    let more = "\n[[route]]\nsubscription = \"main/more\"\naudience = \"news/1\"\n";
    let others = [
        config(&format!("{CONFIGURATION}{more}"), &[]),
        config(&CONFIGURATION.replace("\"news/1\"", "\"news/1\"\nforward_bounces = true"), &[]),
        config(&CONFIGURATION.replace("eu1.", "us1."), &[]),
        config(CONFIGURATION, &[("CM_API_KEY", "another")]),
    ];
    for other in &others {
        let now = renewed(&gateway, other);
        assert!(now.esps["news"].progress.of(body, Instant::now()).is_empty());
    }
    let elsewhere = CONFIGURATION.replace("\"main/offers\"", "\"main/deals\"");
    let now = renewed(&gateway, &config(&elsewhere, &[]));
    assert!(!now.esps["news"].progress.of(body, Instant::now()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_does_not_close_a_breaker_and_another_host_has_its_own() {
    let gateway = first();
    open_breaker(&gateway).await;
    let rotated = renewed(&gateway, &config(CONFIGURATION, &[("CM_API_KEY", "another")]));
    assert_eq!(rotated.esps["news"].esp.health()[0].breaker, BreakerState::Open);
    let text = CONFIGURATION.replace("time_zone", "base_url = \"https://other.example\"\ntime_zone");
    let moved = renewed(&gateway, &config(&text, &[]));
    assert_eq!(moved.esps["news"].esp.health()[0].breaker, BreakerState::Closed);
}

#[test]
fn a_connection_may_become_one_of_another_provider() {
    let gateway = first();
    let text = CONFIGURATION.replace("campaign_monitor.news", "marketing_cloud.news");
    let mine = &text[text.find("[marketing_cloud.news]").unwrap()..text.find("[marketing_cloud.crm]").unwrap()];
    let theirs = &text[text.find("[marketing_cloud.crm]").unwrap()..text.find("[[route]]").unwrap()];
    let text = text.replace(mine, &theirs.replace(".crm]", ".news]")).replace("news/1", "news/all-subscribers");
    let now = renewed(&gateway, &config(&text, &[]));
    assert_eq!(now.esps["news"].esp.provider().slug, "marketing-cloud");
}

#[test]
fn a_gateway_is_gone_once_nobody_uses_it() {
    let live = Live::new(first());
    let kept = Arc::clone(&live.now().esps["crm"].esp);
    let users = Arc::strong_count(&kept);
    for round in 0..200 {
        let under_way = live.now();
        let before = Arc::downgrade(&under_way);
        let config = config(CONFIGURATION, &[("CM_API_KEY", if round % 2 == 0 { "one" } else { "another" })]);
        live.exchange(renewed(&under_way, &config));
        assert!(before.upgrade().is_some(), "a request has it still");
        drop(under_way);
        assert!(before.upgrade().is_none());
        assert_eq!(Arc::strong_count(&kept), users);
    }
}
