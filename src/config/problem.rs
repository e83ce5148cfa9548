//! What is wrong with a configuration, where, and what to do about it.

use super::sources::Sources;
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
    sources: Box<Sources>,
}

impl ConfigErrors {
    pub(super) fn new(origin: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems.dedup();
        Self { origin: origin.to_path_buf(), problems, sources: Box::default() }
    }

    pub(super) fn of(mut self, sources: Sources) -> Self {
        *self.sources = sources;
        self
    }

    pub(super) fn one(origin: &Path, problem: Problem) -> Self {
        Self::new(origin, vec![problem])
    }

    /// The problems, in the file's order.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The problems with where they stand and what to do, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.problems.iter().map(|problem| format!("{}; {}", self.place_and_what(problem), problem.remedy)).collect()
    }

    /// What was read before it turned out to be wrong.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    fn place_and_what(&self, problem: &Problem) -> String {
        let origin = self.origin.display();
        let place = match &problem.place {
            Place::File => origin.to_string(),
            Place::Line(line, column) => format!("{origin}:{line}:{column}"),
            Place::Variable(name) => format!("environment variable {name}"),
        };
        if problem.key.is_empty() {
            format!("{place}: {}", problem.what)
        } else {
            format!("{place}: {}: {}", problem.key, problem.what)
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}\n    {}", self.place_and_what(problem), problem.remedy)?;
        }
        let count = self.problems.len();
        write!(f, "{count} {} in the configuration", if count == 1 { "problem" } else { "problems" })
    }
}

impl std::error::Error for ConfigErrors {}
