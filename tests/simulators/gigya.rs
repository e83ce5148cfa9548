//! Gigya, and how its webhooks are redelivered.

use gigya_esp_gateway::sandbox::Surroundings;
use gigya_esp_gateway::sandbox::gigya::{GigyaSettings, GigyaSim};
use gigya_esp_gateway::sandbox::{Clock, Temper};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::broadcast;

pub struct Gigya {
    pub sim: GigyaSim,
    base: String,
    pub clock: Clock,
}

impl Gigya {
    pub async fn with(settings: GigyaSettings) -> Self {
        let clock = Clock::default();
        let sim = GigyaSim::start(settings, Surroundings::real(clock.clone(), broadcast::channel(100).0));
        let base = format!("http://{}", sim.serve().await.unwrap());
        Self { sim, base, clock }
    }

    async fn post(&self, method: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = reqwest::Client::new().post(format!("{}/{method}", self.base));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// A call with the right credentials.
    pub async fn call(&self, method: &str, form: &[(&str, &str)]) -> Value {
        let settings = self.sim.settings();
        let credentials = [
            ("apiKey", settings.api_key.as_str()),
            ("userKey", settings.credentials.user_key.as_str()),
            ("secret", settings.credentials.secret.as_str()),
        ];
        self.post(method, &[&credentials, form].concat()).await.1
    }
}

#[tokio::test]
async fn gigya_answers_200_with_an_error_code() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let settings = gigya.sim.settings().clone();
    let (key, user, secret) = (settings.api_key, settings.credentials.user_key, settings.credentials.secret);
    let cases: [(&[(&str, &str)], i64); 5] = [
        (&[], 400_002),
        (&[("apiKey", "4_Other")], 400_093),
        (&[("apiKey", &key), ("userKey", "other"), ("secret", &secret)], 403_005),
        (&[("apiKey", &key), ("userKey", &user), ("secret", "b3RoZXI=")], 403_010),
        (&[("apiKey", &key), ("userKey", &user), ("secret", &secret), ("UID", "nobody")], 403_005),
    ];
    for (form, code) in cases {
        let (status, answer) = gigya.post("accounts.getAccountInfo", form).await;
        assert_eq!((status, &answer["errorCode"]), (200, &json!(code)));
        assert!(answer["callId"].is_string() && answer["errorMessage"].is_string());
    }
}

#[tokio::test]
async fn gigya_shows_what_is_included_and_no_more() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let uid = gigya.sim.sign_up("ann@example.org", "ann");
    let all = gigya.call("accounts.getAccountInfo", &[("UID", &uid)]).await;
    assert!(all["profile"].is_object() && all["emails"].is_null());
    let some = gigya.call("accounts.getAccountInfo", &[("UID", &uid), ("include", "emails,loginIDs")]).await;
    assert!(some["profile"].is_null() && some["emails"]["verified"][0] == "ann@example.org");
}

#[tokio::test]
async fn gigya_times_a_subscription_by_its_last_change_of_state() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let uid = gigya.sim.sign_up("ann@example.org", "ann");
    let set = async |subscribed: bool| {
        let change = json!({ "newsletter": { "email": { "isSubscribed": subscribed } } }).to_string();
        let answer = gigya.call("accounts.setAccountInfo", &[("UID", &uid), ("subscriptions", &change)]).await;
        assert_eq!(answer["errorCode"], 0);
        gigya.clock.advance(SignedDuration::from_secs(5));
        gigya.sim.account(&uid).unwrap().subscriptions[0].2
    };
    let first = set(true).await;
    assert_eq!(set(true).await, first, "the same again is no change");
    assert!(set(false).await > first);
    let written = json!({ "newsletter": { "email": { "isSubscribed": true, "lastUpdatedSubscriptionState": "x" } } });
    let refused =
        gigya.call("accounts.setAccountInfo", &[("UID", &uid), ("subscriptions", &written.to_string())]).await;
    assert_eq!(refused["errorCode"], 400_006, "the time can't be written");
}

#[tokio::test]
async fn gigyas_search_lags_behind() {
    let gigya = Gigya::with(GigyaSettings { index_delay: Duration::from_secs(5), ..GigyaSettings::default() }).await;
    let query = [("query", "SELECT UID, profile FROM accounts WHERE profile.email = \"ANN@example.org\" LIMIT 10")];
    let found = async || gigya.call("accounts.search", &query).await["objectsCount"].as_i64().unwrap();
    let uid = gigya.sim.sign_up("ann@example.org", "ann");
    assert_eq!(found().await, 0, "not yet");
    gigya.clock.advance(SignedDuration::from_secs(6));
    assert_eq!(found().await, 1);
    gigya.sim.delete(&uid);
    assert_eq!(found().await, 1, "still");
    gigya.clock.advance(SignedDuration::from_secs(6));
    assert_eq!(found().await, 0);
    let nonsense = gigya.call("accounts.search", &[("query", "DROP TABLE accounts")]).await;
    assert_eq!(nonsense["errorCode"], 400_006);
}

#[tokio::test]
async fn gigyas_published_key_verifies_its_tokens() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let signer = gigya.sim.signer();
    let token = signer.token(&signer.parts(b"body", "nonce", gigya.clock.now().as_second()));
    let key = [("apiKey", gigya.sim.settings().api_key.as_str()), ("V2", "true")];
    let published = gigya.post("accounts.getJWTPublicKey", &key).await.1;
    let (n, e) = (published["keys"][0]["n"].as_str().unwrap(), published["keys"][0]["e"].as_str().unwrap());
    let key = jsonwebtoken::DecodingKey::from_rsa_components(n, e).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_issuer(&[format!("https://fidm.gigya.com/jwt/{}/", gigya.sim.settings().api_key)]);
    let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    signer.rotate();
    let token = signer.token(&signer.parts(b"body", "nonce", gigya.clock.now().as_second()));
    assert!(jsonwebtoken::decode::<Value>(&token, &key, &validation).is_err(), "a new key");
}

