//! A gateway on ports of its own, and an intake that does what the connection's name says.

use crate::client::{Answer, Client};
use async_trait::async_trait;
use gigya_esp_gateway::config::Server;
use gigya_esp_gateway::domain::{Outcome, Reason};
use gigya_esp_gateway::forward::{Endpoint, EventOutcome, Inbound, Intake, Refusal, Summary};
use gigya_esp_gateway::http::{Bound, Readiness};
use secrecy::ExposeSecret;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct Gateway {
    pub webhooks: SocketAddr,
    pub admin: SocketAddr,
    pub readiness: Readiness,
    pub stop: CancellationToken,
    pub intake: Arc<Obedient>,
    pub serving: JoinHandle<()>,
}

/// Limits wide enough to be out of the way.
pub fn settings() -> Server {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Server {
        listen: any,
        admin_listen: any,
        public_url: None,
        max_connections: 100,
        max_in_flight: 50,
        max_body_bytes: 64 * 1024,
        header_timeout: Duration::from_secs(30),
        body_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(30),
        drain_delay: Duration::ZERO,
    }
}

impl Gateway {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Server)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let bound = Bound::bind(&settings).await.unwrap();
        let intake = Arc::new(Obedient::default());
        let stop = CancellationToken::new();
        let (webhooks, admin, readiness) = (bound.webhook_addr(), bound.admin_addr(), bound.readiness());
        let metrics = gigya_esp_gateway::telemetry::metrics::install();
        let serving = bound.serve(intake.clone(), Arc::new(move || metrics.render()), stop.clone());
        Self { webhooks, admin, readiness, stop, intake, serving: tokio::spawn(serving) }
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        Client::connect(self.webhooks).await.ask(request).await
    }

    /// One request to the operations port.
    pub async fn ask_admin(&self, request: impl AsRef<[u8]>) -> Answer {
        Client::connect_admin(self.admin).await.ask(request).await
    }

    /// What the page of metrics says; a series that isn't there counts as zero.
    pub async fn metric(&self, series: &str) -> f64 {
        let page = self.ask_admin(crate::client::get("/metrics")).await.body;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// What the intake was handed.
#[derive(Debug)]
pub struct Seen {
    pub endpoint: String,
    pub token: Option<String>,
    pub body: Vec<u8>,
    pub headers: http::HeaderMap,
    pub request_id: String,
}

/// Does what the connection's name says.
pub struct Obedient {
    pub seen: Mutex<Vec<Seen>>,
    entered: Semaphore,
    released: Semaphore,
}

impl Default for Obedient {
    fn default() -> Self {
        Self { seen: Mutex::default(), entered: Semaphore::new(0), released: Semaphore::new(0) }
    }
}

impl Obedient {
    /// Waits until this many requests, besides those waited for before, have come to wait.
    pub async fn entered(&self, requests: u32) {
        self.entered.acquire_many(requests).await.unwrap().forget();
    }

    /// Lets this many waiting requests go on.
    pub fn release(&self, requests: usize) {
        self.released.add_permits(requests);
    }

    pub fn last(&self) -> Seen {
        self.seen.lock().unwrap().pop().expect("nothing came in")
    }

    pub fn saw_nothing(&self) -> bool {
        self.seen.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl Intake for Obedient {
    async fn receive(&self, request: Inbound) -> Result<Summary, Refusal> {
        let (endpoint, connection, token) = match request.endpoint {
            Endpoint::Gigya { connection } => ("gigya".to_owned(), connection, None),
            Endpoint::Esp { provider, connection, token } => (provider, connection, token),
        };
        self.seen.lock().unwrap().push(Seen {
            endpoint: format!("{endpoint}/{connection}"),
            token: token.map(|token| token.expose_secret().to_owned()),
            body: request.body.to_vec(),
            headers: request.headers,
            request_id: request.request_id,
        });
        match connection.as_str() {
            "settles" => Ok(summary(Outcome::Applied)),
            "defers" => Ok(summary(Outcome::Deferred(Reason::RateLimited))),
            "waits" => {
                self.entered.add_permits(1);
                self.released.acquire().await.unwrap().forget();
                Ok(summary(Outcome::Unchanged))
            }
            "hangs" => {
                self.entered.add_permits(1);
                std::future::pending().await
            }
            "panics" => panic!("ann@example.com"),
            "unverified" => Err(Refusal::NotVerified),
            "malformed" => Err(Refusal::Malformed("line 1: not JSON".to_owned())),
            "media" => Err(Refusal::MediaType),
            "unavailable" => Err(Refusal::Unavailable),
            _ => Err(Refusal::UnknownConnection),
        }
    }
}

fn summary(outcome: Outcome) -> Summary {
    let route = Some("main/newsletter -> news/1".into());
    Summary { received: 1, events: vec![EventOutcome { id: "e1".to_owned(), route, outcome }], ..Summary::default() }
}
