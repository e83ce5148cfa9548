//! What one commit writes, in one order: links, events set aside, unfinished ones, and receipts last, as that is where
//! replicas get into each other's way.

use super::entries::Entries;
use super::fault::JournalFault;
use super::keys::Keys;
use super::receipts::{self, Draft, Head, Known};
use super::rows::statements;
use super::{links, queue, rejected};
use jiff::Timestamp;
use sqlx::AnyConnection;

/// What is to be written, once it is known what of it is there already.
pub struct Plan<'a> {
    entries: &'a Entries,
    known: Known<'a>,
    drafts: Vec<Draft>,
    links: links::Changes<'a>,
}

impl<'a> Plan<'a> {
    /// Looks what is there. Reads only, and outside of any transaction: who counts or tells the same at the same time does no
    /// harm.
    pub async fn make(connection: &mut AnyConnection, keys: &Keys, entries: &'a Entries) -> Result<Self, JournalFault> {
        let known = receipts::look_up(connection, keys, &entries.seen).await?;
        let mut drafts: Vec<_> = entries.receipts.iter().map(|receipt| Draft::of(receipt, false, keys)).collect();
        for seen in &known.without {
            let draft = Draft::of(&seen.receipt, true, keys);
            if !drafts.iter().any(|other| other.tells_the_same(&draft)) {
                drafts.push(draft);
            }
        }
        Ok(Self { entries, known, drafts, links: links::Changes::of(keys, &entries.links) })
    }

    /// Whether there is nothing to write.
    pub fn is_nothing(&self) -> bool {
        self.statements() == 0
    }

    /// Whether it takes one statement, which needs no transaction around it.
    pub fn is_one(&self) -> bool {
        self.statements() == 1
    }

    /// Whether receipts are among it.
    pub fn has_receipts(&self) -> bool {
        !self.drafts.is_empty()
    }

    fn statements(&self) -> usize {
        let Entries { rejected, unfinished, finished, .. } = self.entries;
        let rows = rejected.len() + finished.len() + self.known.statements();
        self.links.statements() + rows + statements(unfinished.len()) + statements(self.drafts.len())
    }

    /// Writes it, receipts behind `head`, without which there are none; says where the chain ends then.
    pub async fn write(
        &self,
        connection: &mut AnyConnection,
        keys: &Keys,
        now: Timestamp,
        head: Option<Head>,
    ) -> Result<Option<Head>, JournalFault> {
        let Entries { rejected, unfinished, finished, .. } = self.entries;
        self.links.write(connection, keys, now).await?;
        rejected::set_aside(connection, keys, rejected, now).await?;
        queue::add(connection, keys, unfinished, now).await?;
        queue::remove(connection, finished).await?;
        self.known.count(connection, now).await?;
        match head {
            Some(head) if self.has_receipts() => receipts::append(connection, &self.drafts, now, head).await.map(Some),
            head => Ok(head),
        }
    }
}
