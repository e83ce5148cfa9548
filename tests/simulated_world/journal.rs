//! A journal in memory, as all replicas of a world share it: a commit is done as a whole or not at all, may fail before it is
//! done or after, may take long, and goes on when nobody waits for it.

use crate::story::Story;
use async_trait::async_trait;
use gigya_esp_gateway::domain::{Change, ConnectionName, Email, Reason, Uid};
use gigya_esp_gateway::forward::Payload;
use gigya_esp_gateway::journal::{
    Claimed, Entries, Journal, JournalFault, Link, LinkChange, PendingId, Person, Receipt, Unfinished, Waiting,
};
use gigya_esp_gateway::sandbox::Clock;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// How long a link that was given up is told of.
const LEFT_IS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A journal. Clones are the same.
#[derive(Clone)]
pub struct MemoryJournal(Arc<Inner>);

struct Inner {
    clock: Clock,
    chance: Mutex<fastrand::Rng>,
    /// The share of calls that fail.
    fails: f64,
    /// The share of calls that take long.
    slow: f64,
    state: Mutex<State>,
    story: Story,
}

#[derive(Default)]
struct State {
    is_down: bool,
    links: Vec<Row>,
    receipts: Vec<Told>,
    pending: Vec<Pending>,
    /// Every event that was ever left unfinished.
    unfinished: BTreeSet<String>,
    pending_ids: u64,
}

struct Row {
    gigya: ConnectionName,
    link: Link,
    left_at: Option<Timestamp>,
}

/// A receipt, with whether it is one of a state that was found.
struct Told {
    receipt: Receipt,
    ends_mail: bool,
}

struct Pending {
    id: PendingId,
    event: Unfinished,
    added: Instant,
    attempts: i64,
    next: Timestamp,
    owner: String,
    leased_to: Timestamp,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    FailsBefore,
    FailsAfter,
}

impl MemoryJournal {
    pub fn new(clock: Clock, chances: u64, (fails, slow): (f64, f64), story: Story) -> Self {
        let chance = Mutex::new(fastrand::Rng::with_seed(chances ^ 0x6a_6f_75));
        Self(Arc::new(Inner { clock, chance, fails, slow, state: Mutex::default(), story }))
    }

    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Events to be finished.
    pub fn pending(&self) -> usize {
        self.state().pending.len()
    }

    /// Whether an event was ever written down to be finished.
    pub fn has_had(&self, event: &str) -> bool {
        self.state().unfinished.contains(event)
    }

    /// When events were written down that wait still: those about a subject of somebody's.
    pub fn waits_about(&self, is_theirs: impl Fn(&str) -> bool) -> Vec<Instant> {
        let state = self.state();
        let theirs = state.pending.iter().filter(|pending| subjects(&pending.event).iter().any(|one| is_theirs(one)));
        theirs.map(|pending| pending.added).collect()
    }

