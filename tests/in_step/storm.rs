//! Everything fails now and then, for everybody, and in the end all sides are equal.

use crate::contract::Held;
use crate::town::{NEWSLETTER, address};
use gigya_esp_gateway::sandbox::{Attempt, Esps, Faults, Sandbox, Setup, Temper, Weather};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How many events are signed and sent, at least.
const EVENTS: usize = 10_000;
const PEOPLE: usize = 500;
/// How often each of them acts, at least.
const ROUNDS: usize = 4;

/// Counts answers while they come.
#[derive(Default)]
struct Counted {
    requests: usize,
    events_taken: usize,
    refused: usize,
    others: Vec<u16>,
}

fn count(sandbox: &Sandbox) -> Arc<Mutex<Counted>> {
    let counted = Arc::new(Mutex::new(Counted::default()));
    let (mut attempts, counts) = (sandbox.attempts.subscribe(), Arc::clone(&counted));
    tokio::spawn(async move {
        loop {
            let attempt: Attempt = match attempts.recv().await {
                Ok(attempt) => attempt,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            let mut counted = counts.lock().unwrap();
            counted.requests += 1;
            match attempt.status {
                200 => counted.events_taken += attempt.types.len(),
                503 => counted.refused += 1,
                other => counted.others.push(other),
            }
        }
    });
    counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_in_a_storm_end_with_both_sides_equal() {
    a_storm(Setup::with_esps(Esps::CampaignMonitor)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_with_marketing_cloud() {
    a_storm(Setup::with_esps(Esps::MarketingCloud)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_with_a_publication_list_there() {
    let mut setup = Setup::with_esps(Esps::MarketingCloud);
    setup.marketing_cloud_audience = "publication-list:69238".to_owned();
    setup.marketing_cloud_route = "fields = { \"First Name\" = \"profile.firstName\" }".to_owned();
    a_storm(setup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_with_both_esps_at_once() {
    a_storm(Setup::with_esps(Esps::Both)).await;
}

/// 10,000 signed events, one upstream call in twenty failing in one of six ways, two replicas, deliveries twice, late
/// and in another order, people acting on all sides: everybody's state is that of their latest act, on all sides.
async fn a_storm(mut setup: Setup) {
    setup.replicas = 2;
    setup = setup.with_lines("deadline = \"3s\"\nattempt_timeout = \"300ms\"");
    setup.gigya_lines.push_str("clock_tolerance = \"1h\"\n");
    let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
    sandbox.set_tempers(|temper| Temper {
        batch: 20,
        first_interval: Duration::from_millis(100),
        longest_interval: Duration::from_secs(1),
        twice: 0.1,
        shuffle: Duration::from_millis(50),
        ..temper
    });
    let (gigya, systems) = (&sandbox.gigya, sandbox.faults().collect::<Vec<&Faults>>());
    let counted = count(&sandbox);

    let uids: Vec<String> = (0..PEOPLE).map(|n| gigya.sign_up(&of_person(n), "name")).collect();
    for uid in &uids {
        gigya.subscribe(uid, NEWSLETTER);
    }
    assert!(sandbox.settled(Duration::from_mins(5)).await, "the calm before the storm");

    for system in &systems {
        system.set(Weather::stormy(0.05));
    }
    let mut chance = fastrand::Rng::with_seed(42);
    let mut wanted = vec![true; PEOPLE];
    let mut round = 0;
    while round < ROUNDS || counted.lock().unwrap().events_taken < EVENTS {
        sandbox.clock.advance(jiff::SignedDuration::from_secs(5));
        // The second replica takes over every other time, as behind a load balancer.
        sandbox.deliver_to(round % 2);
        everybody_acts(&sandbox, round, &uids, &mut wanted, &mut chance);
        assert!(sandbox.settled(Duration::from_mins(2)).await, "round {round} never came to rest");
        round += 1;
    }

    let failed: u64 = systems.iter().map(|system| system.failed()).sum();
    for system in &systems {
        system.set(Weather::default());
    }
    for (n, uid) in uids.iter().enumerate() {
        let name = format!("{n}: wanted {}", wanted[n]);
        for esp in &sandbox.esps {
            let found = esp.at(&of_person(n));
            assert_eq!(esp.mails(&of_person(n)), wanted[n], "{} of {name}: {found:?}", esp.name());
        }
        assert_eq!(gigya.is_subscribed(uid, NEWSLETTER), Some(wanted[n]), "Gigya of {name}");
    }
    sandbox.stop().await;
    let counted = counted.lock().unwrap();
    eprintln!(
        "{} events taken in {} requests, {} answered 503, {failed} upstream calls failed, others {:?}",
        counted.events_taken, counted.requests, counted.refused, counted.others
    );
    assert!(counted.refused > 0 && failed > 500, "it was no storm");
    assert!(counted.others.is_empty(), "senders see 2xx or 503 only: {:?}", counted.others);
}

fn of_person(n: usize) -> String {
    address(&n.to_string())
}

/// Everybody acts once, somewhere.
fn everybody_acts(sandbox: &Sandbox, round: usize, uids: &[String], wanted: &mut [bool], chance: &mut fastrand::Rng) {
    let gigya = &sandbox.gigya;
    for (n, uid) in uids.iter().enumerate() {
        match chance.u8(0..10) {
            0..4 if wanted[n] => {
                gigya.unsubscribe(uid, NEWSLETTER);
                wanted[n] = false;
            }
            4..6 if wanted[n] => {
                // Nobody unsubscribes by a mail that didn't reach them yet.
                let esp = &sandbox.esps[chance.usize(0..sandbox.esps.len())];
                wanted[n] = !esp.unsubscribe_link(&of_person(n));
            }
            6..8 => gigya.set_profile(uid, "firstName", format!("name {round}").into()),
            _ => {
                // An opt-in that Gigya has already is no act.
                if gigya.is_subscribed(uid, NEWSLETTER) == Some(false) {
                    gigya.subscribe(uid, NEWSLETTER);
                    wanted[n] = true;
                }
            }
        }
    }
}
