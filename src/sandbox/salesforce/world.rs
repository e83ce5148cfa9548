//! The records, and what each call and each person does to them.

use super::SalesforceSettings;
use crate::sandbox::Clock;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A record: its fields by their API names.
pub type Row = Map<String, Value>;
/// What a test has happen at some moment.
pub(super) type Interruption = Box<dyn FnOnce(&mut World) + Send>;

/// The external id.
pub(super) const UID: &str = "Gigya_UID__c";
/// The time of consent.
pub(super) const TIME: &str = "Consent_Time__c";

/// Status, code and message of a refusal.
pub(super) type Refused = (u16, &'static str);

/// Everything there.
pub struct World {
    pub(super) settings: SalesforceSettings,
    clock: Clock,
    /// By object and id.
    records: BTreeMap<(String, String), Row>,
    last_id: u32,
    sessions: u32,
    refused: VecDeque<&'static str>,
    interruptions: HashMap<&'static str, Interruption>,
    told: Vec<Value>,
    /// Whether the calls of the day are used up.
    pub(super) used_up: bool,
    /// Queries whose pages are read still: what is left of each.
    pub(super) cursors: HashMap<String, Vec<Row>>,
}

impl World {
    pub(super) fn new(settings: SalesforceSettings, clock: Clock) -> Self {
        Self {
            settings,
            clock,
            records: BTreeMap::new(),
            last_id: 0,
            sessions: 1,
            refused: VecDeque::new(),
            interruptions: HashMap::new(),
            told: Vec::new(),
            used_up: false,
            cursors: HashMap::new(),
        }
    }

    pub(super) fn records(&self, object: &str) -> impl Iterator<Item = &Row> {
        self.records.iter().filter(move |((of, _), _)| of == object).map(|(_, row)| row)
    }

    pub(super) fn record(&self, object: &str, id: &str) -> Option<&Row> {
        self.records.get(&(object.to_owned(), id.to_owned()))
    }

    /// The token that is good now.
    pub(super) fn session(&self) -> String {
        format!("00Dsimulated!session{}", self.sessions)
    }

    pub(super) fn expire_sessions(&mut self) {
        self.sessions += 1;
    }

    pub(super) fn refuse(&mut self, code: &'static str, count: usize) {
        self.refused.extend(std::iter::repeat_n(code, count));
    }

    pub(super) fn before(&mut self, operation: &'static str, what: Interruption) {
        self.interruptions.insert(operation, what);
    }

    pub(super) fn interrupt(&mut self, operation: &str) {
        if let Some(what) = self.interruptions.remove(operation) {
            what(self);
        }
    }

    pub(super) fn take_told(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.told)
    }

    /// A record is made; its id.
    pub fn create(&mut self, object: &str, mut fields: Row) -> String {
        self.last_id += 1;
        let id = format!("0035e{:010}AAA", self.last_id);
        fields.insert("Id".to_owned(), json!(id));
        for field in [self.settings.opt_out_field(), "IsConverted".to_owned()] {
            fields.entry(field).or_insert(Value::Bool(false));
        }
        fields.entry("IsPersonAccount").or_insert(Value::Bool(object == "Account"));
        self.records.insert((object.to_owned(), id.clone()), Row::new());
        self.write(object, &id, fields);
        id
    }

    /// A record is made of somebody who opts in with it.
    pub(super) fn create_consenting(&mut self, object: &str, mut fields: Row) -> String {
        if self.settings.keeps_time {
            fields.insert(TIME.to_owned(), json!(self.time_of_consent()));
        }
        self.create(object, fields)
    }

    /// Now, as the organization's field for it has it.
    fn time_of_consent(&self) -> String {
        let now = self.clock.now();
        if self.settings.by_day { now.strftime("%Y-%m-%d").to_string() } else { spelled(now) }
    }

    /// A record is changed, whichever it is.
    pub fn edit(&mut self, id: &str, fields: Row) {
        let object = self.records.keys().find(|(_, known)| known == id).map(|(object, _)| object.clone());
        if let Some(object) = object {
            self.write(&object, id, fields);
        }
    }

    /// A record goes to the recycle bin. Whether it was there.
    pub fn delete(&mut self, id: &str) -> bool {
        let before = self.records.len();
        self.records.retain(|(_, known), _| known != id);
        self.records.len() < before
    }

    /// Writes, and has the rule look at what it wrote: of a changed checkbox, Email Opt Out or address, a message is sent. A Flow keeps the
    /// time of a changed checkbox, unless who wrote it did.
    fn write(&mut self, object: &str, id: &str, fields: Row) {
        let now = self.clock.now();
        let (checkbox, address) = (self.settings.opt_out_field(), self.settings.address_field());
        let (keeps_time, time) = (self.settings.keeps_time, self.time_of_consent());
        let Some(row) = self.records.get_mut(&(object.to_owned(), id.to_owned())) else { return };
        let before = row.clone();
        let says_time = fields.contains_key(TIME);
        row.extend(fields);
        row.insert("LastModifiedDate".to_owned(), json!(spelled(now)));
        let is_changed = |row: &Row, field: &str| before.get(field) != row.get(field);
        if keeps_time && !says_time && is_changed(row, &checkbox) && !before.is_empty() {
            row.insert(TIME.to_owned(), json!(time));
        }
        if is_changed(row, &checkbox) || is_changed(row, "HasOptedOutOfEmail") || is_changed(row, address) {
            self.told.push(json!({ "type": object, "id": id }));
        }
    }

    /// Checks what any write is checked for.
    fn accept(&mut self, object: &str, id: Option<&str>, fields: &Row) -> Result<(), Refused> {
        if let Some(code) = self.refused.pop_front() {
            return Err((400, code));
        }
        let address = fields.get(self.settings.address_field()).and_then(Value::as_str);
        if address.is_some_and(|address| !address.contains('@')) {
            return Err((400, "INVALID_EMAIL_ADDRESS"));
        }
        let required: &[&str] = if object == "Lead" { &["LastName", "Company"] } else { &["LastName"] };
        let lacks = |name: &&&str| match fields.get(**name) {
            Some(value) => value.as_str().is_none_or(str::is_empty),
            None => id.is_none(),
        };
        if required.iter().any(|name| lacks(&name)) {
            return Err((400, "REQUIRED_FIELD_MISSING"));
        }
        let uid = fields.get(UID).and_then(Value::as_str);
        let is_taken = |row: &Row| row.get(UID).and_then(Value::as_str) == uid && row["Id"].as_str() != id;
        if uid.is_some() && self.records(object).any(is_taken) {
            return Err((400, "DUPLICATE_VALUE"));
        }
        Ok(())
    }

    /// A call that makes a record, or changes the one with this UID; whether it made one, and its id.
    pub(super) fn upsert(&mut self, object: &str, uid: &str, mut fields: Row) -> Result<(bool, String), Refused> {
        let known = self.records(object).find(|row| row.get(UID).and_then(Value::as_str) == Some(uid));
        let known = known.and_then(|row| row["Id"].as_str()).map(ToOwned::to_owned);
        fields.insert(UID.to_owned(), json!(uid));
        self.accept(object, known.as_deref(), &fields)?;
        match known {
            Some(id) => {
                self.write(object, &id, fields);
                Ok((false, id))
            }
            None => Ok((true, self.create(object, fields))),
        }
    }

    /// A call that changes a record, unless it was changed since a time.
    pub(super) fn update(
        &mut self,
        object: &str,
        id: &str,
        fields: Row,
        unless_since: Option<Timestamp>,
    ) -> Result<(), Refused> {
        let row = self.record(object, id).ok_or((404, "NOT_FOUND"))?;
        let changed = row["LastModifiedDate"].as_str().and_then(|text| Timestamp::strptime(FORMAT, text).ok());
        if unless_since.is_some_and(|since| changed > Some(since)) {
            return Err((412, "PRECONDITION_FAILED"));
        }
        self.accept(object, Some(id), &fields)?;
        self.write(object, id, fields);
        Ok(())
    }

    /// A call that deletes a record.
    pub(super) fn delete_by_call(&mut self, object: &str, id: &str) -> Result<(), Refused> {
        self.record(object, id).ok_or((404, "NOT_FOUND"))?;
        self.delete(id);
        Ok(())
    }
}

const FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.f%z";

/// As Salesforce writes instants: to the second.
fn spelled(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
}
