//! What a configuration was made from, as digests: so that it can be told whether something changed, and what.
//!
//! Nobody who holds these can tell a secret from them, as they never print.

use crate::domain::ConnectionName;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most of a file that is looked at; no secret and no configuration is as long.
const LONGEST: u64 = 4 << 20;

/// Stands for some bytes. `Debug` hides it: of a secret that can be guessed it would tell whether a guess is right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of this and of what follows it.
    #[must_use]
    pub fn and(self, bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(bytes).finalize().into())
    }

    /// Of this and of what another one stands for.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        self.and(&other.0)
    }

    /// Of what a file holds now; `None` if it can't be read. Something else than a file, such as a pipe, is not
    /// read, as that would take away what is in it.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Self> {
        if !std::fs::metadata(path).ok()?.is_file() {
            return None;
        }
        let mut content = Vec::new();
        std::fs::File::open(path).ok()?.take(LONGEST).read_to_end(&mut content).ok()?;
        // Wiped when it is dropped.
        let content = SecretSlice::from(content);
        Some(Self::of(content.expose_secret()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(hidden)")
    }
}

/// Files, and what each of them held; `None` for one that couldn't be read.
pub type Held = BTreeMap<PathBuf, Option<Digest>>;

/// What a configuration was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The configuration file itself.
    pub(super) file: Held,
    /// Files that secrets were read from.
    pub(super) secret_files: Held,
    /// Secrets by their key (`campaign_monitor.news.callback_tokens`).
    pub(super) secrets: BTreeMap<String, Digest>,
    /// Connections by their table (`gigya.main`): all that was set, secrets included.
    pub(super) connections: BTreeMap<String, Digest>,
}

impl Sources {
    /// The files that secrets were read from, and with `configuration` the configuration's own; as they were when they were
    /// read. Pipes and the like, which can be read only once, are not among them.
    #[must_use]
    pub fn files(&self, configuration: bool) -> Held {
        let own = self.file.iter().filter(|_| configuration);
        let files = self.secret_files.iter().chain(own);
        files.filter(|(path, _)| !is_no_file(path)).map(|(path, digest)| (path.clone(), *digest)).collect()
    }

    /// Files from which a secret was read for the former ones, and which are only to come for these: a gateway that runs would
    /// lose it.
    #[must_use]
    pub fn vanished_since(&self, former: &Self) -> Vec<PathBuf> {
        let was_read = |path: &PathBuf| former.secret_files.get(path).is_some_and(Option::is_some);
        let to_come = self.secret_files.iter().filter(|(_, digest)| digest.is_none());
        to_come.map(|(path, _)| path.clone()).filter(was_read).collect()
    }

    /// Secrets by their key, with what stands for them.
    #[must_use]
    pub fn secrets(&self) -> &BTreeMap<String, Digest> {
        &self.secrets
    }

    /// Connections by their table (`gigya.main`), with what stands for all that was set, secrets included.
    #[must_use]
    pub fn connections(&self) -> &BTreeMap<String, Digest> {
        &self.connections
    }

    /// What stands for all that was set of a connection, secrets included: if it is the same, so is the connection.
    #[must_use]
    pub fn connection(&self, table: &str, name: &ConnectionName) -> Option<Digest> {
        self.connections.get(&format!("{table}.{name}")).copied()
    }

    /// One more secret under this key.
    pub(super) fn note_secret(&mut self, key: String, secret: &str) {
        let digest = Digest::of(secret.as_bytes());
        self.secrets.entry(key).and_modify(|before| *before = before.with(digest)).or_insert(digest);
    }

    /// A connection, with what its table says; after its secrets.
    pub(super) fn note_connection(&mut self, path: &str, settings: &str) {
        let mut digest = Digest::of(settings.as_bytes());
        let is_its = |key: &str| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        for (key, secret) in self.secrets.iter().filter(|(key, _)| is_its(key)) {
            digest = digest.and(key.as_bytes()).with(*secret);
        }
        self.connections.insert(path.to_owned(), digest);
    }

    /// Something that a connection's settings mean besides what stands in its table.
    pub(super) fn note_more(&mut self, path: &str, meaning: &str) {
        if let Some(digest) = self.connections.get_mut(path) {
            *digest = digest.and(meaning.as_bytes());
        }
    }
}

fn is_no_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}
