//! Event notifications that are not what they should be.

use crate::house::{Answer, House, JSON};
use gigya_esp_gateway::sandbox::marketing_cloud::{KeyReading, sign};
use gigya_esp_gateway::sandbox::{Esps, Setup};
use serde_json::{Value, json};

const PATH: &str = "/webhooks/marketing-cloud/crm";
const HEADER: &str = "x-sfmc-ens-signature";

async fn house() -> House {
    House::with(Setup { esps: Esps::Both, ..Setup::default() }).await
}

fn event(house: &House) -> Value {
    let subscriber = house.sandbox.marketing_cloud.subscriber(&house.uid).unwrap();
    json!({
        "eventCategoryType": "EngagementEvents.EmailUnsubscribe", "timestampUTC": 1_900_000_000_000_i64,
        "mid": 100_001, "eid": 1, "compositeId": format!("1.1.2.{}", subscriber.id),
        "composite": { "jobId": "1", "batchId": "2", "listId": "1", "subscriberId": subscriber.id.to_string() },
        "info": { "to": "ann@example.org", "unsubscribeMethod": "Click" },
    })
}

fn body(house: &House) -> Vec<u8> {
    json!([event(house)]).to_string().into_bytes()
}

fn signed(house: &House, body: &[u8]) -> String {
    let settings = house.sandbox.marketing_cloud.settings();
    sign(&settings.signature_key, settings.key_reading, body)
}

async fn post_signed(house: &House, body: Vec<u8>) -> Answer {
    let signature = signed(house, &body);
    house.post_to(PATH, &[JSON, (HEADER, &signature)], body).await
}

#[tokio::test]
async fn the_signature_must_be_right() {
    let house = house().await;
    let body = body(&house);
    let right = signed(&house, &body);
    let of_another_body = signed(&house, b"[]");
    let by_another_key = sign("///CAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", KeyReading::Text, &body);
    let by_no_key = sign("", KeyReading::Text, &body);
    let long = right.repeat(500);
    let wrong: [&[(&str, &str)]; 10] = [
        &[],
        &[(HEADER, "")],
        &[(HEADER, &of_another_body)],
        &[(HEADER, &by_another_key)],
        &[(HEADER, &by_no_key)],
        &[(HEADER, &right[1..])],
        &[(HEADER, &long)],
        &[(HEADER, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
        &[(HEADER, &right), (HEADER, &of_another_body)],
        &[("authorization", &right)],
    ];
    for headers in wrong {
        let headers = [&[JSON], headers].concat();
        let answer = house.post_to(PATH, &headers, body.clone()).await;
        house.is_401(&answer, &format!("{headers:?}"));
    }
    let mut changed = body.clone();
    changed.push(b'\n');
    house.is_401(&house.post_to(PATH, &[JSON, (HEADER, &right)], changed).await, "one byte more");
    assert_eq!(post_signed(&house, body).await.status, 200, "and the right one is");
}

#[tokio::test]
async fn another_business_unit_and_a_verification_nobody_expects_are_not_believed() {
    let house = house().await;
    for mid in [json!(100_002), json!("100002"), json!(-1), json!(0)] {
        let mut event = event(&house);
        event["mid"] = mid.clone();
        let body = json!([event]).to_string().into_bytes();
        house.is_401(&post_signed(&house, body).await, &format!("mid {mid}"));
    }
    let handshake = json!({ "callbackId": "c", "verificationKey": "k" }).to_string().into_bytes();
    house.is_401(&house.post_to(PATH, &[JSON], handshake.clone()).await, "unsigned");
    house.is_401(&post_signed(&house, handshake).await, "signed");
}

#[tokio::test]
async fn the_connection_must_be_there_and_of_this_provider() {
    let house = house().await;
    let body = body(&house);
    let right = signed(&house, &body);
    for wrong in [
        "/webhooks/marketing-cloud/nobody",
        "/webhooks/marketing-cloud/news",
        "/webhooks/marketing-cloud/main",
        "/webhooks/marketing-cloud/crm/token",
        "/webhooks/marketing-cloud/",
        "/webhooks/campaign-monitor/crm/token",
        "/webhooks/gigya/crm",
    ] {
        let answer = house.post_to(wrong, &[JSON, (HEADER, &right)], body.clone()).await;
        house.is_problem(&answer, 404, wrong);
    }
}

#[tokio::test]
async fn what_is_malformed_is_told_so_without_quoting_it() {
    let house = house().await;
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "canary@example.org",
        "null",
        "7",
        "\"canary\"",
        "{}",
        "{\"canary\":1}",
        "[{\"eventCategoryType\":\"x\"}",
        "[{\"eventCategoryType\":\"x\"}] []",
        &deep,
    ] {
        let answer = post_signed(&house, body.as_bytes().to_vec()).await;
        house.is_problem(&answer, 400, &body[..body.len().min(40)]);
        assert!(!answer.body.contains("canary"), "{}", answer.body);
    }
    house.is_problem(&post_signed(&house, b"[\"\xff\"]".to_vec()).await, 400, "not UTF-8");
}

#[tokio::test]
async fn an_odd_event_keeps_no_other_one_from_being_heard() {
    let house = house().await;
    let mut foreign = event(&house);
    foreign["mid"] = json!(7);
    for odd in [json!(null), json!(7), json!({}), json!({ "eventCategoryType": 7 }), foreign] {
        let body = json!([odd, event(&house)]).to_string().into_bytes();
        let answer = post_signed(&house, body).await;
        assert_eq!(answer.status, 200, "{odd}: {}", answer.body);
        assert!(answer.body.contains("\"received\":2,\"applied\":0,\"unchanged\":"), "{odd}: {}", answer.body);
    }
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let house = house().await;
    let body = body(&house);
    let signature = signed(&house, &body);
    for other in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let headers = [("content-type", other), (HEADER, signature.as_str())];
        house.is_problem(&house.post_to(PATH, &headers, body.clone()).await, 415, other);
    }
    let headers = [JSON, ("content-encoding", "gzip"), (HEADER, &signature)];
    house.is_problem(&house.post_to(PATH, &headers, body).await, 415, "compressed");
}

