//! Filling an audience: many people by few calls.
//!
//! All of them are looked for at first; only those of whom nothing is there are created, and the API leaves one who has come
//! since as they are, so that no opt-out is undone. Rows alone can't be created so: they are written right after the look.
//! Source: vendor pages "Create" of the SOAP API (a result for each object, with its `OrdinalID`) and "Upsert a row set"; at most
//! 50 objects a call are advised for both.

use super::client::Write;
use super::find::Place;
use super::provider::MarketingCloud;
use super::soap::Written as Answered;
use super::wire;
use crate::config::{MarketingCloudAudience, StatusPlace};
use crate::esp::{Person, Record, Whom, Written};
use crate::upstream::{Deadline, Fault};

/// How many people are loaded at once.
pub const SIZE: usize = 50;

/// What became of somebody.
type Loaded = Result<Written, Fault>;

impl MarketingCloud {
    /// What became of each, in their order. [`Written::Moved`] is for who must be looked at alone.
    pub(super) async fn load_all(
        &self,
        audience: &MarketingCloudAudience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Loaded>, Fault> {
        let keys: Vec<String> = people.iter().map(|person| self.key_of(person)).collect();
        let mut loaded: Vec<Loaded> = vec![Ok(Written::Moved); people.len()];
        let mut new = self.unknown(audience, people, &keys, deadline).await?;
        if audience.status.is_some() {
            let answers = self.create_all(audience, people, &keys, &new, deadline).await?;
            for (&nth, answer) in new.iter().zip(answers) {
                loaded[nth] = answer;
            }
            new.retain(|&nth| loaded[nth] == Ok(Written::Done));
        }
        // Who has the status has no row yet, if that fails: they are looked at alone, and it is written then.
        let has_rows = self.write_rows(audience, people, &keys, &new, deadline).await.is_ok();
        for nth in new {
            loaded[nth] = Ok(if has_rows { Written::Done } else { Written::Moved });
        }
        Ok(loaded)
    }

    /// Which of them aren't there: neither under their key nor at their address.
    async fn unknown(
        &self,
        audience: &MarketingCloudAudience,
        people: &[Person],
        keys: &[String],
        deadline: Deadline,
    ) -> Result<Vec<usize>, Fault> {
        let place = Place { client: &self.client, settings: &self.settings, audience, columns: Vec::new(), deadline };
        let looked_for: Vec<&str> = keys.iter().map(String::as_str).collect();
        let addresses = people.iter().map(|person| &person.address).collect();
        let whom = Whom { uids: Vec::new(), addresses, fields: &[] };
        let there = Box::pin(place.find_under(&looked_for, &whom)).await?;
        let is_one = |record: &Record, key: &str, person: &Person| {
            record.key.0.eq_ignore_ascii_case(key)
                || record.address == person.address
                || record.uid.as_ref() == Some(&person.uid)
        };
        let is_new = |nth: &usize| {
            let (key, person) = (&keys[*nth], &people[*nth]);
            // One key or address for two of them: each alone.
            let twice = keys.iter().filter(|other| other.eq_ignore_ascii_case(key)).count() > 1
                || people.iter().filter(|other| other.address == person.address).count() > 1;
            !twice && !there.iter().any(|record| is_one(record, key, person))
        };
        Ok((0..people.len()).filter(is_new).collect())
    }

    async fn create_all(
        &self,
        audience: &MarketingCloudAudience,
        people: &[Person],
        keys: &[String],
        new: &[usize],
        deadline: Deadline,
    ) -> Result<Vec<Loaded>, Fault> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let write = |&nth: &usize| Write {
            key: &keys[nth],
            address: Some(people[nth].address.expose()),
            status: Some(wire::ACTIVE),
            attributes: self.attributes(audience, &people[nth]),
            lists: match &audience.status {
                Some(StatusPlace::PublicationList(id)) => vec![(id.as_str(), "Create", Some(wire::ACTIVE))],
                Some(StatusPlace::AllSubscribers) | None => Vec::new(),
            },
        };
        let writes: Vec<Write<'_>> = new.iter().map(write).collect();
        let answers = self.client.create_many(&writes, deadline).await?;
        Ok(answers.into_iter().map(of_answer).collect())
    }

    async fn write_rows(
        &self,
        audience: &MarketingCloudAudience,
        people: &[Person],
        keys: &[String],
        new: &[usize],
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let Some(data_extension) = audience.data_extension.as_ref().filter(|_| !new.is_empty()) else {
            return Ok(());
        };
        let row = |&nth: &usize| (keys[nth].as_str(), self.row(&self.columns(&people[nth]), Some(wire::ACTIVE)));
        let rows = new.iter().map(row).collect();
        self.client.upsert_rows(data_extension, &self.settings.key_column, rows, deadline).await
    }
}

/// Whatever isn't plain is seen, and told, when the person is looked at alone.
fn of_answer(answered: Option<Answered>) -> Loaded {
    match answered {
        Some(Answered::Done) => Ok(Written::Done),
        Some(Answered::Held) => Ok(Written::Held),
        Some(Answered::Refused { code }) => Err(Fault::Refused { code }),
        Some(Answered::Busy { code }) => Err(Fault::Failing { code }),
        Some(Answered::NoSuchList) => Err(Fault::Configuration { code: 13000 }),
        Some(Answered::NotThere | Answered::AlreadyThere | Answered::AlreadyOut) | None => Ok(Written::Moved),
    }
}
