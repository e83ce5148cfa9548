//! Honest senders are served, and memory stays bounded, whatever others do meanwhile.

use crate::attacks::{Attack, Times};
use crate::client::{Client, post};
use crate::contract::Held;
use crate::crowd::{Crowd, Heard};
use crate::place::{Folder, descriptors, until};
use crate::replica::Replica;
use futures_util::future::join_all;
use gigya_esp_gateway::sandbox::{Esps, Sandbox, Setup, Witness};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// What is measured has the machine for itself, as far as these tests go.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
const MIB: u64 = 1024 * 1024;

/// One gateway without anything in front of it.
struct Place {
    sandbox: Arc<Sandbox>,
    replica: Replica,
    held: Held,
    _folder: Folder,
}

impl Place {
    async fn with(server: &str) -> Self {
        let mut setup = Setup::with_esps(Esps::Both);
        setup.gigya_lines.push_str("clock_tolerance = \"1h\"\n"); // people's days pass in seconds
        setup.server.push_str(server);
        let held = Held::default();
        let (mut sandbox, outfit) = Sandbox::simulators(setup, held.clone()).await.unwrap();
        let folder = Folder::new("hostile");
        let replica = Replica::start(&outfit, &folder, &[]).await;
        sandbox.gateways.push(replica.ports.webhooks);
        sandbox.deliver_to(0);
        Self { sandbox: Arc::new(sandbox), replica, held, _folder: folder }
    }

    /// Honest people act while something happens; whoever brings their webhooks hears nothing but 200.
    async fn while_people_act(&self, happens: impl AsyncFnOnce()) -> Heard {
        let enough = CancellationToken::new();
        let crowd = Crowd::gather(Arc::clone(&self.sandbox)).await;
        let acting = tokio::spawn(crowd.act(enough.clone()));
        happens().await;
        enough.cancel();
        let heard = acting.await.unwrap().is_as_it_should_be();
        assert_eq!((heard.put_off, heard.unreached), (0, 0), "{heard:?}");
        self.held.concludes();
        heard
    }

    fn tell(&self, when: &str) -> u64 {
        let (now, peak) = self.replica.memory();
        eprintln!("{when}: {} MiB resident, {} MiB at the peak", now / MIB, peak / MIB);
        peak
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "heavy"]
async fn honest_senders_are_served_and_memory_is_bounded_under_attack() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let place = Place::with("").await;
    place.tell("started");
    let heard = place.while_people_act(async || {
        place.tell("people act");
        let attack = Attack::on(place.replica.ports.webhooks);
        let times: [(&str, usize, Times); 7] = [
            ("slow heads", 600, attack.slow_heads(300)),
            ("slow bodies", 400, attack.slow_bodies(200, 1)),
            ("slow large bodies", 200, attack.slow_bodies(100, 1_000_000)),
            ("slow chunks", 200, attack.slow_chunks(100)),
            ("pipelines", 100, attack.pipelines(5)),
            ("oversized", 6, attack.oversized(2)),
            ("deaf", 0, attack.deaf(20)),
        ];
        for (name, least, times) in &times {
            until(name, async || times.load(Ordering::Relaxed) >= *least).await;
        }
        place.tell("attacked");
        attack.ends().await;
        eprintln!("{:?}", times.map(|(name, _, times)| (name, times.load(Ordering::Relaxed))));
    });
    eprintln!("{:?}", heard.await);
    let peak = place.tell("after the attack");
    // A hundred bodies of 1 MiB, and the rest.
    assert!(peak < 300 * MIB, "{} MiB", peak / MIB);
}

/// This one needs a callback's token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "heavy"]
async fn odd_callbacks_cost_what_they_are_worth() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let place = Place::with("").await;
    let path = place.sandbox.callback_url(0);
    let path = path.split_once("/webhooks").map(|(_, path)| format!("/webhooks{path}")).unwrap();
    let heard = place.while_people_act(async || {
        let attack = Attack::on(place.replica.ports.webhooks);
        let times = attack.odd_callbacks(1, &path, &place.sandbox.list);
        until("odd callbacks", async || times.load(Ordering::Relaxed) >= 4).await;
        attack.ends().await;
    });
    eprintln!("{:?}", heard.await);
    let peak = place.tell("after odd callbacks");
    assert!(peak < 300 * MIB, "{} MiB", peak / MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "heavy"]
async fn ten_thousand_idle_connections_are_kept_and_no_more_than_allowed() {
    const IDLE: u32 = 10_000;
    let _alone = ONE_AT_A_TIME.lock().await;
    descriptors(12_000);
    let place = Place::with("max_connections = 12000").await;
    place.tell("started");
    let heard = place.while_people_act(async || {
        let idle = connections(place.replica.ports.webhooks, IDLE).await;
        assert!(place.replica.metric("gateway_http_connections").await >= f64::from(IDLE));
        place.tell("10,000 idle connections");
        drop(idle);
    });
    eprintln!("{:?}", heard.await);
    assert!(place.tell("after them") < 400 * MIB);

    // The default.
    let place = Place::with("").await;
    let idle = connections(place.replica.ports.webhooks, IDLE).await;
    // The system takes these, the gateway doesn't.
    let mut late = Vec::new();
    for _ in 0..200 {
        let mut client = Client::connect(place.replica.ports.webhooks).await;
        client.send(post("/webhooks/gigya/main", "{}")).await;
        late.push(client);
    }
    let early = tokio::time::timeout(Duration::from_millis(500), late[0].answer()).await;
    assert!(early.is_err(), "answered beyond the limit: {early:?}");
    let open = place.replica.metric("gateway_http_connections{port=\"webhooks\"}").await;
    assert!((open - f64::from(IDLE)).abs() < 0.5, "{open} connections");
    place.tell("10,000 idle connections and 200 that wait");
    drop(idle);
    for mut client in late {
        assert_eq!(client.answer().await.status, 401);
    }
    assert!(place.tell("after them") < 400 * MIB);
}

/// So many connections that have asked something once, and now say nothing.
async fn connections(at: SocketAddr, many: u32) -> Vec<Client> {
    let mut idle = Vec::new();
    while idle.len() < many as usize {
        let some = join_all((0..100).map(|_| async {
            let mut client = Client::connect(at).await;
            assert_eq!(client.ask(post("/webhooks/gigya/main", "{}")).await.status, 401);
            client
        }));
        idle.extend(some.await);
    }
    idle
}
