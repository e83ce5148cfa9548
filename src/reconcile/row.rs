//! What a row of the temporary files is: an account as Gigya's search gave it, or a record as an ESP's list gave its parts.

use crate::domain::Uid;
use crate::esp::{Esp, Record};
use crate::forward::Line;
use crate::gigya::Account;
use std::sync::Arc;

/// What a row is of: an account, or an audience's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// An account.
    Account,
    /// A record of the audience at this place.
    Audience(u16),
}

impl Of {
    /// Of the audience at this place. There are at most as many at once as routes are compared at once.
    pub fn audience(place: usize) -> Self {
        Self::Audience(u16::try_from(place).unwrap_or(u16::MAX - 1))
    }
}

/// A row before it is written, and after it was read.
#[derive(Debug)]
pub struct Row<'a> {
    pub of: Of,
    /// At which routes the account has a record at its own address: one bit each.
    pub matched: u64,
    /// The account's JSON, or the record's parts.
    pub parts: Vec<&'a [u8]>,
}

const LENGTH: usize = size_of::<u32>();

impl<'a> Row<'a> {
    pub fn new(of: Of, parts: Vec<&'a [u8]>) -> Self {
        Self { of, matched: 0, parts }
    }

    /// Writes it into an empty buffer.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.clear();
        let of = match self.of {
            Of::Account => u16::MAX,
            Of::Audience(index) => index,
        };
        into.extend_from_slice(&of.to_le_bytes());
        into.extend_from_slice(&self.matched.to_le_bytes());
        for part in &self.parts {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            into.extend_from_slice(&length.to_le_bytes());
            into.extend_from_slice(part);
        }
    }

    /// Reads it again. None if it isn't one.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (of, rest) = bytes.split_first_chunk::<2>()?;
        let (matched, mut rest) = rest.split_first_chunk::<8>()?;
        let of = match u16::from_le_bytes(*of) {
            u16::MAX => Of::Account,
            index => Of::Audience(index),
        };
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<LENGTH>()?;
            let (part, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            parts.push(part);
            rest = after;
        }
        Some(Self { of, matched: u64::from_le_bytes(*matched), parts })
    }

    /// The account that it is, if it is one.
    pub fn account(&self) -> Option<Account> {
        Account::read(std::str::from_utf8(self.parts.first()?).ok()?, None).ok()?
    }

    /// The record that it is, if it is one.
    pub fn record(&self, line: &Line<'_>) -> Option<Record> {
        combine(line.esp(), line, &self.parts)
    }
}

/// The record that these parts make.
pub fn combine(esp: &Arc<dyn Esp>, line: &Line<'_>, parts: &[&[u8]]) -> Option<Record> {
    esp.combine(&line.route().audience, parts)
}

/// A UID as a key of the second look.
pub fn key_of(uid: &Uid) -> &[u8] {
    uid.expose().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            of in any::<u16>(), matched in any::<u64>(), parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5)
        ) {
            let of = if of == u16::MAX { Of::Account } else { Of::Audience(of) };
            let row = Row { of, matched, parts: parts.iter().map(Vec::as_slice).collect() };
            let mut bytes = b"something from before".to_vec();
            row.encode(&mut bytes);
            let read = Row::decode(&bytes).unwrap();
            prop_assert_eq!((read.of, read.matched, read.parts), (row.of, row.matched, row.parts));
        }

        #[test]
        fn what_isnt_a_row_is_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Row::decode(&bytes);
        }
    }
}
