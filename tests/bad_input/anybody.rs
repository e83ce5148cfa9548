//! What anybody may send to either endpoint.

use crate::house::{House, JSON};
use gigya_esp_gateway::sandbox::Setup;
use serde_json::{Value, json};
use std::fmt::Write as _;

const MEBIBYTE: usize = 1 << 20;

/// Bodies that are signed or carry the right token, and are not what the sender sends.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("not JSON", b"hello".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"events\":[]}".to_vec()),
        ("half of it", b"{\"events\":[{\"type\":\"accountUpdated\"".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("100,000 deep", "[".repeat(100_000).into_bytes()),
        ("100,000 deep, within", format!("{{\"events\":{}", "[".repeat(100_000)).into_bytes()),
        ("not UTF-8", b"{\"events\":[{\"type\":\"\xff\xfe\"}],\"Events\":[{\"Type\":\"\xff\"}]}".to_vec()),
        ("a key twice", b"{\"events\":[],\"events\":[],\"Events\":[],\"Events\":[],\"ListID\":\"x\"}".to_vec()),
        ("two documents", b"{\"events\":[]} {\"events\":[]}".to_vec()),
    ]
}

#[tokio::test]
async fn what_is_malformed_is_told_so_without_quoting_it() {
    let house = House::ordinary().await;
    for (what, body) in malformed() {
        let answer = house.post_signed(body.clone()).await;
        house.is_problem(&answer, 400, &format!("Gigya: {what}"));
        let answer = house.post_to(&house.callback_path(), &[JSON], body).await;
        house.is_problem(&answer, 400, &format!("Campaign Monitor: {what}"));
    }
}

#[tokio::test]
async fn depth_in_what_is_ignored_does_no_harm() {
    let house = House::ordinary().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!("{{\"events\":[],\"more\":{deep}}}").into_bytes();
    let answer = house.post_signed(body).await;
    assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    house.is_untouched("depth in a field that nobody reads");
}

#[tokio::test]
async fn ten_mebibytes_are_refused_before_they_are_read() {
    let house = House::ordinary().await;
    for path in ["/webhooks/gigya/main".to_owned(), house.callback_path()] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n");
        let stated = format!("{head}content-length: {}\r\n\r\n", 10 * MEBIBYTE);
        let answer = house.raw(stated.as_bytes(), false).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "stated: {answer:.100}");
        let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
        for _ in 0..20 {
            chunked.extend(format!("{:x}\r\n", MEBIBYTE / 10).into_bytes());
            chunked.extend(vec![b' '; MEBIBYTE / 10]);
            chunked.extend(b"\r\n");
        }
        let answer = house.raw(&chunked, false).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "chunked: {answer:.100}");
    }
    house.is_untouched("10 MiB");
}

#[tokio::test]
async fn a_thousand_headers_are_refused() {
    let house = House::ordinary().await;
    let mut request = "POST /webhooks/gigya/main HTTP/1.1\r\nhost: gateway\r\n".to_owned();
    for n in 0..1_000 {
        let _ = write!(request, "x-{n}: 1\r\n");
    }
    request.push_str("content-length: 0\r\n\r\n");
    let answer = house.raw(request.as_bytes(), false).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:.100}");
    house.is_untouched("1000 headers");
}

#[tokio::test]
async fn half_a_request_is_no_request() {
    let house = House::with(Setup {
        server: "header_timeout = \"300ms\"\nbody_timeout = \"300ms\"".to_owned(),
        ..Setup::default()
    })
    .await;
    let body = house.body();
    let token = house.valid_token(&body);
    let whole = format!(
        "POST /webhooks/gigya/main HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\nx-gigya-sig-jwt: {token}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let head = whole.len();
    let whole = [whole.as_bytes(), &body].concat();
    for end in [1, 20, head - 1, head, head + 1, whole.len() - 1] {
        for then_close in [true, false] {
            let answer = house.raw(&whole[..end], then_close).await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{end} of {} bytes: {answer:.100}", whole.len());
            house.is_untouched(&format!("{end} bytes"));
        }
    }
    assert!(house.raw(&whole, true).await.starts_with("HTTP/1.1 200 "), "the whole of it is one");
}

#[tokio::test]
async fn compressed_bodies_are_not_taken() {
    let house = House::ordinary().await;
    let body = house.body();
    let token = house.valid_token(&body);
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"] {
        let headers = [JSON, ("x-gigya-sig-jwt", token.as_str()), ("content-encoding", encoding)];
        house.is_problem(&house.post_to("/webhooks/gigya/main", &headers, body.clone()).await, 415, encoding);
        let headers = [JSON, ("content-encoding", encoding)];
        house.is_problem(&house.post_to(&house.callback_path(), &headers, b"{}".to_vec()).await, 415, encoding);
    }
}

#[tokio::test]
async fn other_media_types_are_not_taken() {
    let house = House::ordinary().await;
    let body = house.body();
    let token = house.valid_token(&body);
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png", "json", ""]
    {
        let headers = [("content-type", media_type), ("x-gigya-sig-jwt", token.as_str())];
        house.is_problem(&house.post_to("/webhooks/gigya/main", &headers, body.clone()).await, 415, media_type);
        let headers = [("content-type", media_type)];
        house.is_problem(&house.post_to(&house.callback_path(), &headers, b"{}".to_vec()).await, 415, media_type);
    }
    let headers = [("content-type", "application/xml"), ("x-gigya-sig-jwt", token.as_str())];
    house.is_problem(&house.post_to("/webhooks/gigya/main", &headers, body).await, 415, "Gigya sends no XML");
}

#[tokio::test]
async fn other_methods_are_not_taken() {
    let house = House::ordinary().await;
    for path in ["/webhooks/gigya/main".to_owned(), house.callback_path()] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n");
            let answer = house.raw(request.as_bytes(), false).await;
            assert!(
                answer.starts_with("HTTP/1.1 405 ") && answer.to_lowercase().contains("allow: post"),
                "{method}: {answer}"
            );
        }
    }
    house.is_untouched("other methods");
}

#[tokio::test]
async fn thousands_of_events_of_one_account_are_one_piece_of_work() {
    let house = House::ordinary().await;
    let mut notification = house.notification();
    let event = notification["events"][0].clone();
    *notification["events"].as_array_mut().unwrap() = vec![event; 4_000];
    let reads = || house.sandbox.gigya.faults().calls("accounts.getAccountInfo");
    let before = reads();
    let answer = house.post_signed(notification.to_string().into_bytes()).await;
    assert_eq!(answer.status, 200);
    let summary: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&summary["received"], &summary["applied"]), (&json!(4_000), &json!(1)));
    assert_eq!(reads() - before, 2, "one, and one more after the write");
}

#[tokio::test]
async fn odd_names_of_people_do_no_harm() {
    let house = House::ordinary().await;
    for uid in ["\u{0}", "a\"b\\", "../..", "<script>", "%00", &"x".repeat(50_000), "' OR 1=1 --", "\u{202e}abc"] {
        let mut notification = house.notification();
        notification["events"][0]["data"]["uid"] = uid.into();
        let answer = house.post_signed(notification.to_string().into_bytes()).await;
        assert_eq!(answer.status, 200, "{uid:.20}");
        assert!(answer.body.contains("address_unknown"), "{uid:.20}: {}", answer.body);
    }
}
