//! Subscribers and lists, and what each write does to them (vendor pages "Subscriber" and "Manage subscriber
//! status" of the SOAP API).

use super::MarketingCloudSettings;
use super::async_rows::AsyncRows;
use super::contacts::Deletions;
use super::rows::{DataExtension, RowsToken};
use super::soap::Pages;
use super::subscribers::Subscribers;
use crate::sandbox::Clock;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A subscriber's status, on All Subscribers or on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// May be mailed.
    Active,
    /// A mail came back; may still be mailed.
    Bounced,
    /// Mail came back too often.
    Held,
    /// Has left.
    Unsubscribed,
    /// Was deleted.
    Deleted,
}

impl Status {
    /// As the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Bounced => "Bounced",
            Self::Held => "Held",
            Self::Unsubscribed => "Unsubscribed",
            Self::Deleted => "Deleted",
        }
    }

    /// The status that the API spells so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Active, Self::Bounced, Self::Held, Self::Unsubscribed, Self::Deleted]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

#[derive(Clone, Debug)]
pub struct Subscriber {
    pub id: u64,
    pub key: Arc<str>,
    pub email: String,
    pub status: Status,
    pub unsubscribed: Option<Timestamp>,
    pub created: Timestamp,
    /// When the status was last changed.
    pub modified: Timestamp,
    pub attributes: Vec<(Arc<str>, String)>,
    pub lists: Vec<(Arc<str>, Membership)>,
}

/// Somebody's place on a list.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub status: Status,
    pub created: Timestamp,
    pub modified: Timestamp,
}

impl Subscriber {
    /// The place on a list.
    pub fn on(&self, list: &str) -> Option<&Membership> {
        self.lists.iter().find(|(id, _)| **id == *list).map(|(_, place)| place)
    }

    /// Whether commercial mail is sent, to a list or to everybody.
    pub fn is_mailable(&self, list: Option<&str>) -> bool {
        let is_active = |list: &str| self.on(list).is_some_and(|place| place.status == Status::Active);
        matches!(self.status, Status::Active | Status::Bounced) && list.is_none_or(is_active)
    }

    /// Changes the status for everything.
    pub fn set_status(&mut self, status: Status, now: Timestamp) {
        match status {
            Status::Unsubscribed if self.status != status => self.unsubscribed = Some(now),
            Status::Active => self.unsubscribed = None,
            _ => {}
        }
        if self.status != status {
            self.status = status;
            self.modified = now;
        }
    }

    /// Puts somebody on a list, or changes their status there.
    pub fn set_list_status(&mut self, list: &str, status: Status, now: Timestamp) {
        let new = Membership { status, created: now, modified: now };
        match self.lists.iter_mut().find(|(id, _)| **id == *list) {
            None => self.lists.push((list.into(), new)),
            Some((_, place)) if place.status != status => *place = Membership { status, modified: now, ..*place },
            Some(_) => {}
        }
    }
}

/// What is to be written. What is missing stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Write {
    pub key: Option<String>,
    pub id: Option<u64>,
    pub email: Option<String>,
    pub status: Option<Status>,
    pub attributes: Vec<(String, String)>,
    pub lists: Vec<ListWrite>,
}

/// What is to happen to somebody's place on a list.
#[derive(Clone, Debug)]
pub struct ListWrite {
    pub list: String,
    pub action: ListAction,
    pub status: Option<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListAction {
    Create,
    Update,
    Upsert,
    Delete,
}

/// Whether the subscriber is to be new, to be there, or either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Create,
    Update,
    Upsert,
}

/// What came of a write.
pub struct Written {
    pub is_new: bool,
    pub subscriber: Subscriber,
    /// The lists that were left by it.
    pub left: Vec<String>,
}

/// A code of the API, and what it says.
pub type Refused = (u32, String);

