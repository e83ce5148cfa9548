//! Walks the chain of receipts, and says what in it isn't as it was written.

use super::chain::{Beginning, DID_NOT_HOLD, Ranges, join};
use super::database::Database;
use super::fault::JournalFault;
use super::keys::Hash;
use super::receipts::{self, Evidence, Kind};
use sqlx::{AnyConnection, Row};
use std::fmt;
use std::str::FromStr;

/// Receipts read at once.
const AT_ONCE: i64 = 1000;

/// What verifying the chain came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Receipts looked at.
    pub receipts: u64,
    /// Those of people who were erased.
    pub erased: u64,
    /// The first place in the chain; greater than one after pruning.
    pub first: i64,
    /// The last place.
    pub last: i64,
    /// The chain's last hash: keep it elsewhere to be able to show that nothing was cut off at the end.
    pub hash: String,
    /// Whether something was pruned although the chain didn't hold then.
    pub pruned_broken: bool,
    /// What doesn't hold, in the chain's order; empty if all does.
    pub broken: Vec<Broken>,
}

impl Verified {
    /// The chain's end, to be noted elsewhere.
    #[must_use]
    pub fn end(&self) -> String {
        format!("{}@{}", self.hash, self.last)
    }
}

/// Something in the chain that isn't as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where.
    pub seq: i64,
    /// What.
    pub what: &'static str,
}

/// The hash that the chain had at a place, as somebody noted it before: `HASH@SEQ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The place.
    pub seq: i64,
    hash: Hash,
}

impl FromStr for Noted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "write HASH@SEQ as an earlier journal verify said it: 64 hexadecimal digits, @, a number";
        let (hash, seq) = text.split_once('@').ok_or(SHAPE)?;
        let hash = hex::decode(hash).ok().and_then(|hash| Hash::try_from(hash).ok()).ok_or(SHAPE)?;
        let seq = seq.parse().ok().filter(|seq| *seq >= 0).ok_or(SHAPE)?;
        Ok(Self { seq, hash })
    }
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", hex::encode(self.hash), self.seq)
    }
}

impl Database {
    /// Walks the chain from its beginning to its end, as it is at one moment, and past what was noted before.
    ///
    /// # Errors
    /// If it can't be read. What it finds to be wrong is no error.
    pub async fn verify(&self, noted: &[Noted]) -> Result<Verified, JournalFault> {
        let mut look = self.without_hurry(self.flavour.look()).await?;
        let ends = Ends::read(&mut look).await?;
        let mut walk = Walk::from(&ends, noted);
        loop {
            let some = receipts::after(&mut look, walk.seq, AT_ONCE).await?;
            if some.is_empty() {
                return Ok(walk.end(&ends));
            }
            for (seq, receipt) in some {
                walk.meets(seq, receipt.as_ref());
            }
        }
    }
}

/// Where the chain begins, and how far it had come when that was last noted: within a second of its end.
struct Ends {
    before_first: Beginning,
    last: i64,
    hash: Hash,
}

impl Ends {
    async fn read(connection: &mut AnyConnection) -> Result<Self, JournalFault> {
        let sql = "SELECT first_seq, first_hash, seq, hash FROM journal_chain WHERE id = 1";
        let row = sqlx::query(sql).fetch_one(connection).await?;
        let hash = |at: usize| -> Result<Hash, JournalFault> {
            let hash: Vec<u8> = row.try_get(at)?;
            hash.try_into().map_err(|_| JournalFault::unreadable())
        };
        let before_first = Beginning { seq: row.try_get(0)?, hash: hash(1)? };
        Ok(Self { before_first, last: row.try_get(2)?, hash: hash(3)? })
    }
}

/// How far the chain was walked.
struct Walk<'a> {
    ends: &'a Ends,
    noted: &'a [Noted],
    seq: i64,
    /// The hash there; none if it can't be read.
    hash: Option<Hash>,
    receipts: u64,
    erased: Vec<i64>,
    erasures: Ranges,
    /// What a pruning must have told, if there was one.
    pruning: Option<String>,
    pruned_broken: bool,
    broken: Vec<Broken>,
}

