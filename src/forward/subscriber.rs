//! One person at one ESP audience: bring what it holds in line with an account.
//!
//! The end of the line from Gigya, and the place where the line from the ESP comes back to when a subscriber's
//! address changed over there.

use super::effect::Effect;
use super::gateway::{GigyaSide, RouteEnds};
use super::links::{self, Links};
use crate::config::Route;
use crate::domain::{
    ActedAt, Change, Consent, Decision, Desired, Email, OptOutReason, Outcome, Reason, RemovalKind, Uid, decide,
};
use crate::esp::{Leftover, Person, Record, Written};
use crate::gigya::{Account, Reading, fields_of};
use crate::in_place::boxed;
use crate::mutation::{self, Mutation};
use crate::telemetry::traces;
use crate::upstream::{Deadline, Fault};
use jiff::SignedDuration;
use std::time::Duration;
use tracing::Instrument;

mod look;

/// How long before an ESP's record of an opt-in the person may have acted, when the gateway itself wrote it:
/// longer than any request of ours can be on its way.
pub const OUR_WRITE_MAY_LAG: SignedDuration = SignedDuration::from_mins(5);
/// An account that was read longer ago is read again before anybody is opted in on its behalf.
const FRESH: Duration = Duration::from_secs(1);
/// How often what is held may change under our hands before the event is put off.
const ROUNDS: usize = 4;

/// One person on one route.
pub struct Subscriber<'a> {
    pub side: &'a GigyaSide,
    pub ends: &'a RouteEnds,
    pub account: &'a Account,
    /// A UID that the account had before a merge or change of UID.
    pub formerly: Option<&'a Uid>,
    /// Addresses besides the account's own under which the ESP may hold them.
    pub also_at: &'a [Email],
    /// Where the journal has them.
    pub links: &'a Links,
    /// The site whose key the account was read with, if not the connection's first.
    pub api_key: Option<&'a str>,
    pub deadline: Deadline,
}

/// What became of it.
#[must_use]
pub struct Settled {
    pub effect: Effect,
    /// Whether the account must be looked at again: consent was written, or it is no longer what was read.
    pub look_again: bool,
    /// When the person acted, by what the account says of the route's subscription.
    pub acted: Option<ActedAt>,
}

/// What was done on the way.
#[derive(Default)]
struct Course {
    done: Vec<Effect>,
    look_again: bool,
    /// Where the audience holds them in the end, if it was looked at.
    rests_at: Option<Vec<Email>>,
    /// Whether the present address was written down in the course of this.
    is_written: bool,
}

enum Step {
    Settled(Effect),
    /// What is held is not what was read: read again.
    LookAgain,
}

impl Step {
    fn settled(effect: impl Into<Effect>) -> Self {
        Self::Settled(effect.into())
    }
}

