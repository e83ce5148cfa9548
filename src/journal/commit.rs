//! What one commit writes, in one order: links, events set aside, unfinished ones, and receipts last, as all replicas join
//! theirs to one chain and wait for each other there.

use super::entries::Entries;
use super::fault::JournalFault;
use super::keys::Keys;
use super::receipts::Draft;
use super::{links, queue, receipts, rejected};
use jiff::Timestamp;
use sqlx::AnyConnection;

/// Writes entries within a transaction.
pub async fn write(
    connection: &mut AnyConnection,
    keys: &Keys,
    entries: &Entries,
    now: Timestamp,
) -> Result<(), JournalFault> {
    links::change(connection, keys, &entries.links, now).await?;
    rejected::set_aside(connection, keys, &entries.rejected, now).await?;
    queue::add(connection, keys, &entries.unfinished, now).await?;
    queue::remove(connection, &entries.finished).await?;
    let found = receipts::seen_again(connection, keys, &entries.seen, now).await?;
    let mut drafts: Vec<_> = entries.receipts.iter().map(|receipt| Draft::of(receipt, false, keys)).collect();
    for seen in found {
        let draft = Draft::of(&seen.receipt, true, keys);
        if !drafts.iter().any(|other| other.tells_the_same(&draft)) {
            drafts.push(draft);
        }
    }
    receipts::append(connection, &drafts, now).await
}