pub struct World {
    clock: Clock,
    last_id: u64,
    last_job: u64,
    pub all_subscribers_list: String,
    pub lists: Vec<String>,
    attributes: Vec<String>,
    pub subscribers: Subscribers,
    pub extensions: BTreeMap<String, DataExtension>,
    pub deletions: Deletions,
    /// Addresses that unsubscribed from the whole platform, in small letters.
    pub global: BTreeSet<String>,
    /// Mails, by job: to which list, and to whom.
    pub jobs: BTreeMap<u64, (String, Vec<u64>)>,
    pub pages: Pages,
    pub async_rows: AsyncRows,
    /// By request token.
    pub row_tokens: HashMap<String, RowsToken>,
    pub rows_a_page: usize,
}

impl World {
    pub fn new(settings: &MarketingCloudSettings, clock: Clock) -> Self {
        let extensions = settings.data_extensions.iter().map(|kind| (kind.key.clone(), DataExtension::new(kind)));
        Self {
            clock,
            last_id: 178_363_500,
            last_job: 1_722_200,
            all_subscribers_list: settings.all_subscribers_list.clone(),
            lists: settings.lists.clone(),
            attributes: settings.attributes.clone(),
            subscribers: Subscribers::default(),
            extensions: extensions.collect(),
            deletions: Deletions::new(settings),
            global: BTreeSet::new(),
            jobs: BTreeMap::new(),
            pages: Pages::default(),
            async_rows: AsyncRows::new(settings.async_rows_take),
            row_tokens: HashMap::new(),
            rows_a_page: settings.rows_a_page,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Subscribers that aren't suppressed.
    pub fn visible(&self) -> impl Iterator<Item = &Subscriber> {
        self.subscribers.all().filter(|subscriber| !self.is_suppressed(&subscriber.key))
    }

    /// Somebody by key or number.
    pub fn find(&self, key: Option<&str>, id: Option<u64>) -> Option<&Subscriber> {
        let held = match key {
            Some(key) => self.subscribers.get(key),
            None => self.subscribers.by_id(id?),
        };
        held.filter(|held| !self.is_suppressed(&held.key))
    }

    /// Those at an address who aren't suppressed.
    pub fn visible_at(&self, email: &str) -> impl Iterator<Item = &Subscriber> {
        self.subscribers.at(email).filter(|held| !self.is_suppressed(&held.key))
    }

    /// The keys of those who are at an address and would be mailed.
    pub fn mailable_at(&self, email: &str, list: Option<&str>) -> Vec<Arc<str>> {
        let list = list.filter(|list| *list != self.all_subscribers_list);
        let here = self.visible_at(email).filter(|held| held.is_mailable(list));
        here.map(|held| Arc::clone(&held.key)).collect()
    }

    /// A mail goes out.
    pub fn new_job(&mut self, list: &str, to: Vec<u64>) -> u64 {
        self.last_job += 1;
        self.jobs.insert(self.last_job, (list.to_owned(), to));
        self.last_job
    }

    /// Puts somebody on the list of everybody, active.
    pub fn add(&mut self, key: &str, email: &str) {
        self.last_id += 1;
        let now = self.now();
        let subscriber = Subscriber {
            id: self.last_id,
            key: key.into(),
            email: email.to_owned(),
            status: Status::Active,
            unsubscribed: None,
            created: now,
            modified: now,
            attributes: Vec::new(),
            lists: Vec::new(),
        };
        self.subscribers.insert(subscriber);
    }

    /// Creates or updates somebody. All of it is done, or nothing.
    pub fn write(&mut self, write: &Write, mode: Mode) -> Result<Written, Refused> {
        let key = self.key_of(write)?;
        let existing = self.subscribers.get(&key).filter(|_| !self.is_suppressed(&key)).cloned();
        match (mode, &existing) {
            // That it is this code isn't documented; the key can't be added again for as long as it is suppressed.
            (Mode::Create | Mode::Upsert, _) if self.is_suppressed(&key) => {
                return refused(12010, "Contact deletion of this subscriber is under way");
            }
            (Mode::Create, Some(_)) => return refused(12014, "The subscriber is already on the list"),
            (Mode::Update, None) => return refused(12015, "The subscriber key was not found"),
            _ => {}
        }
        self.check(write, existing.as_ref())?;
        let (now, is_new) = (self.now(), existing.is_none());
        if is_new {
            self.add(&key, write.email.as_deref().unwrap_or_default());
        }
        let all_subscribers = self.all_subscribers_list.clone();
        let new_email =
            write.email.as_ref().filter(|email| existing.as_ref().is_some_and(|held| held.email != **email));
        if let Some(email) = new_email {
            self.subscribers.set_email(&key, email);
        }
        let held = self.subscribers.get_mut(&key).ok_or_else(|| (12001, "Subscriber not found".to_owned()))?;
        let mut left = Vec::new();
        if new_email.is_some() && held.status == Status::Held {
            held.set_status(Status::Active, now);
        }
        let mut set_master = |held: &mut Subscriber, status: Status| {
            if status == Status::Unsubscribed && held.status != status {
                left.push(all_subscribers.clone());
            }
            held.set_status(status, now);
        };
        if let Some(status) = write.status {
            set_master(held, status);
        }
        for change in write.lists.iter().filter(|change| change.list == all_subscribers) {
            set_master(held, change.status.unwrap_or(held.status));
        }
        for change in write.lists.iter().filter(|change| change.list != all_subscribers) {
            let before = held.on(&change.list).map(|place| place.status);
            let status = change.status.or(before).unwrap_or(Status::Active);
            if change.action == ListAction::Delete {
                held.lists.retain(|(id, _)| **id != *change.list);
                continue;
            }
            if status == Status::Unsubscribed && before.is_some_and(|before| before != status) {
                left.push(change.list.clone());
            }
            held.set_list_status(&change.list, status, now);
        }
        for (name, value) in &write.attributes {
            match held.attributes.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, old)) => old.clone_from(value),
                None => held.attributes.push((name.as_str().into(), value.clone())),
            }
        }
        Ok(Written { is_new, subscriber: held.clone(), left })
    }

    /// The key that a write is about. Somebody who is only named by their address gets that for a key.
    fn key_of(&self, write: &Write) -> Result<String, Refused> {
        let by_id = || self.find(None, Some(write.id?)).map(|held| held.key.to_string());
        let key = write.key.clone().filter(|key| !key.is_empty()).or_else(by_id).or_else(|| write.email.clone());
        let key = key.ok_or_else(|| (12001, "Subscriber not found".to_owned()))?;
        if key.chars().count() > 254 { refused(12022, "The subscriber key is too long") } else { Ok(key) }
    }

    fn check(&self, write: &Write, existing: Option<&Subscriber>) -> Result<(), Refused> {
        let email = write.email.as_deref().or(existing.map(|held| held.email.as_str())).unwrap_or_default();
        if !is_address(email) {
            return refused(12000, "InvalidEmailAddress: the email address is not valid");
        }
        if self.global.contains(&email.to_lowercase()) && (existing.is_none() || write.status == Some(Status::Active)) {
            return refused(12003, "OnGlobalUnsubList: the address is on the global unsubscribe list");
        }
        if existing.is_none() && matches!(write.status, Some(Status::Bounced | Status::Deleted)) {
            return refused(12016, "A subscriber can't be created with this status");
        }
        for (name, _) in &write.attributes {
            if !self.attributes.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return refused(12004, &format!("The attribute {name} is not valid for this account"));
            }
        }
        for change in &write.lists {
            let is_everybody = change.list == self.all_subscribers_list;
            if !is_everybody && !self.lists.contains(&change.list) {
                return refused(13000, &format!("List Not Found: {}", change.list));
            }
            let is_on =
                existing.is_some_and(|held| held.on(&change.list).is_some()) || is_everybody && existing.is_some();
            match change.action {
                ListAction::Create if is_on => return refused(12014, "The subscriber is already on the list"),
                ListAction::Update | ListAction::Delete if !is_on => {
                    return refused(12009, "UnsubscribeError: the subscriber is not on the list");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

pub fn refused<T>(code: u32, message: &str) -> Result<T, Refused> {
    Err((code, message.to_owned()))
}

/// Whether something passes for an address.
pub fn is_address(text: &str) -> bool {
    let is_shaped = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.contains('@') && !domain.starts_with('.')
    });
    is_shaped && text.len() <= 254 && !text.chars().any(char::is_whitespace)
}
