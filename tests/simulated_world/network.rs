//! Everything between the systems and the replicas, simulated: calls and webhooks travel for a while, are lost on either
//! way, and go on when whoever made them is gone. Replicas are the real service, from behind its sockets.

use crate::journal::MemoryJournal;
use crate::story::Story;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use gigya_esp_gateway::config::Config;
use gigya_esp_gateway::domain::{ConnectionName, Email, Reason, Uid};
use gigya_esp_gateway::forward::{Gateway, Live, finish_all};
use gigya_esp_gateway::http;
use gigya_esp_gateway::journal::{Claimed, Entries, Journal, JournalFault, Link, Waiting};
use gigya_esp_gateway::sandbox::{Answer, Carrier, Clock, Sealed};
use gigya_esp_gateway::upstream::{Transport, TransportError, WallClock};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Where the simulated systems are "listening".
pub const GIGYA: ([u8; 4], u16) = ([127, 0, 0, 1], 1);
pub const CAMPAIGN_MONITOR: ([u8; 4], u16) = ([127, 0, 0, 1], 2);
pub const MARKETING_CLOUD: ([u8; 4], u16) = ([127, 0, 0, 1], 3);

/// How long a call travels at most one way, in milliseconds; longer than it is waited for, shorter than it takes until its
/// webhook comes again. That is what is assumed of every network (docs/correctness.md).
const SLOWEST_MS: u64 = 3_000;
/// Why somebody hears nothing: the connection was refused, cut or lost.
const NOBODY: Option<Answer> = None;

tokio::task_local! {
    /// When the webhook request arrived that is being worked on, or the last unfinished events were taken up.
    static ARRIVED: Arrived;
}

type Arrived = Arc<Mutex<Instant>>;

/// What is told of calls that took effect: which system, and when the request arrived that it was made for.
pub type Effect = Box<dyn Fn(usize, Instant) + Send + Sync>;

/// The network. Clones are the same.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    chance: Mutex<fastrand::Rng>,
    slow: f64,
    systems: OnceLock<[Router; 3]>,
    effect: OnceLock<Effect>,
    replicas: Mutex<Vec<Replica>>,
    journal: Option<MemoryJournal>,
    lost: Mutex<Option<String>>,
    story: Story,
}

struct Replica {
    /// None while it is down.
    service: Option<Router>,
    config: Arc<Config>,
    clock: WallClock,
    tasks: Vec<AbortHandle>,
}

impl Network {
    pub fn new(chances: u64, slow: f64, journal: Option<MemoryJournal>, story: Story) -> Self {
        Self(Arc::new(Inner {
            chance: Mutex::new(fastrand::Rng::with_seed(chances)),
            slow,
            systems: OnceLock::new(),
            effect: OnceLock::new(),
            replicas: Mutex::default(),
            journal,
            lost: Mutex::default(),
            story,
        }))
    }

    /// Connects the systems, and who is told of every call that took effect.
    pub fn connect(&self, systems: [Router; 3], effect: Effect) {
        assert!(self.0.systems.set(systems).is_ok() && self.0.effect.set(effect).is_ok(), "connected once");
    }

    /// Starts a replica whose clock is ahead by so much.
    pub fn start_replica(&self, config: Arc<Config>, clock: &Clock, ahead: i64) {
        let clock = clock.ahead_by(jiff::SignedDuration::from_secs(ahead));
        let clock = WallClock::of(move || clock.now());
        let index = self.replicas().len();
        self.replicas().push(Replica { service: None, config, clock, tasks: Vec::new() });
        self.bring_up(index);
    }

