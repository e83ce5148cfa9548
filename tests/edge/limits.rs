//! Nobody can hold the gateway up.

use crate::client::{Client, get, post, post_with};
use crate::gateway::Gateway;
use gigya_esp_gateway::http::Bound;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_slow_head_is_cut() {
    let gateway = Gateway::with(|server| server.header_timeout = SHORT).await;
    let mut slow = Client::connect(gateway.webhooks).await;
    slow.send("POST /webhooks/gigya/settles HTTP/1.1\r\nhost: te").await;
    slow.closed().await;
    Client::connect(gateway.webhooks).await.closed().await; // nor may it say nothing at all
    assert!(gateway.intake.saw_nothing());
}

#[tokio::test]
async fn a_slow_body_is_408_and_cut() {
    let gateway = Gateway::with(|server| server.body_timeout = SHORT).await;
    let mut slow = Client::connect(gateway.webhooks).await;
    slow.send("POST /webhooks/gigya/settles HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{").await;
    let answer = slow.answer().await;
    assert_eq!((answer.status, answer.problem().as_str()), (408, "too-slow"));
    assert_eq!(answer.header("connection"), Some("close"));
    slow.closed().await;
    assert!(gateway.intake.saw_nothing());
}

#[tokio::test]
async fn a_slow_chunked_body_is_408_whatever_drips_in() {
    let gateway = Gateway::with(|server| server.body_timeout = SHORT).await;
    let mut slow = Client::connect(gateway.webhooks).await;
    slow.send("POST /webhooks/gigya/settles HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..4 {
        slow.send("1\r\nx\r\n").await;
        tokio::time::sleep(SHORT / 3).await;
    }
    let answer = slow.answer().await;
    assert_eq!((answer.status, answer.problem().as_str()), (408, "too-slow"));
    assert_eq!(answer.header("connection"), Some("close"));
    slow.closed().await;
    assert!(gateway.intake.saw_nothing());
}

#[tokio::test]
async fn too_large_a_body_is_413() {
    let gateway = Gateway::with(|server| server.max_body_bytes = 1000).await;
    let fits = gateway.ask(post("/webhooks/gigya/settles", &"x".repeat(1000))).await;
    assert_eq!(fits.status, 200);
    gateway.intake.last();

    let answer = gateway.ask(post("/webhooks/gigya/settles", &"x".repeat(1001))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"));

    // It is enough to say so; nobody waits for the body.
    let mut liar = Client::connect(gateway.webhooks).await;
    let answer = liar
        .ask("POST /webhooks/gigya/settles HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n")
        .await;
    assert_eq!(answer.status, 413);
    liar.closed().await;

    // Who doesn't say so is found out.
    let mut sly = Client::connect(gateway.webhooks).await;
    sly.send("POST /webhooks/gigya/settles HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let answer = sly.ask([chunk.as_str(), &chunk, "1\r\nx\r\n"].concat()).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"));
    sly.closed().await;
    assert!(gateway.intake.saw_nothing());
}

#[tokio::test]
async fn a_body_far_too_large_still_hears_413() {
    let gateway = Gateway::with(|server| server.max_body_bytes = 1000).await;
    let mut sender = Client::connect(gateway.webhooks).await;
    sender.send(post("/webhooks/gigya/settles", &"x".repeat(3_000_000))).await;
    let answer = sender.answer().await;
    assert_eq!(answer.status, 413);
    sender.closed().await;
}

#[tokio::test]
async fn more_than_was_announced_is_not_part_of_the_body() {
    let gateway = Gateway::start().await;
    let mut liar = Client::connect(gateway.webhooks).await;
    liar.send("POST /webhooks/gigya/settles HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}garbage\r\n\r\n")
        .await;
    assert_eq!(liar.answer().await.status, 200);
    assert_eq!(gateway.intake.last().body, b"{}");
    assert_eq!(liar.answer().await.status, 400);
    liar.closed().await;
}

