//! Says what became of each event: one log line, one count, and how old an opt-out was that took effect. Addresses only as
//! pseudonyms.

use super::effect::Effect;
use super::intake::EventOutcome;
use crate::domain::{Change, ConnectionName, Outcome, Reason};
use crate::telemetry::metrics::{self as meter, ConnectionMeter};
use crate::telemetry::{Pseudonym, batch};
use jiff::Timestamp;
use std::time::Duration;

/// Which of the two lines an event took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From Gigya to an ESP.
    GigyaToEsp,
    /// From an ESP to Gigya.
    EspToGigya,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub const fn back(self) -> Self {
        match self {
            Self::GigyaToEsp => Self::EspToGigya,
            Self::EspToGigya => Self::GigyaToEsp,
        }
    }

    /// The direction as it stands in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::GigyaToEsp => "gigya_to_esp",
            Self::EspToGigya => "esp_to_gigya",
        }
    }
}

/// What is told of an event besides its outcome.
#[derive(Debug)]
pub struct Told<'a> {
    /// The connection that it came from.
    pub connection: &'a ConnectionName,
    /// Which way it went.
    pub direction: Direction,
    /// The connection that it went to; empty for an event that concerns no route.
    pub to: &'a str,
    /// Who it is about: the keyed hash of the address, or of the UID where no address is known.
    pub subscriber: Option<Pseudonym>,
    /// What settling it came to.
    pub effect: Effect,
}

impl Told<'_> {
    /// How long ago the person acted, at most, if this ended mail to them: how old an opt-out was when it took effect at
    /// the other side. None where the time isn't known.
    pub fn opt_out_age(&self, now: Timestamp) -> Option<Duration> {
        self.effect.change.filter(|change| change.ends_mail())?;
        let acted = self.effect.acted?.earliest()?;
        // An ESP's clock may be ahead of ours.
        Some(Duration::try_from(now.duration_since(acted)).unwrap_or_default())
    }
}

/// Logs and counts one settled event. Which request brought it, the span around says.
pub fn settled(event: &EventOutcome, told: &Told<'_>, opt_out_age: Option<Duration>, meter: Option<&ConnectionMeter>) {
    let outcome = event.outcome.label();
    let reason = event.outcome.reason().map_or("", Reason::label);
    let direction = told.direction.label();
    if let Some(meter) = meter {
        meter.event_settled(direction, outcome, reason);
    }
    let connection = told.connection.as_str();
    if let Some(age) = opt_out_age {
        meter::opt_out_took_effect(connection, direction, told.to, age);
    }
    let route = event.route.as_deref().unwrap_or_default();
    let subscriber = told.subscriber.as_ref().map(tracing::field::display);
    let ends_mail = told.effect.change.is_some_and(Change::ends_mail);
    let change = told.effect.change.map(Change::label);
    let acted = told.effect.acted.and_then(|acted| acted.latest().or(acted.earliest())).map(tracing::field::display);
    let opt_out_age = opt_out_age.map(|age| age.as_secs_f64());
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
                change,
                subscriber,
                acted,
                opt_out_age,
                "event settled"
            )
        };
    }
    match event.outcome {
        Outcome::Rejected(_) => line!(error),
        outcome if !outcome.is_settled() => line!(warn),
        _ => line!(info),
    }
    if ends_mail {
        batch::give_out_now(); // before it is answered: who has no journal shows by it that an opt-out was honoured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ActedAt;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn age(change: Option<Change>, acted: Option<ActedAt>) -> Option<Duration> {
        let effect = Effect { outcome: Outcome::Applied, change, acted, found: None };
        let direction = Direction::EspToGigya;
        let told = Told { connection: &ConnectionName::new("news"), direction, to: "main", subscriber: None, effect };
        told.opt_out_age(at(100))
    }

    #[test]
    fn only_what_ends_mail_has_an_age_and_it_is_never_told_too_small() {
        let acted = Some(ActedAt::between(at(41), at(70)));
        assert_eq!(age(Some(Change::OptOut), acted), Some(Duration::from_secs(59)));
        assert_eq!(age(Some(Change::Removal), acted), Some(Duration::from_secs(59)));
        for change in [None, Some(Change::OptIn), Some(Change::Profile)] {
            assert_eq!(age(change, acted), None);
        }
        assert_eq!(age(Some(Change::OptOut), Some(ActedAt::UNKNOWN)), None);
        assert_eq!(age(Some(Change::OptOut), None), None);
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_negative_age() {
        assert_eq!(age(Some(Change::OptOut), Some(ActedAt::exactly(at(200)))), Some(Duration::ZERO));
    }
}
