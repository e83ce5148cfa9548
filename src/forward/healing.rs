//! Heals what `reconcile` found: both sides are read anew, one person at a time, and what is to be done is decided as if a
//! notice had come just now. What the comparison said is only where to look.

use super::difference::{self, Difference};
use super::effect::{Effect, Mark, RouteEffect};
use super::errand::Errand;
use super::gateway::{EspSide, Gateway, GigyaSide, RouteEnds};
use super::intake::EventOutcome;
use super::journaling::{Group, Page};
use super::links;
use super::payload::Payload;
use super::record::{Direction, Told};
use super::rounds;
use super::subscriber::{desired, person};
use crate::config::OnDeadline;
use crate::domain::{ActedAt, Change, Consent, Desired, Email, Outcome, Reason, Uid};
use crate::esp::{Esp, News, Record, What, Written};
use crate::gigya::{Account, Client, Reading, Subject};
use crate::journal::Person as JournalPerson;
use crate::telemetry::Pseudonym;
use crate::upstream::{self, Deadline, Fault};
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long healing one person may take.
const TIME: Duration = Duration::from_secs(30);
/// How often somebody who was loaded is looked for again: an opt-out in between must be seen.
const LOOKS: usize = 5;
/// People of a bulk who are read at once.
const AT_ONCE: usize = 16;
/// How long a bulk of people may take.
const BULK_TIME: Duration = Duration::from_mins(5);

/// One route, with both its ends, as `reconcile` works on it.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    gateway: &'a Gateway,
    side: &'a GigyaSide,
    esp: &'a EspSide,
    ends: &'a RouteEnds,
}

/// Somebody in whom the two sides seem to differ.
#[derive(Clone, Debug)]
pub struct Case {
    /// How they seem to.
    pub difference: Difference,
    /// The account, or the UID that the subscriber has.
    pub uid: Option<Uid>,
    /// Where the ESP holds them, or where they would be.
    pub at: Option<Email>,
    /// The event's id, for logs and receipts.
    pub id: String,
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Healed {
    /// The outcome, as of any event.
    pub outcome: Outcome,
    /// What was changed.
    pub change: Option<Change>,
}

impl Gateway {
    /// Every route, in the configuration's order.
    #[must_use]
    pub fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for route in self.all_routes() {
            let side = self.gigya_side(route.gigya.as_str());
            let esp = self.esp_side(route.esp.as_str());
            if let (Some(side), Some(esp)) = (side, esp)
                && let Some(ends) = side.routes.iter().find(|ends| Arc::ptr_eq(&ends.route, route))
            {
                lines.push(Line { gateway: self, side, esp, ends });
            }
        }
        lines
    }
}