    /// Starts a replica's process.
    fn bring_up(&self, index: usize) {
        let (config, clock) = {
            let replicas = self.replicas();
            (Arc::clone(&replicas[index].config), replicas[index].clock.clone())
        };
        let transport: Arc<dyn Transport> = Arc::new(Wire { network: self.clone(), replica: index });
        let journal: Option<Arc<dyn Journal>> = self.0.journal.clone().map(|journal| Arc::new(journal) as _);
        let gateway = Gateway::with_journal(&config, &transport, &clock, journal);
        let live = Live::new(gateway.expect("the configuration was checked"));
        let service = http::webhooks(Arc::new(live.clone()), &config.server);
        let finisher = self.0.journal.clone().map(|journal| {
            let arrived: Arrived = Arc::new(Mutex::new(Instant::now()));
            let journal = Arc::new(Finishers { journal, arrived: Arc::clone(&arrived) });
            tokio::spawn(ARRIVED.scope(arrived, finish_all(live, journal, CancellationToken::new()))).abort_handle()
        });
        let mut replicas = self.replicas();
        replicas[index].service = Some(service);
        replicas[index].tasks.extend(finisher);
    }

    /// Kills a replica, whatever it is doing, and starts another one in its place after a while.
    pub fn kill(&self, index: usize) {
        let mut replicas = self.replicas();
        let replica = &mut replicas[index];
        replica.service = None;
        for task in replica.tasks.drain(..) {
            task.abort();
        }
        drop(replicas);
        let (network, down) = (self.clone(), Duration::from_millis(self.chance().u64(0..2_000)));
        tokio::spawn(async move {
            tokio::time::sleep(down).await;
            network.bring_up(index);
        });
    }

    /// A webhook request to the replica that the load balancer chooses.
    async fn deliver(&self, url: &str, sealed: &Sealed) -> Option<Answer> {
        let (there, back, is_lost) = (self.way(), self.way(), self.is_unlucky(0.02));
        tokio::time::sleep(there).await;
        let up: Vec<usize> = {
            let replicas = self.replicas();
            (0..replicas.len()).filter(|index| replicas[*index].service.is_some()).collect()
        };
        if up.is_empty() {
            return NOBODY;
        }
        let index = up[self.chance().usize(0..up.len())];
        let service = self.replicas()[index].service.clone()?;
        let mut request = axum::http::Request::post(url);
        for (name, value) in &sealed.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(sealed.body.clone())).expect("what a simulator sends is a request");
        let work = tokio::spawn(ARRIVED.scope(Arc::new(Mutex::new(Instant::now())), async move {
            let response = service.oneshot(request).await.expect("routers don't fail");
            let (head, body) = response.into_parts();
            let body = body.collect().await.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
            Answer { status: head.status.as_u16(), headers: head.headers, body: body.ok() }
        }));
        {
            let mut replicas = self.replicas();
            replicas[index].tasks.retain(|task| !task.is_finished());
            replicas[index].tasks.push(work.abort_handle());
        }
        self.0.story.request(index, url, sealed);
        let mut sender = Hangup { work: work.abort_handle(), is_noticed: self.is_unlucky(0.5) };
        let answer = work.await.ok();
        sender.is_noticed = false;
        self.0.story.answered(index, url, answer.as_ref());
        self.check_journaled(answer.as_ref());
        tokio::time::sleep(back).await;
        if is_lost { NOBODY } else { answer }
    }

    /// Whoever is told that an event is written down may forget it.
    fn check_journaled(&self, answer: Option<&Answer>) {
        let body: serde_json::Value =
            serde_json::from_str(answer.and_then(|answer| answer.body.as_deref()).unwrap_or_default())
                .unwrap_or_default();
        for event in body["events"].as_array().into_iter().flatten().filter(|event| event["reason"] == "journaled") {
            let id = event["id"].as_str().unwrap_or_default();
            if !self.0.journal.as_ref().is_some_and(|journal| journal.has_had(id)) {
                self.0.lost.lock().unwrap().get_or_insert_with(|| id.to_owned());
            }
        }
    }

    /// An event that was answered as written down, and isn't.
    pub fn lost(&self) -> Option<String> {
        self.0.lost.lock().unwrap().clone()
    }

    /// How long something travels.
    fn way(&self) -> Duration {
        let is_slow = self.is_unlucky(self.0.slow);
        let mut chance = self.chance();
        Duration::from_millis(if is_slow { chance.u64(500..SLOWEST_MS) } else { chance.u64(1..60) })
    }

    fn is_unlucky(&self, share: f64) -> bool {
        self.chance().f64() < share
    }

    fn chance(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.0.chance.lock().unwrap()
    }

    fn replicas(&self) -> MutexGuard<'_, Vec<Replica>> {
        self.0.replicas.lock().unwrap()
    }
}

