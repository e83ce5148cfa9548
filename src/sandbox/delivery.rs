//! Brings a simulated system's webhooks to the gateway: at least once, again at growing intervals until it
//! answers 2xx, in batches; late, twice and in another order if so asked. `giving_up` says when it stops.

use super::Surroundings;
use super::carrier::{Happened, Moment};
use super::giving_up::{GivingUp, Standing};
use super::witness::{Answered, Nobody, Witness};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How webhooks are delivered.
#[derive(Clone, Copy, Debug)]
pub struct Temper {
    /// The most events in one request.
    pub batch: usize,
    /// How long to wait for an answer (Gigya: 10 s).
    pub patience: Duration,
    /// The wait before the first redelivery; each further one is twice as long.
    pub first_interval: Duration,
    /// The longest wait (Gigya: up to one hour).
    pub longest_interval: Duration,
    /// The share of requests that are sent twice.
    pub twice: f64,
    /// How long an event may be held back at random, so that later ones overtake it.
    pub shuffle: Duration,
    /// Whether a redelivery is signed anew. Which of the two Gigya does isn't documented.
    pub sign_anew: bool,
    /// Requests under way at once.
    pub at_once: usize,
    /// The highest HTTP status, from 200, that is taken for success.
    pub highest_success: u16,
    /// What a body must have in it besides, to be taken for success.
    pub must_say: Option<&'static str>,
    /// When a request that isn't answered so is given up.
    pub giving_up: GivingUp,
}

impl Default for Temper {
    fn default() -> Self {
        Self {
            batch: 100,
            patience: Duration::from_secs(10),
            first_interval: Duration::from_millis(200),
            longest_interval: Duration::from_secs(5),
            twice: 0.0,
            shuffle: Duration::ZERO,
            sign_anew: true,
            at_once: 8,
            highest_success: 299,
            must_say: None,
            giving_up: GivingUp::Never,
        }
    }
}

/// A request ready to be sent.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Headers, the signature among them.
    pub headers: Vec<(&'static str, String)>,
    /// The body, as it was signed.
    pub body: Vec<u8>,
}

/// What became of one request.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who sent it.
    pub sender: &'static str,
    /// The events' types.
    pub types: Vec<String>,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// The HTTP status; 0 if there was no answer.
    pub status: u16,
    /// The answer's body.
    pub answer: String,
    /// How long the answer took.
    pub took: Duration,
}

type Seal = dyn Fn(&[Value]) -> Sealed + Send + Sync;

/// Delivers one system's webhooks to one URL. Clones are the same.
#[derive(Clone)]
pub struct Courier(Arc<Inner>);

struct Inner {
    sender: &'static str,
    seal: Box<Seal>,
    state: Mutex<State>,
    work: Notify,
    pending: watch::Sender<usize>,
    around: Surroundings,
}

struct State {
    temper: Temper,
    target: Option<String>,
    witness: Arc<dyn Witness>,
    paused: bool,
    waiting: VecDeque<(Instant, Letter)>,
    parcels: Vec<Parcel>,
    under_way: usize,
    chance: fastrand::Rng,
    standing: Standing,
    dropped: usize,
    /// How many copies of events there were.
    copies: u64,
    /// Counts how often everything was forgotten.
    forgotten: u32,
}

/// One copy of an event.
struct Letter {
    copy: u64,
    event: Value,
}

struct Parcel {
    letters: Vec<Letter>,
    sealed: Option<Sealed>,
    number: u32,
    due: Instant,
    first: Option<Instant>,
    /// What `State::forgotten` was when it was packed.
    packed: u32,
}

impl Parcel {
    fn new(letters: Vec<Letter>, due: Instant, packed: u32) -> Self {
        Self { letters, sealed: None, number: 0, due, first: None, packed }
    }

    fn events(&self) -> Vec<Value> {
        self.letters.iter().map(|letter| letter.event.clone()).collect()
    }
}

