//! What was found, in files of their own for each kind, to be healed in order: what ends mail first.
//!
//! A plan in a folder outlives the process: it is begun again where it was left, and taken off once it is done. It has
//! people's addresses in it, so nobody else may read it. Without a folder it is gone with the process.

use super::private;
use crate::domain::{Email, Uid};
use crate::forward::{Case, Difference};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// That the plan is whole.
const SEAL: &str = "complete";

/// One thing that was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// Why a plan can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Its files can't be read or written.
    #[error("the plan in {0} can't be used: {1}; give a folder that this user may write to by --state")]
    Files(PathBuf, std::io::Error),
    /// Somebody else's file, or another version's.
    #[error("the plan in {0} isn't one of this version; empty the folder to begin anew")]
    NotOurs(PathBuf),
}

/// A plan.
pub struct Plan {
    folder: Option<PathBuf>,
    /// One for each kind, in the order of [`Difference::ALL`].
    files: Vec<BufWriter<File>>,
    counts: Vec<u64>,
    is_whole: bool,
}

/// How far a plan was carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Which kind.
    kind: usize,
    /// The byte in its file.
    byte: u64,
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
        let files = files.map_err(|error| PlanError::Files(scratch.to_owned(), error))?;
        Ok(Self { folder: None, files, counts: vec![0; Difference::ALL.len()], is_whole: false })
    }

    /// The plan in a folder, which is made if it isn't there. One that isn't whole is begun anew.
    ///
    /// # Errors
    /// If the folder can't be used.
    pub fn in_folder(folder: &Path) -> Result<Self, PlanError> {
        let failed = |error| PlanError::Files(folder.to_owned(), error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let is_whole = folder.join(SEAL).exists();
        let (mut files, mut counts) = (Vec::new(), Vec::new());
        for difference in Difference::ALL {
            let mut file = private(&file_of(folder, difference)).map_err(failed)?;
            let mut count = 0;
            if is_whole {
                file.seek(SeekFrom::Start(0)).map_err(failed)?;
                for line in BufReader::new(&file).lines() {
                    let finding: Result<Finding, _> = serde_json::from_str(&line.map_err(failed)?);
                    finding.map_err(|_| PlanError::NotOurs(folder.to_owned()))?;
                    count += 1;
                }
            } else {
                file.set_len(0).map_err(failed)?;
            }
            files.push(BufWriter::new(file));
            counts.push(count);
        }
        Ok(Self { folder: Some(folder.to_owned()), files, counts, is_whole })
    }

    /// Whether all that there is to find is in it already.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How many of a kind are in it.
    #[must_use]
    pub fn count(&self, difference: Difference) -> u64 {
        self.counts[index_of(difference)]
    }

    /// Adds something that was found.
    pub(super) fn push(&mut self, difference: Difference, finding: &Finding) -> Result<(), PlanError> {
        let index = index_of(difference);
        let file = &mut self.files[index];
        let written = serde_json::to_writer(&mut *file, finding).map_err(std::io::Error::from);
        let written = written.and_then(|()| file.write_all(b"\n"));
        written.map_err(|error| PlanError::Files(self.folder.clone().unwrap_or_default(), error))?;
        self.counts[index] += 1;
        Ok(())
    }

    /// Says that all is in it.
    pub(super) fn seal(&mut self) -> Result<(), PlanError> {
        let folder = self.folder.clone();
        let failed = |error| PlanError::Files(folder.clone().unwrap_or_default(), error);
        for file in &mut self.files {
            file.flush().map_err(failed)?;
            if folder.is_some() {
                file.get_ref().sync_all().map_err(failed)?;
            }
        }
        if let Some(folder) = &folder {
            private(&folder.join(SEAL)).map_err(failed)?;
        }
        self.is_whole = true;
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
    /// Up to `limit` findings of the same kind and route; none at the end.
    pub fn next(&mut self, limit: usize) -> Result<Option<(Difference, Vec<Finding>)>, PlanError> {
        while let Some(difference) = Difference::ALL.get(self.place.kind).copied() {
            let found = self.some(limit)?;
            if !found.is_empty() {
                return Ok(Some((difference, found)));
            }
            self.place = Place { kind: self.place.kind + 1, byte: 0 };
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
        let Some(folder) = self.plan.folder else { return Ok(()) };
        let failed = |error| PlanError::Files(folder.clone(), error);
        // The seal first: what is left of a plan that is half gone is no plan.
        for name in [SEAL.to_owned(), "place".to_owned()] {
            remove(&folder.join(name)).map_err(failed)?;
        }
        Difference::ALL.iter().try_for_each(|difference| remove(&file_of(&folder, *difference)).map_err(failed))
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
