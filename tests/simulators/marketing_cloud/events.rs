//! Callbacks, subscriptions to events, and the events.

use super::{Account, LIST, Receiver, until};
use gigya_esp_gateway::sandbox::marketing_cloud::{KeyReading, MarketingCloudSettings, Status, sign};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;

const CALLBACKS: &str = "/platform/v1/ens-callbacks";
const SUBSCRIPTIONS: &str = "/platform/v1/ens-subscriptions";
const SOON: Duration = Duration::from_secs(10);

fn callback(url: &str) -> Value {
    json!([{ "callbackName": "gateway", "url": url, "maxBatchSize": 100 }])
}

fn subscription(callback: &Value) -> Value {
    json!([{
        "callbackId": callback, "subscriptionName": "opt-outs", "filters": [],
        "eventCategoryTypes": ["EngagementEvents.EmailUnsubscribe"],
    }])
}

#[test]
fn a_body_is_signed_with_the_key_in_either_reading() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let body = br#"[{"eventCategoryType":"EngagementEvents.EmailUnsubscribe","timestampUTC":1764000000000}]"#;
    assert_eq!(sign(key, KeyReading::Text, body), "dWmj2QR78kgAjrsYAeyNGc8BWMrUTcLfmuT7MX8zT24=");
    assert_eq!(sign(key, KeyReading::Base64, body), "m7B4Hqp19UfNcz0HgsCxOzxlIITWXnG8qMAmlTZNxr4=");
}

#[tokio::test]
async fn events_are_brought_once_a_callback_is_verified_and_subscribed() {
    let account = Account::new().await;
    let receiver = Receiver::answering(&[200]).await;
    let (status, created) = account.rest("POST", CALLBACKS, callback(&receiver.url)).await;
    assert_eq!(status, 201, "{created}");
    let id = &created[0]["callbackId"];
    assert_eq!(created[0]["signatureKey"], account.sim.settings().signature_key);
    // It was called while the call was open, unsigned, with an object.
    let probe = receiver.bodies()[0].clone();
    assert_eq!(&probe["callbackId"], id);
    assert!(!receiver.got.lock().unwrap()[0].0.contains_key("x-sfmc-ens-signature"));
    assert_eq!(account.rest("POST", SUBSCRIPTIONS, subscription(id)).await.1[0]["status"], "active");
    account.sim.import("ann", "ann@example.org", None, Status::Active);
    assert!(account.sim.unsubscribe_link("ann@example.org", None));
    assert_eq!(account.sim.courier().pending(), 0, "it isn't verified yet, so nobody is told");
    let foreign = json!({ "callbackId": id, "verificationKey": "other" });
    assert_eq!(account.rest("POST", "/platform/v1/ens-verify", foreign).await.0, 404);
    assert_eq!(account.rest("POST", "/platform/v1/ens-verify", probe.clone()).await.0, 200);
    assert_eq!(account.rest("POST", "/platform/v1/ens-verify", probe).await.0, 404, "the key is good once");
    account.sim.import("ann", "ann@example.org", None, Status::Active);
    assert!(account.sim.unsubscribe_link("ann@example.org", None));
    assert!(account.sim.courier().settled(SOON).await);
    assert_eq!(receiver.bodies()[1].as_array().map(Vec::len), Some(1), "events come in a list");
    let status = account.sim.callback_status();
    assert!(status.is_registered && status.is_verified && status.is_subscribed && !status.is_suspended);
}

#[tokio::test]
async fn a_verification_key_is_good_for_four_hours() {
    let mut account = Account::new().await;
    let receiver = Receiver::answering(&[200]).await;
    account.rest("POST", CALLBACKS, callback(&receiver.url)).await;
    account.clock.advance(SignedDuration::from_mins(4 * 60 + 1));
    account.log_in().await;
    assert_eq!(account.rest("POST", "/platform/v1/ens-verify", receiver.bodies()[0].clone()).await.0, 404);
}

#[tokio::test]
async fn a_url_must_answer_200_and_may_be_registered_once() {
    let account = Account::new().await;
    let receiver = Receiver::answering(&[202, 200]).await;
    assert_eq!(account.rest("POST", CALLBACKS, callback(&receiver.url)).await.0, 400, "202 is not enough here");
    let listed = account.rest("GET", CALLBACKS, Value::Null).await.1;
    assert_eq!(listed[0]["status"], "unverified");
    assert!(listed[0]["signatureKey"].is_null(), "never shown again");
    assert_eq!(account.rest("POST", CALLBACKS, callback(&receiver.url)).await.0, 304, "the dead one is in the way");
    let dead = format!("{CALLBACKS}/{}", listed[0]["callbackId"].as_str().unwrap());
    assert_eq!(account.rest("GET", &dead, Value::Null).await.1["callbackName"], "gateway");
    assert_eq!(account.rest("DELETE", &dead, Value::Null).await.0, 200);
    assert_eq!(account.rest("POST", CALLBACKS, callback(&receiver.url)).await.0, 201);
    for url in ["http://example.org/hook", "https://example.org:8443/hook", "https://example.org/hook?secret=1"] {
        assert_eq!(account.rest("POST", CALLBACKS, callback(url)).await.0, 400, "{url}");
    }
    let mut small = callback(&format!("{}/other", receiver.url));
    small[0]["maxBatchSize"] = 99.into();
    assert_eq!(account.rest("POST", CALLBACKS, small).await.0, 400);
}