#[tokio::test]
async fn webhooks_come_again_at_growing_intervals_until_they_are_answered_2xx() {
    let (attempts, mut heard) = broadcast::channel(100);
    let sim = GigyaSim::start(GigyaSettings::default(), Surroundings::real(Clock::default(), attempts));
    let temper = Temper { first_interval: Duration::from_millis(20), ..Temper::default() };
    sim.courier().set_temper(temper);
    // A receiver that is well only the fourth time.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let answer = move || async move {
        let nth = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        http::StatusCode::from_u16([503, 400, 500, 204][nth.min(3) as usize]).unwrap()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    sim.courier().deliver_to(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
    let started = std::time::Instant::now();
    sim.sign_up("ann@example.org", "ann");
    assert!(sim.courier().settled(Duration::from_secs(10)).await);
    assert!(started.elapsed() >= Duration::from_millis(20 + 40 + 80));
    let statuses: Vec<_> = std::iter::from_fn(|| heard.try_recv().ok()).map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [503, 400, 500, 204]);
}

#[tokio::test]
async fn webhooks_have_names_and_urls_of_their_own() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let set = async |name: &str, url: &str, more: &[(&str, &str)]| {
        let form = [("name", name), ("url", url), ("version", "2.0"), ("active", "true")];
        let mut form = form.to_vec();
        form.push(("events", "[\"accountUpdated\"]"));
        form.retain(|(key, _)| !more.iter().any(|(other, _)| key == other));
        form.extend(more);
        gigya.call("accounts.webhooks.set", &form).await["errorCode"].as_i64().unwrap()
    };
    let url = "https://gateway.example.com/a";
    assert_eq!(set("one", url, &[]).await, 0);
    assert_eq!(set("two", url, &[]).await, 400_003, "the URL is there under another name");
    assert_eq!(set("two", "https://gateway.example.com/A", &[]).await, 0, "in capitals it is another");
    assert_eq!(set("one", "https://gateway.example.com/b", &[("active", "false")]).await, 0, "updated by its name");
    for (name, url, wrong) in [
        ("three", "http://gateway.example.com", ("version", "2.0")),
        ("three", "https://c.example.com", ("version", "3.0")),
        ("three", "https://c.example.com", ("events", "accountPainted")),
        ("three", "https://c.example.com", ("signingUserKey", "nobody")),
        (&"x".repeat(101), "https://c.example.com", ("version", "2.0")),
    ] {
        assert_eq!(set(name, url, &[wrong]).await, 400_006, "{name} {url} {wrong:?}");
    }
    let all = gigya.call("accounts.webhooks.getAll", &[]).await;
    let told: Vec<_> = all["webhooks"].as_array().unwrap().iter().map(|held| (&held["url"], &held["active"])).collect();
    assert_eq!(
        told,
        [
            (&json!("https://gateway.example.com/b"), &json!(false)),
            (&json!("https://gateway.example.com/A"), &json!(true))
        ]
    );
    assert_eq!(gigya.call("accounts.webhooks.delete", &[("name", "two")]).await["errorCode"], 0);
    assert_eq!(gigya.call("accounts.webhooks.delete", &[("name", "two")]).await["errorCode"], 400_006);
}

#[tokio::test]
async fn a_webhook_is_told_of_what_it_asked_for_while_it_is_active() {
    let (attempts, mut heard) = broadcast::channel(100);
    let sim = GigyaSim::start(GigyaSettings::default(), Surroundings::real(Clock::default(), attempts));
    let gigya = Gigya { base: format!("http://{}", sim.serve().await.unwrap()), sim, clock: Clock::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(|| async { http::StatusCode::OK })).into_future());
    let form = [("name", "one"), ("url", &url), ("events", "accountRegistered"), ("version", "2.0")];
    gigya.call("accounts.webhooks.set", &form).await;
    gigya.sim.sign_up("ann@example.org", "ann");
    assert!(gigya.sim.courier().settled(Duration::from_secs(10)).await);
    gigya.call("accounts.webhooks.set", &[&form[..], &[("active", "false")]].concat()).await;
    gigya.sim.sign_up("bob@example.org", "bob");
    assert_eq!(gigya.sim.courier().pending(), 0, "nobody is told");
    let types: Vec<_> = std::iter::from_fn(|| heard.try_recv().ok()).flat_map(|attempt| attempt.types).collect();
    assert_eq!(types, ["accountRegistered"]);
}

#[tokio::test]
async fn the_schema_has_subscriptions_by_their_dotted_ids() {
    let settings = GigyaSettings { double_opt_in: vec!["newsletter".to_owned()], ..GigyaSettings::default() };
    let gigya = Gigya::with(settings).await;
    let schema = gigya.call("accounts.getSchema", &[]).await;
    let fields = &schema["subscriptionsSchema"]["fields"];
    assert_eq!(fields["newsletter"]["email"]["doubleOptIn"], true);
    assert_eq!(fields["pets.canine"]["email"]["doubleOptIn"], false);
    assert_eq!(schema["dataSchema"]["dynamicSchema"], true);
}
