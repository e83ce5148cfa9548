//! A folder with all that a running sandbox's gateway has: its configuration, its secrets, its journal. So every other command
//! can be tried beside it. It goes with the sandbox.

use super::{Outfit, Sandbox};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A temporary folder of this user's alone.
pub struct Folder(TempDir);

impl Folder {
    /// Makes it.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub fn make() -> std::io::Result<Self> {
        tempfile::Builder::new().prefix("gigya-esp-gateway-sandbox-").tempdir().map(Self)
    }

    /// Where the journal is to be.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.0.path().join("journal.db")
    }

    /// Writes the configuration of a sandbox's first gateway, with its secrets as files beside it; returns where it is.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, sandbox: &Sandbox) -> std::io::Result<PathBuf> {
        let Outfit { configuration, environment } = &sandbox.outfit;
        let (webhooks, operations) = (sandbox.gateways[0], sandbox.operations[0]);
        // The ports that it got, in place of any that are free.
        let listens = format!("admin_listen = \"{operations}\"\npublic_url = \"http://{webhooks}\"");
        let mut text = configuration.replacen("admin_listen = \"127.0.0.1:0\"", &listens, 1).replacen(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"{webhooks}\""),
            1,
        );
        for (name, secret) in environment {
            let variable = format!("env = \"{name}\"");
            if text.contains(&variable) {
                text = text.replace(&variable, &format!("file = \"{name}\""));
                write_secretly(&self.0.path().join(name), secret)?;
            }
        }
        let path = self.0.path().join("gateway.toml");
        write_secretly(&path, &text)?;
        Ok(path)
    }

    /// Removes it, with the journal.
    pub fn remove(self) {
        let _ = self.0.close();
    }
}

fn write_secretly(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
