//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Somewhere in the file, or missing from it.
    File,
    /// At a line and column, both from 1.
    Line(usize, usize),
    /// In an environment variable.
    Variable(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key, as a dotted path; empty for the file as a whole.
    pub key: String,
    /// What is wrong. Never shows a value that may be a secret.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    /// Says what is wrong with `key`, and what to do.
    pub fn new(place: Place, key: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place, key: key.into(), what: what.into(), remedy: remedy.into() }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    origin: PathBuf,
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(origin: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems.dedup();
        Self { origin: origin.to_path_buf(), problems }
    }

    pub(super) fn one(origin: &Path, problem: Problem) -> Self {
        Self::new(origin, vec![problem])
    }

    /// The problems, in the file's order.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.display();
        for problem in &self.problems {
            match &problem.place {
                Place::File => write!(f, "{origin}: ")?,
                Place::Line(line, column) => write!(f, "{origin}:{line}:{column}: ")?,
                Place::Variable(name) => write!(f, "environment variable {name}: ")?,
            }
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            writeln!(f, "{}\n    {}", problem.what, problem.remedy)?;
        }
        let count = self.problems.len();
        write!(f, "{count} {} in the configuration", if count == 1 { "problem" } else { "problems" })
    }
}

impl std::error::Error for ConfigErrors {}
