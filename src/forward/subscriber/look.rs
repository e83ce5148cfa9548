//! What an audience holds of one person, and whose else a record may be.

use super::Subscriber;
use crate::domain::{Email, Uid};
use crate::esp::{Field, Record, Whom};
use crate::gigya::{Account, Reading, fields_of};
use crate::mutation::{self, Mutation};
use crate::upstream::Fault;

/// What the audience holds of one person.
#[derive(Default)]
pub struct Held {
    /// The record that stands for them, under the account's present address.
    pub present: Option<Record>,
    /// Others with the account's UID, under other addresses.
    pub strays: Vec<Record>,
    /// Others under the present address that are no account's. Mail to them is mail to this person: they go when the
    /// person leaves, and are else left to whoever made them.
    pub orphans: Vec<Record>,
}

impl Subscriber<'_> {
    pub(super) async fn look(&self) -> Result<Held, Fault> {
        self.look_with(&fields_of(self.route(), self.account)).await
    }

    /// The same for somebody whose fields are known.
    pub(super) async fn look_with(&self, fields: &[Field]) -> Result<Held, Fault> {
        let present = self.account.address.as_ref();
        let mut addresses: Vec<&Email> = present.into_iter().collect();
        let linked = self.links.at(self.ends);
        for other in self.account.other_addresses.iter().chain(self.also_at).chain(&linked) {
            if !addresses.contains(&other) {
                addresses.push(other);
            }
        }
        let uids = std::iter::once(&self.account.uid).chain(self.formerly).collect();
        let whom = Whom { uids, addresses: addresses.clone(), fields };
        let found = self.ends.esp.find(&self.route().audience, &whom, self.deadline).await?;
        let (mut ours, mut others): (Vec<_>, Vec<_>) = found.into_iter().partition(|record| self.is_ours(record));
        // Without anybody's UID, at an address that was sent for this account, or to which the ESP says that their subscriber
        // changed: theirs, unless somebody else has it by now.
        let is_linked = |record: &Record| {
            record.uid.is_none() && (linked.contains(&record.address) || self.also_at.contains(&record.address))
        };
        for record in others.extract_if(.., |record| is_linked(record) && Some(&record.address) != present) {
            if Box::pin(self.other_account_opted_in(&record)).await?.is_none() {
                ours.push(record);
            }
        }
        // One with the UID that the account has now stands for them before one with a former UID.
        ours.sort_by_key(|record| record.uid.as_ref() != Some(&self.account.uid));
        let mut held = Held::default();
        let is_at_home = |record: &Record| Some(&record.address) == present;
        for record in ours {
            if held.present.is_none() && is_at_home(&record) {
                held.present = Some(record);
            } else {
                held.strays.push(record);
            }
        }
        let is_alone = self.ends.esp.one_record_an_address();
        for record in others {
            if !is_at_home(&record) {
                // At an address that the account has besides, with the UID of nobody: theirs under a UID of before. (Another
                // connection's people are somebody, too, and can't be asked for.)
                let is_nobodys = record.uid.is_some() && !self.ends.is_shared && addresses.contains(&&record.address);
                if is_nobodys && !Box::pin(self.is_somebody_elses(&record)).await? {
                    held.strays.push(record);
                }
            } else if is_alone && held.present.is_none() {
                // It is everybody's who has the address.
                held.present = Some(record);
            } else if is_alone || !Box::pin(self.is_somebody_elses(&record)).await? {
                held.orphans.push(record);
            }
        }
        if mutation::is(Mutation::LeaveStrays) {
            held.strays.clear();
        }
        if held.present.is_none() && held.strays.is_empty() {
            // What was said there was said by this person, as far as anybody knows: the last word counts.
            let last = held
                .orphans
                .iter()
                .enumerate()
                .reduce(|last, other| if other.1.consent.outranks(&last.1.consent) { other } else { last });
            held.present = last.map(|(index, _)| index).map(|index| held.orphans.swap_remove(index));
        }
        Ok(held)
    }

    pub(super) fn is_ours(&self, record: &Record) -> bool {
        record.uid.as_ref().is_some_and(|uid| *uid == self.account.uid || Some(uid) == self.formerly)
    }

    /// Whether a record is that of another account which there is.
    async fn is_somebody_elses(&self, record: &Record) -> Result<bool, Fault> {
        let Some(uid) = &record.uid else { return Ok(false) };
        Ok(matches!(self.side.client.account(uid, None, self.deadline).await?, Reading::Found(_)))
    }

    /// Whether a record with another UID is rightly that account's: active, with this address, opted in. Then
    /// it is left to it; else the two would write their own UID and fields over each other's for ever.
    pub(super) async fn belongs_to_another(&self, record: &Record) -> Result<bool, Fault> {
        match &record.uid {
            Some(uid) if !self.is_ours(record) => Ok(self.opted_in_account(uid, &record.address).await?.is_some()),
            _ => Ok(false),
        }
    }

    /// Another account with the record's address that is opted in: the one whose UID the record has, which a search may
    /// not find yet, else any that a search finds.
    async fn other_account_opted_in(&self, record: &Record) -> Result<Option<Account>, Fault> {
        let is_other = |uid: &&Uid| **uid != self.account.uid && Some(*uid) != self.formerly;
        if let Some(uid) = record.uid.as_ref().filter(is_other)
            && let Some(other) = self.opted_in_account(uid, &record.address).await?
        {
            return Ok(Some(other));
        }
        let found = self.side.client.search_by_address(&record.address, self.deadline).await?;
        for uid in found.iter().map(|row| &row.uid).filter(is_other) {
            if let Some(other) = self.opted_in_account(uid, &record.address).await? {
                return Ok(Some(other));
            }
        }
        // One that was made a moment ago is found by its address only.
        let Reading::Found(other) = self.side.client.account_by_email(&record.address, self.deadline).await? else {
            return Ok(None);
        };
        if is_other(&&other.uid) { self.opted_in_account(&other.uid, &record.address).await } else { Ok(None) }
    }

    async fn opted_in_account(&self, uid: &Uid, address: &Email) -> Result<Option<Account>, Fault> {
        let Reading::Found(other) = self.side.client.account(uid, None, self.deadline).await? else {
            return Ok(None);
        };
        let consent = other.consent(&self.route().subscription, self.route().double_opt_in);
        let counts = other.is_active && other.address.as_ref() == Some(address) && consent.is_opted_in();
        Ok(counts.then_some(*other))
    }

    /// Another account to which a record is left that is to be removed: one with the same address that is opted in. Where
    /// each has a record of its own, that is only the case for an account that is gone: it may have got another UID or been
    /// merged, and an opt-out left under the former UID would be taken for the person's own.
    pub(super) async fn heir(&self, record: &Record) -> Result<Option<Account>, Fault> {
        if self.ends.esp.one_record_an_address() || self.account.is_gone() {
            self.other_account_opted_in(record).await
        } else {
            Ok(None)
        }
    }
}
