//! The one who writes: takes up what requests hand in at the same time, and commits it together, so that a hundred
//! requests wait for one disk.

use super::commit;
use super::entries::Entries;
use super::fault::JournalFault;
use super::keys::Keys;
use crate::telemetry::metrics as meter;
use crate::upstream::WallClock;
use sqlx::AnyPool;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The most requests whose entries are committed together.
const TOGETHER: usize = 256;
/// The most that may wait; more wait to hand theirs in.
const WAITING: usize = 1024;

/// Hands entries to the task that writes.
pub struct Writer(mpsc::Sender<Job>);

/// Where it is written.
struct To {
    pool: AnyPool,
    begin: &'static str,
    keys: Arc<Keys>,
    clock: WallClock,
}

struct Job {
    entries: Entries,
    done: oneshot::Sender<Result<(), JournalFault>>,
}

impl Writer {
    /// Starts the task; it ends with the last `Writer`.
    pub fn start(pool: AnyPool, begin: &'static str, keys: Arc<Keys>, clock: WallClock) -> Self {
        let (hand_in, mut jobs) = mpsc::channel(WAITING);
        let to = To { pool, begin, keys, clock };
        tokio::spawn(async move {
            let mut together = Vec::new();
            while jobs.recv_many(&mut together, TOGETHER).await > 0 {
                commit_all(&to, std::mem::take(&mut together)).await;
            }
        });
        Self(hand_in)
    }

    /// Writes entries; returns when they are durable, or aren't written. If the connection is lost in the midst of it, they
    /// may be written nevertheless.
    pub async fn write(&self, entries: Entries) -> Result<(), JournalFault> {
        let (done, answer) = oneshot::channel();
        let closed = || JournalFault::new("it is closed");
        self.0.send(Job { entries, done }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn commit_all(to: &To, mut jobs: Vec<Job>) {
    let mut all = Entries::default();
    if let [job] = jobs.as_mut_slice() {
        all = std::mem::take(&mut job.entries);
    } else {
        for job in &jobs {
            all.append(job.entries.clone());
        }
    }
    let together = jobs.len();
    let begun = Instant::now();
    let result = commit_once_more(to, &all).await;
    meter::journal_committed(result.is_ok(), begun.elapsed());
    if result.is_ok() || together == 1 {
        for job in jobs {
            let _ = job.done.send(result.clone());
        }
        return;
    }
    // One of them may be to blame: each for itself.
    for job in jobs {
        let result = commit(to, &job.entries).await.map_err(|failed| failed.fault);
        let _ = job.done.send(result);
    }
}

/// Why entries weren't written, and whether they may be tried again: not once the commit was asked for, as it may have
/// been done.
struct Failed {
    fault: JournalFault,
    again: bool,
}

/// A connection may have gone stale unnoticed, and replicas may meet: once more, then.
async fn commit_once_more(to: &To, entries: &Entries) -> Result<(), JournalFault> {
    match commit(to, entries).await {
        Err(Failed { again: true, .. }) => commit(to, entries).await.map_err(|failed| failed.fault),
        done => done.map_err(|failed| failed.fault),
    }
}

async fn commit(to: &To, entries: &Entries) -> Result<(), Failed> {
    let failed = |fault| Failed { fault, again: true };
    let mut transaction = to.pool.begin_with(to.begin).await.map_err(|error| failed(error.into()))?;
    commit::write(&mut transaction, &to.keys, entries, to.clock.now()).await.map_err(failed)?;
    transaction.commit().await.map_err(|error| Failed { fault: error.into(), again: false })
}