impl Subscriber<'_> {
    /// The last station of the line from Gigya: [`Subscriber::settle`], with its trace.
    pub async fn forward(&self) -> Settled {
        let span = traces::forward(&self.ends.label);
        let settled = boxed(|| self.settle()).instrument(span.clone()).await;
        traces::settled(&span, settled.effect.outcome);
        settled
    }

    /// Brings the audience in line with the account.
    pub async fn settle(&self) -> Settled {
        let said = self.account.consent(&self.route().subscription, self.route().double_opt_in);
        let desired = wanted(self.account, self.route(), said);
        let mut course = Course::default();
        let mut last = Effect::from(Outcome::Deferred(Reason::Unsettled));
        for _ in 0..ROUNDS {
            match self.step(desired, &mut course).await {
                Ok(Step::LookAgain) => continue,
                Ok(Step::Settled(effect)) => last = effect,
                Err(fault) => last = fault.outcome().into(),
            }
            break;
        }
        course.done.push(last);
        let Course { done, look_again, rests_at, .. } = course;
        let effect = Effect::combined(done).unwrap_or(last);
        // What was refused may still be where it was.
        let is_at_rest = matches!(effect.outcome, Outcome::Applied | Outcome::Unchanged | Outcome::Skipped(_));
        if let (true, Some(rests_at)) = (is_at_rest, rests_at) {
            self.links.are_left_but(self.ends, &rests_at);
        }
        Settled { effect, look_again, acted: said.since() }
    }

    fn route(&self) -> &Route {
        &self.ends.route
    }

    async fn step(&self, desired: Desired, course: &mut Course) -> Result<Step, Fault> {
        // What is long and seldom taken is in boxes, here and wherever it leads: a request has as much room as its largest way needs.
        match desired {
            Desired::Consent(Consent::Unknown) => Box::pin(self.leave(Reason::NeverSubscribed, course)).await,
            Desired::Awaited => Box::pin(self.leave(Reason::DoubleOptInPending, course)).await,
            Desired::Consent(Consent::OptedIn { .. }) => match &self.account.address {
                Some(address) => self.bring_in(desired, address, course).await,
                None => Ok(Step::settled(Outcome::Rejected(Reason::NoAddress))),
            },
            Desired::Consent(_) | Desired::Removal(_) => Box::pin(self.take_out(desired, course)).await,
        }
    }

    /// For somebody who is opted in: one record, under the present address, with their fields.
    async fn bring_in(&self, desired: Desired, address: &Email, course: &mut Course) -> Result<Step, Fault> {
        let is_known = self.links.hold(self.ends, &self.account.uid, address);
        if is_known && mutation::is(Mutation::TrustTheJournal) {
            return Ok(Step::settled(Outcome::Unchanged));
        }
        if !is_known && !self.is_written_down(address, course).await {
            return Ok(Step::settled(Outcome::Deferred(Reason::JournalUnavailable)));
        }
        let person = self.person(address);
        let held = self.look_with(&person.fields).await?;
        course.rests_at = Some(vec![address.clone()]);
        let (esp, audience) = (&self.ends.esp, &self.route().audience);
        let mut strays = held.strays;
        // Where each UID has a record of its own, theirs is the one that can move.
        let is_alone = self.ends.esp.one_record_an_address();
        let is_theirs = |stray: &Record| is_alone || stray.uid.as_ref() == Some(&self.account.uid);
        strays.sort_by_key(|stray| (!is_theirs(stray), in_order_of_moving(stray.consent)));
        let mut strays = strays.into_iter();
        let Some(record) = held.present else {
            if let Some(stray) = strays.next() {
                // The address changed. The record moves with all it holds, an opt-out, too.
                if !self.is_written_down(address, course).await {
                    return Ok(Step::settled(Outcome::Deferred(Reason::JournalUnavailable)));
                }
                course.look_again |= stray.consent.is_opted_in();
                return Ok(match esp.update(audience, &stray, &person, self.deadline).await? {
                    Written::Done => {
                        course.done.push(Effect::applied(Change::Profile, None));
                        Step::LookAgain
                    }
                    Written::Moved => Step::LookAgain,
                    // It can't be theirs: theirs is made beside it, if they opted in later than it says.
                    Written::NothingToDo => {
                        course.rests_at.get_or_insert_default().push(stray.address.clone());
                        let decision = decide(desired, trusted(stray.consent, self.ends));
                        return self.act(decision, Some(&stray), &person, course).await;
                    }
                    // It can't be moved, however often it is tried.
                    Written::Held => {
                        course.rests_at.get_or_insert_default().push(stray.address);
                        Step::settled(Outcome::Skipped(Reason::HeldByEsp))
                    }
                });
            }
            return self.act(decide(desired, Consent::Unknown), None, &person, course).await;
        };
        let (mailable, out): (Vec<_>, Vec<_>) = strays.partition(|stray| may_be_mailed(stray.consent));
        // Else what is taken for left behind may be where they moved to meanwhile.
        if !mailable.is_empty() && !Box::pin(self.is_as_it_was_read()).await? {
            course.look_again = true;
            return Ok(Step::settled(Outcome::Deferred(Reason::Unsettled)));
        }
        if is_deleted(record.consent) && !mailable.is_empty() {
            // Nobody's word: it was left behind for another one, and came here by a move that hadn't seen that yet.
            let decision = Decision::OptIn { over_opt_out: true };
            if let Step::LookAgain = self.act(decision, Some(&record), &person, course).await? {
                return Ok(Step::LookAgain);
            }
            return self.discard_all(mailable, course).await.map(|()| Step::LookAgain);
        }
        self.discard_all(mailable, course).await?;
        if let Some(said) = self.said_elsewhere(desired, &record, &out) {
            course.rests_at.get_or_insert_default().extend(out.into_iter().map(|stray| stray.address));
            return Box::pin(self.follow(said, &record, course)).await;
        }
        let decision = decide(desired, trusted(record.consent, self.ends));
        let step = self.act(decision, Some(&record), &person, course).await?;
        let is_in =
            matches!(&step, Step::Settled(effect) if matches!(effect.outcome, Outcome::Applied | Outcome::Unchanged));
        let linked = self.links.at(self.ends);
        for stray in out.into_iter().filter(|stray| !is_deleted(stray.consent)) {
            // What they said under an address of before counts no longer.
            if is_in && linked.contains(&stray.address) {
                esp.discard(audience, &stray, self.deadline).await?;
            } else {
                course.rests_at.get_or_insert_default().push(stray.address);
            }
        }
        Ok(step)
    }

    async fn discard_all(&self, strays: Vec<Record>, course: &mut Course) -> Result<(), Fault> {
        for stray in strays {
            self.ends.esp.discard(&self.route().audience, &stray, self.deadline).await?;
            course.done.push(Effect::applied(Change::Profile, None));
        }
        Ok(())
    }

    /// For somebody of whom Gigya has nothing to say under the address that they have now. Mail to one that they no longer have
    /// ends.
    async fn leave(&self, reason: Reason, course: &mut Course) -> Result<Step, Fault> {
        let nothing = Step::settled(Outcome::Skipped(reason));
        if self.links.at(self.ends).iter().all(|address| self.account.has_address(address)) {
            return Ok(nothing);
        }
        let held = self.look().await?;
        let (esp, audience) = (&self.ends.esp, &self.route().audience);
        let mut rests_at: Vec<Email> = held.present.into_iter().map(|record| record.address).collect();
        for stray in held.strays {
            if may_be_mailed(stray.consent) && !self.account.has_address(&stray.address) {
                esp.discard(audience, &stray, self.deadline).await?;
                course.look_again = true;
                course.done.push(Effect::applied(Change::Profile, None));
            } else {
                rests_at.push(stray.address);
            }
        }
        course.rests_at = Some(rests_at);
        Ok(nothing)
    }

    /// An opt-out under an address of before that is newer than the opt-in, and than what is held under the present one: it
    /// is the person's all the same. A deletion isn't anybody's word: it may be ours, of what was left behind.
    fn said_elsewhere(&self, desired: Desired, record: &Record, out: &[Record]) -> Option<Consent> {
        let is_theirs = |stray: &&Record| stray.uid.as_ref().is_none_or(|uid| *uid == self.account.uid);
        let is_said = |consent: &Consent| {
            !is_deleted(*consent)
                && decide(desired, trusted(*consent, self.ends)) == Decision::Refuse(Reason::NewerOptOut)
                && !trusted(record.consent, self.ends).outranks(&trusted(*consent, self.ends))
        };
        let said = out.iter().filter(is_theirs).map(|stray| stray.consent).filter(is_said);
        said.reduce(|last, other| if other.outranks(&last) { other } else { last })
    }

    /// Brings such an opt-out to the present address, and to Gigya.
    async fn follow(&self, said: Consent, record: &Record, course: &mut Course) -> Result<Step, Fault> {
        if may_be_mailed(record.consent) {
            match self.take_out_record(Desired::Consent(trusted(said, self.ends)), record, course).await? {
                Step::Settled(effect) => course.done.push(effect),
                Step::LookAgain => return Ok(Step::LookAgain),
            }
        }
        self.refuse(Reason::NewerOptOut, said, course).await
    }

    /// Carries out a decision about somebody who is opted in.
    async fn act(
        &self,
        decision: Decision,
        record: Option<&Record>,
        person: &Person,
        course: &mut Course,
    ) -> Result<Step, Fault> {
        let (esp, audience) = (&self.ends.esp, &self.route().audience);
        match (decision, record) {
            (Decision::OptIn { over_opt_out }, _) => {
                if !self.is_written_down(&person.address, course).await {
                    return Ok(Step::settled(Outcome::Deferred(Reason::JournalUnavailable)));
                }
                // The journal may have taken long, or the queue for calls: what was read then may not hold anymore.
                if self.account.age() > FRESH && !Box::pin(self.is_as_it_was_read()).await? {
                    course.look_again = true;
                    return Ok(Step::settled(Outcome::Deferred(Reason::Unsettled)));
                }
                // Else nobody would look again, and take out whoever changed their mind meanwhile.
                if self.deadline.is_nearly_over() {
                    return Err(Fault::DeadlineReached);
                }
                // Said before it is done: a call that fails may have taken effect.
                course.look_again = true;
                match esp.opt_in(audience, record, person, over_opt_out, self.deadline).await? {
                    Written::Done => Ok(Step::settled(Effect::applied(Change::OptIn, None))),
                    Written::NothingToDo => Ok(Step::settled(Outcome::Unchanged)),
                    // Opted out meanwhile, or kept out by the ESP: if it shows, decide by it.
                    Written::Held | Written::Moved => {
                        let now = Box::pin(self.look()).await?;
                        let is_new = |now: &Record| Some(now.consent) != record.map(|record| record.consent);
                        // Made meanwhile under another address of theirs, it is to be moved.
                        let is_elsewhere = now.strays.iter().any(|stray| stray.uid.as_ref() == Some(&self.account.uid));
                        if now.present.as_ref().is_some_and(is_new) || is_elsewhere {
                            Ok(Step::LookAgain)
                        } else {
                            Ok(Step::settled(Outcome::Skipped(Reason::HeldByEsp)))
                        }
                    }
                }
            }
            (Decision::Keep, Some(record))
                if esp.differs(audience, record, person) && !Box::pin(self.belongs_to_another(record)).await? =>
            {
                course.look_again |= esp.update_may_opt_in(audience);
                match esp.update(audience, record, person, self.deadline).await? {
                    Written::Done => {
                        course.done.push(Effect::applied(Change::Profile, None));
                        if !esp.one_record_an_address() && record.uid.as_ref() != Some(&self.account.uid) {
                            // Theirs may have been made beside it, which is then one too many.
                            return Ok(Step::LookAgain);
                        }
                    }
                    Written::NothingToDo | Written::Held => {}
                    Written::Moved => return Ok(Step::LookAgain),
                }
                Ok(Step::settled(Outcome::Unchanged))
            }
            (Decision::Keep, _) => Ok(Step::settled(Outcome::Unchanged)),
            (Decision::Refuse(reason), Some(record)) => Box::pin(self.refuse(reason, record.consent, course)).await,
            (Decision::Refuse(reason), None) => Ok(Step::settled(Outcome::Skipped(reason))),
            // Not reached: somebody opted in is never decided out.
            (Decision::OptOut | Decision::Remove(_), _) => Ok(Step::settled(Outcome::Deferred(Reason::Internal))),
        }
    }

    /// The ESP knows better: if that is an opt-out, Gigya is told.
    async fn refuse(&self, reason: Reason, held: Consent, course: &mut Course) -> Result<Step, Fault> {
        if reason == Reason::NewerOptOut && !self.tell_gigya(held).await? {
            course.look_again = true;
            return Ok(Step::settled(Outcome::Deferred(Reason::Unsettled)));
        }
        Ok(Step::settled(Outcome::Skipped(reason)))
    }

    /// The ESP's opt-out counts against Gigya's opt-in, so Gigya is told, as the ESP's own callback would: that one
    /// may be late, or lost, or have come within the same second. What isn't the person's word is left: a bounce
    /// unless the route forwards it, and a deletion, which may be our own of an account that was deactivated; unless it may
    /// have been before the opt-in: then the account would look opted in for good to whoever asked for it meanwhile.
    ///
    /// Returns false if the account is no longer what was compared: then nothing was told, and it is to be read again.
    async fn tell_gigya(&self, held: Consent) -> Result<bool, Fault> {
        if is_to_be_told(held, self.account, self.route()) && !mutation::is(Mutation::KeepItFromGigya) {
            if !Box::pin(self.is_as_it_was_read()).await? {
                return Ok(false);
            }
            let id = &self.route().subscription;
            self.side.client.set_subscription(self.account, id, false, None, self.deadline).await?;
        }
        Ok(true)
    }

    /// Whether the account still is what was read of it, as far as it decides.
    async fn is_as_it_was_read(&self) -> Result<bool, Fault> {
        let now = self.side.client.account_again(self.account, self.api_key, self.deadline).await?;
        Ok(matches!(now, Reading::Found(now) if !self.account.has_moved(&now, self.route())))
    }

    /// For somebody who is opted out or gone: every record of theirs, under whatever address.
    async fn take_out(&self, desired: Desired, course: &mut Course) -> Result<Step, Fault> {
        let held = self.look().await?;
        let mut effects = Vec::new();
        // Whoever made an orphan may need it: nobody is mailed by it, and it isn't deleted.
        let gently = match desired {
            Desired::Removal(_) => Desired::Removal(RemovalKind::Unsubscribe),
            desired @ (Desired::Consent(_) | Desired::Awaited) => desired,
        };
        let is_alone = self.ends.esp.one_record_an_address();
        let present = held.present.iter().map(|record| (record, is_alone || self.is_ours(record)));
        let others = held.strays.iter().map(|record| (record, true));
        for (record, is_theirs) in present.chain(others).chain(held.orphans.iter().map(|record| (record, false))) {
            let desired = if is_theirs { desired } else { gently };
            match self.take_out_record(desired, record, course).await {
                Ok(Step::Settled(effect)) => effects.push(effect),
                Ok(Step::LookAgain) => return Ok(Step::LookAgain),
                // One that is refused keeps no other from being taken out.
                Err(fault) => effects.push(fault.outcome().into()),
            }
        }
        let nothing_held = match desired {
            Desired::Consent(Consent::Pending { .. }) => Outcome::Skipped(Reason::DoubleOptInPending).into(),
            _ => Effect::found(taken_out(desired), None),
        };
        course.rests_at = Some(match desired {
            // Nowhere.
            Desired::Removal(_) => Vec::new(),
            Desired::Consent(_) | Desired::Awaited => {
                let records = held.strays.iter().filter(|record| !is_deleted(record.consent));
                let records = records.map(|record| &record.address);
                records.chain(&self.account.address).cloned().collect()
            }
        });
        Ok(Step::settled(Effect::combined(effects).unwrap_or(nothing_held)))
    }

    async fn take_out_record(&self, desired: Desired, record: &Record, course: &mut Course) -> Result<Step, Fault> {
        let (esp, audience) = (&self.ends.esp, &self.route().audience);
        // Known to the ESP, but not on the list: there is nothing to opt out of.
        let is_nowhere = record.consent == Consent::Unknown && record.leftover != Leftover::Mailable;
        if is_nowhere && matches!(desired, Desired::Consent(_)) {
            return Ok(Step::settled(Effect::found(taken_out(desired), None)));
        }
        let written = match decide(desired, trusted(record.consent, self.ends)) {
            Decision::Keep => return self.finish(desired, record).await,
            Decision::Refuse(reason) => return Ok(Step::settled(Outcome::Skipped(reason))),
            Decision::OptOut => esp.opt_out(audience, record, self.deadline).await?,
            Decision::Remove(kind) => match self.heir(record).await? {
                Some(heir) if esp.one_record_an_address() => return self.hand_over(record, &heir).await,
                Some(_) => esp.discard(audience, record, self.deadline).await?,
                None => esp.remove(audience, record, kind, self.deadline).await?,
            },
            Decision::OptIn { .. } => return Ok(Step::settled(Outcome::Deferred(Reason::Internal))),
        };
        // Who opted in again meanwhile may have found nothing to do yet.
        course.look_again |= !mutation::is(Mutation::DropTheRereadAfterOptOut);
        match written {
            Written::Done => Ok(Step::settled(Effect::applied(taken_out(desired), None))),
            // It was read as opted in a moment ago: see where it went.
            Written::NothingToDo | Written::Held | Written::Moved => Ok(Step::LookAgain),
        }
    }

    /// For a record that is out: what an earlier attempt may have left is taken out, too.
    async fn finish(&self, desired: Desired, record: &Record) -> Result<Step, Fault> {
        let (esp, audience) = (&self.ends.esp, &self.route().audience);
        let written = match (desired, record.leftover) {
            (Desired::Removal(kind), Leftover::ForOptedOut | Leftover::Mailable) => {
                esp.remove(audience, record, kind, self.deadline).await?
            }
            (Desired::Consent(_), Leftover::Mailable) => esp.opt_out(audience, record, self.deadline).await?,
            _ => Written::NothingToDo,
        };
        Ok(Step::settled(match written {
            Written::Done => Effect::applied(taken_out(desired), None),
            Written::NothingToDo | Written::Held | Written::Moved => Effect::found(taken_out(desired), None),
        }))
    }

    /// Somebody else with the same address is opted in: the record becomes theirs.
    async fn hand_over(&self, record: &Record, other: &Account) -> Result<Step, Fault> {
        if !self.ends.esp.finds_by_uid() && !self.is_written_down_for(other, record).await {
            return Ok(Step::settled(Outcome::Deferred(Reason::JournalUnavailable)));
        }
        let person = person(self.route(), other, &record.address);
        if !self.ends.esp.differs(&self.route().audience, record, &person) {
            return Ok(Step::settled(Outcome::Unchanged));
        }
        match self.ends.esp.update(&self.route().audience, record, &person, self.deadline).await? {
            Written::Done => Ok(Step::settled(Effect::applied(Change::Profile, None))),
            Written::NothingToDo | Written::Held => Ok(Step::settled(Outcome::Unchanged)),
            Written::Moved => Ok(Step::LookAgain),
        }
    }

    /// Before anything is sent for an address, the journal has it: else a crash could leave it subscribed with nobody knowing
    /// whose it is. Anew each time, so that whoever is giving it up meanwhile doesn't.
    async fn is_written_down(&self, address: &Email, course: &mut Course) -> bool {
        if !course.is_written && !self.ends.esp.finds_by_uid() {
            let uid = &self.account.uid;
            course.is_written = self.links.write(self.side, self.ends, uid, address, self.deadline).await;
        }
        course.is_written || self.ends.esp.finds_by_uid()
    }

    async fn is_written_down_for(&self, other: &Account, record: &Record) -> bool {
        links::hold(self.side, self.ends, &other.uid, &record.address, self.deadline).await
    }

    fn person(&self, address: &Email) -> Person {
        person(self.route(), self.account, address)
    }
}