/// The journal as a replica's finisher has it: notes when it takes something up.
struct Finishers {
    journal: MemoryJournal,
    arrived: Arrived,
}

#[async_trait]
impl Journal for Finishers {
    async fn links(&self, gigya: &ConnectionName, uids: &[&Uid]) -> Result<Vec<Link>, JournalFault> {
        self.journal.links(gigya, uids).await
    }

    async fn uids_at(&self, gigya: &ConnectionName, address: &Email) -> Result<Vec<Uid>, JournalFault> {
        self.journal.uids_at(gigya, address).await
    }

    async fn was_removed(&self, gigya: &ConnectionName, uid: &Uid, route: &str) -> Result<bool, JournalFault> {
        self.journal.was_removed(gigya, uid, route).await
    }

    async fn commit(&self, entries: Entries) -> Result<(), JournalFault> {
        self.journal.commit(entries).await
    }

    async fn claim(&self, owner: &str, lease: Duration, most: usize) -> Result<Vec<Claimed>, JournalFault> {
        let claimed = self.journal.claim(owner, lease, most).await;
        *self.arrived.lock().unwrap() = Instant::now();
        claimed
    }

    async fn put_off(&self, claimed: &Claimed, reason: Reason, pause: Duration) -> Result<(), JournalFault> {
        self.journal.put_off(claimed, reason, pause).await
    }

    async fn tidy(&self) -> Result<u64, JournalFault> {
        self.journal.tidy().await
    }

    async fn waiting(&self) -> Result<Waiting, JournalFault> {
        self.journal.waiting().await
    }

    fn now(&self) -> jiff::Timestamp {
        self.journal.now()
    }
}

/// A sender that hangs up: the server may notice, and drop the work, or go on.
struct Hangup {
    work: AbortHandle,
    is_noticed: bool,
}

impl Drop for Hangup {
    fn drop(&mut self) {
        if self.is_noticed {
            self.work.abort();
        }
    }
}

#[async_trait]
impl Carrier for Network {
    async fn carry(&self, url: &str, sealed: &Sealed, patience: Duration) -> Option<Answer> {
        tokio::time::timeout(patience, self.deliver(url, sealed)).await.unwrap_or(NOBODY)
    }
}

/// The way out of one replica.
struct Wire {
    network: Network,
    replica: usize,
}

#[async_trait]
impl Transport for Wire {
    async fn send(
        &self,
        request: axum::http::Request<Bytes>,
        timeout: Duration,
    ) -> Result<axum::http::Response<Bytes>, TransportError> {
        let network = self.network.clone();
        let system = usize::from(request.uri().port_u16().expect("every simulated system has a port")) - 1;
        let (there, back) = (network.way(), network.way());
        let arrived = ARRIVED.try_with(|arrived| *arrived.lock().unwrap()).unwrap_or_else(|_| Instant::now());
        let replica = self.replica;
        // It goes on though nobody waits for it anymore.
        let call = tokio::spawn(async move {
            tokio::time::sleep(there).await;
            let inner = &network.0;
            let label = inner.story.call(replica, system, &request);
            let router = inner.systems.get().expect("connected before anybody calls")[system].clone();
            let response = router.oneshot(request.map(Body::from)).await.expect("routers don't fail");
            let (head, body) = response.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes);
            inner.story.took_effect(label, head.status.as_u16(), body.as_deref().ok());
            inner.effect.get().expect("connected before anybody calls")(system, arrived);
            tokio::time::sleep(back).await;
            let body = body.map_err(|_| TransportError::Broken)?;
            Ok(axum::http::Response::from_parts(head, body))
        });
        match tokio::time::timeout(timeout, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(TransportError::Broken),
            Err(_) => Err(TransportError::TimedOut),
        }
    }
}

/// An address in a configuration.
pub fn at((host, port): ([u8; 4], u16)) -> SocketAddr {
    SocketAddr::from((host, port))
}
