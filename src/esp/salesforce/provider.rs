//! How an audience is changed: the `impl Esp`.
//!
//! Consent is a checkbox that only an opt-out and an opt-in over one write. Whoever is made has it empty, as it is by default;
//! whoever is updated keeps it. So no write of a profile undoes an opt-out, however late it comes.

use super::client::{COLLECTION, Client, Made};
use super::rest::Refusal;
use super::{INFO, find, inbound, wire};
use crate::config;
use crate::config::salesforce::{Salesforce as Settings, SalesforceAudience, SalesforceAuth};
use crate::domain::{Audience, ConnectionName, RemovalKind};
use crate::esp::{Bookmark, Esp, ListPage, NotTaken, Person, ProviderInfo, Received, Record, Whom, Written};
use crate::upstream::{Attempts, Deadline, Fault, Health, Transport};
use async_trait::async_trait;
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;

/// One Salesforce organization.
pub struct Salesforce {
    pub(super) settings: Settings,
    pub(super) client: Client,
}

impl Salesforce {
    /// Connects as configured.
    #[must_use]
    pub fn new(settings: &Settings, transport: &Arc<dyn Transport>) -> Self {
        Self { client: Client::new(settings, transport), settings: settings.clone() }
    }

    /// The same connection with other settings: how the hosts are doing counts on, if they are the same.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        self.client = self.client.succeeding(&former.client);
        self
    }

    /// What a route's audience means. The configuration has read every one, so none is missing.
    fn meaning(&self, audience: &Audience) -> Result<&SalesforceAudience, Fault> {
        self.settings.audiences.get(audience).ok_or(Fault::Configuration { code: 404 })
    }

    /// Says when the consent was given or taken back that is written, where the gateway is to say so.
    fn stamp(&self, row: &mut wire::Row, is_out: bool) {
        if let Some(field) = self.settings.consent_time_field.as_ref().filter(|_| self.settings.write_consent_time) {
            row.insert(field.clone(), json!(wire::stamp(is_out)));
        }
    }

    /// Ticks the checkbox. What keeps somebody opted in is never taken for their data's fault: it comes again, until a person
    /// has seen to it.
    async fn tick(
        &self,
        audience: &SalesforceAudience,
        record: &Record,
        more: wire::Row,
        since: Option<&str>,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let mut row = more;
        row.insert(audience.opt_out_field.clone(), json!(true));
        let attempts = if since.is_some() { Attempts::Once } else { Attempts::Few };
        let update = self.client.update(audience.object, &record.key.0, row, since, attempts, deadline);
        match update.await? {
            Ok(()) => Ok(Written::Done),
            Err(Refusal::Gone) => Ok(Written::NothingToDo),
            Err(Refusal::Data) => Err(Fault::Configuration { code: 400 }),
            Err(refusal) => Err(refusal.fault()),
        }
    }
}

