//! One notice of an ESP's for one route: the end of the line to Gigya.
//!
//! Finds the accounts that it is about, decides for each by what Gigya holds, and looks again at the ESP after opting somebody
//! in. Where Gigya knows better, the subscriber is brought in line with the account instead.

use super::effect::{Effect, Mark};
use super::gateway::{EspSide, GigyaSide, RouteEnds};
use super::links::{Links, within};
use super::rounds;
use super::subscriber::{OUR_WRITE_MAY_LAG, trusted};
use crate::domain::{ActedAt, Change, Consent, Decision, Desired, Email, OptOutReason, Outcome, Reason, Uid, decide};
use crate::esp::{News, Record, What, Whom};
use crate::gigya::{Account, Confirmed, OptInTag, PlaceMark, Reading};
use crate::mutation::{self, Mutation};
use crate::telemetry::traces;
use crate::upstream::{Deadline, Fault};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};
use tracing::Instrument;

/// How long ago an opt-out may have been said whose account is awaited, if it can't be read and wasn't taken out yet.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// One notice for one route.
pub struct Errand<'a> {
    pub side: &'a EspSide,
    pub gigya: &'a GigyaSide,
    pub ends: &'a RouteEnds,
    pub news: &'a News,
    pub deadline: Deadline,
    /// What the journal is told besides.
    pub mark: Mutex<Mark>,
}

