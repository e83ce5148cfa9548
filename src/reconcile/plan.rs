//! What was found, in files of their own for each kind, to be healed in order: what ends mail first.
//!
//! A plan in a folder outlives the process: it is begun again where it was left, and taken off once it is done. It has
//! people's addresses in it, so nobody else may read it. Without a folder it is gone with the process.

use super::private;
use super::tally::Tally;
use crate::domain::{Email, Uid};
use crate::forward::{Case, Difference};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// That the plan is whole, and what it was made of.
const SEAL: &str = "complete";
/// How long a plan is gone on with: after that, comparing anew says more.
const LASTS: SignedDuration = SignedDuration::from_hours(24);

/// Held by the run that uses the folder.
const LOCK: &str = "lock";

/// What a plan was made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seal {
    at: Timestamp,
    /// What was compared.
    #[serde(default)]
    of: String,
    accounts: u64,
    subscribers: u64,
    held: BTreeMap<String, u64>,
    calls: u64,
}

/// One thing that was found. `Debug` hides who it is about.
#[derive(Clone, Serialize, Deserialize)]
pub struct Finding {
    /// How the sides differ.
    pub difference: String,
    /// The route's label.
    pub route: String,
    /// The account's UID, or the one that the subscriber has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<String>,
    /// Where the ESP holds them, or would.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
}

impl std::fmt::Debug for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Finding({}, {}, hidden)", self.difference, self.route)
    }
}

/// Why a plan can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Its files can't be read or written.
    #[error("the plan in {0} can't be used: {1}; give a folder that this user may write to by --state")]
    Files(PathBuf, std::io::Error),
    /// There is no place for temporary files.
    #[error(
        "temporary files can't be made in {0}: {1}; give a folder with room that this user may write to by --scratch"
    )]
    Scratch(PathBuf, std::io::Error),
    /// Somebody else's file, or another version's.
    #[error("the plan in {0} isn't one of this version; empty the folder to begin anew")]
    NotOurs(PathBuf),
    /// Another run uses the folder.
    #[error("another run is under way with the plan in {0}; let it end, or give another folder by --state")]
    Busy(PathBuf),
}

/// A plan.
pub struct Plan {
    folder: Option<PathBuf>,
    /// What is compared.
    of: String,
    /// Keeps other runs out of the folder as long as it is open.
    lock: Option<File>,
    /// One for each kind, in the order of [`Difference::ALL`].
    files: Vec<BufWriter<File>>,
    /// How many, by kind and route.
    counts: BTreeMap<(usize, String), u64>,
    seal: Option<Seal>,
}

/// How far a plan was carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Which kind.
    kind: usize,
    /// The byte in its file.
    byte: u64,
    /// How many before that couldn't be done, or were held back.
    left: u64,
}

/// A plan as it is carried out.
pub struct Reading {
    plan: Plan,
    place: Place,
    reader: Option<BufReader<File>>,
}