/// What an account wants an audience to hold.
pub fn desired(account: &Account, route: &Route) -> Desired {
    wanted(account, route, account.consent(&route.subscription, route.double_opt_in))
}

/// The same, if this is what the account says of the route's subscription.
fn wanted(account: &Account, route: &Route, said: Consent) -> Desired {
    if !account.is_active && !mutation::is(Mutation::ForgetRemovals) {
        return Desired::Removal(route.on_inactive);
    }
    match said {
        Consent::Pending { .. } if account.was_asked_at(route) => Desired::Awaited,
        said => Desired::Consent(said),
    }
}

/// Whether an opt-out at the ESP that counts against an account is one of which Gigya is told.
pub fn is_to_be_told(held: Consent, account: &Account, route: &Route) -> bool {
    let Consent::OptedOut { reason, since } = held else { return false };
    match reason {
        OptOutReason::Deleted => {
            let opted_in = account.consent(&route.subscription, route.double_opt_in).since();
            opted_in.is_some_and(|opted_in| opted_in.earliest() >= since.earliest())
        }
        OptOutReason::Bounced => route.forward_bounces,
        OptOutReason::Unsubscribed | OptOutReason::Complained | OptOutReason::Suppressed | OptOutReason::Other => true,
    }
}

/// What taking somebody out is, by what it is done for.
const fn taken_out(desired: Desired) -> Change {
    match desired {
        Desired::Removal(_) => Change::Removal,
        Desired::Consent(_) | Desired::Awaited => Change::OptOut,
    }
}

