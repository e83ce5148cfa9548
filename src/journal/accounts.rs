//! Which accounts had an address, by what is encrypted in links: whoever erases an address is told whom else to erase.

use super::database::Database;
use super::fault::JournalFault;
use super::links;
use crate::domain::{ConnectionName, Email, Uid};
use sqlx::Row;
use std::collections::BTreeMap;

impl Database {
    /// The accounts that had an address, as far as links tell: under this address, or under another one by now.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn accounts_at(&self, address: &Email) -> Result<Vec<(ConnectionName, Uid)>, JournalFault> {
        let hash = self.keys.address(address).to_vec();
        let rows = sqlx::query(
            "SELECT gigya, sealed FROM journal_link WHERE address = $1 \
             OR person IN (SELECT person FROM journal_receipt WHERE address = $2)",
        );
        let mut accounts = BTreeMap::new();
        for row in rows.bind(hash.clone()).bind(hash).fetch_all(&self.readers).await? {
            let (gigya, sealed): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            let uid = links::uid(&self.keys, &sealed)?;
            accounts.insert((gigya, uid.expose().to_owned()), uid);
        }
        Ok(accounts.into_iter().map(|((gigya, _), uid)| (ConnectionName::new(&gigya), uid)).collect())
    }
}
