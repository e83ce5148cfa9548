//! What an audience holds of somebody: subscribers, their memberships and rows, read side by side and put together.

use super::client::Client;
use super::soap::{Filter, Row};
use super::wire;
use crate::config::{MarketingCloud as Settings, MarketingCloudAudience, StatusPlace, SubscriberKey};
use crate::domain::{Consent, Email, Uid};
use crate::esp::{Record, RecordKey, Whom};
use crate::upstream::{Deadline, Fault, both};

/// Where to look.
pub struct Place<'a> {
    pub client: &'a Client,
    pub settings: &'a Settings,
    pub audience: &'a MarketingCloudAudience,
    /// The columns that the route maps.
    pub columns: Vec<&'a str>,
    pub deadline: Deadline,
}

/// Memberships and rows of some keys.
#[derive(Default)]
pub struct Beside {
    pub memberships: Vec<Row>,
    pub rows: Vec<Row>,
}

impl Place<'_> {
    /// Every record of somebody.
    pub async fn find(&self, whom: &Whom<'_>) -> Result<Vec<Record>, Fault> {
        let keys = keys_of(self.settings, whom);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.find_under(&keys, whom).await
    }

    /// Every record under one of these keys, or at one of the addresses.
    pub async fn find_under(&self, keys: &[&str], whom: &Whom<'_>) -> Result<Vec<Record>, Fault> {
        let addresses: Vec<&str> = whom.addresses.iter().map(|address| address.expose()).collect();
        let Some(filter) = by_key_or_address(keys, addresses) else { return Ok(Vec::new()) };
        let (subscribers, mut beside) =
            Box::pin(both(self.client.subscribers(&filter, self.deadline), self.beside(keys))).await?;
        let is_new = |key: &&str| !keys.iter().any(|known| known.eq_ignore_ascii_case(key));
        let others: Vec<&str> =
            subscribers.iter().filter_map(|row| row.subscriber_key.as_deref()).filter(is_new).collect();
        let more = self.beside(&others).await?;
        beside.memberships.extend(more.memberships);
        beside.rows.extend(more.rows);

        let mut records: Vec<Record> =
            subscribers.iter().filter_map(|subscriber| self.record(subscriber, &beside, whom)).collect();
        // A row can be there before its subscriber: Marketing Cloud makes that when it sends.
        for row in &beside.rows {
            let key = value(&row.properties.property, &self.settings.key_column).unwrap_or_default();
            if records.iter().all(|record| !record.key.0.eq_ignore_ascii_case(key)) {
                let alone = Row { subscriber_key: Some(key.to_owned()), ..Row::default() };
                records.extend(self.record(&alone, &beside, whom));
            }
        }
        Ok(records)
    }

    async fn beside(&self, keys: &[&str]) -> Result<Beside, Fault> {
        if keys.is_empty() {
            return Ok(Beside::default());
        }
        let memberships = async {
            let Some(StatusPlace::PublicationList(list)) = &self.audience.status else { return Ok(Vec::new()) };
            let filter = Filter::And(
                Box::new(Filter::In("ListID", vec![list])),
                Box::new(Filter::In("SubscriberKey", keys.to_vec())),
            );
            self.client.memberships(&filter, self.deadline).await
        };
        let rows = async {
            let Some(data_extension) = &self.audience.data_extension else { return Ok(Vec::new()) };
            self.rows(data_extension, &Filter::In(&self.settings.key_column, keys.to_vec())).await
        };
        let (memberships, rows) = both(memberships, rows).await?;
        Ok(Beside { memberships, rows })
    }

    /// Rows with their mapped columns; or, if one of these isn't there, without: nobody's opt-out may wait until a mapping
    /// is put right.
    async fn rows(&self, data_extension: &str, filter: &Filter<'_>) -> Result<Vec<Row>, Fault> {
        let settings = self.settings;
        let own = [Some(&settings.key_column), Some(&settings.email_column), settings.status_column.as_ref()];
        let own: Vec<&str> = own.into_iter().flatten().map(String::as_str).collect();
        let is_new = |column: &&&str| !own.iter().any(|known| known.eq_ignore_ascii_case(column));
        let all: Vec<&str> = own.iter().chain(self.columns.iter().filter(is_new)).copied().collect();
        if let Some(rows) = self.client.rows(data_extension, &all, filter, self.deadline).await? {
            return Ok(rows);
        }
        tracing::error!(
            connection = settings.name.as_str(),
            data_extension,
            "a column that a route maps isn't in the data extension; compare the route's fields with its columns"
        );
        let found = self.client.rows(data_extension, &own, filter, self.deadline).await?;
        found.ok_or(Fault::Configuration { code: 400 })
    }

    /// What is known of a subscriber, put together; none if it has no address.
    pub fn record(&self, subscriber: &Row, beside: &Beside, whom: &Whom<'_>) -> Option<Record> {
        let settings = self.settings;
        let key = subscriber.subscriber_key.as_deref()?;
        let is_same = |other: Option<&str>| other.is_some_and(|other| other.eq_ignore_ascii_case(key));
        let membership = beside.memberships.iter().find(|row| is_same(row.subscriber_key.as_deref()));
        let columns = beside.rows.iter().map(|row| row.properties.property.as_slice());
        let row = columns.into_iter().find(|columns| is_same(value(columns, &settings.key_column)));

        let zone = &settings.time_zone;
        let status =
            |row: &Row, since: Option<&str>| wire::consent(row.status.as_deref().unwrap_or_default(), since, zone);
        let master = match subscriber.status {
            Some(_) => status(subscriber, subscriber.unsubscribed_date.as_deref()),
            None => Consent::Unknown,
        };
        let list = membership.map_or(Consent::Unknown, |row| status(row, row.modified_date.as_deref()));
        let flag = |columns| settings.status_column.as_ref().and_then(|column| value(columns, column));
        let row_says = row.map_or(Consent::Unknown, |columns| wire::row_consent(flag(columns)));

        let in_row = row.and_then(|columns| value(columns, &settings.email_column));
        let addresses = [subscriber.email_address.as_deref(), in_row];
        let address = addresses.into_iter().flatten().find_map(|text| Email::parse(text).ok());
        let held = if self.audience.data_extension.is_some() { row } else { Some(subscriber.attributes.as_slice()) };
        let fields = held.into_iter().flatten();
        Some(Record {
            key: RecordKey(key.into()),
            // One without a usable address is nobody's to mail, and is found by its key only.
            address: address.or_else(|| whom.addresses.first().map(|address| (*address).clone()))?,
            consent: wire::amounts_to(self.audience, master, list, row_says),
            uid: self.is_theirs_by_field(key, whom).or_else(|| uid_of(settings, subscriber)),
            fields: fields.map(|pair| (pair.name.clone(), pair.value.clone().unwrap_or_default())).collect(),
            levels: vec![(wire::SUBSCRIBER, master), (wire::LIST, list), (wire::ROW, row_says)],
            leftover: wire::leftover(self.audience, master, list, row_says, settings.status_column.is_some()),
        })
    }

    /// Where the key is a field of the account, whoever has the field's value is whose record it is.
    fn is_theirs_by_field(&self, key: &str, whom: &Whom<'_>) -> Option<Uid> {
        let SubscriberKey::Field(name) = &self.settings.subscriber_key else { return None };
        let field = whom.fields.iter().find(|field| field.name == *name)?;
        if wire::text(&field.value) == key { whom.uids.first().map(|uid| (*uid).clone()) } else { None }
    }
}