impl Courier {
    /// Starts a courier. `seal` makes the request of a batch of events, signature and all.
    pub(super) fn start(
        sender: &'static str,
        temper: Temper,
        around: Surroundings,
        seal: impl Fn(&[Value]) -> Sealed + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            temper,
            target: None,
            witness: Arc::new(Nobody),
            paused: false,
            waiting: VecDeque::new(),
            parcels: Vec::new(),
            under_way: 0,
            chance: fastrand::Rng::with_seed(around.seed),
            standing: Standing::default(),
            dropped: 0,
            copies: 0,
            forgotten: 0,
        };
        let courier = Self(Arc::new(Inner {
            sender,
            seal: Box::new(seal),
            state: Mutex::new(state),
            work: Notify::new(),
            pending: watch::Sender::new(0),
            around,
        }));
        tokio::spawn(courier.clone().run());
        courier
    }

    /// Where to deliver. Until it is known, events wait.
    pub fn deliver_to(&self, url: &str) {
        self.lock().target = Some(url.to_owned());
        self.0.work.notify_one();
    }

    /// Has somebody look at every answer.
    pub fn show_to(&self, witness: Arc<dyn Witness>) {
        self.lock().witness = witness;
    }

    /// How to deliver.
    pub fn set_temper(&self, temper: Temper) {
        self.lock().temper = temper;
        self.0.work.notify_one();
    }

    /// Holds everything back, or lets it go.
    pub fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.0.work.notify_one();
    }

    /// How it delivers now.
    #[must_use]
    pub fn temper(&self) -> Temper {
        self.lock().temper
    }

    /// Takes an event to be delivered. It is lost if the receiver is suspended.
    pub(super) fn take(&self, event: Value) {
        let mut state = self.lock();
        if state.standing.is_suspended(Instant::now()) {
            state.dropped += 1;
            return;
        }
        let hold = state.temper.shuffle.mul_f64(state.chance.f64());
        let letter = self.write(&mut state, event);
        state.waiting.push_back((Instant::now() + hold, letter));
        drop(state);
        self.0.work.notify_one();
    }

    /// Gives up everything that was not answered 2xx yet.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.forgotten += 1;
        self.drop_waiting(&mut state);
    }

    /// Events that were given up.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.lock().dropped
    }

    /// Whether the receiver is suspended: what happens now, it never gets to know.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.lock().standing.is_suspended(Instant::now())
    }

    /// Events that were neither answered 2xx nor given up yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        *self.0.pending.borrow()
    }

    /// Waits until every event was answered 2xx or given up, or the time is up; returns whether they were.
    pub async fn settled(&self, within: Duration) -> bool {
        let mut pending = self.0.pending.subscribe();
        tokio::time::timeout(within, pending.wait_for(|pending| *pending == 0)).await.is_ok_and(|waited| waited.is_ok())
    }

    async fn run(self) {
        loop {
            let (ready, wait) = self.collect();
            for parcel in ready {
                let courier = self.clone();
                tokio::spawn(async move { courier.deliver(parcel).await });
            }
            tokio::select! {
                biased;
                () = self.0.work.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// What is to be sent now, and how long until something else is.
    fn collect(&self) -> (Vec<Parcel>, Duration) {
        let mut state = self.lock();
        let now = Instant::now();
        let mut ready = Vec::new();
        if state.paused || state.target.is_none() {
            return (ready, Duration::from_secs(1));
        }
        if state.standing.is_suspended(now) {
            self.drop_waiting(&mut state);
        }
        let (batch, packed) = (state.temper.batch.max(1), state.forgotten);
        let (due, later): (VecDeque<_>, VecDeque<_>) = state.waiting.drain(..).partition(|(due, _)| *due <= now);
        state.waiting = later;
        let mut due = due.into_iter().map(|(_, letter)| letter).peekable();
        while due.peek().is_some() {
            let letters: Vec<Letter> = due.by_ref().take(batch).collect();
            if state.chance.f64() < state.temper.twice {
                let again = letters.iter().map(|letter| self.write(&mut state, letter.event.clone())).collect();
                state.parcels.push(Parcel::new(again, now, packed));
            }
            state.parcels.push(Parcel::new(letters, now, packed));
        }
        let mut index = 0;
        while index < state.parcels.len() && state.under_way < state.temper.at_once {
            if state.parcels[index].due <= now {
                ready.push(state.parcels.remove(index));
                state.under_way += 1;
            } else {
                index += 1;
            }
        }
        let dues = state.parcels.iter().map(|parcel| parcel.due).chain(state.waiting.iter().map(|(due, _)| *due));
        let wait = dues.min().map_or(Duration::from_secs(1), |due| due.saturating_duration_since(now));
        (ready, wait.max(Duration::from_millis(1)))
    }

    async fn deliver(&self, mut parcel: Parcel) {
        let (temper, target) = {
            let state = self.lock();
            (state.temper, state.target.clone().unwrap_or_default())
        };
        parcel.number += 1;
        let sealed = match parcel.sealed.take() {
            Some(sealed) if !temper.sign_anew => sealed,
            _ => (self.0.seal)(&parcel.events()),
        };
        let started = Instant::now();
        let first = *parcel.first.get_or_insert(started);
        let (status, answer) = self.ask(&target, &sealed, temper.patience).await.unwrap_or_default();
        let type_of = |event: &Value| {
            let named = ["type", "Type", "eventCategoryType"].into_iter().find_map(|name| event.get(name));
            named.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let types = parcel.letters.iter().map(|letter| type_of(&letter.event)).collect();
        let took = started.elapsed();
        let is_said = temper.must_say.is_none_or(|text| answer.contains(text));
        let attempt = Attempt { sender: self.0.sender, types, number: parcel.number, status, answer, took };
        let _ = self.0.around.attempts.send(attempt);
        let mut state = self.lock();
        state.under_way -= 1;
        if is_said && (200..=temper.highest_success).contains(&status) {
            self.close(parcel.letters, Happened::Taken);
            state.standing.answered();
        } else {
            let doubled = temper.first_interval.saturating_mul(1 << parcel.number.saturating_sub(1).min(16));
            let (now, growing) = (Instant::now(), doubled.min(temper.longest_interval));
            let wait = temper.giving_up.wait(parcel.number, now - first, growing, temper.first_interval);
            let is_lost = state.standing.is_suspended(now) || parcel.packed != state.forgotten;
            match wait {
                Some(wait) if !is_lost => {
                    parcel.due = now + wait;
                    parcel.sealed = Some(sealed);
                    state.parcels.push(parcel);
                }
                _ => {
                    if !is_lost {
                        state.standing.gave_up(temper.giving_up, now);
                    }
                    self.give_up(&mut state, parcel.letters);
                }
            }
        }
        drop(state);
        self.0.work.notify_one();
    }

    /// Sends a request, and shows the answer to the witness; the status and the body, unless there was no answer.
    pub(super) async fn ask(&self, url: &str, sealed: &Sealed, patience: Duration) -> Option<(u16, String)> {
        let answer = self.0.around.carrier.carry(url, sealed, patience).await?;
        let witness = Arc::clone(&self.lock().witness);
        let (status, headers) = (answer.status, &answer.headers);
        let Some(body) = answer.body else { return Some((status, String::new())) };
        witness.sees(&Answered { url, status, headers, body: &body });
        Some((status, body))
    }

    fn drop_waiting(&self, state: &mut State) {
        let mut letters: Vec<Letter> = state.parcels.drain(..).flat_map(|parcel| parcel.letters).collect();
        letters.extend(state.waiting.drain(..).map(|(_, letter)| letter));
        self.give_up(state, letters);
    }

    fn give_up(&self, state: &mut State, letters: Vec<Letter>) {
        state.dropped += letters.len();
        self.close(letters, Happened::GivenUp);
    }

    /// A copy of an event begins to be on its way.
    fn write(&self, state: &mut State, event: Value) -> Letter {
        state.copies += 1;
        let letter = Letter { copy: state.copies, event };
        self.0.pending.send_modify(|pending| *pending += 1);
        self.tell(&letter, Happened::Fired);
        letter
    }

    fn close(&self, letters: Vec<Letter>, what: Happened) {
        self.0.pending.send_modify(|pending| *pending -= letters.len());
        for letter in &letters {
            self.tell(letter, what);
        }
    }

    fn tell(&self, letter: &Letter, what: Happened) {
        if let Some(observer) = &self.0.around.observer {
            observer(Moment { sender: self.0.sender, copy: letter.copy, event: &letter.event, what });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