impl Plan {
    /// A plan that is gone with the process.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub fn fleeting(scratch: &Path) -> Result<Self, PlanError> {
        let file = || tempfile::tempfile_in(scratch).map(BufWriter::new);
        let files: Result<Vec<_>, _> = Difference::ALL.iter().map(|_| file()).collect();
        let files = files.map_err(|error| PlanError::Scratch(scratch.to_owned(), error))?;
        Ok(Self { folder: None, of: String::new(), lock: None, files, counts: BTreeMap::new(), seal: None })
    }

    /// The plan in a folder, which is made if it isn't there. One that isn't whole, is a day old, or is of something else than
    /// what is now compared, is begun anew.
    ///
    /// # Errors
    /// If the folder can't be used, or is used by another run.
    pub fn in_folder(folder: &Path, of: &str) -> Result<Self, PlanError> {
        let failed = |error| PlanError::Files(folder.to_owned(), error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = private(&folder.join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => PlanError::Busy(folder.to_owned()),
            TryLockError::Error(error) => failed(error),
        })?;
        let is_new = |seal: &Seal| Timestamp::now().duration_since(seal.at) < LASTS;
        let seal = seal(folder)?.filter(|seal| is_new(seal) && seal.of == of);
        if seal.is_none() {
            forget(folder).map_err(failed)?;
        }
        let (mut files, mut counts) = (Vec::new(), BTreeMap::new());
        for (index, difference) in Difference::ALL.into_iter().enumerate() {
            let mut file = private(&file_of(folder, difference)).map_err(failed)?;
            if seal.is_some() {
                file.seek(SeekFrom::Start(0)).map_err(failed)?;
                for line in BufReader::new(&file).lines() {
                    let finding: Result<Finding, _> = serde_json::from_str(&line.map_err(failed)?);
                    let finding = finding.map_err(|_| PlanError::NotOurs(folder.to_owned()))?;
                    *counts.entry((index, finding.route)).or_default() += 1;
                }
            }
            files.push(BufWriter::new(file));
        }
        Ok(Self { folder: Some(folder.to_owned()), of: of.to_owned(), lock: Some(lock), files, counts, seal })
    }

    /// Whether all that there is to find is in it already.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.seal.is_some()
    }

    /// Says again what an earlier run found that made this plan, to whoever listens, too.
    ///
    /// # Errors
    /// If its files can't be read.
    pub fn tell(&self, tally: &mut Tally) -> Result<(), PlanError> {
        if let Some(seal) = &self.seal {
            (tally.accounts, tally.subscribers, tally.calls) = (seal.accounts, seal.subscribers, seal.calls);
            tally.held.clone_from(&seal.held);
        }
        for ((index, route), count) in &self.counts {
            tally.found.insert((route.clone(), Difference::ALL[*index]), *count);
        }
        let (Some(listener), Some(folder)) = (&tally.listener, &self.folder) else { return Ok(()) };
        for difference in Difference::ALL.into_iter().filter(|difference| difference.can_be_healed()) {
            let failed = |error| PlanError::Files(folder.clone(), error);
            let file = File::open(file_of(folder, difference)).map_err(failed)?;
            for line in BufReader::new(file).lines() {
                let finding = serde_json::from_str(&line.map_err(failed)?);
                (listener.0)(difference, &finding.map_err(|_| PlanError::NotOurs(folder.clone()))?);
            }
        }
        Ok(())
    }

    /// How many of a kind are in it.
    #[cfg(test)]
    fn count(&self, difference: Difference) -> u64 {
        let index = index_of(difference);
        self.counts.iter().filter(|((kind, _), _)| *kind == index).map(|(_, count)| count).sum()
    }

    /// Adds something that was found.
    pub(super) fn push(&mut self, difference: Difference, finding: &Finding) -> Result<(), PlanError> {
        let index = index_of(difference);
        let file = &mut self.files[index];
        let written = serde_json::to_writer(&mut *file, finding).map_err(std::io::Error::from);
        let written = written.and_then(|()| file.write_all(b"\n"));
        written.map_err(|error| PlanError::Files(self.folder.clone().unwrap_or_default(), error))?;
        match self.counts.get_mut(&(index, finding.route.clone())) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert((index, finding.route.clone()), 1)),
        }
        Ok(())
    }

    /// Says that all is in it.
    pub(super) fn seal(&mut self, tally: &Tally) -> Result<(), PlanError> {
        let folder = self.folder.clone();
        let failed = |error| PlanError::Files(folder.clone().unwrap_or_default(), error);
        for file in &mut self.files {
            file.flush().map_err(failed)?;
            if folder.is_some() {
                file.get_ref().sync_all().map_err(failed)?;
            }
        }
        let &Tally { accounts, subscribers, calls, .. } = tally;
        let (of, held) = (self.of.clone(), tally.held.clone());
        let seal = Seal { at: Timestamp::now(), of, accounts, subscribers, held, calls };
        if let Some(folder) = &folder {
            let text = serde_json::to_vec(&seal).map_err(|error| failed(error.into()))?;
            let new = folder.join("complete.new");
            std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, folder.join(SEAL))).map_err(failed)?;
        }
        self.seal = Some(seal);
        Ok(())
    }

    /// From where it was left.
    pub(super) fn read(self) -> Result<Reading, PlanError> {
        let place = match &self.folder {
            None => Place::default(),
            Some(folder) => match std::fs::read(folder.join("place")) {
                Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| PlanError::NotOurs(folder.clone()))?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Place::default(),
                Err(error) => return Err(PlanError::Files(folder.clone(), error)),
            },
        };
        Ok(Reading { plan: self, place, reader: None })
    }
}

