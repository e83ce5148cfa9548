//! What the edge hands in, and what it gets back.

use super::status::Status;
use crate::domain::Outcome;
use crate::mutation::{self, Mutation};
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use std::sync::Arc;
use tokio::time::Instant;

/// Takes webhooks in. `http` sees nothing else of the floors below it.
#[async_trait]
pub trait Intake: Send + Sync + 'static {
    /// Verifies, parses, normalizes and forwards one request. Returns when everything in it is settled or
    /// the connection's deadline has passed, whichever is first.
    async fn receive(&self, request: Inbound) -> Result<Summary, Refusal>;

    /// How it is doing.
    fn status(&self) -> Status {
        Status::default()
    }
}

/// One webhook request, with its body as it was sent.
#[derive(Debug)]
pub struct Inbound {
    /// Where it was sent to.
    pub endpoint: Endpoint,
    /// Its headers, among them the signature.
    pub headers: HeaderMap,
    /// Its body, byte for byte: signatures are over these.
    pub body: Bytes,
    /// When its head was complete and its body was begun to be read; the deadline counts from here. A head that
    /// comes slowly is the edge's concern, which has a time for it.
    pub received: Instant,
    /// The id that every log line of this request carries.
    pub request_id: String,
}

/// Which connection a request is for, as its path says.
#[derive(Debug)]
pub enum Endpoint {
    /// `/webhooks/gigya/{connection}`
    Gigya {
        /// The connection's name, unchecked.
        connection: String,
    },
    /// `/webhooks/{provider}/{connection}` or `/webhooks/{provider}/{connection}/{token}`
    Esp {
        /// The provider's name in paths, unchecked.
        provider: String,
        /// The connection's name, unchecked.
        connection: String,
        /// The token at the path's end, if there was one.
        token: Option<SecretString>,
    },
}

/// Why a whole request was refused. Nothing in it was forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such connection, or not of this provider: 404.
    #[error("no connection of that name")]
    UnknownConnection,
    /// A media type or content encoding that this connection doesn't take: 415.
    #[error("media type not supported")]
    MediaType,
    /// The signature or token is missing, wrong or stale, or of somebody else: 401. Which of these is for
    /// the log alone.
    #[error("not verified")]
    NotVerified,
    /// The body isn't what this sender sends: 400. The text says where and how, without quoting the body.
    #[error("{0}")]
    Malformed(String),
    /// It can't be verified now, as the key isn't to be had: 503.
    #[error("cannot be verified now")]
    Unavailable,
}

/// What became of a request's events.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many events the body held.
    pub received: usize,
    /// One entry for each subscription event that they were normalized into, in the body's order.
    pub events: Vec<EventOutcome>,
    /// How the sender wants to hear that all is settled, if not by this.
    pub acknowledgement: Option<crate::esp::Acknowledgement>,
}

/// What became of one subscription event.
#[derive(Clone, Debug)]
pub struct EventOutcome {
    /// The sender's id of the event, or one made from its content where the sender gives none.
    pub id: String,
    /// The route, as [`crate::config::Route::label`] names it; `None` for an event that concerns none.
    pub route: Option<Arc<str>>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Summary {
    /// Whether every event is settled, so that the sender may forget the request.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        mutation::is(Mutation::AnswerBeforeDone) || self.events.iter().all(|event| event.outcome.is_settled())
    }
}
