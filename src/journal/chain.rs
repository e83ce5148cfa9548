//! The chain that joins receipts: each has a digest of its own content, and a hash of that digest and the hash before it.
//! Whoever changes, removes or inserts a receipt later would have to make every later hash anew.
//!
//! A receipt's digest is salted. To erase a person, what stands for them goes together with the salt: the digest stays,
//! the chain holds, and nobody can try addresses against it.

use super::keys::Hash;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

/// Where a chain begins.
pub const BEGINNING: Hash = [0; 32];

/// Takes a receipt's fields up, in the order of its columns.
pub struct Content(Sha256);

impl Content {
    /// Begins with the salt.
    pub fn salted(salt: &[u8]) -> Self {
        Self(Sha256::new()).bytes(Some(salt))
    }

    /// A field, or that there is none.
    pub fn bytes(mut self, field: Option<&[u8]>) -> Self {
        match field {
            Some(field) => {
                self.0.update([1]);
                self.0.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
                self.0.update(field);
            }
            None => self.0.update([0]),
        }
        self
    }

    /// A text.
    pub fn text(self, field: Option<&str>) -> Self {
        self.bytes(field.map(str::as_bytes))
    }

    /// A number.
    pub fn number(self, field: Option<i64>) -> Self {
        self.bytes(field.map(i64::to_be_bytes).as_ref().map(|bytes| &bytes[..]))
    }

    /// The digest.
    pub fn digest(self) -> Hash {
        self.0.finalize().into()
    }
}

/// The hash of a receipt, joined to the one before it.
pub fn join(before: &Hash, seq: i64, digest: &Hash) -> Hash {
    Sha256::new().chain_update(before).chain_update(seq.to_be_bytes()).chain_update(digest).finalize().into()
}

/// What the first receipt that there is was joined to: the beginning of all, or the last one that was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The place before the first.
    pub seq: i64,
    /// The hash there.
    pub hash: Hash,
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "receipts up to {}, whose hash is {}", self.seq, hex::encode(self.hash))
    }
}

/// What a pruning adds that was told to go on although the chain didn't hold.
pub const DID_NOT_HOLD: &str = "; the chain did not hold then";

/// Places in the chain, as an erasure tells them: `1-3,7` for 1, 2, 3 and 7.
#[derive(Clone, Debug, Default)]
pub struct Ranges(Vec<RangeInclusive<i64>>);

impl Ranges {
    /// Of these places.
    pub fn of(places: &BTreeSet<i64>) -> Self {
        let mut ranges: Vec<RangeInclusive<i64>> = Vec::new();
        for place in places {
            match ranges.last_mut() {
                Some(range) if range.end() + 1 == *place => *range = *range.start()..=*place,
                _ => ranges.push(*place..=*place),
            }
        }
        Self(ranges)
    }

    /// Those of a text, too. What can't be read is left out.
    pub fn add(&mut self, text: &str) {
        let range = |range: &str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        self.0.extend(text.split(',').filter_map(range));
    }

    /// Which of these places, in their order, aren't among them.
    pub fn lack(mut self, places: &[i64]) -> Vec<i64> {
        self.0.sort_by_key(|range| *range.start());
        let mut ranges = self.0.into_iter().peekable();
        let mut end = i64::MIN;
        let is_lacking = |place: &&i64| {
            while let Some(range) = ranges.next_if(|range| range.start() <= *place) {
                end = end.max(*range.end());
            }
            end < **place
        };
        places.iter().filter(is_lacking).copied().collect()
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_as_ranges_and_back() {
        for (places, text) in [(vec![], ""), (vec![1, 2, 3, 7], "1-3,7"), (vec![5], "5"), (vec![1, 3, 4], "1,3-4")] {
            assert_eq!(Ranges::of(&places.iter().copied().collect()).to_string(), text);
            let mut ranges = Ranges::default();
            ranges.add(text);
            let others: Vec<_> = (0..9).filter(|place| !places.contains(place)).collect();
            assert_eq!(ranges.lack(&(0..9).collect::<Vec<_>>()), others);
        }
    }

    #[test]
    fn ranges_of_several_texts_may_overlap_and_be_of_any_size() {
        let mut ranges = Ranges::default();
        for text in ["5-9,2", "1-9223372036854775807", "7", "x,3-,-4"] {
            ranges.add(text);
        }
        assert_eq!(ranges.lack(&[-1, 0, 1, 8, i64::MAX]), [-1, 0]);
    }

    #[test]
    fn no_two_lists_of_fields_have_one_digest() {
        let begin = || Content::salted(b"salt");
        let digests = [
            begin().text(Some("ab")).text(Some("c")).digest(),
            begin().text(Some("a")).text(Some("bc")).digest(),
            begin().text(Some("abc")).text(None).digest(),
            begin().text(Some("abc")).text(Some("")).digest(),
            begin().number(Some(1)).digest(),
            begin().number(None).digest(),
            Content::salted(b"other").number(None).digest(),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[at + 1..].contains(one));
        }
    }

    #[test]
    fn a_hash_depends_on_place_content_and_all_before() {
        let first = join(&BEGINNING, 1, &[7; 32]);
        assert_ne!(first, join(&BEGINNING, 2, &[7; 32]));
        assert_ne!(first, join(&BEGINNING, 1, &[8; 32]));
        assert_ne!(join(&first, 2, &[7; 32]), join(&BEGINNING, 2, &[7; 32]));
    }
}