impl<'a> Walk<'a> {
    fn from(ends: &'a Ends, noted: &'a [Noted]) -> Self {
        let Beginning { seq, hash } = ends.before_first;
        let mut walk = Self {
            ends,
            noted,
            seq,
            hash: Some(hash),
            receipts: 0,
            erased: Vec::new(),
            erasures: Ranges::default(),
            pruning: Some(ends.before_first).filter(|begin| begin.seq > 0).map(|begin| begin.to_string()),
            pruned_broken: false,
            broken: Vec::new(),
        };
        for noted in noted.iter().filter(|noted| noted.seq < seq) {
            walk.broken.push(Broken {
                seq: noted.seq,
                what: "what was noted here was pruned since, so it can't be compared: give a later one",
            });
        }
        walk.compares();
        walk
    }

    fn breaks(&mut self, seq: i64, what: &'static str) {
        self.broken.push(Broken { seq, what });
    }

    fn meets(&mut self, seq: i64, receipt: Option<&Evidence>) {
        let follows = seq == self.seq + 1;
        if !follows {
            self.breaks(self.seq + 1, "receipts are missing from here to the next one");
        }
        let before = self.hash.take().filter(|_| follows);
        self.seq = seq;
        self.receipts += 1;
        let Some(receipt) = receipt else {
            return self.breaks(seq, "it can't be read: something in it is none of what the gateway writes");
        };
        self.checks(receipt, before);
        if seq == self.ends.last && self.hash.is_some_and(|hash| hash != self.ends.hash) {
            self.breaks(seq, "its hash is not the one that the chain had here");
        }
        self.compares();
    }

    fn checks(&mut self, receipt: &Evidence, before: Option<Hash>) {
        let seq = receipt.seq;
        self.hash = Hash::try_from(receipt.row.hash.clone()).ok();
        let Ok(digest) = Hash::try_from(receipt.row.digest.clone()) else {
            return self.breaks(seq, "its digest is no digest");
        };
        if receipt.digest().is_some_and(|must_be| must_be != digest) {
            self.breaks(seq, "its content is not what was written");
        }
        // Goes on from what is there, so that one change is told once.
        if before.is_some_and(|before| self.hash != Some(join(&before, seq, &digest))) {
            self.breaks(seq, "it doesn't follow from the one before it");
        }
        if receipt.is_erased() {
            self.erased.push(seq);
        }
        let note = receipt.note.as_deref().unwrap_or_default();
        match receipt.kind {
            Kind::Erasure => self.erasures.add(note),
            Kind::Pruning => {
                let told = note.strip_suffix(DID_NOT_HOLD);
                self.pruned_broken |= told.is_some();
                self.pruning.take_if(|pruning| pruning == told.unwrap_or(note));
            }
            Kind::Change(_) => {}
        }
    }

    /// With what was noted of this place.
    fn compares(&mut self) {
        let Some(hash) = self.hash else { return };
        if self.noted.iter().any(|noted| noted.seq == self.seq && noted.hash != hash) {
            self.breaks(self.seq, "its hash is not the one that was noted: all up to here may have been written anew");
        }
    }

    fn end(mut self, ends: &Ends) -> Verified {
        if self.seq < ends.last {
            self.breaks(self.seq + 1, "receipts are missing at the end");
        }
        if self.pruning.is_some() {
            self.breaks(ends.before_first.seq, "receipts up to here are gone, and no pruning tells of that");
        }
        for noted in self.noted.iter().filter(|noted| noted.seq > self.seq) {
            let what = "this place was noted, and the chain ends before it: receipts were cut off";
            self.broken.push(Broken { seq: noted.seq, what });
        }
        for seq in self.erasures.clone().lack(&self.erased) {
            self.breaks(seq, "the person is gone from it, and no erasure tells of that");
        }
        self.broken.sort_by_key(|broken| broken.seq);
        Verified {
            receipts: self.receipts,
            erased: u64::try_from(self.erased.len()).unwrap_or(u64::MAX),
            first: ends.before_first.seq + 1,
            last: self.seq,
            hash: self.hash.map(hex::encode).unwrap_or_default(),
            pruned_broken: self.pruned_broken,
            broken: self.broken,
        }
    }
}
