//! The tests' own check of answers does find what isn't in the API document, and nobody asks around it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "mod.rs"]
mod contract;

use contract::{Document, Exchange, Port};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const PATH: &str = "/webhooks/gigya/main?x=1";
const SUMMARY: &str = r#"{"received":1,"applied":0,"unchanged":0,"skipped":1,"rejected":0,"deferred":0,
    "events":[{"id":"a","route":null,"outcome":"skipped","reason":"no_route"}]}"#;

fn document() -> Value {
    serde_json::from_str(include_str!("../../openapi/gigya-esp-gateway.json")).unwrap()
}

/// What is said of an answer, by the document as it is after a change.
fn said_by(document: Value, status: u16, headers: &[(&str, &str)], body: &str) -> Result<(), String> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = Some(("POST", PATH));
    Document::new(document).check(&Exchange {
        port: Port::Webhooks,
        request,
        status,
        headers: &headers,
        body: body.as_bytes(),
    })
}

fn said_of(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    said_by(document(), status, headers, body).err().unwrap_or_default()
}

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const ID: (&str, &str) = ("x-request-id", "id");
const AFTER: (&str, &str) = ("retry-after", "30");

#[test]
fn what_is_in_the_document_is_right() {
    assert_eq!(said_of(200, &[JSON, ID, ("date", "now")], SUMMARY), "");
    assert_eq!(said_of(503, &[JSON, ID, AFTER], SUMMARY), "");
}

#[test]
fn a_status_or_a_media_type_that_is_not_there_is_noticed_and_where_it_would_be() {
    let said = said_of(418, &[JSON, ID], SUMMARY);
    assert!(said.contains("paths / /webhooks/gigya/{connection} / post / responses / 418"), "{said}");
    let said = said_of(200, &[("content-type", "text/html"), ID], SUMMARY);
    assert!(said.contains("\"text/html\" is not in its content"), "{said}");
    assert!(said_of(200, &[ID], SUMMARY).contains("no content-type"));

    let mut less = document();
    less["paths"]["/webhooks/gigya/{connection}"]["post"]["responses"].as_object_mut().unwrap().remove("503");
    assert!(said_by(less, 503, &[JSON, ID, AFTER], SUMMARY).unwrap_err().contains("responses / 503"));
}

#[test]
fn headers_that_are_missing_odd_or_not_there_are_noticed() {
    assert!(said_of(200, &[JSON], SUMMARY).contains("no header X-Request-Id"));
    assert!(said_of(503, &[JSON, ID], SUMMARY).contains("no header Retry-After"));
    assert!(said_of(503, &[JSON, ID, ("retry-after", "soon")], SUMMARY).contains("\"soon\""));
    assert!(said_of(503, &[JSON, ID, ("retry-after", "0")], SUMMARY).contains("\"0\""));
    assert!(said_of(200, &[JSON, ID, ("x-powered-by", "rust")], SUMMARY).contains("a header x-powered-by"));
}

#[test]
fn bodies_of_another_shape_are_noticed() {
    for (right, wrong, told) in [
        ("applied", "aplied", "\"applied\" is a required property"),
        ("\"received\":1", "\"received\":\"1\"", "is not of type"),
        ("\"received\":1", "\"received\":-1", "less than the minimum"),
        ("no_route", "no_road", "is not one of"),
        ("\"received\":1", "\"received\":1,\"more\":1", "'more' was unexpected"),
        ("\"id\":\"a\",", "", "\"id\" is a required property"),
        ("]}", "]", "no JSON"),
    ] {
        let said = said_of(200, &[JSON, ID], &SUMMARY.replacen(right, wrong, 1));
        assert!(said.contains(told), "{wrong}: {said}");
    }
    let mut other = document();
    other["components"]["schemas"]["Summary"]["required"].as_array_mut().unwrap().push(json!("total"));
    assert!(said_by(other, 200, &[JSON, ID], SUMMARY).unwrap_err().contains("\"total\""));
}

#[test]
fn what_no_operation_is_for_has_its_answers_too() {
    let document = Document::new(document());
    let said = |port, request, status, headers: &[(String, String)], body: &[u8]| {
        document.check(&Exchange { port, request, status, headers, body }).is_ok()
    };
    let problem = br#"{"type":"urn:x","title":"t","status":404,"detail":"d","instance":"id"}"#;
    let pairs = [("content-type", "application/problem+json"), ID, ("allow", "POST")];
    let headers = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (port, target) in
        [(Port::Webhooks, "/livez"), (Port::Operations, "/webhooks/gigya/main"), (Port::Webhooks, "/")]
    {
        assert!(said(port, Some(("GET", target)), 404, &headers[..2], problem), "{target}");
        assert!(!said(port, Some(("GET", target)), 401, &headers[..2], problem), "{target}");
    }
    assert!(said(Port::Webhooks, Some(("GET", PATH)), 405, &headers, problem));
    assert!(!said(Port::Webhooks, Some(("GET", PATH)), 405, &headers[..2], problem), "without Allow");
    assert!(said(Port::Webhooks, None, 400, &[], b""));
    assert!(!said(Port::Webhooks, None, 400, &headers[..2], problem));
    assert!(!said(Port::Webhooks, Some(("POST", PATH)), 400, &[], b""), "a request hears why");
}

/// Programs that ask others than the gateway (the simulators, the page, a load balancer), and those that write bytes and hold
/// what they hear.
const MAY_ASK: &[&str] = &[
    "contract/",
    "simulators/",
    "sandbox_page.rs",
    "edge/client.rs",
    "bad_input/house.rs",
    "in_step/marketing_cloud/handshake.rs",
    "processes/",
    "traces/tap.rs",
    "registering/desk.rs",
    "documented/house.rs",
    "live/house.rs",
    // To the database.
    "journal/office.rs",
    "journal/bad_times.rs",
    "journal/store/",
    "journal/town.rs",
];

#[test]
fn nobody_asks_the_gateway_but_through_the_contract() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files = Vec::new();
    walk(&tests, &mut files);
    assert!(files.len() > 30);
    for file in files {
        let name = file.strip_prefix(&tests).unwrap().to_str().unwrap().to_owned();
        if MAY_ASK.iter().any(|may| name.starts_with(may)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for way in [".send().await", ".execute(", "TcpStream", "Nobody,", "Nobody)"] {
            assert!(!text.contains(way), "{name} has {way}: ask by contract::ask, or hold what you hear");
        }
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
