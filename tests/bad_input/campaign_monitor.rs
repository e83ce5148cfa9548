//! Callbacks that are not what they should be.

use crate::house::{House, JSON};
use serde_json::{Value, json};

fn callback(house: &House) -> Value {
    json!({ "ListID": house.sandbox.list, "Events": [{
        "Type": "Deactivate", "Date": "2030-01-14 11:50:00", "EmailAddress": "ann@example.org", "Name": "",
        "State": "Unsubscribed", "CustomFields": [{ "Key": "GigyaUID", "Value": house.uid }],
    }] })
}

fn body(house: &House) -> Vec<u8> {
    callback(house).to_string().into_bytes()
}

#[tokio::test]
async fn the_token_must_be_right() {
    let house = House::ordinary().await;
    let path = house.callback_path();
    let (without, token) = path.rsplit_once('/').unwrap();
    let wrong = [
        without.to_owned(),
        format!("{without}/x"),
        format!("{without}/{}", token.to_uppercase()),
        format!("{without}/{}", &token[1..]),
        format!("{without}/{token}0"),
        format!("{without}/{}", "x".repeat(5_000)),
    ];
    let first = house.post_to(&wrong[0], &[JSON], body(&house)).await;
    for path in &wrong {
        let answer = house.post_to(path, &[JSON], body(&house)).await;
        house.is_401(&answer, path);
        assert_eq!(answer, first);
    }
    assert_eq!(house.post_to(&path, &[JSON], body(&house)).await.status, 200, "and the right one is");
}

#[tokio::test]
async fn the_connection_must_be_there_and_of_this_provider() {
    let house = House::ordinary().await;
    let path = house.callback_path();
    for wrong in [
        path.replace("/news/", "/nobody/"),
        path.replace("/news/", "/main/"),
        path.replace("campaign-monitor", "gigya"),
        path.replace("campaign-monitor", "other"),
    ] {
        house.is_problem(&house.post_to(&wrong, &[JSON], body(&house)).await, 404, &wrong);
    }
    let token = house.valid_token(&house.body());
    for wrong in ["/webhooks/gigya/news", "/webhooks/gigya/nobody"] {
        let answer = house.post_to(wrong, &[JSON, ("x-gigya-sig-jwt", &token)], house.body()).await;
        house.is_problem(&answer, 404, wrong);
    }
}

#[tokio::test]
async fn the_list_must_belong_to_a_route() {
    let house = House::ordinary().await;
    let mut other = callback(&house);
    other["ListID"] = "f".repeat(32).into();
    let answer = house.post_to(&house.callback_path(), &[JSON], other.to_string().into_bytes()).await;
    house.is_problem(&answer, 400, "another list");
    assert!(answer.body.contains("belongs to no route"));
}

#[tokio::test]
async fn one_bad_event_among_many_spoils_no_other() {
    let house = House::ordinary().await;
    let mut many = callback(&house);
    let good = many["Events"][0].clone();
    let events = many["Events"].as_array_mut().unwrap();
    events.clear();
    for address in ["", "nobody", "a\u{0}b@example.org", &format!("{}@example.org", "x".repeat(5_000))] {
        let mut bad = good.clone();
        bad["EmailAddress"] = address.into();
        events.push(bad);
    }
    events.push(good);
    let answer = house.post_to(&house.callback_path(), &[JSON], many.to_string().into_bytes()).await;
    assert_eq!(answer.status, 200);
    let summary: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&summary["received"], &summary["rejected"]), (&json!(5), &json!(4)), "{summary}");
    assert_eq!(summary["events"][4]["outcome"], "unchanged");
}

#[tokio::test]
async fn more_events_than_documented_are_taken() {
    let house = House::ordinary().await;
    let mut many = callback(&house);
    let event = many["Events"][0].clone();
    *many["Events"].as_array_mut().unwrap() = vec![event; 1_001];
    let answer = house.post_to(&house.callback_path(), &[JSON], many.to_string().into_bytes()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("\"received\":1001"));
}

#[tokio::test]
async fn xml_bombs_are_refused() {
    let house = House::ordinary().await;
    let list = &house.sandbox.list;
    let bombs = [
        format!(
            "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><W><ListID>{list}</ListID><Events><Event><Type>&b;</Type></Event></Events></W>"
        ),
        format!(
            "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><W><ListID>{list}</ListID><Events><Event><Type>&e;</Type></Event></Events></W>"
        ),
        "<a>".repeat(100_000),
        "<W".to_owned(),
    ];
    for bomb in bombs {
        let answer =
            house.post_to(&house.callback_path(), &[("content-type", "text/xml")], bomb.clone().into_bytes()).await;
        house.is_problem(&answer, 400, &bomb[..bomb.len().min(40)]);
    }
}
