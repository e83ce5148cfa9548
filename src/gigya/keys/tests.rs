use super::*;
use crate::config::{Common, Gigya, GigyaAuth, GigyaEndpoint, GigyaWebhookAuth, OnDeadline};
use crate::domain::ConnectionName;
use crate::upstream::{Transport, TransportError, Upstream, WallClock};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use std::sync::Mutex as StdMutex;

const API_KEY: &str = "4_k";
/// A modulus; which one doesn't matter here, as nothing is verified with it.
const N: &str = "wJLlFmx3Vd3xVxS0ajXMDrpHhB2HbbNbDN5pNVoMDpC6QFM2E3sBWVyYwUIYHPMnIfOGUXtbOfSAsdOhcsEFvQ";

/// A Gigya that lists some key ids, and counts how often it is asked.
#[derive(Default)]
struct Site {
    listed: StdMutex<Vec<&'static str>>,
    asked: StdMutex<u32>,
}

#[async_trait]
impl Transport for Arc<Site> {
    async fn send(&self, _: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, TransportError> {
        *self.asked.lock().unwrap() += 1;
        let listed = self.listed.lock().unwrap();
        if listed.is_empty() {
            return Err(TransportError::Broken);
        }
        let keys: Vec<_> = listed
            .iter()
            .map(|kid| serde_json::json!({ "kty": "RSA", "alg": "RS256", "kid": kid, "n": N, "e": "AQAB" }))
            .collect();
        let body = serde_json::json!({ "keys": keys, "errorCode": 0 }).to_string();
        Ok(Response::new(Bytes::from(body)))
    }
}

fn store() -> (Arc<Site>, KeyStore) {
    let site = Arc::new(Site::default());
    let common = Common {
        deadline: Duration::from_secs(8),
        on_deadline: OnDeadline::Defer,
        attempt_timeout: Duration::from_secs(4),
        max_concurrent_calls: 8,
        max_calls_per_minute: 0,
        clocks_may_differ: Duration::ZERO,
        content_types: Vec::new(),
    };
    let connection = Gigya {
        name: ConnectionName::new("main"),
        common: common.clone(),
        api_keys: vec![API_KEY.into()],
        endpoint: GigyaEndpoint::DataCenter("eu1.gigya.com".into()),
        auth: GigyaAuth::Secret { user_key: "u".into(), secret: "c2VjcmV0".into() },
        webhook_auth: GigyaWebhookAuth::Jwt { issuer: "{apiKey}".into() },
        webhook_name: "esp-gateway".into(),
        webhook_signing_key: None,
        signature_max_age: Duration::from_hours(48),
        clock_tolerance: Duration::ZERO,
        mute_webhooks: false,
        clear_flags_on_inactive: false,
    };
    let upstream = Upstream::new("gigya/main".into(), Arc::new(Arc::clone(&site)), &common);
    let client = Arc::new(Client::new(&connection, upstream, WallClock::system()).unwrap());
    (site, KeyStore::new(client, connection.signature_max_age))
}

impl Site {
    fn lists(&self, kids: &[&'static str]) {
        *self.listed.lock().unwrap() = kids.to_vec();
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

impl KeyStore {
    async fn knows(&self, kid: &str) -> Result<bool, Fault> {
        let deadline = Deadline::after(tokio::time::Instant::now(), Duration::from_secs(8));
        self.key(kid, API_KEY, deadline).await.map(|key| key.is_some())
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_forged_ids_costs_one_fetch_in_ten_seconds() {
    let (site, store) = store();
    site.lists(&["genuine"]);
    for _ in 0..3 {
        let asked = site.asked();
        for n in 0..200 {
            assert_eq!(store.knows(&format!("forged-{n}")).await, Ok(false));
        }
        assert_eq!(site.asked() - asked, 1);
        assert_eq!(store.knows("genuine").await, Ok(true));
        tokio::time::advance(BETWEEN_FETCHES).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_once_ten_seconds_have_passed() {
    let (site, store) = store();
    site.lists(&["old"]);
    assert_eq!(store.knows("old").await, Ok(true));
    site.lists(&["new"]);
    assert_eq!(store.knows("new").await, Ok(false), "too soon to ask again");
    tokio::time::advance(BETWEEN_FETCHES).await;
    assert_eq!(store.knows("new").await, Ok(true));
    assert_eq!(site.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_longer_listed_is_believed_as_long_as_a_signature_may_be_old() {
    let (site, store) = store();
    site.lists(&["old"]);
    assert_eq!(store.knows("old").await, Ok(true));
    site.lists(&["new"]);
    for _ in 0..47 {
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!((store.knows("new").await, store.knows("old").await), (Ok(true), Ok(true)));
    }
    tokio::time::advance(Duration::from_hours(26)).await;
    assert_eq!((store.knows("new").await, store.knows("old").await), (Ok(true), Ok(false)));
}

#[tokio::test(start_paused = true)]
async fn while_gigya_cannot_be_asked_known_keys_are_believed_and_unknown_ones_put_off() {
    let (site, store) = store();
    site.lists(&["known"]);
    assert_eq!(store.knows("known").await, Ok(true));
    site.lists(&[]);
    tokio::time::advance(Duration::from_hours(25)).await;
    assert_eq!(store.knows("known").await, Ok(true));
    assert!(store.knows("unknown").await.is_err(), "neither believed nor refused");
}
