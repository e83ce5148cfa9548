//! A described ESP as `forward` sees it.

use super::client::{Client, Doing, Refused};
use super::fill::Known;
use super::record::{self, Held};
use super::{INFO, callback};
use crate::config;
use crate::config::http::{Call, Http as Settings, Missing, Verification};
use crate::domain::{Audience, ConnectionName, Consent, Email, RemovalKind, Uid};
use crate::esp::{
    Bookmark, Esp, Field, FieldValue, ListPage, NotTaken, Person, ProviderInfo, Received, Record, Whom, Written,
};
use crate::upstream::{Attempts, Deadline, Fault, Health, Transport, Upstream, all, both, together};
use async_trait::async_trait;
use http::HeaderMap;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait between two looks for what was only queued.
const QUEUE_LOOK: Duration = Duration::from_millis(500);
/// How many people are opted in side by side where an audience is filled.
const LOAD: usize = 20;

/// One connection to a described ESP.
pub struct Described {
    pub(super) settings: Settings,
    pub(super) client: Client,
}

impl Described {
    /// Connects as configured.
    #[must_use]
    pub fn new(settings: &Settings, transport: Arc<dyn Transport>) -> Self {
        let upstream = Upstream::new(format!("http/{}", settings.name), transport, &settings.common);
        Self { client: Client::new(settings, upstream), settings: settings.clone() }
    }

    /// The same connection with other settings: how the API is doing counts on, if it is the same.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        if self.settings.base_url == former.settings.base_url {
            self.client.upstream = self.client.upstream.succeeding(&former.client.upstream);
        }
        self
    }

    pub(super) fn known<'a>(&'a self, audience: &'a Audience) -> Known<'a> {
        Known { settings: Some(&self.settings), audience: Some(audience), ..Known::default() }
    }

    /// What every read by address says of one.
    async fn at_address(&self, audience: &Audience, address: &Email, deadline: Deadline) -> Result<Vec<Held>, Fault> {
        let known = Known { address: Some(address), ..self.known(audience) };
        self.read(false, known, Some(address), deadline).await
    }

    async fn with_uid(&self, audience: &Audience, uid: &Uid, deadline: Deadline) -> Result<Vec<Held>, Fault> {
        let known = Known { uid: Some(uid), ..self.known(audience) };
        self.read(true, known, None, deadline).await
    }

    async fn read(
        &self,
        by_uid: bool,
        known: Known<'_>,
        asked: Option<&Email>,
        deadline: Deadline,
    ) -> Result<Vec<Held>, Fault> {
        let doing = Doing { operation: "read", attempts: Attempts::Few, deadline, refused: Refused::TheCall };
        let reads = self.settings.reads.iter().filter(|read| read.by_uid == by_uid).map(|read| async move {
            let answer = self.client.read(&read.call, &known, doing).await?;
            let Some(value) = answer else { return Ok(Vec::new()) };
            let document = super::document::Document { value: &value, known: &known };
            Ok(record::held(&read.shape, &document, asked)?)
        });
        Ok(all(reads).await?.into_iter().flatten().collect())
    }

    /// Whether what a call looks at is there.
    pub(super) async fn probe(&self, call: &Call, deadline: Deadline) -> Result<bool, Fault> {
        let known = Known { settings: Some(&self.settings), ..Known::default() };
        let doing = Doing { operation: "probe", attempts: Attempts::Few, deadline, refused: Refused::TheCall };
        Ok(self.client.read(call, &known, doing).await?.is_some())
    }

    /// The records at one address.
    async fn look(&self, audience: &Audience, address: &Email, deadline: Deadline) -> Result<Vec<Record>, Fault> {
        let held = self.at_address(audience, address, deadline).await?;
        Ok(record::records(held, self.settings.rules.one_record_an_address))
    }

    /// Waits until what was only queued can be read: until `what_became` knows it from the records at the address.
    async fn await_queue(
        &self,
        audience: &Audience,
        address: &Email,
        deadline: Deadline,
        what_became: impl Fn(&[Record]) -> Option<Written>,
    ) -> Result<Written, Fault> {
        loop {
            let records = self.look(audience, address, deadline).await?;
            if let Some(written) = what_became(&records) {
                return Ok(written);
            }
            if !deadline.allows(QUEUE_LOOK) {
                return Err(Fault::DeadlineReached);
            }
            tokio::time::sleep(QUEUE_LOOK).await;
        }
    }

    /// Waits until a record that was to go isn't in anymore.
    async fn await_out(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let became = |records: &[Record]| {
            let is_in = |now: &Record| now.key == record.key && may_be_mailed(now.consent);
            (!records.iter().any(is_in)).then_some(Written::Done)
        };
        self.await_queue(audience, &record.address, deadline, became).await
    }

    /// Whether a record at a person's address is theirs, as far as it tells: where an address is one record, it is.
    fn may_be_theirs(&self, record: &Record, person: &Person) -> bool {
        let rules = &self.settings.rules;
        rules.one_record_an_address || record.uid.as_ref().is_none_or(|uid| *uid == person.uid)
    }

    /// Does something about a record that takes it out.
    async fn change(
        &self,
        (operation, calls): (&'static str, &[Call]),
        audience: &Audience,
        record: &Record,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let known = Known { record: Some(record), ..self.known(audience) };
        let doing = Doing { operation, attempts: Attempts::Few, deadline, refused: Refused::TheCall };
        Ok(self.client.write(calls, &known, doing).await?.unwrap_or(Written::NothingToDo))
    }

    /// Whoever moves to another address where the ESP can't move records gets a new one, and the old one goes.
    async fn move_over(
        &self,
        audience: &Audience,
        record: &Record,
        person: &Person,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        // An opt-out stays where it is; who opted in again later gets a record of their own.
        if !record.consent.is_opted_in() {
            return Ok(Written::NothingToDo);
        }
        match self.opt_in(audience, None, person, false, deadline).await? {
            Written::Done | Written::NothingToDo => {
                match self.discard(audience, record, deadline).await? {
                    Written::Done => Ok(Written::Done),
                    // The old one isn't as it was read; or it isn't there, which is to be seen.
                    _ => Ok(Written::Moved),
                }
            }
            written => Ok(written),
        }
    }
}

