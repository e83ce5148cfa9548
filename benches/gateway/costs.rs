//! What each thing that can be switched on costs: processor time of the gateway, against a gateway without it that had its
//! turn in the same round.

use crate::process::median;
use crate::report::Report;
use crate::tls::Protocol;
use crate::world::{World, ordinary};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::gigya::{GigyaSettings, WebhookVersion};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests under way at once.
const AT_ONCE: usize = 64;
/// How often each has its turn.
pub const ROUNDS: usize = 5;
const PHASES: [&str; 3] = ["opt-in", "unchanged", "opt-out"];

/// What is switched on.
#[derive(Clone, Copy)]
struct Switches {
    name: &'static str,
    jwt: bool,
    traces: bool,
    journal: bool,
    tls: Option<Protocol>,
}

const NOTHING: Switches =
    Switches { name: "HMAC, plain HTTP, nothing else", jwt: false, traces: false, journal: false, tls: None };

const VARIANTS: [Switches; 7] = [
    NOTHING,
    Switches { name: "JWT instead of HMAC", jwt: true, ..NOTHING },
    Switches { name: "traces of everything", traces: true, ..NOTHING },
    Switches { name: "journal (SQLite)", journal: true, ..NOTHING },
    Switches { name: "TLS upstream, HTTP/1.1", tls: Some(Protocol::One), ..NOTHING },
    Switches { name: "TLS upstream, HTTP/2", tls: Some(Protocol::Two), ..NOTHING },
    Switches { name: "all of it, HTTP/2", jwt: true, traces: true, journal: true, tls: Some(Protocol::Two) },
];

/// Gives each its turn in every round.
pub async fn measure(report: &mut Report, quick: bool, rounds: usize) {
    let accounts = if quick { 30 } else { 2000 };
    let (collector, spans) = collector().await;
    let mut costs = vec![[const { Vec::new() }; 3]; VARIANTS.len()];
    for round in 1..=rounds {
        for (switches, costs) in VARIANTS.iter().zip(&mut costs) {
            let micros = run(*switches, accounts, collector).await;
            eprintln!("round {round}/{rounds}, {}: {micros:.0?} us an event", switches.name);
            for (cost, micros) in costs.iter_mut().zip(micros) {
                cost.push(micros);
            }
        }
    }
    let cell = |place: usize, phase: usize| {
        let ratios = costs[place][phase].iter().zip(&costs[0][phase]).map(|(with, without)| with / without);
        format!("{:.2} ({:.0})", median(ratios.collect()), median(costs[place][phase].clone()))
    };
    let row = |place: usize| {
        let name = std::iter::once(VARIANTS[place].name.to_owned());
        name.chain((0..PHASES.len()).map(|phase| cell(place, phase))).collect()
    };
    let rows: Vec<Vec<String>> = (0..VARIANTS.len()).map(row).collect();
    let title = format!(
        "Processor time of the gateway: ratio to the first line's (and microseconds an event), medians of {rounds}, \
         {AT_ONCE} requests at once"
    );
    report.must(spans.load(Ordering::Relaxed) > 0, "traces reach the collector");
    report.table(&title, &["switched on", PHASES[0], PHASES[1], PHASES[2]], &rows);
}

async fn run(switches: Switches, accounts: usize, collector: SocketAddr) -> [f64; 3] {
    let webhooks = if switches.jwt { WebhookVersion::V2_0 } else { WebhookVersion::V1_1 };
    let mut setup = Setup { gigya: GigyaSettings { webhooks, ..GigyaSettings::default() }, ..ordinary() };
    if switches.traces {
        let table = format!("\n[telemetry]\notlp_endpoint = \"http://{collector}\"\n");
        setup.more.push_str(&table);
    }
    let world = World::start(setup, switches.journal, switches.tls).await;
    let uids = world.people(accounts);
    let mut micros = [0.0; 3];
    for (phase, cost) in micros.iter_mut().enumerate() {
        if phase != 1 {
            world.set(&uids, phase == 0);
        }
        let each = uids.chunks(1).map(|one| world.notify(one)).collect();
        *cost = world.send_all(each, AT_ONCE).await / accounts as f64;
    }
    micros
}

/// Takes traces and forgets them, but for how often some came.
async fn collector() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, times) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&times);
    let take = async move |_: axum::body::Bytes| {
        counted.fetch_add(1, Ordering::Relaxed);
        StatusCode::OK
    };
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, times)
}
