//! What differs: first among everybody at one address, then among everybody with one UID who found no counterpart there.

use super::plan::{Finding, Plan};
use super::read::Read;
use super::row::{Of, Row, key_of};
use super::sort::Sorter;
use super::tally::Tally;
use super::{CompareError, Scope, Site};
use crate::domain::{ActedAt, Consent, Email};
use crate::esp::Record;
use crate::forward::{Difference, Line};
use crate::gigya::Account;
use jiff::Timestamp;

/// Compares what was read.
pub fn compare(
    site: &Site<'_>,
    scope: &Scope,
    read: Read,
    plan: &mut Plan,
    tally: &mut Tally,
) -> Result<(), CompareError> {
    let mut desk = Desk { site, since: scope.since, by_uid: read.by_uid, plan, tally, bytes: Vec::new() };
    let (mut sorted, mut rows) = (read.by_address.sorted()?, Vec::new());
    let goes_on = || if scope.stop.is_cancelled() { Err(CompareError::Stopped) } else { Ok(()) };
    while sorted.next_group(&mut rows)? {
        goes_on()?;
        let rows: Vec<Row<'_>> = rows.iter().filter_map(|row| Row::decode(&row.row)).collect();
        desk.at_one_address(&rows)?;
    }
    let mut sorted = std::mem::replace(&mut desk.by_uid, Sorter::new(&scope.scratch, 0)).sorted()?;
    while sorted.next_group(&mut rows)? {
        goes_on()?;
        let rows: Vec<Row<'_>> = rows.iter().filter_map(|row| Row::decode(&row.row)).collect();
        desk.of_one_uid(&rows)?;
    }
    Ok(())
}

struct Desk<'a, 'b> {
    site: &'a Site<'b>,
    since: Option<Timestamp>,
    by_uid: Sorter,
    plan: &'a mut Plan,
    tally: &'a mut Tally,
    bytes: Vec<u8>,
}

/// An account at an address, and at which routes it has a record there.
struct Here<'a, 'b> {
    account: Account,
    row: &'a Row<'b>,
    matched: u64,
}

