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

/// Somebody to be loaded.
struct Newcomer<'a> {
    /// Their place among those who were handed in.
    nth: usize,
    /// The key that they will have.
    key: String,
    person: &'a Person,
}

impl MarketingCloud {
    /// What became of each, in their order. [`Written::Moved`] is for who must be looked at alone.
    pub(super) async fn load_all(
        &self,
        audience: &MarketingCloudAudience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Loaded>, Fault> {
        let all = people.iter().enumerate().map(|(nth, person)| Newcomer { nth, key: self.key_of(person), person });
        let mut loaded: Vec<Loaded> = vec![Ok(Written::Moved); people.len()];
        let mut new = self.unknown(audience, all.collect(), deadline).await?;
        if audience.status.is_some() {
            let answers = self.create_all(audience, &new, deadline).await?;
            for (one, answer) in new.iter().zip(answers) {
                loaded[one.nth] = answer;
            }
            new.retain(|one| loaded[one.nth] == Ok(Written::Done));
        }
        // Who has the status has no row yet, if that fails: they are looked at alone, and it is written then.
        let has_rows = self.write_rows(audience, &new, deadline).await.is_ok();
        for one in new {
            loaded[one.nth] = Ok(if has_rows { Written::Done } else { Written::Moved });
        }
        Ok(loaded)
    }

    /// Those who aren't there: neither under their key nor at their address.
    async fn unknown<'a>(
        &self,
        audience: &MarketingCloudAudience,
        all: Vec<Newcomer<'a>>,
        deadline: Deadline,
    ) -> Result<Vec<Newcomer<'a>>, Fault> {
        let place = Place { client: &self.client, settings: &self.settings, audience, columns: Vec::new(), deadline };
        let keys: Vec<&str> = all.iter().map(|one| one.key.as_str()).collect();
        let addresses = all.iter().map(|one| &one.person.address).collect();
        let whom = Whom { uids: Vec::new(), addresses, fields: &[] };
        let there = Box::pin(place.find_under(&keys, &whom)).await?;
        let is_same = |one: &Newcomer<'_>, other: &Newcomer<'_>| {
            one.key.eq_ignore_ascii_case(&other.key) || one.person.address == other.person.address
        };
        let is_theirs = |record: &Record, one: &Newcomer<'_>| {
            record.key.0.eq_ignore_ascii_case(&one.key)
                || record.address == one.person.address
                || record.uid.as_ref() == Some(&one.person.uid)
        };
        // One key or address for two of them: each alone.
        let is_new = |one: &Newcomer<'_>| {
            all.iter().all(|other| other.nth == one.nth || !is_same(one, other))
                && !there.iter().any(|record| is_theirs(record, one))
        };
        let are_new: Vec<bool> = all.iter().map(is_new).collect();
        Ok(all.into_iter().zip(are_new).filter_map(|(one, is_new)| is_new.then_some(one)).collect())
    }

    async fn create_all(
        &self,
        audience: &MarketingCloudAudience,
        new: &[Newcomer<'_>],
        deadline: Deadline,
    ) -> Result<Vec<Loaded>, Fault> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let writes = new.iter().map(|one| Write {
            key: &one.key,
            address: Some(one.person.address.expose()),
            status: Some(wire::ACTIVE),
            attributes: self.attributes(audience, one.person),
            lists: match &audience.status {
                Some(StatusPlace::PublicationList(id)) => vec![(id.as_str(), "Create", Some(wire::ACTIVE))],
                Some(StatusPlace::AllSubscribers) | None => Vec::new(),
            },
        });
        let answers = self.client.create_many(&writes.collect::<Vec<_>>(), deadline).await?;
        Ok(answers.into_iter().map(of_answer).collect())
    }

    async fn write_rows(
        &self,
        audience: &MarketingCloudAudience,
        new: &[Newcomer<'_>],
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let Some(data_extension) = audience.data_extension.as_ref().filter(|_| !new.is_empty()) else {
            return Ok(());
        };
        let rows = new.iter().map(|one| {
            let row = self.row(&self.columns(one.person), Some(wire::ACTIVE));
            (one.key.as_str(), row)
        });
        let rows = rows.collect();
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
