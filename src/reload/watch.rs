//! Whether files changed since they were read, and whether whoever changes them is done.
//!
//! Contents are compared, by their digests: a mounted secret is exchanged by turning a symlink round, credentials are
//! mounted anew, editors write another file and rename it. All that these have in common is that the path holds
//! something else afterwards. A set of files is often exchanged one by one, so it is read only once it was found the same
//! twice.

use crate::config::{Digest, Held};
use std::path::Path;

/// Files, and what they held when they were last read for a configuration, taken or refused.
#[derive(Debug, Default)]
pub struct Watched {
    tried: Held,
    /// What they held at the last look, if it was something else.
    seen: Option<Held>,
}

impl Watched {
    /// After a configuration was made of what they hold.
    #[must_use]
    pub fn new(held: Held) -> Self {
        Self { tried: held, seen: None }
    }

    /// The files to look at.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.tried.keys().map(AsRef::as_ref)
    }

    /// Takes what the files hold now. Returns whether they are to be read: they changed, and are as they were at the look
    /// before. It is said once.
    pub fn see(&mut self, now: Held) -> bool {
        if now == self.tried {
            self.seen = None;
            return false;
        }
        if self.seen.as_ref() == Some(&now) {
            self.tried = now;
            self.seen = None;
            return true;
        }
        self.seen = Some(now);
        false
    }

    /// A configuration was refused that was made of these. They are looked at, too: mending them may be all that it takes.
    pub fn refused(&mut self, held: Held) {
        self.tried.extend(held);
        self.seen = None;
    }
}

/// What these files hold now. Reads them, so it may wait for a disk.
#[must_use]
pub fn look_at<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Held {
    paths.into_iter().map(|path| (path.to_path_buf(), Digest::of_file(path))).collect()
}

#[cfg(test)]
mod tests;