impl<'a> Line<'a> {
    /// `main/newsletter -> news/...`, as logs have it.
    #[must_use]
    pub fn label(&self) -> &'a str {
        &self.ends.label
    }

    /// The route.
    #[must_use]
    pub fn route(&self) -> &'a crate::config::Route {
        &self.ends.route
    }

    /// Its beginning.
    #[must_use]
    pub fn client(&self) -> &'a Client {
        &self.side.client
    }

    /// Its end.
    #[must_use]
    pub fn esp(&self) -> &'a Arc<dyn Esp> {
        &self.ends.esp
    }

    /// Whether routes of other Gigya connections end at the same audience: then nothing tells whose a subscriber is.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.ends.is_shared
    }

    /// What differs between an account and the record that stands for it, if it has one.
    #[must_use]
    pub fn difference(&self, account: &Account, record: Option<&Record>) -> Option<Difference> {
        difference::between(account, record, self.ends)
    }

    /// Whether the account is one that is opted in here.
    #[must_use]
    pub fn wants_in(&self, account: &Account) -> bool {
        matches!(desired(account, self.route()), Desired::Consent(Consent::OptedIn { .. }))
    }

    /// Whether a record whose account isn't there is to go.
    #[must_use]
    pub fn is_orphan(&self, record: &Record) -> bool {
        difference::is_orphan(record, self.ends)
    }

    /// Who a case is about, as logs have it.
    #[must_use]
    pub fn pseudonym(&self, case: &Case) -> Option<Pseudonym> {
        let pseudonyms = &self.gateway.pseudonyms;
        let by_address = case.at.as_ref().map(|address| pseudonyms.of_email(address));
        by_address.or_else(|| case.uid.as_ref().map(|uid| pseudonyms.of_uid(uid)))
    }

    /// Heals one case.
    pub async fn heal(&self, case: &Case) -> Healed {
        let deadline = Deadline::after(Instant::now(), TIME);
        let work = async {
            match case.difference {
                Difference::UntoldOptIn => {
                    // When it was, the record says, which the errand reads.
                    let at = ActedAt::exactly(Timestamp::MAX);
                    self.by_the_esp(case, What::OptedIn { at }, deadline).await
                }
                Difference::UntoldOptOut => self.by_the_esp(case, What::Changed { opted_in: false }, deadline).await,
                _ => self.by_the_account(case, deadline).await,
            }
        };
        let (settled, call) = Box::pin(upstream::followed(work)).await;
        let (direction, effect, mark) = settled;
        let mark = Mark { at: Some(self.side.clock.now()), call: mark.call.or(call), ..mark };
        self.tell(case, direction, RouteEffect { mark, ..RouteEffect::on(self.ends, effect) }).await
    }

    /// By what the account says now; if there is none, the subscriber is removed.
    async fn by_the_account(&self, case: &Case, deadline: Deadline) -> (Direction, Effect, Mark) {
        let failed = |fault: Fault| (Direction::GigyaToEsp, fault.outcome().into(), Mark::default());
        let Some(uid) = &case.uid else { return failed(Fault::Refused { code: 0 }) };
        let account = match self.side.client.account(uid, None, deadline).await {
            Ok(Reading::Found(account)) => *account,
            Ok(Reading::NotFound) => Account::gone_from(uid, case.at.clone()),
            Err(fault) => return failed(fault),
        };
        // Removals are limited in number, by what the comparison found of them. One that it didn't find is left to the
        // account's own webhook, and to the next run.
        let is_removal = matches!(desired(&account, self.route()), Desired::Removal(_));
        if is_removal && !case.difference.is_removal() {
            return (Direction::GigyaToEsp, Outcome::Deferred(Reason::Unsettled).into(), Mark::default());
        }
        let also_at: Vec<Email> = case.at.iter().cloned().collect();
        let (effect, mark) = rounds::settle(self.side, self.ends, &account, &also_at, deadline).await;
        (Direction::GigyaToEsp, effect, mark)
    }

    /// By what the ESP says now.
    async fn by_the_esp(&self, case: &Case, what: What, deadline: Deadline) -> (Direction, Effect, Mark) {
        let Some(address) = case.at.clone() else {
            return (Direction::EspToGigya, Outcome::Rejected(Reason::NoAddress).into(), Mark::default());
        };
        let news = News { address, former_address: None, uid: case.uid.clone(), what };
        let errand =
            Errand { side: self.esp, gigya: self.side, ends: self.ends, news: &news, deadline, mark: Mutex::default() };
        let effect = errand.settle().await.unwrap_or_else(|fault| fault.outcome().into());
        let mark = errand.mark.into_inner().unwrap_or_else(PoisonError::into_inner);
        (Direction::EspToGigya, effect, mark)
    }

    /// Fills an audience: people whom it seems not to hold, at most [`Esp::load_size`] of them. Each account is read before and
    /// after; the ESP opts nobody in who turns out to be opted out.
    pub async fn load(&self, cases: &[Case]) -> Vec<Healed> {
        let deadline = Deadline::after(Instant::now(), BULK_TIME);
        let accounts = cases.iter().map(|case| self.wanting_in(case, deadline));
        let accounts: Vec<_> = stream::iter(accounts.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        let (people, ready): (Vec<_>, Vec<_>) = accounts
            .into_iter()
            .enumerate()
            .filter_map(|(index, account)| {
                let account = account?;
                let address = account.address.clone()?;
                Some((person(self.route(), &account, &address), (index, account)))
            })
            .unzip();
        let written = if people.is_empty() {
            Ok(Vec::new())
        } else {
            self.ends.esp.load(&self.route().audience, &people, deadline).await
        };
        let mut loaded: Vec<Option<Account>> = vec![None; cases.len()];
        if let Ok(written) = written {
            for ((index, account), written) in ready.into_iter().zip(written) {
                if written == Ok(Written::Done) {
                    loaded[index] = Some(account);
                }
            }
        }
        let each = cases.iter().zip(loaded).map(|(case, account)| async move {
            match account {
                Some(account) => self.look_after(case, account).await,
                // Whatever stood in the way shows if it is worked on alone.
                None => Box::pin(self.heal(case)).await,
            }
        });
        // Each has its time from when its turn comes.
        stream::iter(each.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await
    }

    /// The account as it is now, if it is still one to be opted in, and it is written down where it will be.
    async fn wanting_in(&self, case: &Case, deadline: Deadline) -> Option<Account> {
        let Ok(Reading::Found(account)) = self.side.client.account(case.uid.as_ref()?, None, deadline).await else {
            return None;
        };
        let address = account.address.as_ref()?;
        if !self.wants_in(&account) {
            return None;
        }
        let is_written_down =
            self.ends.esp.finds_by_uid() || links::hold(self.side, self.ends, &account.uid, address, deadline).await;
        is_written_down.then_some(*account)
    }

    /// After somebody was loaded: if they are no longer who they were read as, the line is walked with what they are now.
    async fn look_after(&self, case: &Case, account: Account) -> Healed {
        let mut now = Err(Fault::DeadlineReached);
        let mut deadline = Deadline::after(Instant::now(), TIME);
        for _ in 0..LOOKS {
            deadline = Deadline::after(Instant::now(), TIME);
            now = rounds::reread(self.side, &account, None, deadline).await;
            if now.is_ok() {
                break;
            }
        }
        let opted_in = Effect::applied(
            Change::OptIn,
            account.consent(&self.route().subscription, self.route().double_opt_in).since(),
        );
        let (effect, mark) = match now {
            Ok(Some(now)) if !account.has_moved(&now, self.route()) => (opted_in, Mark::default()),
            Ok(now) => {
                let now = now.unwrap_or_else(|| account.clone().into_gone());
                let also_at: Vec<Email> = account.address.iter().cloned().collect();
                let (effect, mark) = rounds::settle(self.side, self.ends, &now, &also_at, deadline).await;
                (rounds::merge(Some(opted_in), effect), mark)
            }
            Err(fault) => (Effect { outcome: fault.outcome(), ..opted_in }, Mark::default()),
        };
        let mark = Mark { at: Some(self.side.clock.now()), ..mark };
        let settled = RouteEffect { mark, ..RouteEffect::on(self.ends, effect) };
        self.tell(case, Direction::GigyaToEsp, settled).await
    }

    /// Writes it down, logs it and counts it.
    async fn tell(&self, case: &Case, direction: Direction, mut settled: RouteEffect) -> Healed {
        let (gigya, esp) = (&self.route().gigya, &self.route().esp);
        let (connection, to) = match direction {
            Direction::GigyaToEsp => (gigya, esp),
            Direction::EspToGigya => (esp, gigya),
        };
        // What can't be done is in the report, each time anew; it isn't set aside each time anew.
        let is_refused = matches!(settled.effect.outcome, Outcome::Rejected(_));
        if let Some(journal) = self.gateway.journal.as_deref().filter(|_| !is_refused) {
            let page = Page {
                journal,
                connection: connection.as_str(),
                direction,
                request: &case.id,
                received: self.side.clock.now(),
                until: Instant::now() + TIME,
                on_deadline: OnDeadline::Defer,
                finishing: None,
            };
            let person = JournalPerson {
                account: case.uid.clone().map(|uid| (self.route().gigya.clone(), uid)),
                address: case.at.clone(),
            };
            let subject = case.uid.clone().map(|uid| Subject::Account { uid, formerly: None });
            let payload = move || match &subject {
                Some(subject) => Payload::of_account(subject, None, Vec::new()),
                None => Payload::NotUnderstood { event: String::new(), said: None },
            };
            let group = Group {
                event: &case.id,
                happened: None,
                routes: std::slice::from_mut(&mut settled),
                person: Box::new(move |_| person.clone()),
                payload: Box::new(payload),
            };
            page.write(vec![group]).await;
        }
        let event = EventOutcome {
            id: case.id.clone(),
            route: Some(Arc::clone(&self.ends.label)),
            outcome: settled.effect.outcome,
        };
        let subscriber = self.pseudonym(case);
        let told = Told { connection, direction, to: to.as_str(), subscriber, effect: settled.effect };
        self.gateway.tell(&event, &told);
        Healed { outcome: settled.effect.outcome, change: settled.effect.change }
    }
}
