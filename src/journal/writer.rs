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
        let mut result = self.commit_once(entries).await;
        let mut is_second = false;
        while let Err(Failed { fault, is_undone: true }) = &result
            && (fault.has_met() && begun.elapsed() < TIME || fault.may_work_now() && !is_second)
        {
            is_second |= !fault.has_met();
            result = self.commit_once(entries).await;
        }
        meter::journal_committed(result.is_ok(), begun.elapsed());
        result.map_err(|failed| failed.fault)
    }

    async fn commit_once(&mut self, entries: &Entries) -> Result<(), Failed> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect(TO_CONNECT).await.map_err(Failed::before)?,
        };
        let head = self.head.take();
        let notes = self.noted.is_none_or(|noted| noted.elapsed() >= TO_NOTE);
        let writing = write(&mut connection, self.server.begin, &self.keys, entries, &self.clock, head, notes);
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

async fn write(
    connection: &mut AnyConnection,
    begin: &'static str,
    keys: &Keys,
    entries: &Entries,
    clock: &WallClock,
    head: Option<Head>,
    notes: bool,
) -> Result<(Option<Head>, bool), Failed> {
    let plan = Plan::make(connection, keys, entries).await.map_err(Failed::before)?;
    let head = match head {
        None if plan.has_receipts() => Some(Head::read(connection).await.map_err(Failed::before)?),
        head => head,
    };
    if plan.is_nothing() {
        return Ok((head, false));
    }
    let notes = notes && plan.has_receipts();
    if plan.is_one() && !notes {
        // If the answer is lost, it may have been done; and if it is refused, it wasn't.
        let failed = |fault: JournalFault| if fault.has_met() { Failed::before(fault) } else { Failed::after(fault) };
        return plan.write(connection, keys, clock.now(), head).await.map(|head| (head, false)).map_err(failed);
    }
    let mut transaction = connection.begin_with(begin).await.map_err(|error| Failed::before(error.into()))?;
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
    loop {
        match doing().await {
            Err(fault) if fault.has_met() && begun.elapsed() < TIME => {}
            done => return done,
        }
    }
}