impl Errand<'_> {
    /// Brings the notice to Gigya, or finds that there is nothing to bring.
    pub async fn settle(&self) -> Result<Effect, Fault> {
        match self.news.what {
            What::OptedOut { at, reason } => self.opted_out(at, reason).await,
            What::OptedIn { .. } if !self.ends.route.accept_opt_ins => {
                Ok(Outcome::Skipped(Reason::OptInsNotAccepted).into())
            }
            What::OptedIn { at } => self.opted_in(at).await,
            What::Changed { opted_in: false } => self.look().await,
            What::Changed { opted_in: true } if self.news.former_address.is_some() => self.moved().await,
            What::Changed { opted_in: true } => Ok(Outcome::Unchanged.into()),
        }
    }

    async fn opted_out(&self, at: ActedAt, reason: OptOutReason) -> Result<Effect, Fault> {
        if reason == OptOutReason::Bounced && !self.ends.route.forward_bounces {
            return Ok(Outcome::Skipped(Reason::BouncesNotForwarded).into());
        }
        let accounts = match self.accounts().await {
            // Whoever has the address is opted out all the same; that it was somebody else's, the journal must tell yet.
            Err(Fault::Journal) => {
                self.gigya.client.unsubscribe(&self.news.address, self.subscription(), self.deadline).await?;
                return Err(Fault::Journal);
            }
            accounts => accounts?,
        };
        if accounts.is_empty() {
            // Gigya may know an address that neither UID nor search finds yet, and can opt it out directly.
            let known = self.gigya.client.unsubscribe(&self.news.address, self.subscription(), self.deadline).await?;
            return Ok(if known {
                Effect::applied(Change::OptOut, Some(at))
            } else {
                Outcome::Skipped(Reason::UnknownSubscriber).into()
            });
        }
        let mut effects = Vec::new();
        for account in &accounts {
            // One that is refused keeps no other from being opted out.
            let effect = self.opt_out_account(account, at, reason).await;
            effects.push(effect.unwrap_or_else(|fault| fault.outcome().into()));
        }
        Ok(Effect::combined(effects).unwrap_or(Outcome::Unchanged.into()))
    }

    async fn opt_out_account(&self, account: &Account, at: ActedAt, reason: OptOutReason) -> Result<Effect, Fault> {
        if reason == OptOutReason::Deleted {
            // A deletion may be our own: of somebody deactivated, or of an address that they no longer have.
            if !account.is_active {
                return Ok(Outcome::Unchanged.into());
            }
            if self.is_left_behind(account).await? {
                return Ok(Outcome::Skipped(Reason::AddressNotCurrent).into());
            }
        }
        let desired = Desired::Consent(trusted(Consent::OptedOut { since: at, reason }, self.ends));
        match decide(desired, self.consent_of(account)) {
            Decision::OptOut => {
                self.set(account, false, None).await?;
                self.leave_by_another_record(account).await;
                Ok(Effect::applied(Change::OptOut, Some(at)))
            }
            Decision::Keep => Ok(Effect::found(Change::OptOut, Some(at))),
            Decision::Refuse(reason) => Ok(Outcome::Skipped(reason).into()),
            // Not reached: an opt-out never opts in, and accounts are not removed.
            Decision::OptIn { .. } | Decision::Remove(_) => Ok(Outcome::Deferred(Reason::Internal).into()),
        }
    }

    /// Who left by a record that isn't known as theirs may have another one by now, as when they got another UID while they left:
    /// nobody is to be mailed by that one. Gigya's own webhook tells the ESP too, so what can't be done now comes by it.
    async fn leave_by_another_record(&self, account: &Account) {
        if self.news.uid.as_ref() == Some(&account.uid) {
            return;
        }
        if let Ok(Reading::Found(now)) = self.gigya.client.account_again(account, None, self.deadline).await {
            self.settle_subscriber(&now, &[]).await;
        }
    }

    /// Whether the notice is about an address that the account no longer has, while the ESP has them under another one.
    async fn is_left_behind(&self, account: &Account) -> Result<bool, Fault> {
        let Some(address) = account.address.as_ref().filter(|address| **address != self.news.address) else {
            return Ok(false);
        };
        let links = Links::of(self.gigya, &[&account.uid], self.deadline).await;
        if links.are_lost {
            return Err(Fault::Journal);
        }
        let linked = links.at(self.ends);
        let others = account.other_addresses.iter().chain(&linked).filter(|other| **other != self.news.address);
        let addresses: Vec<&Email> = std::iter::once(address).chain(others).collect();
        // One that moves while it is looked for is found the second time.
        for _ in 0..2 {
            let whom = Whom { uids: self.news.uid.iter().collect(), addresses: addresses.clone(), fields: &[] };
            let found = self.side.esp.find(&self.ends.route.audience, &whom, self.deadline).await?;
            if found.iter().any(|record| record.address != self.news.address && record.consent.is_opted_in()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn opted_in(&self, at: ActedAt) -> Result<Effect, Fault> {
        let record = self.record_at(&self.news.address).await?;
        let has_uid = record.as_ref().is_some_and(|record| record.uid.is_some());
        let on_record = match record.map(|record| record.consent) {
            Some(Consent::OptedIn { since }) => since,
            Some(Consent::OptedOut { since, reason }) => return self.opted_out(since, reason).await,
            Some(Consent::Pending { .. }) => return Ok(Outcome::Skipped(Reason::DoubleOptInPending).into()),
            Some(Consent::Unknown) | None => return Ok(Outcome::Skipped(Reason::UnknownSubscriber).into()),
        };
        // The notice can't be newer than the record, whatever it says. And it may be the echo of our own write, of
        // somebody who acted a little earlier.
        let acted = if on_record.earliest() < at.earliest() { on_record } else { at };
        let since = acted.or_earlier_by(OUR_WRITE_MAY_LAG);
        let accounts = self.accounts().await?;
        if accounts.is_empty() {
            return self.opted_in_stranger(since, has_uid).await;
        }
        let mut effects = Vec::new();
        for account in &accounts {
            effects.push(self.opt_in_account(account, since).await?);
        }
        Ok(Effect::combined(effects).unwrap_or(Outcome::Unchanged.into()))
    }

    async fn opt_in_account(&self, account: &Account, since: ActedAt) -> Result<Effect, Fault> {
        if !account.is_active {
            return Ok(Outcome::Skipped(Reason::UnknownSubscriber).into());
        }
        match decide(Desired::Consent(Consent::OptedIn { since }), self.consent_of(account)) {
            Decision::OptIn { .. } => {
                // Else an opt-out that was said there since would be written over.
                match rounds::reread(self.gigya, account, None, self.deadline).await? {
                    Some(now) if !account.has_moved(&now, &self.ends.route) => {}
                    _ => return Ok(Outcome::Deferred(Reason::Unsettled).into()),
                }
                let tag = (!mutation::is(Mutation::ForgetTheTag)).then(|| self.tag(since));
                self.set(account, true, tag).await?;
                self.look_again(account).await
            }
            Decision::Keep => Ok(Outcome::Unchanged.into()),
            Decision::Refuse(Reason::NewerOptOut) if !mutation::is(Mutation::KeepItFromTheEsp) => {
                self.tell_esp(account).await
            }
            Decision::Refuse(reason) => Ok(Outcome::Skipped(reason).into()),
            Decision::OptOut | Decision::Remove(_) => Ok(Outcome::Deferred(Reason::Internal).into()),
        }
    }

    /// Gigya's opt-out counts against the opt-in, so the ESP is told: its webhook may have come before the opt-in.
    async fn tell_esp(&self, account: &Account) -> Result<Effect, Fault> {
        let told = self.settle_subscriber(account, &[]).await;
        Ok(match told.outcome {
            Outcome::Deferred(_) | Outcome::Rejected(_) => told,
            _ => Outcome::Skipped(Reason::NewerOptOut).into(),
        })
    }

    /// Somebody whom Gigya doesn't know becomes a lite account. Whom the ESP or the journal knows by a UID is no stranger:
    /// their account is gone, and the notice may be an echo of what the gateway wrote on its behalf.
    async fn opted_in_stranger(&self, since: ActedAt, has_uid: bool) -> Result<Effect, Fault> {
        let had_account = has_uid || self.news.uid.is_some();
        if !self.ends.route.create_lite_accounts || had_account || self.is_linked().await? {
            return Ok(Outcome::Skipped(Reason::UnknownSubscriber).into());
        }
        let (client, address) = (&self.gigya.client, &self.news.address);
        // As none of them can be read with this address, one was deleted a moment ago, or moves: perhaps after the form was filled in.
        if client.search_by_address(address, self.deadline).await?.iter().any(|row| row.has_address(address)) {
            if self.is_fresh() {
                // Once that was worked on, the record tells which came last.
                return Err(Fault::Unavailable { cause: "account_gone" });
            }
            return Ok(Outcome::Skipped(Reason::UnknownSubscriber).into());
        }
        let registration = client.begin_lite_account(self.deadline).await?;
        // Somebody may have signed up meanwhile, and said no.
        if let Reading::Found(account) = client.account_by_email(address, self.deadline).await? {
            return self.opt_in_account(&account, since).await;
        }
        let made = client
            .create_lite_account(registration, address, self.subscription(), self.tag(since), self.deadline)
            .await;
        match (client.account_by_email(address, self.deadline).await?, made) {
            (Reading::Found(account), Ok(())) => {
                self.mark.lock().unwrap_or_else(PoisonError::into_inner).uid = Some(account.uid.clone());
                self.look_again(&account).await
            }
            // It is refused where another one was made at the same time.
            (Reading::Found(account), Err(Fault::Refused { .. })) => self.opt_in_account(&account, since).await,
            (_, Err(fault)) => Err(fault),
            // Gigya doesn't show it yet, so an opt-out that was said meanwhile wouldn't be seen: the notice is to come again.
            (Reading::NotFound, Ok(())) => Ok(Outcome::Deferred(Reason::Unsettled).into()),
        }
    }

    /// After opting somebody in over there: if they opted out here in between, so they do there, unless they opted in there
    /// later still.
    async fn look_again(&self, account: &Account) -> Result<Effect, Fault> {
        let record = self.record_at(&self.news.address).await?;
        if let Some(Consent::OptedOut { since, reason }) = record.map(|record| record.consent)
            && let Reading::Found(now) = self.gigya.client.account_again(account, None, self.deadline).await?
        {
            let out = self.opt_out_account(&now, since, reason).await?;
            if out.change.is_some() {
                return Ok(out);
            }
        }
        Ok(Effect::applied(Change::OptIn, None))
    }

    /// For an update of somebody who is out: since when, their record tells.
    async fn look(&self) -> Result<Effect, Fault> {
        let record = self.record_at(&self.news.address).await?;
        match record.map(|record| record.consent) {
            Some(Consent::OptedOut { since, reason }) => self.opted_out(since, reason).await,
            Some(_) => Ok(Outcome::Unchanged.into()),
            None => Ok(Outcome::Skipped(Reason::UnknownSubscriber).into()),
        }
    }

    /// A subscriber's address changed at the ESP. Gigya holds the account's address, so the subscriber moves back
    /// to it: else an opt-out in Gigya would no longer find them.
    async fn moved(&self) -> Result<Effect, Fault> {
        let accounts = self.accounts().await?;
        let also_at: Vec<Email> =
            [Some(&self.news.address), self.news.former_address.as_ref()].into_iter().flatten().cloned().collect();
        let mut effects = Vec::new();
        for account in accounts.iter().filter(|account| account.address.as_ref() != Some(&self.news.address)) {
            effects.push(self.settle_subscriber(account, &also_at).await);
        }
        let nothing_to_move =
            if accounts.is_empty() { Outcome::Skipped(Reason::UnknownSubscriber) } else { Outcome::Unchanged };
        Ok(Effect::combined(effects).unwrap_or(nothing_to_move.into()))
    }

    /// Brings the ESP in line with an account.
    async fn settle_subscriber(&self, account: &Account, also_at: &[Email]) -> Effect {
        let (effect, mark) = rounds::settle(self.gigya, self.ends, account, also_at, self.deadline).await;
        let mut ours = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        ours.links.extend(mark.links);
        ours.back.extend(effect.change.map(|_| effect));
        // It was changed at the ESP; nothing was at Gigya, of which this line tells.
        Effect { change: None, found: None, ..effect }
    }

    /// What the audience holds under an address: the record with the notice's UID, if it has one, else any.
    async fn record_at(&self, address: &Email) -> Result<Option<Record>, Fault> {
        let whom = Whom { uids: self.news.uid.iter().collect(), addresses: vec![address], fields: &[] };
        let mut found = self.side.esp.find(&self.ends.route.audience, &whom, self.deadline).await?;
        found.retain(|record| record.address == *address);
        let theirs = found.iter().position(|record| record.uid.is_some() && record.uid == self.news.uid);
        Ok(found.into_iter().nth(theirs.unwrap_or(0)))
    }

    /// The accounts that the notice is about: the one with its UID, else all with its address, else with its former one.
    async fn accounts(&self) -> Result<Vec<Account>, Fault> {
        let accounts = self.find_accounts().instrument(traces::station("read the account")).await?;
        let first = accounts.first().map(|account| account.uid.clone());
        self.mark.lock().unwrap_or_else(PoisonError::into_inner).uid = first;
        Ok(accounts)
    }

    async fn find_accounts(&self) -> Result<Vec<Account>, Fault> {
        if let Some(uid) = &self.news.uid
            && let Reading::Found(account) = self.gigya.client.account(uid, None, self.deadline).await?
        {
            return Ok(vec![*account]);
        }
        let accounts = self.accounts_at(&self.news.address).await?;
        let accounts = match &self.news.former_address {
            Some(former) if accounts.is_empty() => self.accounts_at(former).await?,
            _ => accounts,
        };
        // An opt-in is for the address where it was made; whoever has another one by now didn't make it.
        let is_opt_in = matches!(self.news.what, What::OptedIn { .. });
        if accounts.is_empty() && !is_opt_in { self.accounts_linked().await } else { Ok(accounts) }
    }

    /// The accounts that were sent with this address, or with the former one, whatever they have by now.
    async fn accounts_linked(&self) -> Result<Vec<Account>, Fault> {
        let uids = self.linked_uids().await?;
        let mut accounts = Vec::new();
        for uid in &uids {
            if let Reading::Found(account) = self.gigya.client.account(uid, None, self.deadline).await? {
                accounts.push(*account);
            }
        }
        if accounts.is_empty() && self.is_fresh() && matches!(self.hold_any(&uids).await, Ok(true)) {
            // It was deleted a moment ago, or has another UID: whoever works on that notice writes down which.
            return Err(Fault::Unavailable { cause: "account_gone" });
        }
        Ok(accounts)
    }

    /// Whether the audience holds somebody's subscriber under this address, as far as the journal knows.
    async fn is_linked(&self) -> Result<bool, Fault> {
        let uids = self.linked_uids().await?;
        Ok(!uids.is_empty() && self.hold_any(&uids).await?)
    }

    /// Whether the audience holds any of these accounts under this address.
    async fn hold_any(&self, uids: &[Uid]) -> Result<bool, Fault> {
        let links = Links::of(self.gigya, &uids.iter().collect::<Vec<_>>(), self.deadline).await;
        if links.are_lost {
            return Err(Fault::Journal);
        }
        Ok(uids.iter().any(|uid| links.hold(self.ends, uid, &self.news.address)))
    }

    /// The UIDs to which the journal has this address, or the former one.
    async fn linked_uids(&self) -> Result<Vec<Uid>, Fault> {
        let Some(journal) = &self.gigya.journal else { return Ok(Vec::new()) };
        let mut uids = Vec::new();
        for address in [Some(&self.news.address), self.news.former_address.as_ref()].into_iter().flatten() {
            if uids.is_empty() {
                let patience = self.deadline.left().unwrap_or_default() / 3;
                let asked = journal.uids_at(&self.gigya.config.name, address);
                uids = within(patience, asked).await.map_err(|fault| {
                    tracing::error!(connection = %self.gigya.config.name, %fault, "links can't be read");
                    Fault::Journal
                })?;
            }
        }
        Ok(uids)
    }

    /// Whether it was said so recently that what else happened to the account may still be on its way.
    fn is_fresh(&self) -> bool {
        let since = acted(self.news).and_then(ActedAt::latest);
        since.is_some_and(|since| self.gigya.clock.now().duration_since(since) < FRESH)
    }

    async fn accounts_at(&self, address: &Email) -> Result<Vec<Account>, Fault> {
        let client = &self.gigya.client;
        let mut accounts: Vec<Account> = Vec::new();
        for row in client.search_by_address(address, self.deadline).await? {
            if accounts.iter().any(|account| account.uid == row.uid) {
                continue;
            }
            if let Reading::Found(account) = client.account(&row.uid, None, self.deadline).await?
                && account.has_address(address)
            {
                accounts.push(*account);
            }
        }
        if accounts.is_empty()
            && let Reading::Found(account) = client.account_by_email(address, self.deadline).await?
        {
            accounts.push(*account);
        }
        Ok(accounts)
    }

    fn consent_of(&self, account: &Account) -> Consent {
        account.consent(self.subscription(), self.ends.route.double_opt_in)
    }

    async fn set(&self, account: &Account, subscribed: bool, tag: Option<OptInTag>) -> Result<(), Fault> {
        self.gigya.client.set_subscription(account, self.subscription(), subscribed, tag, self.deadline).await
    }

    fn tag(&self, since: ActedAt) -> OptInTag {
        let (route, acted) = (&self.ends.route, since.earliest().unwrap_or(Timestamp::MIN));
        let confirmed =
            if route.confirmed_at_esp { Confirmed::AtTheEsp } else { Confirmed::InGigya(PlaceMark::of(route)) };
        OptInTag { acted, written: self.gigya.clock.now(), confirmed }
    }

    fn subscription(&self) -> &crate::domain::SubscriptionId {
        &self.ends.route.subscription
    }
}

/// When the person acted, as the notice says.
pub fn acted(news: &News) -> Option<ActedAt> {
    match news.what {
        What::OptedIn { at } | What::OptedOut { at, .. } => Some(at),
        What::Changed { .. } => None,
    }
}