#[async_trait]
impl Esp for Salesforce {
    fn provider(&self) -> &'static ProviderInfo {
        &INFO
    }

    fn has_token_in_path(&self) -> bool {
        !self.settings.outbound_tokens.is_empty()
    }

    fn name(&self) -> &ConnectionName {
        &self.settings.name
    }

    fn common(&self) -> &config::Common {
        &self.settings.common
    }

    fn remarks(&self) -> Vec<String> {
        let auth = match &self.settings.auth {
            SalesforceAuth::ClientCredentials(_) => "client credentials",
            SalesforceAuth::JwtBearer { .. } => "a JWT",
        };
        let time = match &self.settings.consent_time_field {
            Some(field) => format!("the time of consent is in {field}"),
            None => "an opt-out counts to the end of the day of its record's last change".to_owned(),
        };
        let zone = self.settings.time_zone.iana_name().unwrap_or("UTC");
        vec![format!("tokens by {auth}; Gigya's UID is in {}; {time}, in {zone}", self.settings.uid_field)]
    }

    /// Several Contacts may share an address, each a person's own.
    fn one_record_an_address(&self) -> bool {
        false
    }

    fn finds_by_uid(&self) -> bool {
        true
    }

    fn health(&self) -> Vec<Health> {
        self.client.health()
    }

    async fn receive(
        &self,
        token: Option<&SecretString>,
        headers: &HeaderMap,
        body: &[u8],
        deadline: Deadline,
    ) -> Result<Received, NotTaken> {
        let events = inbound::open(&self.settings, token, headers, body)?;
        Ok(Received::Notices(inbound::notices(&self.settings, &self.client, events, deadline).await))
    }

    async fn find(&self, audience: &Audience, whom: &Whom<'_>, deadline: Deadline) -> Result<Vec<Record>, Fault> {
        find::find((&self.client, &self.settings, self.meaning(audience)?), whom, deadline).await
    }

    fn differs(&self, audience: &Audience, record: &Record, person: &Person) -> bool {
        let Ok(audience) = self.meaning(audience) else { return false };
        record.uid.as_ref() != Some(&person.uid)
            || record.address != person.address
            || wire::differs(&self.settings, audience, record, person)
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
        let Some(record) = record else {
            // Neither checkbox nor time: whoever is there already keeps theirs.
            let row = wire::written(&self.settings, audience, person, true);
            return match self.client.upsert(audience.object, &person.uid, row, deadline).await? {
                Ok(Made::New) => Ok(Written::Done),
                // Somebody has made it meanwhile, and may be out.
                Ok(Made::Known) | Err(Refusal::Moved) => Ok(Written::Moved),
                // There is nobody who could be gone: the object isn't there, or the UID can't be one here.
                Err(Refusal::Gone) => Err(Fault::Configuration { code: 404 }),
                Err(refusal) => Err(refusal.fault()),
            };
        };
        if !over_opt_out {
            return Ok(Written::Moved);
        }
        let standard = audience.object.standard_opt_out();
        if record.fields.iter().any(|(name, _)| name == standard) {
            // Out of everything: to lift that would reach other audiences, too.
            return Ok(Written::Held);
        }
        let mut row = wire::written(&self.settings, audience, person, false);
        row.insert(self.settings.uid_field.clone(), json!(person.uid.expose()));
        row.insert(audience.opt_out_field.clone(), json!(false));
        self.stamp(&mut row, false);
        // Whoever has said something since must not be overruled unheard.
        let since = unchanged_since(record);
        let (since, once) = (since.as_deref(), Attempts::Once);
        match self.client.update(audience.object, &record.key.0, row, since, once, deadline).await? {
            Ok(()) => Ok(Written::Done),
            Err(Refusal::Gone | Refusal::Moved) => Ok(Written::Moved),
            Err(refusal) => Err(refusal.fault()),
        }
    }

    fn update_may_opt_in(&self, _: &Audience) -> bool {
        false
    }

    async fn update(
        &self,
        audience: &Audience,
        record: &Record,
        person: &Person,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let audience = self.meaning(audience)?;
        let mut row = wire::written(&self.settings, audience, person, false);
        row.insert(self.settings.uid_field.clone(), json!(person.uid.expose()));
        let update = self.client.update(audience.object, &record.key.0, row, None, Attempts::Few, deadline);
        match update.await? {
            Ok(()) => Ok(Written::Done),
            Err(Refusal::Gone | Refusal::Moved) => Ok(Written::Moved),
            Err(refusal) => Err(refusal.fault()),
        }
    }

    async fn opt_out(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let mut row = wire::Row::new();
        self.stamp(&mut row, true);
        self.tick(self.meaning(audience)?, record, row, None, deadline).await
    }

    /// Opted out first, so that a record that is taken out of the recycle bin says so.
    async fn remove(
        &self,
        audience: &Audience,
        record: &Record,
        kind: RemovalKind,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let written = self.opt_out(audience, record, deadline).await?;
        if kind != RemovalKind::Delete || written != Written::Done {
            return Ok(written);
        }
        match self.client.delete(self.meaning(audience)?.object, &record.key.0, deadline).await? {
            Ok(()) | Err(Refusal::Gone) => Ok(Written::Done),
            Err(Refusal::Data) => Err(Fault::Configuration { code: 400 }),
            Err(refusal) => Err(refusal.fault()),
        }
    }

    /// Its address and UID are taken away, so that nobody is mailed by it and what is told of it is nobody's; the record
    /// itself may be somebody's work, and stays. Not if it was changed since it was read: whoever ticked it meanwhile could not be
    /// found by it anymore, so the event comes again and sees it.
    async fn discard(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let audience = self.meaning(audience)?;
        let mut row = wire::Row::new();
        row.insert(audience.object.address_field().to_owned(), Value::Null);
        row.insert(self.settings.uid_field.clone(), Value::Null);
        let since = unchanged_since(record);
        self.tick(audience, record, row, since.as_deref(), deadline).await
    }

    async fn list(&self, audience: &Audience, from: Option<&Bookmark>, deadline: Deadline) -> Result<ListPage, Fault> {
        self.page(self.meaning(audience)?, from, deadline).await
    }

    fn combine(&self, audience: &Audience, parts: &[&[u8]]) -> Option<Record> {
        self.put_together(self.settings.audiences.get(audience)?, parts)
    }

    fn load_size(&self, _: &Audience) -> usize {
        COLLECTION
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

/// When a record was changed last, as a condition for a write.
fn unchanged_since(record: &Record) -> Option<String> {
    let changed = record.fields.iter().find(|(name, _)| name == wire::LAST_MODIFIED);
    changed.and_then(|(_, text)| wire::http_date(text))
}
