//! How reloading went, for whoever shows it.

use jiff::Timestamp;
use std::sync::{Arc, PoisonError, RwLock};

/// How reloading went. Cheap to read; clones are the same.
#[derive(Clone, Debug)]
pub struct Reloads(Arc<RwLock<Arc<ReloadState>>>);

/// The configuration that runs, and the last attempt to load another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadState {
    /// When the configuration that runs was loaded.
    pub loaded: Timestamp,
    /// Keys whose new values wait for a restart.
    pub waiting_for_restart: Vec<&'static str>,
    /// The last attempt, if it was refused.
    pub refused: Option<Refused>,
}

/// An attempt that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// What is wrong and what to do, a line each. They show no secret.
    pub problems: Vec<String>,
}

impl Reloads {
    /// A configuration was loaded at the start.
    #[must_use]
    pub fn new(loaded: Timestamp) -> Self {
        let state = ReloadState { loaded, waiting_for_restart: Vec::new(), refused: None };
        Self(Arc::new(RwLock::new(Arc::new(state))))
    }

    /// How it is now.
    #[must_use]
    pub fn now(&self) -> Arc<ReloadState> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn applied(&self, loaded: Timestamp, waiting_for_restart: Vec<&'static str>) {
        self.set(ReloadState { loaded, waiting_for_restart, refused: None });
    }

    pub(super) fn refused(&self, refused: Refused) {
        let now = ReloadState::clone(&self.now());
        self.set(ReloadState { refused: Some(refused), ..now });
    }

    fn set(&self, state: ReloadState) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }
}