pub fn person(route: &Route, account: &Account, address: &Email) -> Person {
    Person { address: address.clone(), uid: account.uid.clone(), fields: fields_of(route, account) }
}

/// Whether mail is sent, or may be once a mail is answered.
pub const fn may_be_mailed(consent: Consent) -> bool {
    matches!(consent, Consent::OptedIn { .. } | Consent::Pending { .. })
}

const fn is_deleted(consent: Consent) -> bool {
    matches!(consent, Consent::OptedOut { reason: OptOutReason::Deleted, .. })
}

/// Which of several records moves to a new address: one that says that the person left, before one that says otherwise;
/// and one that was deleted last, as it may be ours, left behind at an earlier move.
const fn in_order_of_moving(consent: Consent) -> u8 {
    match consent {
        Consent::OptedOut { reason: OptOutReason::Deleted, .. } => 2,
        Consent::OptedOut { .. } => 0,
        Consent::OptedIn { .. } | Consent::Pending { .. } => 1,
        Consent::Unknown => 3,
    }
}

/// What an ESP's record counts for against an account.
///
/// The ESP times an opt-in by when it was written, by whoever. Where opt-ins are made in Gigya only, the record
/// is a copy and outranks nothing. Where they are accepted from the ESP too, it may be the person's own act; or
/// our own write of an act that was a little earlier. And as its clock may be behind Gigya's, an opt-out counts as later
/// than it says.
pub fn trusted(consent: Consent, ends: &RouteEnds) -> Consent {
    let trust = |since: ActedAt| {
        if ends.route.accept_opt_ins { since.or_earlier_by(OUR_WRITE_MAY_LAG) } else { ActedAt::UNKNOWN }
    };
    match consent {
        Consent::OptedIn { since } => Consent::OptedIn { since: trust(since) },
        Consent::Pending { since } => Consent::Pending { since: trust(since) },
        Consent::OptedOut { since, reason } => {
            let clocks_may_differ = SignedDuration::try_from(ends.esp.common().clocks_may_differ).unwrap_or_default();
            Consent::OptedOut { since: since.or_later_by(clocks_may_differ), reason }
        }
        Consent::Unknown => consent,
    }
}
