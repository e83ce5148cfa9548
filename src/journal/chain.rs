//! The chain that joins receipts: each has a digest of its own content, and a hash of that digest and the hash before it.
//! Whoever changes, removes or inserts a receipt later would have to make every later hash anew.
//!
//! A receipt's digest is salted. To erase a person, what stands for them goes together with the salt: the digest stays,
//! the chain holds, and nobody can try addresses against it.

use super::keys::Hash;
use sha2::{Digest, Sha256};

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

#[cfg(test)]
mod tests {
    use super::*;

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
