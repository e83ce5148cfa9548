//! An audience as a whole: every record that has an address, by a query whose pages follow one another.
//!
//! Source: vendor page "Query" (`nextRecordsUrl`, which can be asked for again, and `totalSize`).

use super::provider::Salesforce;
use super::{soql, wire};
use crate::config::salesforce::SalesforceAudience;
use crate::domain::Consent;
use crate::esp::{Bookmark, ListPage, Part, Record, RecordKey};
use crate::upstream::{Deadline, Fault};

impl Salesforce {
    pub(super) async fn page(
        &self,
        audience: &SalesforceAudience,
        from: Option<&Bookmark>,
        deadline: Deadline,
    ) -> Result<ListPage, Fault> {
        let page = match from {
            Some(mark) => self.client.more(&mark.at, deadline).await?,
            None => {
                let condition = format!("{} != null", audience.object.address_field());
                self.client.query(&soql::select(&self.settings, audience, &condition), deadline).await?
            }
        };
        if !page.done && page.next_records_url.is_none() {
            return Err(Fault::Unavailable { cause: "list_incomplete" });
        }
        let parts = page.records.iter().filter_map(part).collect();
        let next = page.next_records_url.filter(|_| !page.done).map(Bookmark::at);
        Ok(ListPage { parts, next, total: page.total_size.filter(|_| from.is_none()) })
    }

    /// The record that a look at this id alone would have found. Who was read twice may have changed in between: the later
    /// change counts, in doubt the one that may not be mailed.
    pub(super) fn put_together(&self, audience: &SalesforceAudience, parts: &[&[u8]]) -> Option<Record> {
        let rows = parts.iter().filter_map(|said| serde_json::from_slice::<wire::Row>(said).ok());
        let rank = |row: &wire::Row| {
            let changed = wire::text_of(row, wire::LAST_MODIFIED).and_then(|text| wire::instant(&text));
            let is_out = matches!(wire::consent(&self.settings, audience, row), Consent::OptedOut { .. });
            (changed, is_out)
        };
        wire::record(&self.settings, audience, &rows.max_by_key(rank)?)
    }
}

fn part(row: &wire::Row) -> Option<Part> {
    let key = wire::text_of(row, "Id")?;
    let said = serde_json::to_vec(row).expect("a value serializes");
    Some(Part { key: RecordKey(key.into()), said })
}
