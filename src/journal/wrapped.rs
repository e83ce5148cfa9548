//! The journal's own keys as they stand in it: each wrapped by a key from the configuration.

use super::fault::JournalFault;
use super::keys::{Keys, Sealed, Sealer};
use sqlx::{AnyConnection, Row};

/// What each of them is called.
pub const NAMES: [&str; 2] = ["lookup", "data"];

/// Both of them, in the order of [`NAMES`], each with the place of the configured key that opened it.
pub struct Unwrapped([(usize, Vec<u8>); 2]);

/// Why they can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// One of them isn't there.
    Missing,
    /// No configured key opens one of them.
    Keys,
}

impl Unwrapped {
    /// Opens both with whichever key fits.
    pub async fn read(
        connection: &mut AnyConnection,
        sealers: &[Sealer],
    ) -> Result<Result<Self, Locked>, JournalFault> {
        let mut both = [const { (0, Vec::new()) }; 2];
        for (name, place) in NAMES.into_iter().zip(&mut both) {
            let row = sqlx::query("SELECT wrapped FROM journal_key WHERE name = $1").bind(name);
            let Some(row) = row.fetch_optional(&mut *connection).await? else { return Ok(Err(Locked::Missing)) };
            let wrapped: Vec<u8> = row.try_get(0)?;
            let opened = sealers.iter().enumerate();
            let mut opened = opened.filter_map(|(at, sealer)| Some((at, sealer.open(Sealed::Key, &wrapped).ok()?)));
            let Some(opened) = opened.next() else { return Ok(Err(Locked::Keys)) };
            *place = opened;
        }
        Ok(Ok(Self(both)))
    }

    /// Those that another key than the first opened, by their names.
    pub fn by_another_key(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        NAMES.into_iter().zip(&self.0).filter(|(_, (by, _))| *by > 0).map(|(name, (_, key))| (name, &key[..]))
    }

    /// Ready to be used.
    pub fn into_keys(self) -> Result<Keys, JournalFault> {
        let [(_, lookup), (_, data)] = self.0;
        Keys::new(lookup, &data)
    }
}