impl Desk<'_, '_> {
    fn at_one_address(&mut self, rows: &[Row<'_>]) -> Result<(), CompareError> {
        let mut here: Vec<Here<'_, '_>> = Vec::new();
        for row in rows.iter().filter(|row| row.of == Of::Account) {
            let Some(account) = row.account() else { continue };
            // Who changed while the pages were read may be on two of them.
            match here.iter_mut().find(|other| other.account.uid == account.uid) {
                Some(same) => *same = Here { account, row, matched: 0 },
                None => here.push(Here { account, row, matched: 0 }),
            }
        }
        for index in 0..self.site.audiences.len() {
            self.audience_at_one_address(index, rows, &mut here)?;
        }
        let all = u64::MAX >> (64 - self.site.lines.len().min(64));
        for Here { account, row, matched } in here {
            // The others are told by the UID alone that there is an account.
            let parts = if matched & all == all { Vec::new() } else { row.parts.clone() };
            Row { of: Of::Account, matched, parts }.encode(&mut self.bytes);
            self.by_uid.push(key_of(&account.uid), &self.bytes)?;
        }
        Ok(())
    }

    fn audience_at_one_address(
        &mut self,
        index: usize,
        rows: &[Row<'_>],
        here: &mut [Here<'_, '_>],
    ) -> Result<(), CompareError> {
        let lines: Vec<(usize, Line<'_>)> =
            self.site.audiences[index].iter().map(|place| (*place, self.site.lines[*place])).collect();
        let (_, first) = lines[0];
        let of = Of::audience(index);
        let is_here = |row: &&Row<'_>| row.of == of;
        let is_alone = first.esp().one_record_an_address();
        let records: Vec<(Vec<&[u8]>, Record)> = if is_alone {
            // All parts at an address are one record's.
            let parts: Vec<&[u8]> = rows.iter().filter(is_here).flat_map(|row| row.parts.iter().copied()).collect();
            let record = super::row::combine(first.esp(), &first, &parts);
            record.map(|record| (parts, record)).into_iter().collect()
        } else {
            rows.iter().filter(is_here).filter_map(|row| Some((row.parts.clone(), row.record(&first)?))).collect()
        };
        self.tally.subscribers += records.len() as u64;
        for (_, line) in &lines {
            match self.tally.held.get_mut(line.label()) {
                Some(held) => *held += records.len() as u64,
                None => drop(self.tally.held.insert(line.label().to_owned(), records.len() as u64)),
            }
        }
        for (parts, record) in records {
            let own = here.iter().position(|one| record.uid.as_ref() == Some(&one.account.uid));
            for (place, line) in &lines {
                let bit = 1_u64 << place;
                // Without an account of its own, it stands for whoever has the address, if they are opted in.
                let stands_for = own.or_else(|| {
                    let is_free = |one: &Here<'_, '_>| is_alone || (record.uid.is_none() && one.matched & bit == 0);
                    let wanting = here.iter().position(|one| is_free(one) && line.wants_in(&one.account));
                    wanting.or_else(|| here.iter().position(is_free))
                });
                if let Some(one) = stands_for {
                    here[one].matched |= bit;
                    if let Some(difference) = line.difference(&here[one].account, Some(&record)) {
                        self.found(line, difference, Some(&here[one].account), Some(&record))?;
                    }
                }
                if is_alone {
                    for one in here.iter_mut() {
                        one.matched |= bit;
                    }
                }
                if stands_for.is_none() && record.uid.is_none() {
                    self.nobodys(line, &record)?;
                }
            }
            if own.is_none()
                && let Some(uid) = &record.uid
            {
                let is_somebody_elses =
                    is_alone && here.iter().any(|one| lines.iter().any(|(_, line)| line.wants_in(&one.account)));
                Row { of, matched: u64::from(is_somebody_elses), parts }.encode(&mut self.bytes);
                self.by_uid.push(key_of(uid), &self.bytes)?;
            }
        }
        Ok(())
    }

    fn of_one_uid(&mut self, rows: &[Row<'_>]) -> Result<(), CompareError> {
        let is_known = rows.iter().any(|row| row.of == Of::Account);
        let matched = rows.iter().filter(|row| row.of == Of::Account).fold(0, |all, row| all | row.matched);
        let account = rows.iter().filter(|row| row.of == Of::Account).filter_map(Row::account).next_back();
        for index in 0..self.site.audiences.len() {
            let first = self.site.lines[self.site.audiences[index][0]];
            let is_here = |row: &&Row<'_>| row.of == Of::audience(index);
            // One that stands for somebody else by now is that account's.
            let records: Vec<Record> = rows
                .iter()
                .filter(is_here)
                .filter(|row| row.matched == 0)
                .filter_map(|row| row.record(&first))
                .collect();
            for place in self.site.audiences[index].clone() {
                let line = self.site.lines[place];
                let is_matched = matched & (1 << place) != 0;
                for record in &records {
                    self.elsewhere(&line, account.as_ref(), is_known, is_matched, record)?;
                }
                if let Some(account) = account.as_ref().filter(|_| records.is_empty() && !is_matched)
                    && let Some(difference) = line.difference(account, None)
                {
                    self.found(&line, difference, Some(account), None)?;
                }
            }
        }
        Ok(())
    }

    /// A record at an address where no account has its UID.
    fn elsewhere(
        &mut self,
        line: &Line<'_>,
        account: Option<&Account>,
        is_known: bool,
        is_matched: bool,
        record: &Record,
    ) -> Result<(), CompareError> {
        let difference = match account {
            _ if !is_known => {
                return self.gone(line, record);
            }
            Some(account) if !is_matched => line.difference(account, Some(record)),
            // It has a record where it is. This one was left behind.
            _ => may_be_mailed(record).then_some(Difference::WrongAddress),
        };
        match difference {
            Some(difference) => self.found(line, difference, account, Some(record)),
            None => Ok(()),
        }
    }

    /// A record whose account isn't there.
    fn gone(&mut self, line: &Line<'_>, record: &Record) -> Result<(), CompareError> {
        match self.since {
            // Who isn't among those that changed is no orphan; but what was said at the ESP since then is looked at.
            Some(since) => {
                let latest = record.consent.since().and_then(ActedAt::latest);
                let is_new = matches!(record.consent, Consent::OptedOut { .. }) && latest.is_none_or(|at| at >= since);
                if is_new { self.found(line, Difference::UntoldOptOut, None, Some(record)) } else { Ok(()) }
            }
            None if line.is_shared() => Ok(()),
            None if line.is_orphan(record) => self.found(line, Difference::Orphan, None, Some(record)),
            None => Ok(()),
        }
    }

    /// A record without a UID, at an address that no account has.
    fn nobodys(&mut self, line: &Line<'_>, record: &Record) -> Result<(), CompareError> {
        match self.since {
            // Of an account that didn't change; what was said at the ESP since then is looked at.
            Some(_) => self.gone(line, record),
            None if !line.is_shared() && may_be_mailed(record) => {
                self.found(line, Difference::Stranger, None, Some(record))
            }
            None => Ok(()),
        }
    }

    fn found(
        &mut self,
        line: &Line<'_>,
        difference: Difference,
        account: Option<&Account>,
        record: Option<&Record>,
    ) -> Result<(), CompareError> {
        let uid = account.map(|account| &account.uid).or_else(|| record.and_then(|record| record.uid.as_ref()));
        let at: Option<&Email> = record.map(|record| &record.address).or_else(|| account?.address.as_ref());
        let finding = Finding {
            difference: difference.label().to_owned(),
            route: line.label().to_owned(),
            uid: uid.map(|uid| uid.expose().to_owned()),
            at: at.map(|address| address.expose().to_owned()),
        };
        self.tally.found(line.label(), difference, &finding);
        if difference.can_be_healed() {
            self.plan.push(difference, &finding)?;
        }
        Ok(())
    }
}

fn may_be_mailed(record: &Record) -> bool {
    matches!(record.consent, Consent::OptedIn { .. } | Consent::Pending { .. })
}
