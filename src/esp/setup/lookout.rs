//! Why calls weren't answered, in the words of the network.
//!
//! A fault is a fixed word, for metrics and outcomes. Somebody at a terminal wants to know which host it was, and whether its
//! name wasn't found or the door was shut. And calls that are refused here, as those before them failed, have the
//! cause that those had.

use crate::upstream::{Transport, TransportError};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Passes one connection's calls on, and remembers why the last of them wasn't answered. Clones share what they know.
#[derive(Clone)]
pub struct Lookout {
    behind: Arc<dyn Transport>,
    unanswered: Arc<Mutex<Option<Unanswered>>>,
}

/// Why a host didn't answer as it should.
struct Unanswered {
    host: String,
    told: String,
}

impl Lookout {
    /// Before this transport.
    #[must_use]
    pub fn on(behind: Arc<dyn Transport>) -> Self {
        Self { behind, unanswered: Arc::default() }
    }

    /// Host and cause of the last call that failed; none if that host has answered since.
    #[must_use]
    pub fn unanswered(&self) -> Option<String> {
        self.held().as_ref().map(|held| held.told.clone())
    }

    fn held(&self) -> MutexGuard<'_, Option<Unanswered>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Lookout {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        let host = host_of(request.uri());
        let answer = self.behind.send(request, timeout).await;
        let told = match &answer {
            Err(error) => format!("no answer from {host}: {error}"),
            Ok(answer) if answer.status().is_server_error() => format!("{host} fails with status {}", answer.status()),
            Ok(_) => {
                self.held().take_if(|held| held.host == host);
                return answer;
            }
        };
        *self.held() = Some(Unanswered { host, told });
        answer
    }
}

/// Host and port. Neither path nor query, which may hold an address.
fn host_of(uri: &Uri) -> String {
    let Some(authority) = uri.authority() else { return String::new() };
    authority.port().map_or_else(|| authority.host().to_owned(), |port| format!("{}:{port}", authority.host()))
}
