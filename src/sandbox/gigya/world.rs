//! A site's accounts. Subscriptions live in the email account, which the full and the lite account of one
//! address share (SAP, "Email Accounts Object").

use super::cursors::Cursors;
use crate::sandbox::Clock;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Everything that a site holds.
pub struct World {
    pub clock: Clock,
    pub accounts: BTreeMap<String, Account>,
    pub emails: HashMap<String, EmailAccount>,
    /// What a token from `getLiteToken` or `initRegistration` stands for: an address, or nobody yet.
    pub tokens: HashMap<String, Option<String>>,
    pub nonces: std::collections::HashSet<String>,
    pub cursors: Cursors,
    index: BTreeMap<String, VecDeque<(Timestamp, Option<Value>)>>,
}

/// An account, full or lite.
#[derive(Clone, Debug)]
pub struct Account {
    pub uid: String,
    pub is_lite: bool,
    pub is_active: bool,
    pub profile: Map<String, Value>,
    pub data: Value,
    pub former_emails: Vec<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// What belongs to an address, whoever has an account with it.
#[derive(Clone, Debug)]
pub struct EmailAccount {
    pub token: String,
    pub subscriptions: BTreeMap<String, Subscription>,
}

#[derive(Clone, Debug)]
pub struct Subscription {
    pub is_subscribed: bool,
    pub updated: Timestamp,
    pub tags: Vec<String>,
    pub status: &'static str,
    pub confirmed: Option<Timestamp>,
    pub is_vouched_for: bool,
}

impl World {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            accounts: BTreeMap::new(),
            emails: HashMap::new(),
            tokens: HashMap::new(),
            nonces: std::collections::HashSet::new(),
            cursors: Cursors::default(),
            index: BTreeMap::new(),
        }
    }

    pub fn new_uid() -> String {
        crate::sandbox::new_uuid().simple().to_string()
    }

    pub fn email_account(&mut self, address: &str) -> &mut EmailAccount {
        self.emails.entry(address.to_ascii_lowercase()).or_insert_with(|| EmailAccount {
            token: format!("st2.{}", crate::sandbox::new_uuid().simple()),
            subscriptions: BTreeMap::new(),
        })
    }

    /// The account that stands for an address: the full one, else the lite one.
    pub fn account_of(&self, address: &str) -> Option<&Account> {
        let same = |account: &&Account| account.address().is_some_and(|own| own.eq_ignore_ascii_case(address));
        let mut found: Vec<_> = self.accounts.values().filter(same).collect();
        found.sort_by_key(|account| account.is_lite);
        found.first().copied()
    }

    pub fn address_of_token(&self, token: &str) -> Option<String> {
        self.emails.iter().find(|(_, account)| account.token == token).map(|(address, _)| address.clone())
    }

    /// Marks an account as changed now, for the search index too.
    pub fn touch(&mut self, uid: &str, nested: bool) {
        let now = self.clock.now();
        if let Some(account) = self.accounts.get_mut(uid) {
            account.updated = now;
        }
        let json = self.accounts.get(uid).map(|account| self.render(account, nested));
        self.index.entry(uid.to_owned()).or_default().push_back((now, json));
    }

    /// Marks every account of an address as changed.
    pub fn touch_address(&mut self, address: &str, nested: bool) {
        let same = |account: &&Account| account.address().is_some_and(|own| own.eq_ignore_ascii_case(address));
        let uids: Vec<_> = self.accounts.values().filter(same).map(|account| account.uid.clone()).collect();
        for uid in uids {
            self.touch(&uid, nested);
        }
    }

    /// What the search index shows: each account as it was `delay` ago, a deleted one as it was before for longer.
    pub fn indexed(&self, delay: Duration, deleted_is_found: Duration) -> Vec<(bool, Value)> {
        let before = |delay: Duration| {
            let delay = jiff::SignedDuration::try_from(delay).unwrap_or_default();
            self.clock.now().checked_sub(delay).unwrap_or(Timestamp::MIN)
        };
        let (seen, seen_deleted) = (before(delay), before(deleted_is_found.max(delay)));
        let shown = |versions: &VecDeque<(Timestamp, Option<Value>)>| {
            let is_seen =
                |(at, json): &&(Timestamp, Option<Value>)| *at <= if json.is_some() { seen } else { seen_deleted };
            versions.iter().rev().find(is_seen).and_then(|(_, json)| json.clone())
        };
        let is_lite = |json: &Value| json["isRegistered"] == json!(false);
        self.index.values().filter_map(shown).map(|json| (is_lite(&json), json)).collect()
    }

    /// An account with everything that can be included (SAP, "accounts.getAccountInfo").
    pub fn render(&self, account: &Account, nested: bool) -> Value {
        let address = account.address().unwrap_or_default();
        let subscriptions = self.emails.get(&address.to_ascii_lowercase()).map(|email| &email.subscriptions);
        json!({
            "UID": account.uid, "isRegistered": !account.is_lite, "isActive": account.is_active, "isVerified": true,
            "created": account.created.to_string(), "createdTimestamp": account.created.as_millisecond(),
            "lastUpdated": account.updated.to_string(), "lastUpdatedTimestamp": account.updated.as_millisecond(),
            "emails": { "verified": [address], "unverified": account.former_emails },
            "loginIDs": { "username": null, "emails": [address], "unverifiedEmails": [] },
            "profile": account.profile, "data": account.data,
            "subscriptions": render_subscriptions(subscriptions, nested), "preferences": {},
        })
    }
}

fn render_subscriptions(all: Option<&BTreeMap<String, Subscription>>, nested: bool) -> Value {
    let mut rendered = json!({});
    for (id, subscription) in all.into_iter().flatten() {
        let state = json!({ "email": {
            "isSubscribed": subscription.is_subscribed, "tags": subscription.tags,
            "lastUpdatedSubscriptionState": format!("{:.3}", subscription.updated),
            "doubleOptIn": {
                "status": subscription.status,
                "confirmTime": subscription.confirmed.map(|at| format!("{at:.3}")),
                "emailSentTime": null, "doiConditionallyConfirmed": null,
                "isExternallyVerified": subscription.is_vouched_for,
            },
        } });
        if nested {
            let mut place = &mut rendered;
            for key in id.split('.') {
                place = &mut place[key];
            }
            *place = state;
        } else {
            rendered[id] = state;
        }
    }
    rendered
}

impl Account {
    pub fn address(&self) -> Option<&str> {
        self.profile.get("email").and_then(Value::as_str)
    }

    pub const fn kind(&self) -> &'static str {
        if self.is_lite { "lite" } else { "full" }
    }
}
