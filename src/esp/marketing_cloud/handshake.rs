//! The verification of a new callback: Marketing Cloud sends an unsigned id and key, wants 200 at once, and within four
//! hours wants both sent to its own API.
//!
//! Source: vendor pages `createCallback` and `verifyCallback`. It comes while the call that creates the callback is
//! still open, before anybody knows the callback's id or signature key. So it is taken only while the configuration
//! says that a callback is being registered; and it can verify nothing but a callback of this connection's own account,
//! as it is sent nowhere else, with this connection's own token. It is the one thing that is done after a request was
//! answered: nobody's subscription depends on it, and a callback that was not verified is made again.

use super::callback::Handshake;
use super::client::Client;
use crate::upstream::{Deadline, Fault};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How many are worked on at once: nobody registers more, and the requests are unsigned.
const AT_ONCE: usize = 4;
/// The pauses between attempts: the callback may be unknown over there until the call that creates it has ended.
const PAUSES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];
const ATTEMPT: Duration = Duration::from_secs(10);

/// Verifications under way. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Handshakes(Arc<AtomicUsize>);

/// One that is under way.
struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handshakes {
    /// Begins to verify a callback, and doesn't wait for it. Returns whether there was room for it.
    pub fn begin(&self, connection: &str, client: &Arc<Client>, handshake: Handshake) -> bool {
        let room = |under_way| (under_way < AT_ONCE).then_some(under_way + 1);
        if self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return false;
        }
        let turn = Turn(Arc::clone(&self.0));
        let (connection, client) = (connection.to_owned(), Arc::clone(client));
        tokio::spawn(async move {
            verify(&connection, &client, &handshake).await;
            drop(turn);
        });
        true
    }
}

async fn verify(connection: &str, client: &Client, handshake: &Handshake) {
    let mut ended = Ok(false);
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        ended = client.verify(handshake, Deadline::after(Instant::now(), ATTEMPT)).await;
        match ended {
            Ok(true) => {
                let next = "put its signature key into signature_keys, and take registering out";
                tracing::info!(connection, next, "a callback is verified");
                return;
            }
            Err(Fault::Configuration { .. } | Fault::Refused { .. }) => break,
            Ok(false) | Err(_) => {}
        }
    }
    let what = match ended {
        Ok(_) => "Marketing Cloud doesn't know it: of another account, or its key was used".to_owned(),
        Err(fault) => fault.to_string(),
    };
    tracing::error!(connection, what, "a callback could not be verified; delete it and create it again");
}