#[tokio::test]
async fn odd_members_are_unknown_and_nobody_is_harmed() {
    let house = house().await;
    for (member, value) in [
        ("timestampUTC", json!("soon")),
        ("timestampUTC", json!(-5)),
        ("timestampUTC", json!(1e300)),
        ("timestampUTC", json!([1])),
        ("timestampUTC", json!(i64::MAX)),
        ("compositeId", json!({ "a": 1 })),
        ("compositeId", json!("1.2")),
    ] {
        let mut event = event(&house);
        event[member] = value.clone();
        let answer = post_signed(&house, json!([event]).to_string().into_bytes()).await;
        assert_eq!(answer.status, 200, "{member} {value}: {}", answer.body);
        assert!(answer.body.contains("\"unchanged\":1"), "{member} {value}: {}", answer.body);
    }
    let mut event = event(&house);
    event["composite"] = json!("x");
    event["compositeId"] = Value::Null;
    event["info"] = json!("canary@example.org");
    let answer = post_signed(&house, json!([event]).to_string().into_bytes()).await;
    assert!(answer.body.contains("\"reason\":\"malformed\"") && !answer.body.contains("canary"), "{}", answer.body);
}

#[tokio::test]
async fn a_subscriber_key_with_anything_in_it_breaks_out_of_nothing() {
    let house = house().await;
    let evil = "</Value><Value>x' OR 1=1 --\u{0}\"]]>&amp;<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>";
    let mut event = event(&house);
    event["composite"]["subscriberId"] = Value::Null;
    event["compositeId"] = Value::Null;
    event["info"] = json!({ "to": "stranger@example.org", "subscriberKey": evil });
    let answer = post_signed(&house, json!([event]).to_string().into_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("unknown_subscriber"), "{}", answer.body);
}
