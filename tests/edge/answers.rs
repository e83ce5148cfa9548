//! Every answer that a sender can get.

use crate::client::{Client, get, post, post_with};
use crate::gateway::Gateway;

#[tokio::test]
async fn settled_is_200_with_the_summary() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask(post("/webhooks/gigya/settles", "{}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.body,
        concat!(
            r#"{"received":1,"applied":1,"unchanged":0,"skipped":0,"rejected":0,"deferred":0,"events":["#,
            r#"{"id":"e1","route":"main/newsletter -> news/1","outcome":"applied","reason":null}]}"#
        )
    );
}

#[tokio::test]
async fn deferred_is_503_with_the_summary_and_a_time() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask(post("/webhooks/gigya/defers", "{}")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(answer.json()["deferred"], 1);
    assert_eq!(answer.json()["events"][0]["reason"], "rate_limited");
}

#[tokio::test]
async fn not_verified_is_401_with_one_body_for_all() {
    let gateway = Gateway::start().await;
    let paths = [
        "/webhooks/gigya/unverified",
        "/webhooks/campaign-monitor/unverified",
        "/webhooks/campaign-monitor/unverified/guess",
        "/webhooks/campaign-monitor/unverified/another",
    ];
    let mut answers = Vec::new();
    for path in paths {
        for body in ["{}", "no json", ""] {
            let mut answer = gateway.ask(post(path, body)).await;
            assert_eq!(answer.status, 401);
            assert_eq!(answer.problem(), "not-verified");
            answer.headers.retain(|(name, _)| name != "x-request-id" && name != "date");
            answers.push((answer.headers, answer.body));
        }
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
}

#[tokio::test]
async fn refusals_are_problems() {
    let gateway = Gateway::start().await;
    for (connection, status, problem) in [
        ("nobody", 404, "not-found"),
        ("malformed", 400, "malformed"),
        ("media", 415, "media-type"),
        ("unavailable", 503, "unavailable"),
    ] {
        let answer = gateway.ask(post(&format!("/webhooks/gigya/{connection}"), "{}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem));
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
    }
    let answer = gateway.ask(post("/webhooks/gigya/malformed", "{}")).await;
    assert_eq!(answer.json()["detail"], "line 1: not JSON");
}

#[tokio::test]
async fn unknown_paths_are_404_and_look_like_unknown_connections() {
    let gateway = Gateway::start().await;
    let mut bodies = Vec::new();
    for path in ["/", "/livez", "/metrics", "/webhooks/nobody/main", "/webhooks/gigya/a/b", "/webhooks/gigya/nobody"] {
        let answer = gateway.ask(post_with(path, "x-request-id: same\r\n", "{}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{path}");
        bodies.push(answer.body);
    }
    assert!(bodies.windows(2).all(|two| two[0] == two[1]));
}

#[tokio::test]
async fn other_methods_are_405_and_told_which_is_right() {
    let gateway = Gateway::start().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let request = format!("{method} /webhooks/gigya/settles HTTP/1.1\r\nhost: test\r\n\r\n");
        let answer = gateway.ask(request).await;
        assert_eq!((answer.status, answer.problem().as_str()), (405, "method"), "{method}");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    let answer = gateway.ask_admin(post("/livez", "")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (405, "method"));
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    assert!(gateway.intake.saw_nothing());
}

#[tokio::test]
async fn an_encoded_body_is_415_before_anybody_looks_at_it() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask(post_with("/webhooks/gigya/settles", "content-encoding: gzip\r\n", "zip")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (415, "content-encoding"));
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
    assert!(gateway.intake.saw_nothing());

    let answer = gateway.ask(post_with("/webhooks/gigya/settles", "content-encoding: identity\r\n", "{}")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_panic_is_503_and_the_gateway_goes_on() {
    let gateway = Gateway::start().await;
    let mut sender = Client::connect(gateway.webhooks).await;
    let answer = sender.ask(post("/webhooks/gigya/panics", "{}")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "internal"));
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.body.contains("ann@example.com"));
    assert_eq!(sender.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
}

#[tokio::test]
async fn panics_are_counted_for_the_alert() {
    gigya_esp_gateway::telemetry::watch_panics();
    let gateway = Gateway::start().await;
    let before = gateway.metric("gateway_panics_total").await;
    gateway.ask(post("/webhooks/gigya/panics", "{}")).await;
    assert!(gateway.metric("gateway_panics_total").await >= before + 1.0);
}

#[tokio::test]
async fn operations_tell_how_it_is() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.ask_admin(get("/livez")).await.status, 200);
    let ready = gateway.ask_admin(get("/readyz")).await;
    assert_eq!((ready.status, ready.body.as_str()), (200, r#"{"ready":true,"reasons":[]}"#));
    gateway.ask(post("/webhooks/gigya/settles", "{}")).await;
    let metrics = gateway.ask_admin(get("/metrics")).await;
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for series in [
        r#"gateway_http_requests_total{endpoint="gigya",status="200"}"#,
        r#"gateway_http_request_duration_seconds_count{endpoint="gigya"}"#,
        r#"gateway_http_connections{port="admin"}"#,
        "gateway_http_in_flight",
        "gateway_http_shed_total",
    ] {
        assert!(metrics.body.contains(series), "{series} isn't in\n{}", metrics.body);
    }
    let elsewhere = gateway.ask_admin(get("/webhooks/gigya/settles")).await;
    assert_eq!((elsewhere.status, elsewhere.problem().as_str()), (404, "not-found"));
}
