//! A gateway that can be exchanged while requests come in.

use super::gateway::Gateway;
use super::intake::{Inbound, Intake, Refusal, Summary};
use super::status::Status;
use async_trait::async_trait;
use std::sync::{Arc, PoisonError, RwLock};

/// The gateway that takes requests at present. A request ends with the one that it began with, however often it is
/// exchanged meanwhile; a gateway is gone once its last request is. Clones are the same.
///
/// The lock is held for as long as it takes to count one more user: a request does far more than wait for that.
#[derive(Clone)]
pub struct Live(Arc<RwLock<Arc<Gateway>>>);

impl Live {
    /// Begins with this one.
    #[must_use]
    pub fn new(gateway: Gateway) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(gateway))))
    }

    /// The one that takes requests now.
    #[must_use]
    pub fn now(&self) -> Arc<Gateway> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, this one takes them.
    pub fn exchange(&self, gateway: Gateway) {
        gateway.takes_over_from(&self.now());
        let former = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), Arc::new(gateway));
        // Dropped here, without the lock: it may be the last one to hold it.
        drop(former);
    }
}

#[async_trait]
impl Intake for Live {
    async fn receive(&self, request: Inbound) -> Result<Summary, Refusal> {
        self.now().receive(request).await
    }

    fn status(&self) -> Status {
        self.now().status()
    }
}
