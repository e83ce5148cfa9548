//! ESPs that take part besides those with settings of their own in `Setup`.

use super::{SimulatedEsp, Surroundings};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

/// A simulated ESP that can take part, not started yet.
#[async_trait]
pub trait FurtherEsp: fmt::Debug + Send + Sync {
    /// Starts it, and serves its API.
    async fn start(&self, around: Surroundings) -> std::io::Result<Started>;
}

/// One that runs.
pub struct Started {
    /// The audience that the newsletter goes to.
    pub esp: Arc<dyn SimulatedEsp>,
    /// Its tables in the gateway's configuration: the connection, and last a route of `main/newsletter`,
    /// to which lines can be added.
    pub tables: String,
    /// What their `{ env = .. }` stand for.
    pub secrets: Vec<(&'static str, String)>,
    /// Has its callbacks go to a gateway at this base URL.
    pub register: Register,
}

/// Has callbacks go to a gateway at a base URL.
pub type Register = Box<dyn Fn(&str) + Send + Sync>;
