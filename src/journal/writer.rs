//! The one who writes: takes up what requests hand in at the same time, and commits it together, so that a hundred
//! requests wait for one disk.

use super::commit::Plan;
use super::entries::Entries;
use super::fault::JournalFault;
use super::gather::Gather;
use super::health::Health;
use super::keys::Keys;
use super::receipts::Head;
use super::server::Server;
use crate::telemetry::metrics as meter;
use crate::upstream::WallClock;
use futures_util::FutureExt;
use sqlx::{AnyConnection, Connection};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The most requests whose entries are committed together.
const TOGETHER: usize = 256;
/// The most that may wait; more wait to hand theirs in.
const WAITING: usize = 1024;
/// How long one commit may take, with the wait for the one before it. A database that says nothing for longer is taken to
/// be gone.
const TIME: Duration = Duration::from_millis(2500);
/// How long a new connection may take to begin.
const TO_CONNECT: Duration = Duration::from_millis(1500);

/// How often it is noted how far the chain has come.
const TO_NOTE: Duration = Duration::from_secs(1);
/// The longest that a writer waits who was too late several times.
const LONGEST_STEP_BACK: Duration = Duration::from_millis(10);

/// Hands entries to the task that writes.
pub struct Writer {
    hand_in: mpsc::Sender<Job>,
    health: Arc<Health>,
}

/// Who writes, and where.
struct Scribe {
    server: Server,
    /// None after a failure: then another one is made.
    connection: Option<AnyConnection>,
    /// Where the chain ended when this replica last wrote; none if that isn't known.
    head: Option<Head>,
    /// When it was last noted how far the chain has come.
    noted: Option<Instant>,
    keys: Arc<Keys>,
    clock: WallClock,
}

struct Job {
    entries: Entries,
    done: oneshot::Sender<Result<(), JournalFault>>,
}

impl Writer {
    /// Starts the task; it ends with the last `Writer`.
    pub fn start(server: Server, connection: AnyConnection, keys: Arc<Keys>, clock: WallClock) -> Self {
        let (hand_in, mut jobs) = mpsc::channel(WAITING);
        let health = Arc::<Health>::default();
        let told = Arc::clone(&health);
        let mut scribe = Scribe { server, connection: Some(connection), head: None, noted: None, keys, clock };
        tokio::spawn(async move {
            let mut gather = Gather::default();
            loop {
                let together = gather.next(&mut jobs, TOGETHER).await;
                if together.is_empty() {
                    return;
                }
                scribe.commit_all(together, &told).await;
                gather.done();
            }
        });
        Self { hand_in, health }
    }

    /// Writes entries; returns when they are durable, or aren't written. If the connection is lost in the midst of it, they
    /// may be written nevertheless; and they may not be, if the caller doesn't wait for the end.
    pub async fn write(&self, entries: Entries) -> Result<(), JournalFault> {
        self.health.ask(TIME)?;
        let (done, answer) = oneshot::channel();
        let closed = || JournalFault::new("it is closed");
        let handed_in = async {
            self.hand_in.send(Job { entries, done }).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        };
        tokio::time::timeout(TIME, handed_in).await.unwrap_or_else(|_| Err(JournalFault::late()))
    }
}

impl Scribe {
    async fn commit_all(&mut self, mut jobs: Vec<Job>, health: &Health) {
        // Who no longer waits has been told that nothing was written; what they had to write may be outdated by now.
        jobs.retain(|job| !job.done.is_closed());
        if jobs.is_empty() {
            return;
        }
        let mut all = Entries::default();
        let ends: Vec<_> = jobs.iter_mut().map(|job| all.take_up(&mut job.entries)).collect();
        let result = self.commit(&all).await;
        health.tell(&result);
        let is_ones_fault = jobs.len() > 1 && result.as_ref().is_err_and(JournalFault::is_about_content);
        if is_ones_fault {
            for (job, before) in jobs.iter_mut().zip(&ends).rev() {
                job.entries = all.give_back(before);
            }
        }
        for job in jobs {
            // One of them is to blame: then each for itself.
            let result = if is_ones_fault { self.commit(&job.entries).await } else { result.clone() };
            let _ = job.done.send(result);
        }
    }

    /// A connection may have gone stale unnoticed: then once more. And replicas may meet: then until it is done.
    async fn commit(&mut self, entries: &Entries) -> Result<(), JournalFault> {
        let begun = Instant::now();
        let mut meetings = Meetings::default();
        let mut result = self.commit_once(entries, &meetings).await;
        let mut is_second = false;
        while let Err(Failed { fault, is_undone: true }) = &result
            && (fault.has_met() && begun.elapsed() < TIME || fault.may_work_now() && !is_second)
        {
            if fault.has_met() {
                meetings.one_more().await;
            } else {
                is_second = true;
            }
            result = self.commit_once(entries, &meetings).await;
        }
        meter::journal_committed(result.is_ok(), begun.elapsed());
        result.map_err(|failed| failed.fault)
    }

