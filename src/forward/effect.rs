//! What settling an event came to: its outcome and, where the other side was changed, what the change was.

use super::gateway::RouteEnds;
use crate::config::Route;
use crate::domain::{ActedAt, Change, Outcome, Uid};
use crate::journal::LinkChange;
use crate::upstream::CallId;
use jiff::Timestamp;
use std::sync::Arc;

/// What settling one event on one route came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The outcome that is answered.
    pub outcome: Outcome,
    /// What was changed at the other side; `None` unless it was.
    pub change: Option<Change>,
    /// When the person acted, where that is known.
    pub acted: Option<ActedAt>,
    /// What ends mail and was found to be so already, where nothing was changed.
    pub found: Option<Change>,
}

/// What settling one event came to on one route.
#[derive(Clone, Debug)]
pub struct RouteEffect {
    /// The route; `None` for an event that concerns none.
    pub route: Option<OnRoute>,
    /// What it came to.
    pub effect: Effect,
    /// What else the journal wants to know of it.
    pub mark: Mark,
}

/// A route, with its name.
#[derive(Clone, Debug)]
pub struct OnRoute {
    /// The route itself.
    pub route: Arc<Route>,
    /// As [`Route::label`] names it.
    pub label: Arc<str>,
}

/// What the journal wants to know of an effect.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// When it was done.
    pub at: Option<Timestamp>,
    /// The call that did it, as the other side names it.
    pub call: Option<CallId>,
    /// The account, where the event itself didn't name it.
    pub uid: Option<Uid>,
    /// Which addresses the audience holds the account under from now on, and which no longer.
    pub links: Vec<LinkChange>,
    /// Whether it was settled before, and this replica remembers it.
    pub is_remembered: bool,
    /// What was changed where the event came from, in answer to it.
    pub back: Vec<Effect>,
}

impl RouteEffect {
    /// On a route.
    pub fn on(ends: &RouteEnds, effect: impl Into<Effect>) -> Self {
        let on = OnRoute { route: Arc::clone(&ends.route), label: Arc::clone(&ends.label) };
        Self { route: Some(on), effect: effect.into(), mark: Mark::default() }
    }

    /// On none.
    pub fn nowhere(outcome: Outcome) -> Self {
        Self { route: None, effect: outcome.into(), mark: Mark::default() }
    }

    /// Leaves the change to another event to tell of.
    pub fn leave_untold(&mut self) {
        self.effect.change = None;
        if self.effect.outcome == Outcome::Applied {
            self.effect.outcome = Outcome::Unchanged;
        }
    }
}

impl Effect {
    /// The other side was changed, because the person acted at `acted`.
    pub const fn applied(change: Change, acted: Option<ActedAt>) -> Self {
        Self { outcome: Outcome::Applied, change: Some(change), acted, found: None }
    }

    /// Nobody may mail the person, and that was so already.
    pub const fn found(change: Change, acted: Option<ActedAt>) -> Self {
        Self { outcome: Outcome::Unchanged, change: None, acted, found: Some(change) }
    }

    /// The same, with a time of acting where none is known yet.
    pub fn or_acted(self, acted: Option<ActedAt>) -> Self {
        Self { acted: self.acted.or(acted), ..self }
    }

    /// The effect of several steps taken for one event: what went wrong counts first, then what was done; of changes, that
    /// which ends mail.
    pub fn combined(effects: impl IntoIterator<Item = Self>) -> Option<Self> {
        effects.into_iter().reduce(|one, other| {
            let outcome = if weight(other.outcome) >= weight(one.outcome) { other } else { one };
            let change = if other.change >= one.change { other } else { one };
            let acted = change.acted.or(outcome.acted);
            Self { outcome: outcome.outcome, change: change.change, acted, found: one.found.max(other.found) }
        })
    }
}

/// Nothing was changed, or nothing is known of it.
impl From<Outcome> for Effect {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, change: None, acted: None, found: None }
    }
}

const fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Deferred(_) => 4,
        Outcome::Rejected(_) => 3,
        Outcome::Applied => 2,
        Outcome::Unchanged => 1,
        Outcome::Skipped(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Reason;

    const LATER: Option<ActedAt> = Some(ActedAt::exactly(Timestamp::UNIX_EPOCH));

    #[test]
    fn what_went_wrong_counts_before_what_was_done_and_that_before_nothing() {
        let deferred = Outcome::Deferred(Reason::Unavailable).into();
        let skipped = Outcome::Skipped(Reason::NoRoute).into();
        let applied = Effect::applied(Change::OptIn, None);
        assert_eq!(
            Effect::combined([applied, deferred, skipped]).unwrap().outcome,
            Outcome::Deferred(Reason::Unavailable)
        );
        assert_eq!(Effect::combined([skipped, applied, Outcome::Unchanged.into()]).unwrap().outcome, Outcome::Applied);
        assert_eq!(Effect::combined([skipped, Outcome::Unchanged.into()]).unwrap().outcome, Outcome::Unchanged);
        assert_eq!(Effect::combined([]), None);
    }

    #[test]
    fn of_changes_the_one_that_ends_mail_is_told_with_its_time() {
        let all = [Effect::applied(Change::OptOut, LATER), Effect::applied(Change::Profile, None)];
        assert_eq!(Effect::combined(all), Some(Effect::applied(Change::OptOut, LATER)));
        let opted_out_in_part = [Effect::applied(Change::OptOut, LATER), Outcome::Deferred(Reason::Unavailable).into()];
        let combined = Effect::combined(opted_out_in_part).unwrap();
        assert_eq!((combined.change, combined.acted), (Some(Change::OptOut), LATER));
    }
}
