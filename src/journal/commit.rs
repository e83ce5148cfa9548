//! What one commit writes, in one order: links, events set aside, unfinished ones, and receipts last, as that is where
//! replicas get into each other's way.

use super::entries::Entries;
use super::fault::JournalFault;
use super::keys::Keys;
use super::known::{self, Known};
use super::receipts::{self, Draft, Head};
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
        let known = known::look_up(connection, keys, &entries.seen).await?;
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
        let several = [rejected.len(), unfinished.len(), self.drafts.len()].map(statements).iter().sum::<usize>();
        self.links.statements() + finished.len() + self.known.statements() + several
    }

    /// Where the chain ends, if receipts are to be joined to it and that isn't known.
    pub async fn head(&self, connection: &mut AnyConnection, head: Option<Head>) -> Result<Option<Head>, JournalFault> {
        match head {
            None if self.has_receipts() => Head::read(connection).await.map(Some),
            head => Ok(head),
        }
    }

    /// Writes it, receipts behind `head`; if that isn't known it is read at the last moment, as other replicas go on
    /// meanwhile. Says where the chain ends then.
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
        match self.head(connection, head).await? {
            Some(head) if self.has_receipts() => receipts::append(connection, &self.drafts, now, head).await.map(Some),
            head => Ok(head),
        }
    }
}