    async fn commit_once(&mut self, entries: &Entries, meetings: &Meetings) -> Result<(), Failed> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect(TO_CONNECT).await.map_err(Failed::before)?,
        };
        let manner = Manner {
            begin: self.server.begin,
            take_turns: self.server.flavour.take_turns().filter(|_| meetings.are_many()),
            notes: self.noted.is_none_or(|noted| noted.elapsed() >= TO_NOTE),
        };
        let writing = write(&mut connection, &manner, &self.keys, entries, &self.clock, self.head.take());
        let writing = tokio::time::timeout(TIME, AssertUnwindSafe(writing).catch_unwind());
        let result = match writing.await {
            Ok(Ok(Ok((head, was_noted)))) => {
                self.head = head;
                self.noted = if was_noted { Some(Instant::now()) } else { self.noted };
                Ok(())
            }
            Ok(Ok(Err(failed))) => Err(failed),
            // The panic's own message is in the log.
            Ok(Err(_)) => Err(Failed::after(JournalFault::new("a bug"))),
            Err(_) => Err(Failed::after(JournalFault::late())),
        };
        // One in the midst of something is never used again: without it, whatever was begun is undone.
        let is_good = |failed: &Failed| failed.fault.is_about_content() || failed.fault.has_met();
        if result.as_ref().err().is_none_or(is_good) {
            self.connection = Some(connection);
        }
        result
    }
}

/// Why entries weren't written.
struct Failed {
    fault: JournalFault,
    /// Whether it is certain that they weren't: not once the commit was asked for, as it may have been done.
    is_undone: bool,
}

impl Failed {
    const fn before(fault: JournalFault) -> Self {
        Self { fault, is_undone: true }
    }

    const fn after(fault: JournalFault) -> Self {
        Self { fault, is_undone: false }
    }
}

/// How entries are written.
struct Manner {
    /// How a transaction begins.
    begin: &'static str,
    /// What it asks for first, should others have been quicker too often.
    take_turns: Option<&'static str>,
    /// Whether it is to be noted how far the chain has come.
    notes: bool,
}

async fn write(
    connection: &mut AnyConnection,
    manner: &Manner,
    keys: &Keys,
    entries: &Entries,
    clock: &WallClock,
    head: Option<Head>,
) -> Result<(Option<Head>, bool), Failed> {
    let plan = Plan::make(connection, keys, entries).await.map_err(Failed::before)?;
    if plan.is_nothing() {
        return Ok((head, false));
    }
    let notes = manner.notes && plan.has_receipts();
    let take_turns = manner.take_turns.filter(|_| plan.has_receipts());
    if plan.is_one() && !notes && take_turns.is_none() {
        let head = plan.head(connection, head).await.map_err(Failed::before)?;
        // If the answer is lost, it may have been done; and if it is refused, it wasn't.
        let failed = |fault: JournalFault| if fault.has_met() { Failed::before(fault) } else { Failed::after(fault) };
        return plan.write(connection, keys, clock.now(), head).await.map(|head| (head, false)).map_err(failed);
    }
    let mut transaction = connection.begin_with(manner.begin).await.map_err(|error| Failed::before(error.into()))?;
    if let Some(take_turns) = take_turns {
        sqlx::query(take_turns).execute(&mut *transaction).await.map_err(|error| Failed::before(error.into()))?;
    }
    let head = plan.write(&mut transaction, keys, clock.now(), head).await.map_err(Failed::before)?;
    if let (Some(head), true) = (head, notes) {
        head.note(&mut transaction).await.map_err(Failed::before)?;
    }
    transaction.commit().await.map_err(|error| Failed::after(error.into()))?;
    Ok((head, notes))
}

/// Does something again for as long as other writers are quicker.
pub(super) async fn meeting_nobody<T>(doing: impl AsyncFn() -> Result<T, JournalFault>) -> Result<T, JournalFault> {
    let begun = Instant::now();
    let mut meetings = Meetings::default();
    loop {
        match doing().await {
            Err(fault) if fault.has_met() && begun.elapsed() < TIME => meetings.one_more().await,
            done => return done,
        }
    }
}

/// How often other writers were quicker.
#[derive(Default)]
struct Meetings(u32);

impl Meetings {
    /// Counts one; after several, waits a moment, each writer another one.
    async fn one_more(&mut self) {
        self.0 += 1;
        if self.0 > 2 {
            tokio::time::sleep(LONGEST_STEP_BACK.mul_f64(fastrand::f64())).await;
        }
    }

    /// Whether it is time to take turns.
    const fn are_many(&self) -> bool {
        self.0 > 5
    }
}
