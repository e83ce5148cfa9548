//! An ordered set whose members are found by their rank: how a page in the midst of a million is cut without
//! walking there.

/// A chunk is split where it grows beyond this.
const LARGEST: usize = 2048;

/// Members in order, in chunks.
#[derive(Clone, Debug)]
pub(super) struct Ranked<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Ranked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Ord> Ranked<T> {
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The chunk that a member is in, or would be.
    fn chunk_of(&self, member: &T) -> usize {
        let after = self.chunks.partition_point(|chunk| chunk.first().is_some_and(|first| first <= member));
        after.saturating_sub(1)
    }

    /// Adds a member; one that is there stays.
    pub fn insert(&mut self, member: T) {
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        let nth = self.chunk_of(&member);
        let chunk = &mut self.chunks[nth];
        let Err(place) = chunk.binary_search(&member) else { return };
        chunk.insert(place, member);
        self.len += 1;
        if chunk.len() > LARGEST {
            // Members that come in order leave full chunks behind.
            let is_last = place + 1 == chunk.len();
            let half = chunk.split_off(if is_last { LARGEST } else { LARGEST / 2 });
            self.chunks.insert(nth + 1, half);
        }
    }

    pub fn remove(&mut self, member: &T) {
        let nth = self.chunk_of(member);
        let Some(chunk) = self.chunks.get_mut(nth) else { return };
        let Ok(place) = chunk.binary_search(member) else { return };
        chunk.remove(place);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(nth);
        }
    }

    /// How many come before this.
    pub fn rank(&self, member: &T) -> usize {
        let nth = self.chunk_of(member);
        let before: usize = self.chunks[..nth].iter().map(Vec::len).sum();
        before + self.chunks.get(nth).map_or(0, |chunk| chunk.partition_point(|held| held < member))
    }

    /// The members from a rank on.
    pub fn starting_at(&self, rank: usize) -> impl Iterator<Item = &T> {
        let (mut nth, mut skipped) = (0, rank.min(self.len));
        while let Some(chunk) = self.chunks.get(nth).filter(|chunk| chunk.len() <= skipped) {
            skipped -= chunk.len();
            nth += 1;
        }
        self.chunks[nth..].iter().flatten().skip(skipped)
    }

    /// Some members from the end, the last first, after as many.
    pub fn backwards(&self, after: usize) -> impl Iterator<Item = &T> {
        let (mut end, mut skipped) = (self.chunks.len(), after.min(self.len));
        while let Some(chunk) = end.checked_sub(1).map(|nth| &self.chunks[nth]).filter(|chunk| chunk.len() <= skipped) {
            skipped -= chunk.len();
            end -= 1;
        }
        self.chunks[..end].iter().rev().flat_map(|chunk| chunk.iter().rev()).skip(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn does_what_an_ordinary_set_does_and_knows_ranks() {
        let mut chance = fastrand::Rng::with_seed(7);
        let (mut ranked, mut plain) = (Ranked::default(), BTreeSet::new());
        for round in 0..60_000 {
            let member = chance.u32(..30_000);
            if chance.u8(..3) == 0 && round > 20_000 {
                ranked.remove(&member);
                plain.remove(&member);
            } else {
                ranked.insert(member);
                plain.insert(member);
            }
        }
        assert_eq!(ranked.len(), plain.len());
        assert!(ranked.starting_at(0).eq(&plain));
        assert!(ranked.backwards(0).eq(plain.iter().rev()));
        for _ in 0..100 {
            let (rank, member) = (chance.usize(..plain.len() + 9), chance.u32(..31_000));
            assert!(ranked.starting_at(rank).take(5).eq(plain.iter().skip(rank).take(5)));
            assert!(ranked.backwards(rank).take(5).eq(plain.iter().rev().skip(rank).take(5)));
            assert_eq!(ranked.rank(&member), plain.range(..member).count());
        }
    }
}
