//! The webhook port behind its sockets: a request's path, headers and body, then the answers of the outside systems.
//! The text `SIGN` in a header for a signature stands for one over the body.

#![no_main]

use axum::body::{Body, Bytes, to_bytes};
use fuzzing::{
    Answers, CALLBACK_TOKEN, GIGYA_SECRET, Logs, config, ens_signature, json_of, parts, run, says_only_where,
};
use fuzzing::{signer, split_head, texts_under};
use gigya_esp_gateway::forward::Gateway;
use gigya_esp_gateway::http::webhooks;
use gigya_esp_gateway::sandbox::gigya::Signer;
use gigya_esp_gateway::upstream::WallClock;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::Arc;
use tower::ServiceExt;

const DOCUMENTED: [u16; 9] = [200, 400, 401, 404, 405, 408, 413, 415, 503];
/// What problems say besides where a body is wrong.
const DETAILS: [&str; 11] = [
    "The body ended before all of it was sent.",
    "The signature or token is missing, wrong, or too old.",
    "No such path, or no connection of that name.",
    "Allowed here: POST.",
    "Send it again, faster.",
    "At most 1048576 bytes are accepted.",
    "Send the media type that this sender's webhooks have.",
    "Send the body without a content-encoding.",
    "The key to verify it with is not to be had. Nothing was done; send it again later.",
    "Nothing was done; send it again later.",
    "This is a bug, and is logged with the request's id. Send it again later.",
];
/// Whose address must not be seen.
const MARKED: &str = "canary@example.org";

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let (line, headers, body) = split_head(parts[0]);
    let Some((method, path)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) else { return };
    let mut request = Request::builder().method(method).uri(path.replace("TOKEN", CALLBACK_TOKEN));
    for (name, value) in headers {
        request = request.header(&name, signed(&name, value, body));
    }
    let Ok(request) = request.body(Body::from(body.to_vec())) else { return };

    let mut keys = signer().published(true);
    keys["errorCode"] = 0.into();
    let answers = Answers::new(&parts[1..]).fixed("accounts.getJWTPublicKey", keys.to_string());
    let answers = Arc::new(answers);
    Logs::clear();
    let (head, said) = run(async {
        let gateway =
            Gateway::new(config(), &answers.transport(), &WallClock::system()).expect("credentials are right");
        let answer = webhooks(Arc::new(gateway), &config().server).oneshot(request).await.expect("it always answers");
        let (head, said) = answer.into_parts();
        (head, to_bytes(Body::new(said), usize::MAX).await.expect("it is in memory"))
    });
    let asked = answers.asked().len();
    is_documented(&Response::from_parts(head.clone(), said.clone()));
    if asked > 0 && parts.len() == 1 {
        // Nothing that was asked was answered, so nothing can be settled.
        assert_eq!(head.status, StatusCode::SERVICE_UNAVAILABLE, "{asked} calls failed, and the sender may forget it");
    }
    if !may_show(&parts) {
        assert!(!contains(&said, MARKED), "an address is answered");
        assert!(!Logs::text().contains(MARKED), "an address is logged: {}", Logs::text());
    }
});

fn signed(name: &HeaderName, value: HeaderValue, body: &[u8]) -> HeaderValue {
    if value != "SIGN" {
        return value;
    }
    let signature = match name.as_str() {
        "x-gigya-sig-jwt" => {
            let nonce = json_of(body).and_then(|body| body["nonce"].as_str().map(str::to_owned)).unwrap_or_default();
            signer().token(&signer().parts(body, &nonce, Timestamp::now().as_second()))
        }
        "x-gigya-sig-hmac-sha1" => Signer::hmac_with(GIGYA_SECRET, body),
        "x-sfmc-ens-signature" => ens_signature(body),
        _ => return value,
    };
    HeaderValue::try_from(signature).expect("signatures are text")
}

fn is_documented(answer: &Response<Bytes>) {
    let (status, headers) = (answer.status(), answer.headers());
    assert!(DOCUMENTED.contains(&status.as_u16()), "{status} is no answer of the gateway's");
    assert!(headers.contains_key("x-request-id"));
    assert_eq!(status == StatusCode::SERVICE_UNAVAILABLE, headers.contains_key(RETRY_AFTER), "{headers:?}");
    let said: Value = serde_json::from_slice(answer.body()).expect("every answer is JSON");
    if is(headers, "application/json") {
        is_summary(status, &said);
    } else {
        assert!(is(headers, "application/problem+json"), "{headers:?}");
        assert!(status.is_client_error() || status.is_server_error());
        assert_eq!(said["status"], status.as_u16());
        assert_eq!(said["instance"].is_string(), status != StatusCode::UNAUTHORIZED);
        assert_ne!(said["type"], "urn:problem:gigya-esp-gateway:internal", "a bug");
        let detail = said["detail"].as_str().expect("it says what is wrong");
        assert!(DETAILS.contains(&detail) || status == StatusCode::BAD_REQUEST && says_only_where(detail), "{detail}");
    }
}

fn is(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|stated| stated == media_type)
}

fn is_summary(status: StatusCode, said: &Value) {
    let events = said["events"].as_array().expect("it lists them");
    for outcome in ["applied", "unchanged", "skipped", "rejected", "deferred"] {
        let listed = events.iter().filter(|event| event["outcome"] == outcome).count();
        assert_eq!(said[outcome], listed, "{outcome}");
    }
    let deferred = events.iter().any(|event| event["outcome"] == "deferred");
    assert_eq!(status, if deferred { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK });
    let received = said["received"].as_u64().expect("it is a number");
    assert!(u64::try_from(events.len()).expect("they fit") >= received, "{received} events, and only some were told");
    for event in events {
        assert!(event["id"].is_string() && (event["route"].is_string() || event["route"].is_null()));
        let settled = event["outcome"] == "applied" || event["outcome"] == "unchanged";
        assert_eq!(event["reason"].is_null(), settled);
        assert_ne!(event["reason"], "internal", "a bug");
    }
}

/// Whether the address stands where the sender's own ids stand: these are told as they are.
fn may_show(parts: &[&[u8]]) -> bool {
    parts.iter().any(|part| {
        let (_, _, body) = split_head(part);
        match json_of(body) {
            Some(body) => texts_under(&body, &["id", "callId", "callID"]).iter().any(|id| id.contains('@')),
            // The code of a SOAP fault is logged.
            None => contains(body, "ode>") && contains(body, "ault"),
        }
    })
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
