//! Whether the largest bodies are done before their sender gives up, when each call upstream takes 100 ms.

use crate::report::Report;
use crate::world::{World, address, ordinary};
use gigya_esp_gateway::sandbox::marketing_cloud::Status;
use gigya_esp_gateway::sandbox::{Courier, Esps, Setup, Temper};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

const LATENCY: Duration = Duration::from_millis(100);
/// How long Gigya waits, and Campaign Monitor is taken to.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Marketing Cloud waits.
const LITTLE_PATIENCE: Duration = Duration::from_secs(3);
/// A connection's, for a body of a thousand.
const WIDE: &str = "max_concurrent_calls = 512";

/// Sends each kind of body once.
pub async fn measure(report: &mut Report, quick: bool) {
    let (events, callbacks) = if quick { (20, 50) } else { (100, 1000) };
    let mut rows = vec![gigya(report, events).await];
    for esps in [Esps::CampaignMonitor, Esps::MarketingCloud] {
        for wide in [false, true] {
            rows.push(callback(report, callbacks, esps, wide).await);
        }
    }
    let heads = ["body", "sender waits", "first answer", "after", "times sent until 200"];
    report.table("Large bodies, when each call upstream takes 100 ms", &heads, &rows);
}

async fn gigya(report: &mut Report, events: usize) -> Vec<String> {
    let world = World::start(ordinary(), false, None).await;
    let uids = world.people(events);
    world.set(&uids, true);
    world.slow_down(LATENCY);
    let (answer, took) = world.send(world.notify(&uids)).await;
    let name = format!("Gigya: {events} opt-ins");
    report.must(answer["applied"] == events, &format!("{name}: all are applied, not {}", answer["applied"]));
    report.must(took < PATIENCE, &format!("{name}: answered after {took:.1?}"));
    vec![name, seconds(PATIENCE), "200".to_owned(), seconds(took), "1".to_owned()]
}

/// Told once, with as many calls at once as are usual, and with more.
async fn callback(report: &mut Report, events: usize, esps: Esps, wide: bool) -> Vec<String> {
    let setup = Setup::with_esps(esps);
    let setup = if wide { setup.with_lines(WIDE) } else { setup };
    let world = World::start(setup, false, None).await;
    let uids = world.people(events);
    world.set(&uids, true);
    for body in uids.chunks(100) {
        world.send(world.notify(body)).await;
    }
    let sandbox = &world.sandbox;
    let (name, patience) = match esps {
        Esps::MarketingCloud => ("Marketing Cloud", LITTLE_PATIENCE),
        _ => ("Campaign Monitor", PATIENCE),
    };
    let attempts = sandbox.attempts.subscribe();
    let courier = sandbox.esps[0].courier();
    courier.pause(true);
    courier.forget();
    courier.set_temper(Temper { batch: events, patience, ..courier.temper() });
    match esps {
        Esps::MarketingCloud => {
            for (n, uid) in uids.iter().enumerate() {
                sandbox.marketing_cloud.import(uid, &address(n), None, Status::Active);
            }
            sandbox.marketing_cloud.register(&sandbox.marketing_cloud_url(0));
        }
        _ => sandbox.campaign_monitor.register(&sandbox.callback_url(0)),
    }
    for n in 0..events {
        assert!(sandbox.esps[0].unsubscribe_link(&address(n)), "who is mailed can unsubscribe");
    }
    world.slow_down(LATENCY);
    let (first, after, times) = deliver(courier, attempts, name, events).await;
    for uid in &uids {
        let told = sandbox.gigya.is_subscribed(uid, crate::world::NEWSLETTER) == Some(false);
        report.must(told, &format!("{name}: an opt-out didn't reach Gigya"));
    }
    let how = if wide { WIDE } else { "as it is configured by default" };
    let said = format!("{name}: {events} callbacks, {how}: first answered {first} after {after:.1?}");
    report.must(first == 200 && after < patience, &said);
    vec![
        format!("{name}: {events} callbacks, {how}"),
        seconds(patience),
        first.to_string(),
        seconds(after),
        times.to_string(),
    ]
}

/// Lets the courier deliver; returns the first answer's status, when it came, and how often it took.
async fn deliver(
    courier: &Courier,
    mut attempts: Receiver<gigya_esp_gateway::sandbox::Attempt>,
    sender: &str,
    events: usize,
) -> (u16, Duration, usize) {
    courier.pause(false);
    let mut heard = Vec::new();
    loop {
        let attempt = tokio::time::timeout(Duration::from_mins(2), attempts.recv()).await.expect("answered in the end");
        let attempt = attempt.expect("nothing is missed");
        if attempt.sender == sender && attempt.types.len() == events {
            heard.push((attempt.status, attempt.took));
            if attempt.status == 200 {
                return (heard[0].0, heard[0].1, heard.len());
            }
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
