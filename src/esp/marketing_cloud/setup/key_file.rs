//! The file for a signature key, which is shown only once.
//!
//! It is made before the key is asked for, readable by its owner alone, and never over another one: so it is known that the
//! key can be kept before there is one.

use secrecy::{ExposeSecret, SecretString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that is there, and empty still. It is gone again unless a key was written to it.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl KeyFile {
    /// Makes one where there is none.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
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

impl Drop for KeyFile {
    fn drop(&mut self) {
        if !self.is_written {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
