//! The levels at which consent is kept, and how each is written: the subscriber's status ("master", for everything), the
//! status on a publication list, a row of a data extension. What they amount to, `wire::amounts_to` says.

use super::client::Write;
use super::provider::MarketingCloud;
use super::soap::{Filter, Written as Answered};
use super::wire;
use crate::config::{MarketingCloudAudience, StatusPlace, UnsubscribeWith};
use crate::domain::Consent;
use crate::esp::{Person, Record, Written};
use crate::upstream::{Attempts, Deadline, Fault};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

impl MarketingCloud {
    /// Whether mapped values differ from what is held, in the row or in the attributes.
    pub(super) fn values_differ(&self, audience: &MarketingCloudAudience, record: &Record, person: &Person) -> bool {
        let wanted = match audience.data_extension {
            Some(_) if record.level(wire::ROW) == Consent::Unknown => return record.consent.is_opted_in(),
            Some(_) => self.columns(person),
            None => self.attributes(audience, person),
        };
        wanted.iter().any(|(name, value)| {
            let held = record.fields.iter().find(|(held, _)| held.eq_ignore_ascii_case(name));
            !wire::is_same(held.map_or("", |(_, value)| value), value)
        })
    }

    pub(super) async fn write_row(
        &self,
        audience: &MarketingCloudAudience,
        key: &str,
        values: &[(&str, String)],
        status: Option<&str>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let Some(data_extension) = &audience.data_extension else { return Ok(()) };
        let row = self.row(values, status);
        self.client.upsert_row(data_extension, (&self.settings.key_column, key), row, deadline).await
    }

    /// A row as it is written: some columns, and the status where there is a column for it.
    pub(super) fn row(&self, values: &[(&str, String)], status: Option<&str>) -> Map<String, Value> {
        let mut row: Map<String, Value> =
            values.iter().map(|(column, value)| ((*column).to_owned(), Value::from(value.as_str()))).collect();
        if let (Some(column), Some(status)) = (&self.settings.status_column, status) {
            row.insert(column.clone(), status.into());
        }
        row
    }

    pub(super) async fn delete_row(
        &self,
        audience: &MarketingCloudAudience,
        record: &Record,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        match &audience.data_extension {
            Some(data_extension) if record.level(wire::ROW) != Consent::Unknown => {
                let key = (self.settings.key_column.as_str(), &*record.key.0);
                self.client.delete_row(data_extension, key, deadline).await
            }
            _ => Ok(()),
        }
    }

    /// Opts the status in.
    pub(super) async fn status_in(
        &self,
        audience: &MarketingCloudAudience,
        record: Option<&Record>,
        person: &Person,
        over_opt_out: bool,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let key = record.map_or_else(|| self.key_of(person), |record| record.key.0.to_string());
        let level = |name| record.map_or(Consent::Unknown, |record| record.level(name));
        let (master, list) = (level(wire::SUBSCRIBER), level(wire::LIST));
        let is_new = master == Consent::Unknown;
        let undoes_all = matches!(master, Consent::OptedOut { .. });
        if undoes_all && (!over_opt_out || !self.keeps_others_out(audience, &key, deadline).await?) {
            return Ok(Written::Held);
        }
        let lists = match &audience.status {
            Some(StatusPlace::PublicationList(id)) => {
                // Without an opt-out to undo, nobody is expected there: then the API itself refuses to undo one.
                let action = if is_new || list == Consent::Unknown { "Create" } else { "Upsert" };
                vec![(id.as_str(), if undoes_all { "Upsert" } else { action }, Some(wire::ACTIVE))]
            }
            Some(StatusPlace::AllSubscribers) | None => Vec::new(),
        };
        let write = Write {
            key: &key,
            address: Some(person.address.expose()),
            status: (is_new || undoes_all).then_some(wire::ACTIVE),
            attributes: self.attributes(audience, person),
            lists,
        };
        let answered = if is_new {
            self.client.create(&write, false, Attempts::Few, deadline).await?
        } else if over_opt_out {
            // Undoing an opt-out may be tried once: before a second time, it must be looked at again.
            self.client.create(&write, true, Attempts::Once, deadline).await?
        } else {
            self.client.update(&write, deadline).await?
        };
        Ok(match answered {
            Answered::Done => Written::Done,
            Answered::Held => Written::Held,
            _ => Written::Moved,
        })
    }

