//! Stopping loses nothing, and doesn't take for ever.

use crate::client::{Client, get, post};
use crate::gateway::Gateway;
use std::time::Duration;

#[tokio::test]
async fn requests_in_flight_are_finished_and_new_ones_refused() {
    let gateway = Gateway::start().await;
    let mut idle = Client::connect(gateway.webhooks).await;
    assert_eq!(idle.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
    let mut busy = Client::connect(gateway.webhooks).await;
    busy.send(post("/webhooks/gigya/waits", "{}")).await;
    gateway.intake.entered(1).await;

    gateway.stop.cancel();
    idle.closed().await; // so the webhook port is draining
    assert!(Client::try_connect(gateway.webhooks).await.is_err());
    let ready = gateway.ask_admin(get("/readyz")).await;
    assert_eq!((ready.status, ready.body.as_str()), (503, r#"{"ready":false,"reasons":["draining"]}"#));
    assert_eq!(gateway.ask_admin(get("/livez")).await.status, 200);

    gateway.intake.release(1);
    let answer = busy.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    busy.closed().await;
    gateway.serving.await.unwrap();
    assert!(Client::try_connect(gateway.admin).await.is_err());
}

#[tokio::test]
async fn readiness_says_no_before_connections_are_refused() {
    let gateway = Gateway::with(|server| server.drain_delay = Duration::from_hours(1)).await;
    gateway.stop.cancel();
    while gateway.readiness.reasons().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.ask_admin(get("/readyz")).await.status, 503);
    assert_eq!(gateway.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
    gateway.serving.abort();
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_at_the_drain_timeout() {
    let gateway = Gateway::with(|server| server.drain_timeout = Duration::from_millis(100)).await;
    let mut stuck = Client::connect(gateway.webhooks).await;
    stuck.send(post("/webhooks/gigya/hangs", "{}")).await;
    gateway.intake.entered(1).await;
    gateway.stop.cancel();
    stuck.closed().await;
    gateway.serving.await.unwrap();
}

#[tokio::test]
async fn half_a_head_does_not_hold_the_stop_up() {
    let gateway = Gateway::start().await;
    let mut half = Client::connect(gateway.webhooks).await;
    assert_eq!(half.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
    half.send("POST /webhooks/gigya/settles HTTP/1.1\r\n").await;
    gateway.stop.cancel();
    half.closed().await;
    gateway.serving.await.unwrap();
}
