//! A journal whose database may not be there yet when the gateway starts. What needs no journal goes on meanwhile, and so do
//! opt-outs; the rest is answered 503 until it is there.

use super::Journal;
use super::database::{Database, OpenError};
use super::entries::{Entries, Link};
use super::fault::JournalFault;
use super::queue::{Claimed, Waiting};
use crate::config;
use crate::domain::{ConnectionName, Email, Reason, Uid};
use crate::telemetry::metrics as meter;
use crate::upstream::WallClock;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// How often it is tried to open it.
const PAUSE: Duration = Duration::from_secs(2);

/// A journal that is opened, or will be.
pub struct Opening {
    opened: OnceLock<Database>,
    clock: WallClock,
}

/// Opens a journal; if its database can't be reached at present, goes on trying. Needs a Tokio runtime.
///
/// # Errors
/// What waiting won't help: a person has to set it right first.
pub async fn open(settings: &config::Journal, clock: WallClock) -> Result<Arc<dyn Journal>, OpenError> {
    match Database::open(settings, clock.clone()).await {
        Ok(database) => Ok(Arc::new(database)),
        Err(error) if error.may_pass() => {
            tracing::error!(%error, "starts without the journal; what needs it is answered 503 until it is there");
            meter::journal_opened();
            let opening = Arc::new(Opening { opened: OnceLock::new(), clock });
            let (whose, settings, runtime) = (Arc::downgrade(&opening), settings.clone(), Handle::current());
            // On a thread of its own, as opening isn't `Send`.
            tokio::task::spawn_blocking(move || runtime.block_on(go_on(whose, settings)));
            Ok(opening)
        }
        Err(error) => Err(error),
    }
}

/// Until it is open, or nobody wants it anymore.
async fn go_on(whose: Weak<Opening>, settings: config::Journal) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        let Some(opening) = whose.upgrade() else { return };
        match Database::open(&settings, opening.clock.clone()).await {
            Ok(database) => {
                tracing::info!("the journal is there");
                let _ = opening.opened.set(database);
                return;
            }
            Err(error) if error.to_string() != told => {
                told = error.to_string();
                tracing::error!(%error, "the journal can't be opened yet");
            }
            Err(_) => {}
        }
    }
}

impl Opening {
    fn now_there(&self) -> Result<&Database, JournalFault> {
        self.opened.get().ok_or(JournalFault::new("it could not be opened yet"))
    }
}

#[async_trait]
impl Journal for Opening {
    async fn links(&self, gigya: &ConnectionName, uids: &[&Uid]) -> Result<Vec<Link>, JournalFault> {
        self.now_there()?.links(gigya, uids).await
    }

    async fn uids_at(&self, gigya: &ConnectionName, address: &Email) -> Result<Vec<Uid>, JournalFault> {
        self.now_there()?.uids_at(gigya, address).await
    }

    async fn was_removed(&self, gigya: &ConnectionName, uid: &Uid, route: &str) -> Result<bool, JournalFault> {
        self.now_there()?.was_removed(gigya, uid, route).await
    }

    async fn close(&self) {
        if let Some(database) = self.opened.get() {
            database.close().await;
        }
    }

    async fn commit(&self, entries: Entries) -> Result<(), JournalFault> {
        self.now_there()?.commit(entries).await
    }

    async fn claim(&self, owner: &str, lease: Duration, most: usize) -> Result<Vec<Claimed>, JournalFault> {
        self.now_there()?.claim(owner, lease, most).await
    }

    async fn put_off(&self, claimed: &Claimed, reason: Reason, pause: Duration) -> Result<(), JournalFault> {
        self.now_there()?.put_off(claimed, reason, pause).await
    }

    async fn tidy(&self) -> Result<u64, JournalFault> {
        self.now_there()?.tidy().await
    }

    async fn waiting(&self) -> Result<Waiting, JournalFault> {
        self.now_there()?.waiting().await
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
