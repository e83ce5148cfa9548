//! What reaches the intake, and what is told of it.

use crate::client::{Client, post, post_with};
use crate::gateway::Gateway;
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[tokio::test]
async fn the_body_arrives_byte_for_byte_with_its_headers() {
    let gateway = Gateway::start().await;
    let body = "{ \"a\" :\t1 }\r\n\u{0}ü";
    gateway.ask(post_with("/webhooks/gigya/settles?x=1", "x-gigya-sig-jwt: a.b.c\r\n", body)).await;
    let seen = gateway.intake.last();
    assert_eq!(seen.endpoint, "gigya/settles");
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(seen.headers["x-gigya-sig-jwt"].to_str().unwrap(), "a.b.c");
    assert!(!format!("{:?}", seen.headers).contains("a.b.c"), "headers must not print");
}

#[tokio::test]
async fn a_chunked_body_arrives_in_one_piece() {
    let gateway = Gateway::start().await;
    let mut sender = Client::connect(gateway.webhooks).await;
    sender.send("POST /webhooks/campaign-monitor/settles/t0k HTTP/1.1\r\nhost: test\r\n").await;
    sender.send("transfer-encoding: chunked\r\n\r\n3\r\n{\"a\r\n").await;
    let answer = sender.ask("3\r\n\":1\r\n1\r\n}\r\n0\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    let seen = gateway.intake.last();
    assert_eq!(seen.body, br#"{"a":1}"#);
    assert_eq!((seen.endpoint.as_str(), seen.token.as_deref()), ("campaign-monitor/settles", Some("t0k")));
}

#[tokio::test]
async fn a_request_keeps_the_senders_id_or_gets_one() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask(post_with("/webhooks/gigya/settles", "x-request-id: abc-1\r\n", "{}")).await;
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    assert_eq!(gateway.intake.last().request_id, "abc-1");

    let answer = gateway.ask(post_with("/webhooks/gigya/settles", "x-request-id: a b<>\r\n", "{}")).await;
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(id.len(), 36, "{id}");
    assert_eq!(gateway.intake.last().request_id, id);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = Gateway::start().await;
    let mut sender = Client::connect(gateway.webhooks).await;
    let requests = ["settles", "unverified", "defers", "nobody", "settles"];
    let all: String = requests.iter().map(|name| post(&format!("/webhooks/gigya/{name}"), "{}")).collect();
    sender.send(all).await;
    for status in [200, 401, 503, 404, 200] {
        assert_eq!(sender.answer().await.status, status);
    }
}

#[tokio::test]
async fn a_sender_that_closes_its_half_gets_its_answer() {
    let gateway = Gateway::start().await;
    let mut sender = Client::connect(gateway.webhooks).await;
    sender.send(post("/webhooks/gigya/waits", "{}")).await;
    sender.say_no_more().await;
    gateway.intake.entered(1).await;
    gateway.intake.release(1);
    assert_eq!(sender.answer().await.status, 200);
    sender.closed().await;
}

#[tokio::test]
async fn half_a_request_is_nothing() {
    let gateway = Gateway::start().await;
    let whole = post("/webhooks/gigya/settles", "{\"events\":[]}");
    for length in [1, 20, whole.len() - 14, whole.len() - 1] {
        let mut sender = Client::connect(gateway.webhooks).await;
        sender.send(&whole[..length]).await;
        sender.say_no_more().await;
        if let Some(answer) = sender.try_answer().await {
            assert_eq!(answer.status, 400, "after {length} bytes");
        }
        sender.closed().await;
    }
    assert!(gateway.intake.saw_nothing());
    assert_eq!(gateway.ask(&whole).await.status, 200);
}

#[tokio::test]
async fn a_token_in_a_path_is_never_told() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let gateway = Gateway::start().await;
    let canary = "c4n4ry";
    let paths = ["settles", "defers", "unverified", "malformed", "panics", "nobody"]
        .map(|connection| format!("/webhooks/campaign-monitor/{connection}/{canary}"));
    let wrong = ["/webhooks/nobody/x/", "/webhooks/gigya/main/", "/", "/webhooks/campaign-monitor/a/b/"]
        .map(|start| format!("{start}{canary}"));
    for path in paths.iter().chain(&wrong) {
        let answer = gateway.ask(post(path, "{}")).await;
        assert!(!format!("{answer:?}").contains(canary), "{answer:?}");
        gateway.ask(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        gateway.ask(format!("POST {path} HTTP/1.1\r\nhost: test\r\nbad header\r\n\r\n")).await;
    }
    let metrics = gateway.ask_admin(crate::client::get("/metrics")).await;
    assert!(!metrics.body.contains(canary));
    let told = log.text();
    assert!(told.contains("answered") && told.contains("panicked"), "nothing was captured: {told}");
    assert!(!told.contains(canary), "{told}");
    assert!(!told.contains("ann@example.com"), "what a panic says is not logged");
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
