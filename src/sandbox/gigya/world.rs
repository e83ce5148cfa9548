//! What a site holds. Subscriptions live in the email account, which the full and the lite account of one address
//! share (SAP, "Email Accounts Object").

use super::GigyaSettings;
use super::account::{Account, EmailAccount, Row, Subscription, Subscriptions};
use super::cursors::Cursors;
use super::index::Index;
use crate::sandbox::Clock;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Everything that a site holds.
pub struct World {
    pub clock: Clock,
    accounts: BTreeMap<Arc<str>, Arc<Account>>,
    /// By address in small letters.
    emails: HashMap<Arc<str>, EmailAccount>,
    email_tokens: HashMap<Arc<str>, Arc<str>>,
    /// What a token from `getLiteToken` or `initRegistration` stands for: an address, or nobody yet.
    pub tokens: HashMap<String, Option<String>>,
    pub nonces: HashSet<String>,
    pub cursors: Cursors,
    index: Index,
}

impl World {
    pub fn new(clock: Clock, settings: &GigyaSettings) -> Self {
        Self {
            clock,
            accounts: BTreeMap::new(),
            emails: HashMap::new(),
            email_tokens: HashMap::new(),
            tokens: HashMap::new(),
            nonces: HashSet::new(),
            cursors: Cursors::default(),
            index: Index::new(settings.index_delay, settings.deleted_is_found),
        }
    }

    pub fn new_uid() -> String {
        crate::sandbox::new_uuid().simple().to_string()
    }

    pub fn account(&self, uid: &str) -> Option<&Account> {
        self.accounts.get(uid).map(|account| &**account)
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values().map(|account| &**account)
    }

    pub fn email(&self, address: &str) -> Option<&EmailAccount> {
        self.emails.get(address.to_ascii_lowercase().as_str())
    }

    /// The email account of an address, which is made if it isn't there.
    pub fn email_account(&mut self, address: &str) -> &mut EmailAccount {
        let tokens = &mut self.email_tokens;
        self.emails.entry(address.to_ascii_lowercase().into()).or_insert_with_key(|address| {
            let token: Arc<str> = format!("st2.{}", crate::sandbox::new_uuid().simple()).into();
            tokens.insert(Arc::clone(&token), Arc::clone(address));
            EmailAccount { token, subscriptions: Arc::default(), holders: Vec::new() }
        })
    }

    /// The account that stands for an address: the full one, else the lite one.
    pub fn account_of(&self, address: &str) -> Option<&Account> {
        let holders = self.email(address).map(|email| &email.holders).into_iter().flatten();
        holders.filter_map(|uid| self.account(uid)).min_by_key(|account| (account.is_lite, &account.uid))
    }

    pub fn address_of_token(&self, token: &str) -> Option<String> {
        self.email_tokens.get(token).map(ToString::to_string)
    }

    /// An account with its subscriptions.
    pub fn row(&self, uid: &str) -> Option<Row> {
        let account = self.accounts.get(uid)?;
        let email = account.address().and_then(|address| self.email(address));
        let subscriptions = email.map(|email| Arc::clone(&email.subscriptions)).unwrap_or_default();
        Some(Row { account: Arc::clone(account), subscriptions })
    }

    /// The same as the index is to keep it, if it need keep anything.
    fn kept(&self, uid: &str) -> Option<Row> {
        if self.index.is_late() { self.row(uid) } else { None }
    }

    fn note(&mut self, uid: &Arc<str>, before: Option<Row>, at: Timestamp) {
        if self.index.is_late() {
            let after = self.row(uid);
            self.index.note(uid, before, at, after);
        }
    }

    /// Puts an account there, of which the index gets to know in its own time.
    pub fn insert(&mut self, account: Account) {
        let (uid, at) = (Arc::clone(&account.uid), account.updated);
        self.stock(account);
        self.note(&uid, None, at);
    }

