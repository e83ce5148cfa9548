//! The one who writes: takes up what requests hand in at the same time, and commits it together, so that a hundred
//! requests wait for one disk.

use super::commit;
use super::entries::Entries;
use super::fault::JournalFault;
use super::health::Health;
use super::keys::Keys;
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
/// How long one commit may take. A database that says nothing for longer is taken to be gone.
const TIME: Duration = Duration::from_secs(4);

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
        let mut scribe = Scribe { server, connection: Some(connection), keys, clock };
        tokio::spawn(async move {
            let mut together = Vec::new();
            while jobs.recv_many(&mut together, TOGETHER).await > 0 {
                scribe.commit_all(std::mem::take(&mut together), &told).await;
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
        self.hand_in.send(Job { entries, done }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Scribe {
    async fn commit_all(&mut self, mut jobs: Vec<Job>, health: &Health) {
        // Who no longer waits has been told that nothing was written; what they had to write may be outdated by now.
        jobs.retain(|job| !job.done.is_closed());
        let all = match jobs.as_mut_slice() {
            [] => return,
            [job] => std::mem::take(&mut job.entries),
            jobs => {
                let mut all = Entries::default();
                jobs.iter().for_each(|job| all.append(job.entries.clone()));
                all
            }
        };
        let together = jobs.len();
        let result = self.commit(&all).await;
        health.tell(&result);
        let is_ones_fault = together > 1 && result.as_ref().is_err_and(JournalFault::is_about_content);
        for job in jobs {
            // One of them is to blame: then each for itself.
            let result = if is_ones_fault { self.commit(&job.entries).await } else { result.clone() };
            let _ = job.done.send(result);
        }
    }

    /// A connection may have gone stale unnoticed, and replicas may meet: then once more.
    async fn commit(&mut self, entries: &Entries) -> Result<(), JournalFault> {
        let begun = Instant::now();
        let mut result = self.commit_once(entries).await;
        if let Err(Failed { fault, is_undone: true }) = &result
            && fault.may_work_now()
        {
            result = self.commit_once(entries).await;
        }
        meter::journal_committed(result.is_ok(), begun.elapsed());
        result.map_err(|failed| failed.fault)
    }

    async fn commit_once(&mut self, entries: &Entries) -> Result<(), Failed> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect().await.map_err(Failed::before)?,
        };
        let writing = write(&mut connection, self.server.begin, &self.keys, entries, &self.clock);
        let writing = tokio::time::timeout(TIME, AssertUnwindSafe(writing).catch_unwind());
        let result = match writing.await {
            Ok(Ok(result)) => result,
            // The panic's own message is in the log.
            Ok(Err(_)) => Err(Failed::after(JournalFault::new("a bug"))),
            Err(_) => Err(Failed::after(JournalFault::late())),
        };
        // One in the midst of something is never used again: without it, whatever was begun is undone.
        if result.as_ref().err().is_none_or(|failed| failed.fault.is_about_content()) {
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
) -> Result<(), Failed> {
    let mut transaction = connection.begin_with(begin).await.map_err(|error| Failed::before(error.into()))?;
    commit::write(&mut transaction, keys, entries, clock.now()).await.map_err(Failed::before)?;
    transaction.commit().await.map_err(|error| Failed::after(error.into()))
}