#[async_trait]
impl Esp for Described {
    fn provider(&self) -> &'static ProviderInfo {
        &INFO
    }

    fn has_token_in_path(&self) -> bool {
        self.settings.callback.as_ref().is_some_and(|callback| callback.verification.is_in_url())
    }

    fn name(&self) -> &ConnectionName {
        &self.settings.name
    }

    fn common(&self) -> &config::Common {
        &self.settings.common
    }

    fn remarks(&self) -> Vec<String> {
        let settings = &self.settings;
        let whose = match &settings.provider {
            Some(provider) => format!("{}, by the shipped description \"{provider}\"", settings.title),
            None => format!("{}, by a description of its own", settings.title),
        };
        let verified = match settings.callback.as_ref().map(|callback| &callback.verification) {
            None => "nothing is called back",
            Some(Verification::UrlToken) => "callbacks are verified by the token in their URL",
            Some(Verification::Bearer { .. } | Verification::Basic) => "callbacks are verified by a secret in a header",
            Some(Verification::Hmac { .. } | Verification::StandardWebhooks { .. }) => "callbacks are verified by HMAC",
            Some(Verification::Ecdsa { .. }) => "callbacks are verified by ECDSA",
        };
        let mut remarks = vec![whose, verified.to_owned()];
        if settings.lists.is_empty() {
            remarks.push("its audiences can't be read as a whole, so reconcile leaves them out".to_owned());
        }
        if settings.rules.subscribe_may_lift_opt_out {
            remarks.push(
                "its way to subscribe may lift an opt-out made at the same moment, until its callback comes".to_owned(),
            );
        }
        remarks
    }

    fn one_record_an_address(&self) -> bool {
        self.settings.rules.one_record_an_address
    }

    fn finds_by_uid(&self) -> bool {
        self.settings.reads.iter().any(|read| read.by_uid)
    }

    fn health(&self) -> Vec<Health> {
        vec![self.client.upstream.health()]
    }

    async fn receive(
        &self,
        token: Option<&SecretString>,
        headers: &HeaderMap,
        body: &[u8],
        _: Deadline,
    ) -> Result<Received, NotTaken> {
        callback::receive(&self.settings, token, headers, body).map(Received::Notices)
    }

    /// By every read there is. Who is found by UID is looked at under the address that they have there, too.
    async fn find(&self, audience: &Audience, whom: &Whom<'_>, deadline: Deadline) -> Result<Vec<Record>, Fault> {
        let uids: &[&Uid] = if self.finds_by_uid() { &whom.uids } else { &[] };
        let by_address = all(whom.addresses.iter().map(|address| self.at_address(audience, address, deadline)));
        let by_uid = all(uids.iter().map(|uid| self.with_uid(audience, uid, deadline)));
        let (by_address, by_uid) = both(by_address, by_uid).await?;
        let (mut held, by_uid): (Vec<Held>, Vec<Held>) = (by_address.concat(), by_uid.concat());
        let mut elsewhere: Vec<Email> = Vec::new();
        for found in &by_uid {
            if !whom.addresses.contains(&&found.address) && !elsewhere.contains(&found.address) {
                elsewhere.push(found.address.clone());
            }
        }
        let more = all(elsewhere.iter().map(|address| self.at_address(audience, address, deadline))).await?;
        held.extend(by_uid);
        held.extend(more.concat());
        Ok(record::records(held, self.one_record_an_address()))
    }

    fn differs(&self, _: &Audience, record: &Record, person: &Person) -> bool {
        if self.settings.operations.update.is_none() {
            return false;
        }
        let reads = || self.settings.reads.iter().map(|read| &read.shape);
        if record.address != person.address {
            return true;
        }
        if reads().any(|shape| shape.uid.is_some()) && record.uid.as_ref() != Some(&person.uid) {
            return true;
        }
        // What can't be compared is written.
        let can_compare = reads().any(|shape| !shape.fields.is_empty());
        let is_written =
            |field: &&Field| field.value != FieldValue::Missing || self.settings.rules.missing != Missing::Omit;
        let mut written = person.fields.iter().filter(is_written);
        written.any(|field| !can_compare || held_values(record, &field.name) != wanted(&field.value))
    }

    async fn opt_in(
        &self,
        audience: &Audience,
        record: Option<&Record>,
        person: &Person,
        over_opt_out: bool,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let (operations, rules) = (&self.settings.operations, &self.settings.rules);
        if !over_opt_out && rules.subscribe_may_lift_opt_out {
            let held = self.look(audience, &person.address, deadline).await?;
            if held.iter().any(|record| self.may_be_theirs(record, person) && is_out(record.consent)) {
                return Ok(Written::Held);
            }
        }
        let (operation, calls) = match &operations.resubscribe {
            Some(calls) if over_opt_out => ("resubscribe", calls),
            _ => ("subscribe", &operations.subscribe),
        };
        // What may undo an opt-out is tried once: before a second time, it must be looked at again.
        let may_undo = over_opt_out || rules.subscribe_may_lift_opt_out;
        let attempts = if may_undo { Attempts::Once } else { Attempts::Few };
        let known = Known { person: Some(person), record, ..self.known(audience) };
        let doing = Doing { operation, attempts, deadline, refused: Refused::TheData };
        match self.client.write(calls, &known, doing).await? {
            None => Err(Fault::Refused { code: 0 }),
            Some(Written::Done) if rules.queued => {
                let became = |records: &[Record]| {
                    let theirs = || records.iter().filter(|record| self.may_be_theirs(record, person));
                    if theirs().any(|record| may_be_mailed(record.consent)) {
                        return Some(Written::Done);
                    }
                    // Who wasn't out before has left meanwhile. Who was, may be seen as they were.
                    let is_out = !over_opt_out && theirs().any(|record| is_out(record.consent));
                    is_out.then_some(Written::Held)
                };
                self.await_queue(audience, &person.address, deadline, became).await
            }
            Some(written) => Ok(written),
        }
    }

    fn update_may_opt_in(&self, _: &Audience) -> bool {
        self.settings.rules.update_may_opt_in
    }

    async fn update(
        &self,
        audience: &Audience,
        record: &Record,
        person: &Person,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let moves = record.address != person.address;
        let Some(calls) =
            self.settings.operations.update.as_ref().filter(|_| !moves || self.settings.rules.update_moves_address)
        else {
            return if moves {
                self.move_over(audience, record, person, deadline).await
            } else {
                Ok(Written::NothingToDo)
            };
        };
        let known = Known { person: Some(person), record: Some(record), ..self.known(audience) };
        let doing = Doing { operation: "update", attempts: Attempts::Few, deadline, refused: Refused::TheData };
        match self.client.write(calls, &known, doing).await? {
            // Nobody is there anymore to be updated.
            None | Some(Written::NothingToDo) => Ok(Written::Moved),
            Some(written) => Ok(written),
        }
    }

    async fn opt_out(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let calls = ("unsubscribe", self.settings.operations.unsubscribe.as_slice());
        match self.change(calls, audience, record, deadline).await? {
            Written::Done if self.settings.rules.queued => self.await_out(audience, record, deadline).await,
            written => Ok(written),
        }
    }

    async fn remove(
        &self,
        audience: &Audience,
        record: &Record,
        kind: RemovalKind,
        deadline: Deadline,
    ) -> Result<Written, Fault> {
        let operations = &self.settings.operations;
        let calls = match kind {
            RemovalKind::Unsubscribe => None,
            RemovalKind::Delete => operations.delete.as_deref(),
            RemovalKind::Suppress => operations.suppress.as_deref(),
        };
        match calls {
            Some(calls) => match self.change(("remove", calls), audience, record, deadline).await? {
                Written::Done if self.settings.rules.queued => self.await_out(audience, record, deadline).await,
                written => Ok(written),
            },
            None => self.opt_out(audience, record, deadline).await,
        }
    }

    /// Deletes it if it can: an unsubscribe would call back as one.
    async fn discard(&self, audience: &Audience, record: &Record, deadline: Deadline) -> Result<Written, Fault> {
        let operations = &self.settings.operations;
        let calls = operations.discard.as_ref().or(operations.delete.as_ref()).unwrap_or(&operations.unsubscribe);
        self.change(("discard", calls), audience, record, deadline).await
    }

    fn can_list(&self) -> bool {
        !self.settings.lists.is_empty()
    }

    async fn list(&self, audience: &Audience, from: Option<&Bookmark>, deadline: Deadline) -> Result<ListPage, Fault> {
        self.page(audience, from, deadline).await
    }

    fn combine(&self, audience: &Audience, parts: &[&[u8]]) -> Option<Record> {
        self.one_of(audience, parts)
    }

    fn load_size(&self, _: &Audience) -> usize {
        LOAD
    }

    async fn load(
        &self,
        audience: &Audience,
        people: &[Person],
        deadline: Deadline,
    ) -> Result<Vec<Result<Written, Fault>>, Fault> {
        Ok(together(people.iter().map(|person| self.opt_in(audience, None, person, false, deadline))).await)
    }
}

const fn may_be_mailed(consent: Consent) -> bool {
    matches!(consent, Consent::OptedIn { .. } | Consent::Pending { .. })
}

const fn is_out(consent: Consent) -> bool {
    matches!(consent, Consent::OptedOut { .. })
}

/// Values as they compare: sorted, without empty ones.
fn held_values(record: &Record, name: &str) -> Vec<String> {
    sorted(record.fields.iter().filter(|(held, _)| held == name).map(|(_, value)| value.clone()))
}

fn wanted(value: &FieldValue) -> Vec<String> {
    match value {
        FieldValue::Missing => Vec::new(),
        FieldValue::Text(text) => sorted([text.clone()]),
        FieldValue::Flag(flag) => sorted([flag.to_string()]),
        FieldValue::Many(texts) => sorted(texts.iter().cloned()),
    }
}

fn sorted(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    texts.sort();
    texts
}
