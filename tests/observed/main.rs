//! What an operator sees of a gateway at work: the metrics that Prometheus reads, and the status page.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../contract/mod.rs"]
mod contract;

mod metrics;
mod page;

use contract::{Answer, Held, Port, ask};
use gigya_esp_gateway::sandbox::{Esps, Sandbox, Setup};
use jiff::SignedDuration;
use std::time::Duration;

const NEWSLETTER: &str = "newsletter";

/// How long ago, to the gateway, people act in these sandboxes.
const LONG_AGO: Duration = Duration::from_hours(1);

/// Everything, with a gateway whose clock is an hour later than that of the people: what reaches it has happened then.
async fn sandbox(setup: Setup) -> Sandbox {
    let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
    sandbox.clock.advance(-SignedDuration::try_from(LONG_AGO).unwrap());
    sandbox
}

async fn both() -> Sandbox {
    sandbox(Setup::with_esps(Esps::Both)).await
}

/// Somebody opts in, and all systems know.
async fn subscriber(sandbox: &Sandbox, name: &str) -> String {
    let uid = sandbox.gigya.sign_up(&address(name), name);
    sandbox.gigya.subscribe(&uid, NEWSLETTER);
    quiet(sandbox).await;
    uid
}

async fn quiet(sandbox: &Sandbox) {
    assert!(sandbox.settled(Duration::from_secs(30)).await, "webhooks are never done");
}

fn address(name: &str) -> String {
    format!("{name}@example.org")
}

async fn get(sandbox: &Sandbox, path: &str) -> Answer {
    let url = format!("http://{}{path}", sandbox.operations[0]);
    ask(Port::Operations, reqwest::Client::new().get(url)).await
}