    /// Before an opt-out of everything is lifted for one audience: it is made an opt-out of every other one, as it was
    /// of those, too. Returns whether that can be.
    pub(super) async fn keeps_others_out(
        &self,
        audience: &MarketingCloudAudience,
        key: &str,
        deadline: Deadline,
    ) -> Result<bool, Fault> {
        let list_of = |audience: &MarketingCloudAudience| match &audience.status {
            Some(StatusPlace::PublicationList(id)) => Some(id.clone()),
            Some(StatusPlace::AllSubscribers) | None => None,
        };
        let own = list_of(audience);
        let mut others: BTreeSet<String> = self.settings.audiences.values().filter_map(list_of).collect();
        if own.is_some() {
            let is_everything =
                |audience: &MarketingCloudAudience| audience.status == Some(StatusPlace::AllSubscribers);
            // Another route says what everything is.
            if self.settings.audiences.values().any(is_everything) {
                return Ok(false);
            }
        }
        let held = self.client.memberships(&Filter::In("SubscriberKey", vec![key]), deadline).await?;
        let is_in = |status: Option<&str>| {
            wire::consent(status.unwrap_or_default(), None, &self.settings.time_zone).is_opted_in()
        };
        for row in &held {
            let Some(id) = &row.list_id else { continue };
            if !is_in(row.status.as_deref()) {
                others.remove(id);
            } else if own.is_some() && self.settings.all_subscribers_list.as_ref() != Some(id) {
                others.insert(id.clone());
            }
        }
        others.retain(|id| own.as_ref() != Some(id));
        if others.is_empty() {
            return Ok(true);
        }
        let lists = others.iter().map(|id| (id.as_str(), "Upsert", Some(wire::UNSUBSCRIBED))).collect();
        let write = Write { key, lists, ..Write::default() };
        match self.client.update(&write, deadline).await {
            Ok(answered) => Ok(answered == Answered::Done),
            Err(Fault::Refused { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Opts the status out.
    pub(super) async fn status_out(
        &self,
        audience: &MarketingCloudAudience,
        record: &Record,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let list = match &audience.status {
            None => return Ok(()),
            Some(StatusPlace::AllSubscribers) => None,
            Some(StatusPlace::PublicationList(id)) => Some(id.as_str()),
        };
        // Written again, an opt-out would look like a later one.
        let level = record.level(if list.is_some() { wire::LIST } else { wire::SUBSCRIBER });
        if matches!(level, Consent::OptedOut { .. }) {
            return Ok(());
        }
        let key = &*record.key.0;
        let is_known = record.level(wire::SUBSCRIBER) != Consent::Unknown;
        let mut write = Write { key, ..Write::default() };
        match list {
            Some(id) => write.lists.push((id, "Upsert", Some(wire::UNSUBSCRIBED))),
            None => write.status = Some(wire::UNSUBSCRIBED),
        }
        if is_known && self.settings.unsubscribe_with == UnsubscribeWith::LogUnsubEvent {
            let reason = &self.settings.unsubscribe_reason;
            let answered = self.client.log_unsubscribe(key, list, reason, deadline).await?;
            if answered != Answered::NotThere {
                return Ok(());
            }
        }
        if is_known && self.client.update(&write, deadline).await? != Answered::NotThere {
            return Ok(());
        }
        // Not there (anymore), and may be made by the next send to a data extension: the opt-out must be there first.
        write.address = Some(record.address.expose());
        self.client.create(&write, true, Attempts::Few, deadline).await.map(drop)
    }
}