impl Reading {
    /// Findings of the same kind and route, as many as `limit` says for the kind; none at the end.
    pub fn next(
        &mut self,
        limit: &dyn Fn(Difference) -> usize,
    ) -> Result<Option<(Difference, Vec<Finding>)>, PlanError> {
        while let Some(difference) = Difference::ALL.get(self.place.kind).copied() {
            let found = self.some(limit(difference))?;
            if !found.is_empty() {
                return Ok(Some((difference, found)));
            }
            self.place = Place { kind: self.place.kind + 1, byte: 0, ..self.place };
            self.reader = None;
        }
        Ok(None)
    }

    fn some(&mut self, limit: usize) -> Result<Vec<Finding>, PlanError> {
        let folder = self.plan.folder.clone().unwrap_or_default();
        let failed = |error| PlanError::Files(folder.clone(), error);
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let mut file = self.plan.files[self.place.kind].get_ref().try_clone().map_err(failed)?;
                file.seek(SeekFrom::Start(self.place.byte)).map_err(failed)?;
                self.reader.insert(BufReader::new(file))
            }
        };
        let (mut found, mut line) = (Vec::<Finding>::new(), String::new());
        while found.len() < limit {
            line.clear();
            let length = reader.read_line(&mut line).map_err(failed)?;
            if length == 0 {
                break;
            }
            let finding: Finding = serde_json::from_str(&line).map_err(|_| PlanError::NotOurs(folder.clone()))?;
            if found.first().is_some_and(|first| first.route != finding.route) {
                // Of another route: it is the next one's.
                reader.seek_relative(-i64::try_from(length).unwrap_or_default()).map_err(failed)?;
                break;
            }
            self.place.byte += length as u64;
            found.push(finding);
        }
        Ok(found)
    }

    /// How many of what was handed out couldn't be done, in runs before this one and in this.
    pub const fn left(&self) -> u64 {
        self.place.left
    }

    /// So many of what was handed out couldn't be done.
    pub const fn leave(&mut self, left: u64) {
        self.place.left += left;
    }

    /// What was handed out is done: it isn't begun again.
    pub fn keep_place(&self) -> Result<(), PlanError> {
        let Some(folder) = &self.plan.folder else { return Ok(()) };
        let failed = |error| PlanError::Files(folder.clone(), error);
        let text = serde_json::to_vec(&self.place).map_err(|error| failed(error.into()))?;
        let new = folder.join("place.new");
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, folder.join("place"))).map_err(failed)
    }

    /// All of it is done: the files go.
    pub fn end(self) -> Result<(), PlanError> {
        let Plan { folder, lock, .. } = self.plan;
        let Some(folder) = folder else { return Ok(()) };
        let forgotten = forget(&folder).map_err(|error| PlanError::Files(folder.clone(), error));
        // Not before it is done.
        drop(lock);
        forgotten
    }
}

impl Finding {
    /// As a case to be healed. None if it isn't one of this version's.
    pub fn to_case(&self, difference: Difference, id: String) -> Case {
        let uid = self.uid.as_deref().and_then(Uid::new);
        let at = self.at.as_deref().and_then(|text| Email::parse(text).ok());
        Case { difference, uid, at, id }
    }
}

/// What it was made of, if it is whole.
fn seal(folder: &Path) -> Result<Option<Seal>, PlanError> {
    match std::fs::read(folder.join(SEAL)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| PlanError::NotOurs(folder.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PlanError::Files(folder.to_owned(), error)),
    }
}

/// Takes a plan off. The seal first: what is left of a plan that is half gone is no plan.
fn forget(folder: &Path) -> std::io::Result<()> {
    remove(&folder.join(SEAL))?;
    remove(&folder.join("place"))?;
    Difference::ALL.iter().try_for_each(|difference| remove(&file_of(folder, *difference)))
}

fn index_of(difference: Difference) -> usize {
    Difference::ALL.iter().position(|known| *known == difference).unwrap_or_default()
}

fn file_of(folder: &Path, difference: Difference) -> PathBuf {
    folder.join(format!("{}.jsonl", difference.label()))
}