#[tokio::test]
async fn callbacks_and_subscriptions_are_changed_and_deleted() {
    let account = Account::new().await;
    let receiver = Receiver::answering(&[200]).await;
    let created = account.rest("POST", CALLBACKS, callback(&receiver.url)).await.1;
    let id = created[0]["callbackId"].clone();
    account.rest("POST", "/platform/v1/ens-verify", receiver.bodies()[0].clone()).await;
    let change = json!([{ "callbackId": id, "callbackName": "renamed", "maxBatchSize": 200 }]);
    assert_eq!(account.rest("PUT", CALLBACKS, change).await.1[0]["maxBatchSize"], 200);
    let made = account.rest("PUT", "/platform/v1/ens-regenerate", json!([{ "callbackId": id }])).await.1;
    assert_ne!(made[0]["signatureKey"], created[0]["signatureKey"]);
    let (status, created) = account.rest("POST", SUBSCRIPTIONS, subscription(&id)).await;
    assert_eq!(status, 201);
    let mut filtered = subscription(&id);
    filtered[0]["filters"] = json!(["definitionKey=x"]);
    assert_eq!(account.rest("POST", SUBSCRIPTIONS, filtered).await.0, 400);
    assert_eq!(account.rest("POST", SUBSCRIPTIONS, subscription(&json!("other"))).await.0, 404);
    let callback = format!("{CALLBACKS}/{}", id.as_str().unwrap());
    assert_eq!(account.rest("DELETE", &callback, Value::Null).await.0, 409, "it has subscriptions");
    let of_it = format!("/platform/v1/ens-subscriptions-by-cb/{}", id.as_str().unwrap());
    assert_eq!(account.rest("GET", &of_it, Value::Null).await.1.as_array().map(Vec::len), Some(1));

    let subscription = created[0]["subscriptionId"].clone();
    let pause = json!([{ "subscriptionId": subscription, "status": "paused" }]);
    assert_eq!(account.rest("PUT", SUBSCRIPTIONS, pause).await.1[0]["status"], "paused");
    account.sim.import("ann", "ann@example.org", None, Status::Active);
    account.sim.unsubscribe_link("ann@example.org", None);
    let resume = json!([{ "subscriptionId": subscription, "status": "active" }]);
    account.rest("PUT", SUBSCRIPTIONS, resume).await;
    assert_eq!(account.sim.courier().pending(), 0, "what happens during a pause is lost");
    account.sim.import("ann", "ann@example.org", None, Status::Active);
    account.sim.unsubscribe_link("ann@example.org", None);
    assert!(account.sim.courier().settled(SOON).await);
    let (headers, body) = receiver.got.lock().unwrap().last().unwrap().clone();
    let key = made[0]["signatureKey"].as_str().unwrap();
    assert_eq!(headers["x-sfmc-ens-signature"], sign(key, KeyReading::Text, &body), "with the new key");

    let path = format!("{SUBSCRIPTIONS}/{}", subscription.as_str().unwrap());
    assert_eq!(account.rest("GET", &path, Value::Null).await.1["subscriptionName"], "opt-outs");
    assert_eq!(account.rest("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(account.rest("DELETE", &path, Value::Null).await.0, 404);
    assert_eq!(account.rest("DELETE", &callback, Value::Null).await.0, 200);
}

#[tokio::test]
async fn what_waits_for_a_paused_subscription_is_not_redelivered() {
    let account = Account::new().await;
    let receiver = Receiver::answering(&[200, 500]).await;
    let id = account.rest("POST", CALLBACKS, callback(&receiver.url)).await.1[0]["callbackId"].clone();
    account.rest("POST", "/platform/v1/ens-verify", receiver.bodies()[0].clone()).await;
    let created = account.rest("POST", SUBSCRIPTIONS, subscription(&id)).await.1;
    account.sim.import("ann", "ann@example.org", None, Status::Active);
    account.sim.unsubscribe_link("ann@example.org", None);
    until("it is refused", || receiver.bodies().len() > 1).await;
    assert_eq!(account.sim.courier().pending(), 1);
    let pause = json!([{ "subscriptionId": created[0]["subscriptionId"], "status": "paused" }]);
    account.rest("PUT", SUBSCRIPTIONS, pause).await;
    assert!(account.sim.courier().settled(SOON).await);
    assert_eq!(account.sim.callback_status().dropped, 1);
}

#[tokio::test]
async fn an_unsubscribe_is_told_as_documented_and_signed() {
    for (key_reading, with_subscriber_key) in [(KeyReading::Text, false), (KeyReading::Base64, true)] {
        let settings = MarketingCloudSettings { key_reading, with_subscriber_key, ..MarketingCloudSettings::default() };
        let account = Account::with(settings).await;
        let receiver = Receiver::answering(&[204]).await;
        account.sim.register(&receiver.url);
        let mut attempts = account.attempts.subscribe();
        account.sim.import("ann", "Ann@Example.org", Some(LIST), Status::Active);
        let id = account.sim.subscriber("ann").unwrap().id.to_string();
        assert!(account.sim.unsubscribe_link("ann@example.org", Some(LIST)));
        assert!(account.sim.courier().settled(SOON).await);
        let (headers, body) = receiver.got.lock().unwrap()[0].clone();
        let key = &account.sim.settings().signature_key;
        assert_eq!(headers["x-sfmc-ens-signature"], sign(key, key_reading, &body));
        let event = receiver.bodies()[0][0].clone();
        let job = event["composite"]["jobId"].as_str().unwrap();
        let expected = json!({ "jobId": job, "batchId": "1", "listId": LIST, "subscriberId": id });
        assert_eq!(event["composite"], expected);
        assert_eq!(event["compositeId"], format!("{job}.{LIST}.1.{id}"));
        assert_eq!((&event["mid"], &event["eid"]), (&json!(100_001), &json!(100_001)));
        let info = &event["info"];
        assert_eq!((&info["to"], &info["domain"]), (&json!("Ann@Example.org"), &json!("Example.org")));
        let earlier = event["timestampUTC"].as_i64().unwrap() - info["unsubscribeDate"].as_i64().unwrap();
        assert_eq!(earlier, 6 * 3600 * 1000, "as in the vendor's sample");
        assert_eq!(info["unsubscribeMethod"], "Click");
        assert_eq!(info["subscriberKey"].as_str(), with_subscriber_key.then_some("ann"));
        let attempt = attempts.try_recv().unwrap();
        assert_eq!((attempt.sender, attempt.status), ("Marketing Cloud", 204));
        assert_eq!(attempt.types, ["EngagementEvents.EmailUnsubscribe"]);
    }
}

#[tokio::test]
async fn all_who_share_an_address_are_taken_off_with_an_event_each() {
    let account = Account::new().await;
    let receiver = Receiver::answering(&[200]).await;
    account.sim.register(&receiver.url);
    for key in ["ann", "ann's other account"] {
        account.sim.import(key, "ann@example.org", Some(LIST), Status::Active);
    }
    account.sim.import("held", "ann@example.org", Some(LIST), Status::Active);
    account.sim.import("held", "ann@example.org", None, Status::Held);
    assert_eq!(account.sim.subscribers_at("ANN@example.org").len(), 3);
    assert!(account.sim.unsubscribe_link("ann@example.org", Some(LIST)));
    assert!(account.sim.courier().settled(SOON).await);
    let told: usize = receiver.bodies().iter().map(|events| events.as_array().unwrap().len()).sum();
    assert_eq!(told, 2, "nobody mails the third");
    assert!(!account.sim.unsubscribe_link("ann@example.org", Some(LIST)), "no mail, no link");
    assert!(account.sim.is_mailable("ann@example.org", None));
    assert!(account.sim.unsubscribe_link("ann@example.org", None));
    assert!(!account.sim.is_mailable("ann@example.org", None));
}

#[tokio::test]
async fn only_links_fire_unless_the_account_is_another() {
    for api_unsubscribes_fire in [false, true] {
        let settings = MarketingCloudSettings { api_unsubscribes_fire, ..MarketingCloudSettings::default() };
        let account = Account::with(settings).await;
        let receiver = Receiver::answering(&[200]).await;
        account.sim.register(&receiver.url);
        for (key, email) in [("ann", "ann@example.org"), ("bob", "bob@example.org"), ("cid", "cid@example.org")] {
            account.sim.import(key, email, None, Status::Active);
        }
        assert!(account.sim.hold("ann@example.org"));
        assert!(account.sim.complain("bob@example.org"));
        assert!(account.sim.administrator_deletes("bob@example.org"));
        assert!(account.sim.subscriber("bob").is_none());
        assert_eq!(account.sim.courier().pending(), 0);
        account.upsert("<SubscriberKey>cid</SubscriberKey><Status>Unsubscribed</Status>").await;
        assert!(account.sim.courier().settled(SOON).await);
        assert_eq!(receiver.bodies().len(), usize::from(api_unsubscribes_fire));
        account.sim.opens_a_mail("cid@example.org");
        assert!(account.sim.courier().settled(SOON).await);
        let last = receiver.bodies().last().unwrap()[0]["eventCategoryType"].clone();
        assert_eq!(last, "EngagementEvents.EmailOpen", "and this one is about something else");
    }
}
