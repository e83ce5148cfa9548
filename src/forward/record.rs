//! Says what became of each event: one log line and one count. Addresses only as pseudonyms.

use super::intake::EventOutcome;
use crate::domain::{Outcome, Reason};
use crate::telemetry::{Pseudonym, metrics as meter};
use jiff::Timestamp;

/// What is told of an event besides its outcome.
#[derive(Debug)]
pub struct Told<'a> {
    /// The connection that it came from.
    pub connection: &'a str,
    /// `gigya_to_esp` or `esp_to_gigya`.
    pub direction: &'static str,
    /// Who it is about: the keyed hash of the address, or of the UID where no address is known.
    pub subscriber: Option<Pseudonym>,
    /// When the person acted, where known.
    pub acted: Option<Timestamp>,
}

/// Logs and counts one settled event. Which request brought it, the span around says.
pub fn settled(event: &EventOutcome, told: &Told<'_>) {
    let outcome = event.outcome.label();
    let reason = event.outcome.reason().map_or("", Reason::label);
    meter::event_settled(told.connection, told.direction, outcome, reason);
    let Told { connection, direction, .. } = told;
    let route = event.route.as_deref().unwrap_or_default();
    let subscriber = told.subscriber.as_ref().map(tracing::field::display);
    let acted = told.acted.as_ref().map(tracing::field::display);
    let id = event.id.as_str();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                connection,
                direction,
                route,
                event = id,
                outcome,
                reason,
                subscriber,
                acted,
                "event settled"
            )
        };
    }
    match event.outcome {
        Outcome::Rejected(_) => line!(error),
        Outcome::Deferred(_) => line!(warn),
        Outcome::Applied | Outcome::Unchanged | Outcome::Skipped(_) => line!(info),
    }
}

/// The outcome of several steps taken for one event: what went wrong counts first, then what was done.
pub fn combined(outcomes: impl IntoIterator<Item = Outcome>) -> Option<Outcome> {
    let weight = |outcome: &Outcome| match outcome {
        Outcome::Deferred(_) => 4,
        Outcome::Rejected(_) => 3,
        Outcome::Applied => 2,
        Outcome::Unchanged => 1,
        Outcome::Skipped(_) => 0,
    };
    outcomes.into_iter().max_by_key(weight)
}