#[tokio::test]
async fn a_thousand_headers_are_431() {
    let gateway = Gateway::start().await;
    let headers = "x-one: more\r\n".repeat(1000);
    let answer = gateway.ask(post_with("/webhooks/gigya/settles", &headers, "{}")).await;
    assert_eq!(answer.status, 431);
    let header = format!("x-long: {}\r\n", "x".repeat(200_000));
    let answer = gateway.ask(post_with("/webhooks/gigya/settles", &header, "{}")).await;
    assert_eq!(answer.status, 431);
    assert!(gateway.intake.saw_nothing());
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let gateway = Gateway::with(|server| server.max_connections = 2).await;
    let mut first = Client::connect(gateway.webhooks).await;
    let mut second = Client::connect(gateway.webhooks).await;
    assert_eq!(first.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
    assert_eq!(second.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);

    let mut third = Client::connect(gateway.webhooks).await; // by the system, not yet by the gateway
    third.send(post("/webhooks/gigya/waits", "{}")).await;
    let mut early = tokio::spawn(async move {
        let answer = third.answer().await;
        (third, answer)
    });
    assert_eq!(first.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
    assert!(!early.is_finished());
    first.say_no_more().await;
    gateway.intake.entered(1).await; // its turn has come
    gateway.intake.release(1);
    assert_eq!((&mut early).await.unwrap().1.status, 200);
}

#[tokio::test]
async fn a_burst_of_connections_may_wait() {
    let gateway = Gateway::with(|server| server.max_connections = 1).await;
    let mut first = Client::connect(gateway.webhooks).await;
    assert_eq!(first.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
    let mut burst = Vec::new();
    for n in 0..400 {
        let connected = tokio::time::timeout(Duration::from_secs(1), Client::connect(gateway.webhooks)).await;
        burst.push(connected.unwrap_or_else(|_| panic!("connection {n} is not even waiting")));
    }
}

#[tokio::test]
async fn too_many_requests_at_once_are_turned_away_before_any_work() {
    let gateway = Gateway::with(|server| server.max_in_flight = 2).await;
    let shed = gateway.metric("gateway_http_shed_total").await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut sender = Client::connect(gateway.webhooks).await;
        sender.send(post("/webhooks/gigya/waits", "{}")).await;
        busy.push(sender);
    }
    gateway.intake.entered(2).await;
    gateway.intake.seen.lock().unwrap().clear();

    let mut late = Client::connect(gateway.webhooks).await;
    let answer = late.ask(post("/webhooks/gigya/settles", "{}")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "overloaded"));
    assert!(answer.header("retry-after").is_some());
    assert!(gateway.intake.saw_nothing());
    assert!(gateway.metric("gateway_http_shed_total").await >= shed + 1.0);
    assert_eq!(gateway.ask_admin(get("/livez")).await.status, 200); // operations are not shed

    gateway.intake.release(2);
    for sender in &mut busy {
        assert_eq!(sender.answer().await.status, 200);
    }
    assert_eq!(late.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
}

#[tokio::test]
async fn a_panic_gives_its_place_back() {
    let gateway = Gateway::with(|server| server.max_in_flight = 1).await;
    for _ in 0..3 {
        assert_eq!(gateway.ask(post("/webhooks/gigya/panics", "{}")).await.problem(), "internal");
    }
    assert_eq!(gateway.ask(post("/webhooks/gigya/settles", "{}")).await.status, 200);
}

#[tokio::test]
async fn a_port_that_is_taken_says_what_to_do() {
    let gateway = Gateway::start().await;
    let mut settings = crate::gateway::settings();
    settings.listen = gateway.webhooks;
    let error = Bound::bind(&settings).await.unwrap_err().to_string();
    assert!(error.contains(&gateway.webhooks.to_string()), "{error}");
    assert!(error.ends_with("change server.listen or stop the other process"), "{error}");
    settings.listen = ([127, 0, 0, 1], 0).into();
    settings.admin_listen = gateway.admin;
    let error = Bound::bind(&settings).await.unwrap_err().to_string();
    assert!(error.contains("change server.admin_listen"), "{error}");
}
