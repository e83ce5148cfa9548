//! Whether the journal's file is still the one that was opened. A file that is moved away or deleted while it is open can be
//! written on and on, and nobody finds it afterwards.

use super::fault::JournalFault;
use crate::config::JournalStore;
use std::path::{Path, PathBuf};

/// The file that was opened; none for a server.
pub struct Place(Option<(PathBuf, Identity)>);

/// What tells a file from another one of the same name.
type Identity = (u64, u64);

impl Place {
    /// As it is now.
    pub fn of(store: &JournalStore) -> Self {
        match store {
            JournalStore::Sqlite(path) => Self(identity(path).map(|identity| (path.clone(), identity))),
            JournalStore::Postgres(_) => Self(None),
        }
    }

    /// Fails if it is gone, or another one is in its place.
    pub fn check(&self) -> Result<(), JournalFault> {
        match &self.0 {
            Some((path, opened)) if identity(path) != Some(*opened) => Err(JournalFault::new(
                "its file was moved or replaced: put it back, or restart to go on with what is there now",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    path.exists().then_some((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_moved_or_replaced_is_missed_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (file, away) = (folder.path().join("journal.db"), folder.path().join("away"));
        std::fs::write(&file, "it").unwrap();
        let place = Place::of(&JournalStore::Sqlite(file.clone()));
        assert_eq!(place.check(), Ok(()));
        std::fs::rename(&file, &away).unwrap();
        place.check().unwrap_err();
        std::fs::write(&file, "another").unwrap();
        place.check().unwrap_err();
        std::fs::rename(&away, &file).unwrap();
        assert_eq!(place.check(), Ok(()));
    }
}