/// The keys under which somebody may be known.
fn keys_of(settings: &Settings, whom: &Whom<'_>) -> Vec<String> {
    let uids = whom.uids.iter().map(|uid| uid.expose().to_owned());
    let mut keys: Vec<String> = match &settings.subscriber_key {
        SubscriberKey::Uid => uids.collect(),
        SubscriberKey::Email => whom.addresses.iter().map(|address| address.expose().to_owned()).collect(),
        SubscriberKey::Field(name) => {
            let fields = whom.fields.iter().filter(|field| field.name == *name);
            fields.map(|field| wire::text(&field.value)).chain(uids).collect()
        }
    };
    keys.retain(|key| !key.is_empty());
    keys.dedup();
    keys
}

fn by_key_or_address<'a>(keys: &[&'a str], addresses: Vec<&'a str>) -> Option<Filter<'a>> {
    let by_key = (!keys.is_empty()).then(|| Filter::In("SubscriberKey", keys.to_vec()));
    let by_address = (!addresses.is_empty()).then_some(Filter::In("EmailAddress", addresses));
    match (by_key, by_address) {
        (Some(by_key), Some(by_address)) => Some(Filter::Or(Box::new(by_key), Box::new(by_address))),
        (one, other) => one.or(other),
    }
}

/// The Gigya UID of a subscriber: in its attribute, where there is one, else its key where that is the UID.
pub fn uid_of(settings: &Settings, subscriber: &Row) -> Option<Uid> {
    let in_attribute = settings.uid_attribute.as_ref().and_then(|name| value(&subscriber.attributes, name));
    let in_key = match settings.subscriber_key {
        SubscriberKey::Uid => subscriber.subscriber_key.as_deref(),
        SubscriberKey::Email | SubscriberKey::Field(_) => None,
    };
    in_attribute.and_then(Uid::new).or_else(|| in_key.and_then(Uid::new))
}

/// The value of a column or attribute.
fn value<'a>(pairs: &'a [super::soap::Pair], name: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| pair.name.eq_ignore_ascii_case(name)).and_then(|pair| pair.value.as_deref())
}