fn remove(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "all";

    fn finding(route: &str, person: usize) -> Finding {
        let (difference, at) = (String::new(), Some(format!("person-{person}@example.org")));
        Finding { difference, route: route.to_owned(), uid: Some(format!("uid-{person}")), at }
    }

    fn filled(mut plan: Plan) -> Plan {
        for person in 0..5 {
            plan.push(Difference::Missing, &finding("one", person)).unwrap();
        }
        plan.push(Difference::Missing, &finding("two", 5)).unwrap();
        plan.push(Difference::LateOptOut, &finding("two", 6)).unwrap();
        plan.seal(&Tally { subscribers: 7, ..Tally::default() }).unwrap();
        plan
    }

    /// What comes of reading on: kind, route, people.
    fn pieces(reading: &mut Reading) -> Vec<(Difference, String, usize)> {
        let mut pieces = Vec::new();
        while let Some((difference, found)) = reading.next(&|_| 3).unwrap() {
            pieces.push((difference, found[0].route.clone(), found.len()));
        }
        pieces
    }

    #[test]
    fn what_ends_mail_comes_first_and_each_piece_is_of_one_route() {
        let mut reading = filled(Plan::fleeting(&std::env::temp_dir()).unwrap()).read().unwrap();
        let (out, missing) = (Difference::LateOptOut, Difference::Missing);
        let (one, two) = ("one".to_owned(), "two".to_owned());
        let all = [(out, two.clone(), 1), (missing, one.clone(), 3), (missing, one, 2), (missing, two, 1)];
        assert_eq!(pieces(&mut reading), all);
    }

    #[test]
    fn a_plan_is_gone_on_with_where_it_was_left_and_its_files_go_when_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let mut reading = filled(Plan::in_folder(folder.path(), ALL).unwrap()).read().unwrap();
        reading.next(&|_| 3).unwrap();
        reading.next(&|_| 3).unwrap();
        reading.keep_place().unwrap();
        reading.next(&|_| 3).unwrap();
        drop(reading);
        let plan = Plan::in_folder(folder.path(), ALL).unwrap();
        let mut tally = Tally::default();
        plan.tell(&mut tally).unwrap();
        assert_eq!((tally.subscribers, tally.count(Difference::Missing), plan.count(Difference::Missing)), (7, 6, 6));
        let mut reading = plan.read().unwrap();
        let missing = Difference::Missing;
        assert_eq!(pieces(&mut reading), [(missing, "one".to_owned(), 2), (missing, "two".to_owned(), 1)]);
        reading.end().unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, [LOCK]);
    }

    #[test]
    fn a_plan_that_isnt_whole_or_is_old_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = Plan::in_folder(folder.path(), ALL).unwrap();
        plan.push(Difference::Missing, &finding("one", 0)).unwrap();
        drop(plan);
        let plan = filled(Plan::in_folder(folder.path(), ALL).unwrap());
        assert_eq!(plan.count(Difference::Missing), 6);
        drop(plan);
        let old = Seal {
            at: Timestamp::now() - LASTS,
            of: ALL.to_owned(),
            accounts: 0,
            subscribers: 0,
            held: BTreeMap::new(),
            calls: 0,
        };
        std::fs::write(folder.path().join(SEAL), serde_json::to_vec(&old).unwrap()).unwrap();
        let plan = Plan::in_folder(folder.path(), ALL).unwrap();
        assert!(!plan.is_whole());
        assert_eq!(plan.count(Difference::Missing), 0);
    }

    #[test]
    fn what_was_left_is_left_after_an_interruption() {
        let folder = tempfile::tempdir().unwrap();
        let mut reading = filled(Plan::in_folder(folder.path(), ALL).unwrap()).read().unwrap();
        reading.next(&|_| 3).unwrap();
        reading.leave(2);
        reading.keep_place().unwrap();
        drop(reading);
        assert_eq!(Plan::in_folder(folder.path(), ALL).unwrap().read().unwrap().left(), 2);
    }

    #[test]
    fn a_plan_of_something_else_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(Plan::in_folder(folder.path(), "one route").unwrap()));
        assert!(Plan::in_folder(folder.path(), "one route").unwrap().is_whole());
        let plan = Plan::in_folder(folder.path(), ALL).unwrap();
        assert!(!plan.is_whole());
        assert_eq!(plan.count(Difference::Missing), 0);
    }

    #[test]
    fn one_run_at_a_time_uses_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::in_folder(folder.path(), ALL).unwrap();
        assert!(matches!(Plan::in_folder(folder.path(), ALL), Err(PlanError::Busy(_))));
        drop(plan);
        assert!(Plan::in_folder(folder.path(), ALL).is_ok());
    }

    #[test]
    fn somebody_elses_file_is_no_plan() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SEAL), "anything").unwrap();
        assert!(matches!(Plan::in_folder(folder.path(), ALL), Err(PlanError::NotOurs(_))));
    }
}
