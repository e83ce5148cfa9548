//! Stands before a simulated system, passes everything on to it, and remembers the headers that came.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub struct Tap {
    behind: String,
    client: reqwest::Client,
    heard: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Tap {
    /// Puts one before the address that a configuration has between two texts, and into the configuration.
    pub async fn before(start: &str, end: &str, configuration: &str) -> (Self, String) {
        let (upto, after) = configuration.split_once(end).unwrap();
        let (_, behind) = upto.rsplit_once(start).unwrap();
        let behind: SocketAddr = behind.parse().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tap = Self { behind: format!("http://{behind}"), client: reqwest::Client::new(), heard: Arc::default() };
        let router = Router::new().fallback(pass).with_state(tap.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let upto = upto.replace(&behind.to_string(), &address);
        (tap, format!("{upto}{end}{after}"))
    }

    /// How many requests came.
    pub fn calls(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// Every header of this name that came.
    pub fn heard(&self, name: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter_map(|headers| Some(headers.get(name)?.to_str().unwrap().to_owned())).collect()
    }
}

async fn pass(State(tap): State<Tap>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    tap.heard.lock().unwrap().push(head.headers.clone());
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = head.headers;
    headers.remove(header::HOST);
    let url = format!("{}{}", tap.behind, head.uri);
    let answer = tap.client.request(head.method, url).headers(headers).body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