    /// Whether a receipt says that mail to somebody ended on a route whose label has `part` in it.
    pub fn has_receipt(&self, part: &str, is_theirs: impl Fn(&str) -> bool) -> bool {
        self.state().receipts.iter().any(|told| {
            let person = &told.receipt.person;
            let uid = person.account.as_ref().map(|(_, uid)| uid.expose());
            let address = person.address.as_ref().map(Email::expose);
            let is_about = uid.into_iter().chain(address).any(&is_theirs);
            told.ends_mail && is_about && told.receipt.event.route.contains(part)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Does something in the journal, after a while and before another one, and tells what became of it.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State, Timestamp) -> T + Send + 'static,
    ) -> Result<T, JournalFault> {
        let ((there, back), fate) = {
            let mut chance = self.0.chance.lock().unwrap();
            let slow = self.0.slow;
            let mut way = || {
                let is_slow = chance.f64() < slow;
                Duration::from_millis(if is_slow { chance.u64(200..4_000) } else { chance.u64(0..4) })
            };
            let ways = (way(), way());
            let fails = chance.f64() < self.0.fails;
            let fate = match (fails, chance.bool()) {
                (false, _) => Fate::Well,
                (true, true) => Fate::FailsBefore,
                (true, false) => Fate::FailsAfter,
            };
            (ways, fate)
        };
        let journal = self.clone();
        let done = tokio::spawn(async move {
            tokio::time::sleep(there).await;
            if journal.state().is_down || fate == Fate::FailsBefore {
                return Err(JournalFault::new("it fails"));
            }
            let now = journal.now();
            let result = work(&mut journal.state(), now);
            tokio::time::sleep(back).await;
            if fate == Fate::FailsAfter { Err(JournalFault::new("it fails when all is done")) } else { Ok(result) }
        });
        done.await.unwrap_or(Err(JournalFault::new("it is gone")))
    }
}

impl State {
    fn write(&mut self, entries: Entries, now: Timestamp) {
        let (held, left): (Vec<_>, Vec<_>) = entries.links.into_iter().partition(|change| change.holds);
        for LinkChange { gigya, link, .. } in held {
            self.links.retain(|row| !is_same(row, &gigya, &link));
            self.links.insert(0, Row { gigya, link, left_at: None });
        }
        for LinkChange { gigya, link, .. } in left {
            for row in self.links.iter_mut().filter(|row| is_same(row, &gigya, &link)) {
                if row.link.hold == link.hold && row.left_at.is_none() {
                    row.left_at = Some(now);
                }
            }
        }
        let receipts = entries.receipts.into_iter().map(|receipt| (receipt.change.ends_mail(), receipt));
        let seen = entries.seen.into_iter().map(|seen| (seen.is_out, seen.receipt));
        self.receipts.extend(receipts.chain(seen).map(|(ends_mail, receipt)| Told { receipt, ends_mail }));
        self.pending.retain(|pending| !entries.finished.contains(&pending.id));
        for event in entries.unfinished {
            self.unfinished.extend(events(&event));
            self.pending_ids += 1;
            let id = PendingId(format!("{:010}", self.pending_ids));
            let (owner, leased_to) = (String::new(), Timestamp::MIN);
            self.pending.push(Pending { id, event, added: Instant::now(), attempts: 0, next: now, owner, leased_to });
        }
    }