    /// Puts an account there, of which the index knows.
    pub fn stock(&mut self, account: Account) {
        let uid = Arc::clone(&account.uid);
        let address = account.address().unwrap_or_default().to_owned();
        self.email_account(&address).holders.push(Arc::clone(&uid));
        self.accounts.insert(uid, Arc::new(account));
    }

    /// Takes an account out; its email account stays.
    pub fn remove(&mut self, uid: &str, at: Timestamp) -> Option<Account> {
        let before = self.kept(uid);
        let account = Arc::unwrap_or_clone(self.accounts.remove(uid)?);
        self.leave(account.address().unwrap_or_default(), uid);
        self.note(&account.uid, before, at);
        Some(account)
    }

    /// Takes an email account out that nobody has.
    pub fn forget(&mut self, address: &str) {
        let address = address.to_ascii_lowercase();
        if self.emails.get(address.as_str()).is_some_and(|email| email.holders.is_empty()) {
            let token = self.emails.remove(address.as_str()).map(|email| email.token);
            token.and_then(|token| self.email_tokens.remove(&token));
        }
    }

    fn leave(&mut self, address: &str, uid: &str) {
        if let Some(email) = self.emails.get_mut(address.to_ascii_lowercase().as_str()) {
            email.holders.retain(|holder| **holder != *uid);
        }
    }

    /// Changes an account, its address perhaps. Whether there is one.
    pub fn change(&mut self, uid: &str, at: Timestamp, change: impl FnOnce(&mut Account)) -> bool {
        let before = self.kept(uid);
        let Some(held) = self.accounts.get_mut(uid) else { return false };
        let old = held.address().unwrap_or_default().to_owned();
        let account = Arc::make_mut(held);
        change(account);
        account.updated = at;
        let (uid, new) = (Arc::clone(&account.uid), account.address().unwrap_or_default().to_owned());
        if !new.eq_ignore_ascii_case(&old) {
            self.leave(&old, &uid);
            self.email_account(&new).holders.push(Arc::clone(&uid));
        }
        self.note(&uid, before, at);
        true
    }

    /// Changes a subscription of an address, which marks every account with it as changed.
    pub fn set_subscription(&mut self, address: &str, id: &str, subscription: Subscription, at: Timestamp) {
        let holders = self.email_account(address).holders.clone();
        let before: Vec<_> = holders.iter().map(|uid| self.kept(uid)).collect();
        Arc::make_mut(&mut self.email_account(address).subscriptions).set(id, subscription);
        for (uid, before) in holders.iter().zip(before) {
            if let Some(account) = self.accounts.get_mut(uid) {
                Arc::make_mut(account).updated = at;
            }
            self.note(uid, before, at);
        }
    }

    /// An address that has no subscriptions gets those of another.
    pub fn hand_on(&mut self, old: &str, new: &str) {
        let held: Arc<Subscriptions> = Arc::clone(&self.email_account(old).subscriptions);
        let email = self.email_account(new);
        if email.subscriptions.is_empty() {
            email.subscriptions = held;
        }
    }

    /// What the search index shows of those with a UID or an address if one is named, of everybody else.
    pub fn indexed(&self, uid: Option<&str>, address: Option<&str>) -> Vec<Row> {
        let now = self.clock.now();
        let is_settled = |uid: &str| !self.index.is_late_about(uid);
        if let Some(uid) = uid {
            let row = if is_settled(uid) { self.row(uid) } else { self.index.late_one(uid, now).cloned() };
            return row.into_iter().collect();
        }
        let late = self.index.late(now).filter_map(|(_, row)| row.cloned());
        let settled: Vec<_> = match address {
            Some(address) => {
                let holders = self.email(address).map(|email| &email.holders).into_iter().flatten();
                holders.filter(|uid| is_settled(uid)).filter_map(|uid| self.row(uid)).collect()
            }
            None => self.accounts.keys().filter(|uid| is_settled(uid)).filter_map(|uid| self.row(uid)).collect(),
        };
        settled.into_iter().chain(late).collect()
    }
}
