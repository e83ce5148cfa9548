//! People who opt in and out on all sides, one after the other without an end, and what their senders hear.

use gigya_esp_gateway::sandbox::{Attempt, Sandbox, Temper, Weather};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

const NEWSLETTER: &str = "newsletter";
const PEOPLE: usize = 300;
/// The pause between two people's acts.
const PAUSE: Duration = Duration::from_millis(25);
/// How long the last redeliveries may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Answers that senders got.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub taken: usize,
    /// 503 of the gateway.
    pub put_off: usize,
    /// 503 of the load balancer.
    pub unreached: usize,
    /// Anything else, which nobody should hear.
    pub others: Vec<(u16, String)>,
    pub slowest: Duration,
}

impl Heard {
    fn count(&mut self, attempt: Attempt) {
        let of_gateway =
            attempt.answer.contains("urn:problem:gigya-esp-gateway:") || attempt.answer.starts_with(r#"{"received":"#);
        self.slowest = self.slowest.max(attempt.took);
        match attempt.status {
            200 => self.taken += 1,
            503 if of_gateway => self.put_off += 1,
            503 => self.unreached += 1,
            other => self.others.push((other, attempt.answer)),
        }
    }
}

/// Everybody, and what each of them wants.
pub struct Crowd {
    sandbox: Arc<Sandbox>,
    uids: Vec<String>,
    wanted: Vec<bool>,
    chance: fastrand::Rng,
    heard: Arc<Mutex<Heard>>,
}

impl Crowd {
    /// Everybody signs up.
    pub async fn gather(sandbox: Arc<Sandbox>) -> Self {
        sandbox.set_tempers(|temper| Temper { batch: 20, at_once: 16, twice: 0.1, ..temper });
        let heard = listen(&sandbox);
        let uids: Vec<String> = (0..PEOPLE).map(|n| sandbox.gigya.sign_up(&address(n), "name")).collect();
        for uid in &uids {
            sandbox.gigya.subscribe(uid, NEWSLETTER);
        }
        assert!(sandbox.settled(PATIENCE).await, "the calm before");
        Self { sandbox, uids, wanted: vec![true; PEOPLE], chance: fastrand::Rng::with_seed(42), heard }
    }

    /// They act, one after the other, until `enough` and once more all around. Before somebody acts again, what they did
    /// has arrived, as else it were an opt-in that overtakes an opt-out, which counts as the opt-out.
    pub async fn act(mut self, enough: CancellationToken) -> Self {
        loop {
            let is_last = enough.is_cancelled();
            self.sandbox.clock.advance(jiff::SignedDuration::from_secs(5));
            let mut pace = tokio::time::interval(PAUSE);
            for n in 0..PEOPLE {
                pace.tick().await;
                self.one_acts(n);
            }
            assert!(self.sandbox.settled(PATIENCE).await, "never came to rest: {:?}", self.heard());
            if is_last {
                return self;
            }
        }
    }

    fn one_acts(&mut self, n: usize) {
        let (gigya, uid) = (&self.sandbox.gigya, &self.uids[n]);
        match self.chance.u8(0..10) {
            0..4 if self.wanted[n] => {
                gigya.unsubscribe(uid, NEWSLETTER);
                self.wanted[n] = false;
            }
            4..7 if self.wanted[n] => {
                let esp = &self.sandbox.esps[self.chance.usize(0..self.sandbox.esps.len())];
                self.wanted[n] = !esp.unsubscribe_link(&address(n));
            }
            7 => gigya.set_profile(uid, "firstName", format!("name {}", self.chance.u8(..)).into()),
            _ => {
                // An opt-in that Gigya has already is no act.
                if gigya.is_subscribed(uid, NEWSLETTER) == Some(false) {
                    gigya.subscribe(uid, NEWSLETTER);
                    self.wanted[n] = true;
                }
            }
        }
    }

    /// How every side's API is doing from now on.
    pub fn set_weather(sandbox: &Sandbox, weather: Weather) {
        for system in sandbox.faults() {
            system.set(weather);
        }
    }

    /// Nothing was lost: on every side everybody is as they acted last. And senders heard 2xx or 503.
    pub fn is_as_it_should_be(&self) -> Heard {
        for (n, uid) in self.uids.iter().enumerate() {
            let name = format!("{n}: wanted {}", self.wanted[n]);
            for esp in &self.sandbox.esps {
                let found = esp.at(&address(n));
                assert_eq!(esp.mails(&address(n)), self.wanted[n], "{} of {name}: {found:?}", esp.name());
            }
            let has = self.sandbox.gigya.is_subscribed(uid, NEWSLETTER);
            assert_eq!(has, Some(self.wanted[n]), "Gigya of {name}");
        }
        let heard = self.heard();
        assert!(heard.others.is_empty(), "senders hear 2xx or 503 only: {heard:?}");
        heard
    }

    fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }
}

fn listen(sandbox: &Sandbox) -> Arc<Mutex<Heard>> {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let (mut attempts, counts) = (sandbox.attempts.subscribe(), Arc::clone(&heard));
    tokio::spawn(async move {
        loop {
            match attempts.recv().await {
                Ok(attempt) => counts.lock().unwrap().count(attempt),
                Err(RecvError::Lagged(missed)) => panic!("{missed} answers went unheard"),
                Err(RecvError::Closed) => return,
            }
        }
    });
    heard
}

fn address(n: usize) -> String {
    format!("{n}@example.org")
}
