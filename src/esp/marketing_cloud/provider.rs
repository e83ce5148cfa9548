//! How an audience is changed: the `impl Esp`.
//!
//! Whoever leaves is taken out of the status first, so that mail stops even if the row must wait. Whoever comes gets the
//! status first, too: a missing row is found and written by the next event, and no opt-out is undone by it.

use super::callback::Callback;
use super::client::{Client, Write};
use super::find::Place;
use super::handshake::Handshakes;
use super::soap::Written as Answered;
use super::{INFO, inbound, load, wire};
use crate::config::{self, MarketingCloud as Settings, MarketingCloudAudience, StatusPlace, SubscriberKey};
use crate::domain::{Audience, ConnectionName, Consent, RemovalKind};
use crate::esp::{
    Bookmark, Esp, Field, ListPage, NotTaken, Person, ProviderInfo, Received, Record, Whom, Written, takes_json,
};
use crate::upstream::{Deadline, Fault, Health, Transport};
use async_trait::async_trait;
use http::HeaderMap;
use secrecy::SecretString;
use std::sync::Arc;

/// One Marketing Cloud business unit.
pub struct MarketingCloud {
    pub(super) settings: Settings,
    pub(super) client: Arc<Client>,
    handshakes: Handshakes,
}

impl MarketingCloud {
    /// Connects as configured.
    #[must_use]
    pub fn new(settings: &Settings, transport: &Arc<dyn Transport>) -> Self {
        Self {
            client: Arc::new(Client::new(settings, transport)),
            settings: settings.clone(),
            handshakes: Handshakes::default(),
        }
    }

    /// The same connection with other settings: how each host is doing counts on, if it is the same, and so does a token
    /// that the same credentials would get. Verifications that are under way go on, and count.
    #[must_use]
    pub fn connect_succeeding(settings: &Settings, transport: &Arc<dyn Transport>, former: &Self) -> Self {
        Self {
            client: Arc::new(Client::new(settings, transport).succeeding(&former.client)),
            settings: settings.clone(),
            handshakes: former.handshakes.clone(),
        }
    }

    /// What a route's audience means. The configuration has read every one, so none is missing.
    fn meaning(&self, audience: &Audience) -> Result<&MarketingCloudAudience, Fault> {
        self.settings.audiences.get(audience).ok_or(Fault::Configuration { code: 404 })
    }

    /// The key of somebody who has no record yet.
    pub(super) fn key_of(&self, person: &Person) -> String {
        let field = match &self.settings.subscriber_key {
            SubscriberKey::Uid => None,
            SubscriberKey::Email => Some(person.address.expose().to_owned()),
            SubscriberKey::Field(name) => {
                let field = person.fields.iter().find(|field| field.name == *name);
                field.map(|field| wire::text(&field.value)).filter(|text| !text.is_empty())
            }
        };
        field.unwrap_or_else(|| person.uid.expose().to_owned())
    }

    /// Whether a record can become theirs. A key can't be changed: unless an attribute holds the UID, one that somebody
    /// else made under another key stays as it is, and theirs is made beside it.
    fn can_be_theirs(&self, record: &Record, person: &Person) -> bool {
        self.settings.uid_attribute.is_some() || *record.key.0 == *self.key_of(person)
    }

    /// Profile attributes as they are written: the mapped fields where no data extension takes them, and the UID.
    pub(super) fn attributes<'a>(
        &'a self,
        audience: &MarketingCloudAudience,
        person: &'a Person,
    ) -> Vec<(&'a str, String)> {
        let uid = self.settings.uid_attribute.as_deref();
        let mut attributes: Vec<(&str, String)> = Vec::new();
        if audience.data_extension.is_none() {
            let mapped = person.fields.iter().filter(|field| Some(field.name.as_str()) != uid);
            attributes.extend(mapped.map(|field| (field.name.as_str(), wire::text(&field.value))));
        }
        attributes.extend(uid.map(|name| (name, person.uid.expose().to_owned())));
        attributes
    }

    /// A row's values, without its key and status.
    pub(super) fn columns<'a>(&'a self, person: &'a Person) -> Vec<(&'a str, String)> {
        let settings = &self.settings;
        let own = [Some(&settings.key_column), Some(&settings.email_column), settings.status_column.as_ref()];
        let is_own = |field: &&Field| own.into_iter().flatten().any(|column| column.eq_ignore_ascii_case(&field.name));
        let mapped = person.fields.iter().filter(|field| !is_own(field));
        let mut columns = vec![(settings.email_column.as_str(), person.address.expose().to_owned())];
        columns.extend(mapped.map(|field| (field.name.as_str(), wire::text(&field.value))));
        columns
    }
}