    fn claim(&mut self, owner: &str, now: Timestamp, lease: Duration, most: usize) -> Vec<Claimed> {
        let mut begun: Vec<String> = Vec::new();
        let mut claimed = Vec::new();
        for pending in &mut self.pending {
            let queue = queue(&pending.event);
            let is_first = !begun.contains(&queue);
            begun.push(queue);
            if !is_first || pending.next > now || pending.leased_to > now || claimed.len() >= most {
                continue;
            }
            owner.clone_into(&mut pending.owner);
            pending.leased_to = now + lease;
            claimed.push(Claimed {
                id: pending.id.clone(),
                owner: owner.to_owned(),
                connection: pending.event.connection.clone(),
                direction: pending.event.direction.to_owned(),
                received: pending.event.received,
                attempts: pending.attempts,
                payload: pending.event.payload.clone(),
            });
        }
        claimed
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn links(&self, gigya: &ConnectionName, uids: &[&Uid]) -> Result<Vec<Link>, JournalFault> {
        let (gigya, uids): (_, Vec<Uid>) = (gigya.clone(), uids.iter().map(|uid| (*uid).clone()).collect());
        self.call(move |state, _| {
            let theirs = state.links.iter().filter(|row| row.gigya == gigya && uids.contains(&row.link.uid));
            theirs.map(|row| Link { is_left: row.left_at.is_some(), ..row.link.clone() }).collect()
        })
        .await
    }

    async fn uids_at(&self, gigya: &ConnectionName, address: &Email) -> Result<Vec<Uid>, JournalFault> {
        let (gigya, address) = (gigya.clone(), address.clone());
        self.call(move |state, _| {
            let mut there: Vec<&Row> =
                state.links.iter().filter(|row| row.gigya == gigya && row.link.address == address).collect();
            if there.iter().any(|row| row.left_at.is_none()) {
                there.retain(|row| row.left_at.is_none());
            }
            let mut uids: Vec<Uid> = there.into_iter().map(|row| row.link.uid.clone()).collect();
            uids.dedup();
            uids
        })
        .await
    }

    async fn was_removed(&self, gigya: &ConnectionName, uid: &Uid, route: &str) -> Result<bool, JournalFault> {
        let route = route.to_owned();
        let account = (gigya.clone(), uid.clone());
        self.call(move |state, _| {
            let is_that = |told: &Told| {
                let is_theirs = told.receipt.person.account.as_ref() == Some(&account);
                is_theirs && told.receipt.event.route == route && told.receipt.change == Change::Removal
            };
            state.receipts.iter().any(is_that)
        })
        .await
    }

    async fn commit(&self, entries: Entries) -> Result<(), JournalFault> {
        if entries.is_empty() {
            return Ok(());
        }
        let story = self.0.story.clone();
        self.call(move |state, now| {
            story.tell(format!("      journal: {}", told(&entries)));
            state.write(entries, now);
        })
        .await
    }

    async fn claim(&self, owner: &str, lease: Duration, most: usize) -> Result<Vec<Claimed>, JournalFault> {
        if self.pending() == 0 {
            return Ok(Vec::new());
        }
        let owner = owner.to_owned();
        self.call(move |state, now| state.claim(&owner, now, lease, most)).await
    }

    async fn put_off(&self, claimed: &Claimed, _: Reason, pause: Duration) -> Result<(), JournalFault> {
        let (id, owner) = (claimed.id.clone(), claimed.owner.clone());
        self.call(move |state, now| {
            for pending in state.pending.iter_mut().filter(|pending| pending.id == id && pending.owner == owner) {
                pending.attempts += 1;
                pending.next = now + pause;
                pending.owner.clear();
                pending.leased_to = Timestamp::MIN;
            }
        })
        .await
    }

    async fn tidy(&self) -> Result<u64, JournalFault> {
        let before = self.now() - LEFT_IS_KEPT;
        self.call(move |state, _| {
            let all = state.links.len();
            state.links.retain(|row| row.left_at.is_none_or(|left| left >= before));
            (all - state.links.len()) as u64
        })
        .await
    }

    async fn waiting(&self) -> Result<Waiting, JournalFault> {
        Ok(Waiting::default())
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

fn is_same(row: &Row, gigya: &ConnectionName, link: &Link) -> bool {
    let key = |link: &Link| (link.uid.clone(), link.esp.clone(), link.audience.clone(), link.address.clone());
    row.gigya == *gigya && key(&row.link) == key(link)
}

/// Whose events wait for each other.
fn queue(event: &Unfinished) -> String {
    let Person { account, address } = &event.person;
    let account = account.as_ref().map(|(gigya, uid)| format!("{gigya} {}", uid.expose()));
    let address = || address.as_ref().map(|address| address.expose().to_lowercase());
    account.or_else(address).unwrap_or_else(|| String::from_utf8_lossy(&event.payload).into_owned())
}

/// The UIDs, addresses and tokens that an event is about.
fn subjects(event: &Unfinished) -> Vec<String> {
    let Person { account, address } = &event.person;
    let account = account.as_ref().map(|(_, uid)| uid.expose().to_owned());
    let person = account.into_iter().chain(address.as_ref().map(|address| address.expose().to_owned()));
    let payload = match Payload::parse(&event.payload) {
        Some(Payload::Account { uid, former_uid, token, .. }) => vec![uid, former_uid, token],
        Some(Payload::Subscriber { address, former_address, uid, .. }) => vec![Some(address), former_address, uid],
        _ => Vec::new(),
    };
    person.chain(payload.into_iter().flatten()).collect()
}

/// The events' ids.
fn events(event: &Unfinished) -> Vec<String> {
    match Payload::parse(&event.payload) {
        Some(Payload::Account { events, .. }) => events.into_iter().map(|told| told.id).collect(),
        Some(Payload::Subscriber { event, .. } | Payload::NotUnderstood { event, .. }) => vec![event],
        None => Vec::new(),
    }
}

fn told(entries: &Entries) -> String {
    let links = entries
        .links
        .iter()
        .map(|change| format!("{} {}", if change.holds { "holds" } else { "leaves" }, change.link.address.expose()));
    let receipts = entries.receipts.iter().map(|receipt| format!("receipt of {}", receipt.change.label()));
    let seen = entries.seen.iter().filter(|seen| seen.is_out).map(|_| "receipt of what was found".to_owned());
    let unfinished = entries.unfinished.iter().map(|_| "unfinished".to_owned());
    let finished = entries.finished.iter().map(|id| format!("finished {}", id.0));
    links.chain(receipts).chain(seen).chain(unfinished).chain(finished).collect::<Vec<_>>().join(", ")
}
