//! `[reconcile]`: how fast, and how much at once.

use super::super::model::Reconcile;
use super::super::reader::Reader;
use super::subtable;

/// What it says; what it doesn't say is as by default.
pub fn read(root: &mut Reader<'_>) -> Reconcile {
    let (table, place) = subtable(root, "reconcile");
    let mut reconcile = root.sub("reconcile", place, table);
    let read = Reconcile {
        calls_per_minute: reconcile.count("calls_per_minute", 3_000, 1, 10_000_000),
        max_concurrent_calls: reconcile.count("max_concurrent_calls", 16, 1, 10_000),
        accounts_per_page: reconcile.count("accounts_per_page", 1_000, 10, 10_000),
        max_removals: reconcile.count("max_removals", 1_000, 0, usize::MAX),
        max_removal_share: reconcile.ratio("max_removal_share", 0.01),
    };
    reconcile.end();
    read
}
