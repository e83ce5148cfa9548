//! Everything fails now and then, for everybody, and in the end both sides are equal.

use crate::town::{NEWSLETTER, address};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Attempt, Sandbox, Setup, Temper, Weather};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How many events are signed and sent, at least.
const EVENTS: usize = 10_000;
const PEOPLE: usize = 1_250;

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

/// 10,000 signed events, one upstream call in twenty failing in one of six ways, two replicas, deliveries twice, late
/// and in another order, people acting on both sides: everybody's state is that of their latest act, on both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_in_a_storm_end_with_both_sides_equal() {
    let setup = Setup {
        replicas: 2,
        gigya_lines: "deadline = \"3s\"\nattempt_timeout = \"300ms\"\nclock_tolerance = \"1h\"".to_owned(),
        campaign_monitor_lines: "deadline = \"3s\"\nattempt_timeout = \"300ms\"".to_owned(),
        ..Setup::default()
    };
    let sandbox = Sandbox::start(setup).await.unwrap();
    let (gigya, esp) = (&sandbox.gigya, &sandbox.campaign_monitor);
    let temper = Temper {
        batch: 20,
        first_interval: Duration::from_millis(100),
        longest_interval: Duration::from_secs(1),
        twice: 0.1,
        shuffle: Duration::from_millis(50),
        ..Temper::default()
    };
    gigya.courier().set_temper(temper);
    esp.courier().set_temper(temper);
    let counted = count(&sandbox);
    let mut chance = fastrand::Rng::with_seed(42);

    let uids: Vec<String> = (0..PEOPLE).map(|n| gigya.sign_up(&address(&n.to_string()), "name")).collect();
    for uid in &uids {
        gigya.subscribe(uid, NEWSLETTER);
    }
    assert!(sandbox.settled(Duration::from_mins(1)).await, "the calm before the storm");

    gigya.faults().set(Weather::stormy(0.05));
    esp.faults().set(Weather::stormy(0.05));
    let mut wanted = vec![true; PEOPLE];
    for round in 0..4 {
        sandbox.clock.advance(jiff::SignedDuration::from_secs(5));
        // The second replica takes over every other time, as behind a load balancer.
        gigya.courier().deliver_to(&sandbox.gigya_url(round % 2));
        esp.courier().deliver_to(&sandbox.callback_url(round % 2));
        for (n, uid) in uids.iter().enumerate() {
            match chance.u8(0..10) {
                0..4 if wanted[n] => {
                    gigya.unsubscribe(uid, NEWSLETTER);
                    wanted[n] = false;
                }
                4..6 if wanted[n] => {
                    // Nobody unsubscribes by a mail that didn't reach them yet.
                    wanted[n] = !esp.unsubscribe_link(&sandbox.list, &address(&n.to_string()));
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
        assert!(sandbox.settled(Duration::from_mins(2)).await, "round {round} never came to rest");
    }

    let failed = gigya.faults().failed() + esp.faults().failed();
    gigya.faults().set(Weather::default());
    esp.faults().set(Weather::default());
    for (n, uid) in uids.iter().enumerate() {
        let state = esp.state(&sandbox.list, &address(&n.to_string()));
        let name = format!("{n}: wanted {}", wanted[n]);
        assert_eq!(gigya.is_subscribed(uid, NEWSLETTER), Some(wanted[n]), "Gigya of {name}, ESP {state:?}");
        assert_eq!(state == Some(State::Active), wanted[n], "ESP of {name}");
    }
    sandbox.stop().await;
    let counted = counted.lock().unwrap();
    eprintln!(
        "{} events taken in {} requests, {} answered 503, {failed} upstream calls failed, others {:?}",
        counted.events_taken, counted.requests, counted.refused, counted.others
    );
    assert!(counted.events_taken >= EVENTS, "only {} events", counted.events_taken);
    assert!(counted.refused > 0 && failed > 500, "it was no storm");
    assert!(counted.others.is_empty(), "senders see 2xx or 503 only: {:?}", counted.others);
}
