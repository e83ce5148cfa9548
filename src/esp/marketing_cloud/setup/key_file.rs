//! The file for a signature key, which is shown only once.
//!
//! It is made before the key is asked for, readable by its owner alone, and never over another key: so it is known that the
//! key can be kept before there is one. A file that is empty has no key: a run that was killed leaves one, and the next run
//! takes it.

use secrecy::{ExposeSecret, SecretString};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file that is there, and empty still. It is gone again unless a key was written to it.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl KeyFile {
    /// Makes one where there is none, or takes an empty one that nobody is about to fill.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !is_taken(path) => {
                let file = OpenOptions::new().write(true).open(path)?;
                file.set_permissions(Permissions::from_mode(0o600))?;
                file
            }
            made => made?,
        };
        file.try_lock().map_err(|_| ErrorKind::AlreadyExists)?;
        if file.metadata()?.len() > 0 {
            return Err(ErrorKind::AlreadyExists.into());
        }
        Ok(Self { path: path.to_owned(), file, is_written: false })
    }

    /// Writes the key, to the disk.
    pub fn write(&mut self, key: &SecretString) -> io::Result<()> {
        self.file.write_all(format!("{}\n", key.expose_secret()).as_bytes())?;
        self.file.sync_all()?;
        self.is_written = true;
        // The name, too; not every file system can.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// The key that was written is good for nothing anymore.
    pub fn discard(&mut self) {
        self.is_written = false;
    }
}

/// Whether there is something that may be a key, or that can't be looked at.
pub fn is_taken(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(held) => !held.is_file() || held.len() > 0,
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        if !self.is_written {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