#[async_trait]
impl Esp for MarketingCloud {
    fn provider(&self) -> &'static ProviderInfo {
        &INFO
    }

    fn name(&self) -> &ConnectionName {
        &self.settings.name
    }

    fn common(&self) -> &config::Common {
        &self.settings.common
    }

    fn remarks(&self) -> Vec<String> {
        let key = match &self.settings.subscriber_key {
            SubscriberKey::Uid => "the Gigya UID".to_owned(),
            SubscriberKey::Email => "the address".to_owned(),
            SubscriberKey::Field(name) => format!("the field {name}"),
        };
        let mut remarks = vec![format!(
            "signature keys: {}; subscriber key: {key}; callbacks of {}",
            self.settings.signature_keys.len(),
            self.settings.business_units.join(", ")
        )];
        if self.settings.registering {
            remarks.push("registering: takes the unsigned verification of a new callback".to_owned());
        }
        remarks
    }

    fn one_record_an_address(&self) -> bool {
        self.settings.subscriber_key == SubscriberKey::Email
    }

    fn finds_by_uid(&self) -> bool {
        self.settings.subscriber_key == SubscriberKey::Uid
    }

    fn health(&self) -> Vec<Health> {
        self.client.health()
    }

    async fn receive(
        &self,
        _: Option<&SecretString>,
        headers: &HeaderMap,
        body: &[u8],
        deadline: Deadline,
    ) -> Result<Received, NotTaken> {
        takes_json(headers, &self.settings.common.content_types)?;
        match inbound::open(&self.settings, headers, body)? {
            Callback::Handshake(handshake) => {
                if self.handshakes.begin(self.settings.name.as_str(), &self.client, handshake) {
                    Ok(Received::Handshake)
                } else {
                    Err(NotTaken::NotVerified("too_many_handshakes"))
                }
            }
            Callback::Events(events) => {
                Ok(Received::Notices(inbound::notices(&self.settings, &self.client, events, deadline).await))
            }
        }
    }

    async fn find(&self, audience: &Audience, whom: &Whom<'_>, deadline: Deadline) -> Result<Vec<Record>, Fault> {
        let columns = whom.fields.iter().map(|field| field.name.as_str()).collect();
        let audience = self.meaning(audience)?;
        let place = Place { client: &self.client, settings: &self.settings, audience, columns, deadline };
        Box::pin(place.find(whom)).await
    }

    fn differs(&self, audience: &Audience, record: &Record, person: &Person) -> bool {
        let Ok(audience) = self.meaning(audience) else { return false };
        // A row without a subscriber has nowhere to hold the UID.
        let holds_uid = self.settings.uid_attribute.is_some() && record.level(wire::SUBSCRIBER) != Consent::Unknown;
        let is_theirs = self.can_be_theirs(record, person) && (!holds_uid || record.uid.as_ref() == Some(&person.uid));
        let row = record.level(wire::ROW);
        let row_is_right = audience.data_extension.is_none() || !record.consent.is_opted_in() || row.is_opted_in();
        !is_theirs || record.address != person.address || !row_is_right || self.values_differ(audience, record, person)
    }

    async fn opt_in(
        &self,
        audience: &Audience,
        record: Option<&Record>,
        person: &Person,
        over_opt_out: bool,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let audience = self.meaning(audience)?;
        let record = record.filter(|record| self.can_be_theirs(record, person));
        if audience.status.is_none() {
            let master = record.map_or(Consent::Unknown, |record| record.level(wire::SUBSCRIBER));
            // A row can't lift an opt-out of everything.
            if matches!(master, Consent::OptedOut { .. }) {
                return Ok(Written::Held);
            }
        } else {
            let written = self.status_in(audience, record, person, over_opt_out, deadline).await?;
            if written != Written::Done {
                return Ok(written);
            }
        }
        let key = record.map_or_else(|| self.key_of(person), |record| record.key.0.to_string());
        self.write_row(audience, &key, &self.columns(person), Some(wire::ACTIVE), deadline).await?;
        Ok(Written::Done)
    }

    /// A row that is deleted meanwhile comes back: the API has no update that makes none.
    fn update_may_opt_in(&self, audience: &Audience) -> bool {
        self.meaning(audience).is_ok_and(|audience| audience.status.is_none())
    }

    async fn update(
        &self,
        audience: &Audience,
        record: &Record,
        person: &Person,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        if !self.can_be_theirs(record, person) {
            // Theirs is made beside it, if that one says that mail may be sent.
            if record.consent.is_opted_in() {
                return self.opt_in(audience, None, person, false, deadline).await;
            }
            return Ok(Written::NothingToDo);
        }
        let audience = self.meaning(audience)?;
        let is_known = record.level(wire::SUBSCRIBER) != Consent::Unknown;
        let attributes = self.attributes(audience, person);
        let has_other_uid = self.settings.uid_attribute.is_some() && record.uid.as_ref() != Some(&person.uid);
        let is_about_the_subscriber = has_other_uid
            || record.address != person.address
            || (audience.data_extension.is_none() && self.values_differ(audience, record, person));
        if is_known && is_about_the_subscriber {
            let address = Some(person.address.expose());
            let write = Write { key: &record.key.0, address, attributes, ..Write::default() };
            match self.client.update(&write, deadline).await? {
                Answered::Done => {}
                Answered::Held => return Ok(Written::Held),
                _ => return Ok(Written::Moved),
            }
        }
        let (is_in, row) = (record.consent.is_opted_in(), record.level(wire::ROW));
        if is_in || row != Consent::Unknown {
            // What a row says that says in already may have changed since.
            let status = (is_in && !row.is_opted_in()).then_some(wire::ACTIVE);
            self.write_row(audience, &record.key.0, &self.columns(person), status, deadline).await?;
        }
        Ok(Written::Done)
    }

    async fn opt_out(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let audience = self.meaning(audience)?;
        self.status_out(audience, record, deadline).await?;
        if self.settings.status_column.is_none() {
            if audience.status.is_none() {
                self.delete_row(audience, record, deadline).await?;
            }
        } else if record.level(wire::ROW) != Consent::Unknown {
            self.write_row(audience, &record.key.0, &[], Some(wire::UNSUBSCRIBED), deadline).await?;
        }
        Ok(Written::Done)
    }

    async fn remove(
        &self,
        audience: &Audience,
        record: &Record,
        kind: RemovalKind,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let audience = self.meaning(audience)?;
        self.status_out(audience, record, deadline).await?;
        self.delete_row(audience, record, deadline).await?;
        if kind == RemovalKind::Delete {
            // It takes hours or days; until then the status above keeps mail away.
            self.client.delete_contact(&record.key.0, deadline).await?;
        }
        Ok(Written::Done)
    }

    /// Off the list, or gone as a subscriber: an unsubscribe might be told as the person's own.
    async fn discard(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let audience = self.meaning(audience)?;
        let is_known = record.level(wire::SUBSCRIBER) != Consent::Unknown;
        match &audience.status {
            Some(StatusPlace::PublicationList(id)) if is_known => {
                let write = Write { key: &record.key.0, lists: vec![(id, "Delete", None)], ..Write::default() };
                self.client.update(&write, deadline).await?;
            }
            Some(StatusPlace::AllSubscribers) if is_known => {
                self.client.delete(&record.key.0, deadline).await?;
            }
            _ => {}
        }
        self.delete_row(audience, record, deadline).await?;
        Ok(Written::Done)
    }

    async fn list(&self, audience: &Audience, from: Option<&Bookmark>, deadline: Deadline) -> Result<ListPage, Fault> {
        self.page(self.meaning(audience)?, from, deadline).await
    }

    fn combine(&self, audience: &Audience, parts: &[&[u8]]) -> Option<Record> {
        self.put_together(audience, parts)
    }

    fn load_size(&self, _: &Audience) -> usize {
        load::SIZE
    }

    async fn load(
        &self,
        audience: &Audience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Result<Written, Fault>>, Fault> {
        self.load_all(self.meaning(audience)?, people, deadline).await
    }
}
