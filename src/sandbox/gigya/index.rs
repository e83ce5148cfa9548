//! The search index, which is late: it shows each account as it was a while ago, a deleted one for perhaps longer.

use super::account::Row;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What the index doesn't know yet. Whoever isn't in here is shown as they are.
pub struct Index {
    delay: SignedDuration,
    /// For deleted accounts.
    longer: SignedDuration,
    late: BTreeMap<Arc<str>, Versions>,
    /// Who is in there, since when.
    changes: VecDeque<(Timestamp, Arc<str>)>,
}

/// What an account was, since when; nothing where it was deleted.
type Versions = VecDeque<(Timestamp, Option<Row>)>;

impl Index {
    pub fn new(delay: Duration, deleted_is_found: Duration) -> Self {
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        let (delay, longer) = (signed(delay), signed(deleted_is_found.max(delay)));
        Self { delay, longer, late: BTreeMap::new(), changes: VecDeque::new() }
    }

    /// Whether it need be told of changes at all.
    pub const fn is_late(&self) -> bool {
        !self.longer.is_zero()
    }

    /// An account changed.
    pub fn note(&mut self, uid: &Arc<str>, before: Option<Row>, at: Timestamp, after: Option<Row>) {
        self.settle(at);
        let versions = self
            .late
            .entry(Arc::clone(uid))
            .or_insert_with(|| before.map(|before| (Timestamp::MIN, Some(before))).into_iter().collect());
        versions.push_back((at, after));
        self.changes.push_back((at, Arc::clone(uid)));
    }

    /// Forgets what is no longer shown.
    fn settle(&mut self, now: Timestamp) {
        let horizon = before(now, self.longer);
        while let Some((_, uid)) = self.changes.pop_front_if(|(at, _)| *at <= horizon) {
            let Some(versions) = self.late.get_mut(&uid) else { continue };
            while versions.get(1).is_some_and(|(at, _)| *at <= horizon) {
                versions.pop_front();
            }
            if versions.len() == 1 && versions[0].0 <= horizon {
                self.late.remove(&uid);
            }
        }
    }

    /// Whose index entry is late, and what it shows instead.
    pub fn late(&self, now: Timestamp) -> impl Iterator<Item = (&Arc<str>, Option<&Row>)> {
        let shown = move |versions| self.shown(versions, now);
        self.late.iter().map(move |(uid, versions)| (uid, shown(versions)))
    }

    /// Whether it doesn't show somebody as they are.
    pub fn is_late_about(&self, uid: &str) -> bool {
        self.late.contains_key(uid)
    }

    /// What it shows of one who is late.
    pub fn late_one(&self, uid: &str, now: Timestamp) -> Option<&Row> {
        self.shown(self.late.get(uid)?, now)
    }

    fn shown<'a>(&self, versions: &'a Versions, now: Timestamp) -> Option<&'a Row> {
        let (seen, seen_deleted) = (before(now, self.delay), before(now, self.longer));
        let is_seen = |(at, row): &&(Timestamp, Option<Row>)| *at <= if row.is_some() { seen } else { seen_deleted };
        versions.iter().rev().find(is_seen)?.1.as_ref()
    }
}

fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}
