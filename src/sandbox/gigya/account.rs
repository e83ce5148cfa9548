//! Accounts, the email accounts that hold their subscriptions, and how both are told (SAP, "Accounts Object",
//! "Email Accounts Object"). Of a million there may be many versions at once, so what they share is held once.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// An account, full or lite.
#[derive(Clone, Debug)]
pub struct Account {
    pub uid: Arc<str>,
    pub is_lite: bool,
    pub is_active: bool,
    pub profile: Fields,
    pub data: Value,
    pub former_emails: Vec<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// Fields by name.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(Arc<str>, Value)>);

/// What belongs to an address, whoever has an account with it.
#[derive(Clone, Debug)]
pub struct EmailAccount {
    pub token: Arc<str>,
    pub subscriptions: Arc<Subscriptions>,
    /// The UIDs of those who have an account with it.
    pub holders: Vec<Arc<str>>,
}

/// Subscriptions in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions(Vec<(Arc<str>, Subscription)>);

#[derive(Clone, Debug)]
pub struct Subscription {
    pub is_subscribed: bool,
    pub updated: Timestamp,
    pub tags: Vec<String>,
    pub status: &'static str,
    pub confirmed: Option<Timestamp>,
    pub is_vouched_for: bool,
}

/// An account with its subscriptions, as they were at one time.
#[derive(Clone, Debug)]
pub struct Row {
    pub account: Arc<Account>,
    pub subscriptions: Arc<Subscriptions>,
}

impl Account {
    pub fn address(&self) -> Option<&str> {
        self.profile.get("email").and_then(Value::as_str)
    }

    pub const fn kind(&self) -> &'static str {
        if self.is_lite { "lite" } else { "full" }
    }
}

impl Fields {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(held, _)| **held == *name).map(|(_, value)| value)
    }

    pub fn insert(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(held, _)| **held == *name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name.into(), value)),
        }
    }

    fn told(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
    }
}

impl FromIterator<(Arc<str>, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(fields: I) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.shrink_to_fit();
        Self(fields)
    }
}

impl Subscriptions {
    pub fn get(&self, id: &str) -> Option<&Subscription> {
        self.iter().find(|(held, _)| *held == id).map(|(_, subscription)| subscription)
    }

    pub fn set(&mut self, id: &str, subscription: Subscription) {
        match self.0.binary_search_by(|(held, _)| (**held).cmp(id)) {
            Ok(place) => self.0[place].1 = subscription,
            Err(place) => self.0.insert(place, (id.into(), subscription)),
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Subscription)> {
        self.0.iter().map(|(id, subscription)| (&**id, subscription))
    }

    fn told(&self, nested: bool) -> Value {
        let mut told = json!({});
        for (id, subscription) in self.iter() {
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
                let mut place = &mut told;
                for key in id.split('.') {
                    place = &mut place[key];
                }
                *place = state;
            } else {
                told[id] = state;
            }
        }
        told
    }
}

impl FromIterator<(Arc<str>, Subscription)> for Subscriptions {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Subscription)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.shrink_to_fit();
        Self(all)
    }
}

impl Row {
    /// Those of an account's top-level keys that are wanted (SAP, "accounts.getAccountInfo").
    pub fn told(&self, nested: bool, wanted: &dyn Fn(&str) -> bool) -> Map<String, Value> {
        let mut told = Map::new();
        let keys = [
            "UID",
            "isRegistered",
            "isActive",
            "isVerified",
            "created",
            "createdTimestamp",
            "lastUpdated",
            "lastUpdatedTimestamp",
            "emails",
            "loginIDs",
            "profile",
            "data",
            "subscriptions",
            "preferences",
        ];
        for key in keys.into_iter().filter(|key| wanted(key)) {
            told.insert(key.to_owned(), self.value(key, nested));
        }
        told
    }

    fn value(&self, key: &str, nested: bool) -> Value {
        let account = &*self.account;
        match key {
            "UID" => (*account.uid).into(),
            "isRegistered" => (!account.is_lite).into(),
            "isActive" => account.is_active.into(),
            "isVerified" => true.into(),
            "created" => account.created.to_string().into(),
            "createdTimestamp" => account.created.as_millisecond().into(),
            "lastUpdated" => account.updated.to_string().into(),
            "lastUpdatedTimestamp" => account.updated.as_millisecond().into(),
            "emails" => json!({ "verified": [account.address()], "unverified": account.former_emails }),
            "loginIDs" => json!({ "username": null, "emails": [account.address()], "unverifiedEmails": [] }),
            "profile" => account.profile.told().into(),
            "data" => account.data.clone(),
            "subscriptions" => self.subscriptions.told(nested),
            "preferences" => json!({}),
            _ => Value::Null,
        }
    }

    /// What stands at a path, such as `profile.email`.
    pub fn at(&self, path: &str, nested: bool) -> Value {
        if let Some(field) = path.strip_prefix("profile.") {
            return self.account.profile.get(field).cloned().unwrap_or_default();
        }
        let (top, rest) = path.split_once('.').map_or((path, None), |(top, rest)| (top, Some(rest)));
        let value = self.value(top, nested);
        let Some(rest) = rest else { return value };
        rest.split('.').fold(&value, |value, key| value.get(key).unwrap_or(&Value::Null)).clone()
    }
}
