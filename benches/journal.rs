//! What the journal costs: the gateway as a process of its own, between the simulators, given the same events without a
//! journal and with one, in turns. `cargo bench --bench journal`; with `JOURNAL_TEST_POSTGRES` set to the URL of an empty
//! database, that one takes part, too.
//!
//! Counted is the processor time of the gateway's process alone, an event; the simulators and the load are here. What counts
//! is the ratio, not the microseconds.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

#[path = "gateway/process.rs"]
mod process;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use gigya_esp_gateway::sandbox::gigya::{GigyaSettings, WebhookVersion};
use gigya_esp_gateway::sandbox::{Nobody, Sandbox, Setup};
use hmac::{Hmac, KeyInit, Mac};
use process::{Gateway, median};
use sha1::Sha1;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Accounts; each is opted in, told of again, and opted out.
const ACCOUNTS: usize = 3000;
/// Requests under way at once.
const AT_ONCE: usize = 64;
/// How often each kind of gateway has its turn.
const ROUNDS: usize = 5;
const NEWSLETTER: &str = "newsletter";
const PHASES: [&str; 3] = ["opt-in", "unchanged", "opt-out"];

/// Where the journal is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    None,
    Sqlite,
    Postgres,
}

impl Store {
    const fn label(self) -> &'static str {
        match self {
            Self::None => "no journal",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

fn main() {
    // As a test would be asked: `cargo test --benches` only wants to know that it is there.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let postgres = std::env::var("JOURNAL_TEST_POSTGRES").ok();
    let mut stores = vec![Store::None, Store::Sqlite];
    stores.extend(postgres.as_ref().map(|_| Store::Postgres));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut costs = vec![[const { Vec::new() }; 3]; stores.len()];
    let mut bytes = 0.0;
    for round in 1..=ROUNDS {
        for (place, store) in stores.iter().enumerate() {
            let run = runtime.block_on(run(*store, postgres.as_deref()));
            let told: Vec<_> = run.micros.iter().map(|micros| format!("{micros:.0}")).collect();
            eprintln!("round {round}/{ROUNDS}, {}: {} us an event", store.label(), told.join(", "));
            for (cost, micros) in costs[place].iter_mut().zip(run.micros) {
                cost.push(micros);
            }
            bytes = if *store == Store::Sqlite { run.bytes_an_event } else { bytes };
        }
    }
    println!(
        "Processor time of the gateway, microseconds an event (median of {ROUNDS}; ratio: median of each round's)\n"
    );
    println!("| events | {} |", stores.map_labels());
    println!("|---|{}", "---|".repeat(stores.len()));
    for (phase, name) in PHASES.iter().enumerate() {
        let cells = (0..stores.len()).map(|place| {
            let ratios = costs[place][phase].iter().zip(&costs[0][phase]).map(|(with, without)| with / without);
            let ratio = median(ratios.collect());
            format!("{:.0} ({ratio:.2})", median(costs[place][phase].clone()))
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    let whole = |place: usize| -> Vec<f64> {
        let [opt_ins, unchanged, opt_outs] = &costs[place];
        opt_ins.iter().zip(unchanged).zip(opt_outs).map(|((one, other), third)| (one + other + third) / 3.0).collect()
    };
    let cells = (0..stores.len()).map(|place| {
        let ratios = whole(place).into_iter().zip(whole(0)).map(|(with, without)| with / without);
        format!("{:.0} ({:.2})", median(whole(place)), median(ratios.collect()))
    });
    println!("| the whole run | {} |", cells.collect::<Vec<_>>().join(" | "));
    println!("\nSQLite's file: {bytes:.0} bytes a change: as many megabytes a million");
}

trait Labels {
    fn map_labels(&self) -> String;
}

impl Labels for Vec<Store> {
    fn map_labels(&self) -> String {
        self.iter().map(|store| store.label()).collect::<Vec<_>>().join(" | ")
    }
}

struct Run {
    /// An event of each phase.
    micros: [f64; 3],
    bytes_an_event: f64,
}

async fn run(store: Store, postgres: Option<&str>) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.db");
    let gigya = GigyaSettings { webhooks: WebhookVersion::V1_1, ..GigyaSettings::default() };
    let mut setup = Setup { gigya, ..Setup::default() };
    match store {
        Store::None => {}
        Store::Sqlite => setup = setup.with_journal(&file),
        Store::Postgres => {
            setup
                .more
                .push_str("\n[journal]\npostgres = { env = \"JOURNAL_URL\" }\nkeys = [{ env = \"JOURNAL_KEY\" }]\n");
        }
    }
    let secret = BASE64_STANDARD.decode(&setup.gigya.webhook_secret).unwrap();
    let api_key = setup.gigya.api_key.clone();
    // Nothing is delivered but what comes from here.
    let (sandbox, outfit) = Sandbox::simulators(setup, Nobody).await.unwrap();
    let uids: Vec<String> = (0..ACCOUNTS).map(|n| sandbox.gigya.sign_up(&format!("p{n}@example.org"), "Ann")).collect();
    let configuration = folder.path().join("gateway.toml");
    std::fs::write(&configuration, &outfit.configuration).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway"));
    command.args(["serve", "--config"]).arg(&configuration).env_clear().envs(outfit.environment);
    command.envs(postgres.map(|url| ("JOURNAL_URL", url)));
    let gateway = Gateway::start(command);
    let url = format!("http://{}/webhooks/gigya/main", gateway.address);
    let http = reqwest::Client::new();
    let mut micros = [0.0; 3];
    for (phase, cost) in micros.iter_mut().enumerate() {
        for uid in &uids {
            match phase {
                0 => sandbox.gigya.subscribe(uid, NEWSLETTER),
                1 => {}
                _ => sandbox.gigya.unsubscribe(uid, NEWSLETTER),
            }
        }
        let (before, begun) = (gateway.processor_nanos(), Instant::now());
        let each = uids.iter().enumerate().map(|(n, uid)| {
            let body = body(&api_key, uid, &format!("{phase}-{n}"), sandbox.clock.now().as_second());
            let mut mac = Hmac::<Sha1>::new_from_slice(&secret).unwrap();
            mac.update(body.as_bytes());
            let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
            let request = http.post(&url).header("content-type", "application/json");
            let request = request.header("x-gigya-sig-hmac-sha1", signature).body(body);
            async move {
                let answer = request.send().await.unwrap();
                let (status, text) = (answer.status(), answer.text().await.unwrap());
                assert_eq!(status, 200, "{text}");
            }
        });
        futures_util::stream::iter(each).buffer_unordered(AT_ONCE).for_each(async |()| {}).await;
        *cost = (gateway.processor_nanos() - before) as f64 / 1000.0 / ACCOUNTS as f64;
        let _ = begun;
    }
    drop(gateway);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bytes = size(&file);
    Run { micros, bytes_an_event: bytes as f64 / (2 * ACCOUNTS) as f64 }
}

fn body(api_key: &str, uid: &str, id: &str, now: i64) -> String {
    let event = serde_json::json!({
        "type": "subscriptionUpdated", "id": id, "timestamp": now, "callId": "c", "version": "1.1", "apiKey": api_key,
        "data": { "accountType": "full", "uid": uid },
    });
    serde_json::json!({ "events": [event], "nonce": id, "timestamp": now }).to_string()
}
