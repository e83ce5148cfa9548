//! All subscribers: found by key, by number and by address.

use super::world::Subscriber;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All subscribers, suppressed ones too.
#[derive(Default)]
pub struct Subscribers {
    held: HashMap<Arc<str>, Subscriber>,
    /// In the order in which they came.
    numbers: BTreeMap<u64, Arc<str>>,
    /// By address in small letters.
    addresses: HashMap<Box<str>, Vec<Arc<str>>>,
}

impl Subscribers {
    pub fn get(&self, key: &str) -> Option<&Subscriber> {
        self.held.get(key)
    }

    /// Somebody to be changed; but number and key stay, and the address is for [`set_email`](Self::set_email).
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Subscriber> {
        self.held.get_mut(key)
    }

    pub fn by_id(&self, id: u64) -> Option<&Subscriber> {
        self.get(self.numbers.get(&id)?)
    }

    /// Everybody, in the order in which they came.
    pub fn all(&self) -> impl Iterator<Item = &Subscriber> {
        self.numbers.values().filter_map(|key| self.get(key))
    }

    /// Those at an address, in the order of their keys.
    pub fn at(&self, email: &str) -> impl Iterator<Item = &Subscriber> {
        let keys = self.addresses.get(email.to_lowercase().as_str());
        keys.into_iter().flatten().filter_map(|key| self.get(key))
    }

    /// Puts somebody there, instead of whoever had the key.
    pub fn insert(&mut self, subscriber: Subscriber) {
        self.remove(&subscriber.key.clone());
        let key = Arc::clone(&subscriber.key);
        self.numbers.insert(subscriber.id, Arc::clone(&key));
        self.put_at(&subscriber.email, &key);
        self.held.insert(key, subscriber);
    }

    pub fn remove(&mut self, key: &str) -> Option<Subscriber> {
        let held = self.held.remove(key)?;
        self.numbers.remove(&held.id);
        self.take_from(&held.email, key);
        Some(held)
    }

    pub fn set_email(&mut self, key: &str, email: &str) {
        let Some(held) = self.held.get_mut(key) else { return };
        let (key, old) = (Arc::clone(&held.key), std::mem::replace(&mut held.email, email.to_owned()));
        self.take_from(&old, &key);
        self.put_at(email, &key);
    }

    fn put_at(&mut self, email: &str, key: &Arc<str>) {
        let keys = self.addresses.entry(email.to_lowercase().into()).or_default();
        if let Err(place) = keys.binary_search(key) {
            keys.insert(place, Arc::clone(key));
        }
    }

    fn take_from(&mut self, email: &str, key: &str) {
        let email = email.to_lowercase();
        let Some(keys) = self.addresses.get_mut(email.as_str()) else { return };
        keys.retain(|held| &**held != key);
        if keys.is_empty() {
            self.addresses.remove(email.as_str());
        }
    }
}
