//! Filling an audience: collections of up to 200 records.
//!
//! All of them are looked for at first; only those of whom nothing is there are sent, without a word on consent, so that one
//! who has come since, and is out, stays out.

use super::client::Made;
use super::find;
use super::provider::Salesforce;
use super::rest::Refusal;
use super::wire;
use crate::config::salesforce::SalesforceAudience;
use crate::domain::{Email, Uid};
use crate::esp::{Person, Written};
use crate::upstream::{Deadline, Fault};
use serde_json::json;

impl Salesforce {
    /// What became of each, in their order. [`Written::Moved`] is for who must be looked at alone.
    pub(super) async fn load_all(
        &self,
        audience: &SalesforceAudience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Result<Written, Fault>>, Fault> {
        let uids: Vec<&Uid> = people.iter().map(|person| &person.uid).collect();
        let addresses: Vec<&Email> = people.iter().map(|person| &person.address).collect();
        let place = (&self.client, &self.settings, audience);
        let there = find::find_all(place, &uids, &addresses, deadline).await?;
        let is_new = |person: &Person| {
            let is_alone = people.iter().filter(|other| other.uid == person.uid).count() == 1;
            let is_there = |record: &crate::esp::Record| {
                record.address == person.address || record.uid.as_ref() == Some(&person.uid)
            };
            is_alone && !there.iter().any(is_there)
        };
        let mut loaded = vec![Ok(Written::Moved); people.len()];
        let new: Vec<usize> = (0..people.len()).filter(|nth| is_new(&people[*nth])).collect();
        if new.is_empty() {
            return Ok(loaded);
        }
        let rows = new.iter().map(|nth| {
            let mut row = wire::written(&self.settings, audience, &people[*nth], true);
            row.insert(self.settings.uid_field.clone(), json!(people[*nth].uid.expose()));
            row
        });
        let answers = self.client.upsert_many(audience.object, rows.collect(), deadline).await?;
        for (nth, answer) in new.into_iter().zip(answers) {
            loaded[nth] = match answer {
                Ok(Made::New) => Ok(Written::Done),
                Ok(Made::Known) | Err(Refusal::Gone | Refusal::Moved) => Ok(Written::Moved),
                Err(refusal) => Err(refusal.fault()),
            };
        }
        Ok(loaded)
    }
}
