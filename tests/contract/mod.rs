//! Holds every answer that a test gets from the gateway against the API document, `openapi/gigya-esp-gateway.json`:
//! path, method, status, media type, headers, and the body against its schema. What isn't in it fails the test.
//!
//! Answers come in three ways. A sandbox's systems show theirs to [`Held`], without which no [`Sandbox`] starts and
//! which fails the test when the sandbox ends; a test's own requests go through [`ask`]; and who writes bytes to a
//! socket calls [`hold`]. `main.rs` sees to it that nobody asks otherwise.
//!
//! [`Sandbox`]: gigya_esp_gateway::sandbox::Sandbox
#![allow(dead_code, reason = "each test program has its own ways to ask")]

mod document;
pub mod wire;

pub use document::Document;

use gigya_esp_gateway::sandbox::{Answered, Witness};
use std::sync::{Arc, LazyLock, Mutex};

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/gigya-esp-gateway.json");
    let text = std::fs::read_to_string(path).expect("the document is in the repository");
    Document::new(serde_json::from_str(&text).expect("the document is JSON"))
});

/// Which of the gateway's ports; the document tells them apart by tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Webhooks,
    Operations,
}

/// A request, and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub port: Port,
    /// Method and target; `None` if what was sent is no request.
    pub request: Option<(&'a str, &'a str)>,
    pub status: u16,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

/// An answer to a request of a test's own.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Fails unless the document has this answer to this request.
pub fn hold(exchange: &Exchange<'_>) {
    if let Err(violation) = DOCUMENT.check(exchange) {
        panic!("{violation}");
    }
}

/// Sends a request to the gateway, and holds the answer.
pub async fn ask(port: Port, request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, target) = (request.method().to_string(), target(request.url()));
    let answer = client.execute(request).await.unwrap();
    let status = answer.status().as_u16();
    let answer = Answer { status, headers: listed(answer.headers()), body: answer.text().await.unwrap() };
    let request = Some((method.as_str(), target.as_str()));
    hold(&Exchange { port, request, status, headers: &answer.headers, body: answer.body.as_bytes() });
    answer
}

/// Holds all answers that a sandbox's systems get, and fails the test at its end if there was a wrong one. Clones are one
/// and the same, for tests whose sandbox ends in another task, where nobody sees it fail.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<Vec<String>>>);

impl Witness for Held {
    fn sees(&self, answered: &Answered<'_>) {
        let headers = listed(answered.headers);
        let target = target(&answered.url.parse().unwrap());
        let exchange = Exchange {
            port: Port::Webhooks,
            request: Some(("POST", &target)),
            status: answered.status,
            headers: &headers,
            body: answered.body.as_bytes(),
        };
        if let Err(violation) = DOCUMENT.check(&exchange) {
            eprintln!("{violation}");
            self.0.lock().unwrap().push(violation);
        }
    }

    fn concludes(&self) {
        let violations = self.0.lock().unwrap();
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "{} answers against the document; one: {}", violations.len(), violations[0]);
        }
    }
}

fn target(url: &reqwest::Url) -> String {
    url[url::Position::BeforePath..].to_owned()
}

fn listed(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
