//! Finds and heals what no webhook told: accounts deleted straight from Gigya, imports, muted calls, callbacks that were
//! switched off.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `read` | both sides, page by page, into files |
//! | `sort` | more rows than memory holds, by key |
//! | `row` | what a row of these files is |
//! | `compare` | everybody at one address, then everybody with one UID: what differs |
//! | `plan` | what was found, to be healed now or after an interruption |
//! | `heal` | one by one, or in bulk where an audience is filled |
//! | `limits` | how much may be removed on the word of a search |
//! | `tally` | how many of each, and a sample |
//!
//! Lists and search indexes are late by nature, and are read while people act. What the comparison says is therefore only
//! where to look: before anything is written, [`crate::forward`] reads both sides anew, one person at a time, and decides as
//! it always does. So an old plan does no harm, nor does one that is carried out twice. Memory stays flat: rows go to
//! temporary files and come back in order.
//!
//! Imports `forward` and the floors below.

mod compare;
mod heal;
mod limits;
mod plan;
mod read;
mod row;
mod sort;
mod tally;

pub use heal::{Stopped, heal};
pub use limits::{Limits, Withheld};
pub use plan::{Finding, Plan, PlanError};
pub use tally::{Listener, Sample, Tally};

use crate::forward::{Gateway, Line};
use crate::upstream::Fault;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// What to compare, and how.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Labels of the routes; all if empty.
    pub routes: Vec<String>,
    /// Only accounts that changed since then; everybody if none.
    pub since: Option<Timestamp>,
    /// Where the temporary files go.
    pub scratch: PathBuf,
    /// How many bytes each sorter may use before it spills.
    pub memory: usize,
    /// How many accounts a page of Gigya's search has.
    pub page: usize,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// Why the two sides couldn't be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A side can't be read.
    #[error(
        "{system} can't be read: {fault}; nothing was changed. See the lines above, and what `check --online` says"
    )]
    Read {
        /// Which.
        system: String,
        /// Why.
        fault: Fault,
    },
    /// A page wasn't what it must be.
    #[error(
        "{system}: its list ended after {read} of {total}: such a list says nothing about who isn't on it; nothing was changed"
    )]
    Short {
        /// Which.
        system: String,
        /// How many came.
        read: u64,
        /// How many there are, as it says itself.
        total: u64,
    },
    /// A list comes to no end.
    #[error(
        "{system}: its list doesn't end: {read} rows came, more than twice as many as it says it has; nothing was changed"
    )]
    Endless {
        /// Which.
        system: String,
        /// How many came.
        read: u64,
    },
    /// The temporary files can't be written or read.
    #[error("temporary files can't be used: {0}; name a folder with room by --scratch")]
    Files(#[from] std::io::Error),
    /// It was asked to stop.
    #[error("stopped while both sides were read; nothing was changed")]
    Stopped,
    /// The plan can't be written.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows read, of all sides.
    pub read: u64,
    /// Rows that there are, as far as known.
    pub total: u64,
    /// Calls made.
    pub calls: u64,
}

/// Reads and compares; what differs is in the plan and the tally.
///
/// # Errors
/// If a side can't be read as a whole, nothing is known about who isn't there, so it ends.
pub async fn compare(
    gateway: &Gateway,
    scope: &Scope,
    plan: &mut Plan,
    tally: &mut Tally,
    tell: &(dyn Fn(&Progress) + Sync),
) -> Result<(), CompareError> {
    let lines = lines(gateway, &scope.routes);
    for site in sites(&lines) {
        let read = read::read(&site, scope, tally, tell).await?;
        compare::compare(&site, scope, read, plan, tally)?;
    }
    plan.seal(tally)?;
    Ok(())
}

fn lines<'a>(gateway: &'a Gateway, only: &[String]) -> Vec<Line<'a>> {
    let mut lines = gateway.lines();
    lines.retain(|line| is_meant(line, only) && line.esp().can_list());
    lines
}

fn is_meant(line: &Line<'_>, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|label| label == line.label())
}

/// Those of these routes, or of all if there are none, whose audience can't be read as a whole: nothing is compared there.
#[must_use]
pub fn cannot_be_read(gateway: &Gateway, only: &[String]) -> Vec<String> {
    let lines = gateway.lines().into_iter().filter(|line| is_meant(line, only) && !line.esp().can_list());
    lines.map(|line| line.label().to_owned()).collect()
}

/// One Gigya connection, and the audiences where its routes end.
struct Site<'a> {
    lines: Vec<Line<'a>>,
    /// For each audience, its routes: places in `lines`. The first of them reads it.
    audiences: Vec<Vec<usize>>,
}

/// The most routes of one connection that are compared at once; more are compared one such part after the other.
const LINES: usize = 64;

fn sites<'a>(lines: &[Line<'a>]) -> Vec<Site<'a>> {
    let mut sites: Vec<Site<'a>> = Vec::new();
    for line in lines {
        let is_here = |site: &Site<'_>| site.lines[0].route().gigya == line.route().gigya && site.lines.len() < LINES;
        let index = sites.iter().position(is_here).unwrap_or_else(|| {
            sites.push(Site { lines: Vec::new(), audiences: Vec::new() });
            sites.len() - 1
        });
        let site = &mut sites[index];
        let place = site.lines.len();
        site.lines.push(*line);
        let ends = |line: &Line<'_>| (line.route().esp.clone(), line.route().audience.clone());
        match site.audiences.iter_mut().find(|routes| ends(&site.lines[routes[0]]) == ends(line)) {
            Some(routes) => routes.push(place),
            None => site.audiences.push(vec![place]),
        }
    }
    sites
}

/// Where temporary files go, if nothing else is said.
#[must_use]
pub fn default_scratch() -> PathBuf {
    std::env::temp_dir()
}

/// A file that only its owner reads.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // One that was there may be open to others.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}
