//! A list: its subscribers by address, and in the orders in which pages of them are cut.

use super::ListSettings;
use crate::sandbox::ranked::Ranked;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// A subscriber's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// May be mailed.
    Active,
    /// Has not confirmed.
    Unconfirmed,
    /// Has left.
    Unsubscribed,
    /// Mail came back.
    Bounced,
    /// Was deleted.
    Deleted,
}

impl State {
    const ALL: [Self; 5] = [Self::Active, Self::Unconfirmed, Self::Unsubscribed, Self::Bounced, Self::Deleted];

    /// As the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Unconfirmed => "Unconfirmed",
            Self::Unsubscribed => "Unsubscribed",
            Self::Bounced => "Bounced",
            Self::Deleted => "Deleted",
        }
    }

    /// The state whose subscribers a path asks for.
    pub(super) fn of_path(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name().to_ascii_lowercase() == name)
    }
}

#[derive(Clone, Debug)]
pub struct Subscriber {
    pub email: String,
    pub name: String,
    pub mobile: String,
    pub state: State,
    pub changed: Timestamp,
    pub joined: Timestamp,
    /// Field name and value; a field that holds many is repeated.
    pub fields: Vec<(Arc<str>, String)>,
    pub consent_to_track: &'static str,
}

#[derive(Default)]
pub struct List {
    pub fields: Vec<Arc<str>>,
    pub confirmed_opt_in: bool,
    pub unsubscribe_from_all: bool,
    subscribers: HashMap<Arc<str>, Subscriber>,
    /// By state: addresses in order.
    by_email: [Ranked<Arc<str>>; 5],
    /// By state: addresses in the order of their last change of state.
    by_date: [Ranked<(Timestamp, Arc<str>)>; 5],
}

/// Which order pages are cut in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Email,
    Name,
    Date,
}

impl List {
    pub fn new(settings: &ListSettings) -> Self {
        Self {
            fields: settings.fields.iter().map(|name| name.as_str().into()).collect(),
            confirmed_opt_in: settings.confirmed_opt_in,
            unsubscribe_from_all: settings.unsubscribe_from_all,
            ..Self::default()
        }
    }

    pub fn get(&self, email: &str) -> Option<&Subscriber> {
        self.subscribers.get(email.to_ascii_lowercase().as_str())
    }

    /// Everybody, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Subscriber> {
        self.subscribers.values()
    }

    /// Puts somebody there, instead of whoever had the address.
    pub fn put(&mut self, subscriber: Subscriber) {
        let key: Arc<str> = match self.subscribers.get_key_value(subscriber.email.to_ascii_lowercase().as_str()) {
            Some((key, held)) if (held.state, held.changed) == (subscriber.state, subscriber.changed) => {
                let key = Arc::clone(key);
                self.subscribers.insert(key, subscriber);
                return;
            }
            Some((key, _)) => Arc::clone(key),
            None => subscriber.email.to_ascii_lowercase().into(),
        };
        self.remove(&key);
        let nth = subscriber.state as usize;
        self.by_email[nth].insert(Arc::clone(&key));
        self.by_date[nth].insert((subscriber.changed, Arc::clone(&key)));
        self.subscribers.insert(key, subscriber);
    }

    /// Takes somebody out as if they had never been there.
    pub fn remove(&mut self, email: &str) -> Option<Subscriber> {
        let (key, held) = self.subscribers.remove_entry(email.to_ascii_lowercase().as_str())?;
        let nth = held.state as usize;
        self.by_email[nth].remove(&key);
        self.by_date[nth].remove(&(held.changed, key));
        Some(held)
    }

    pub fn count(&self, state: State) -> usize {
        self.by_email[state as usize].len()
    }

    /// How many came to be in a state between two times.
    pub fn count_between(&self, state: State, from: Timestamp, until: Timestamp) -> usize {
        let by_date = &self.by_date[state as usize];
        let rank = |at: Timestamp| by_date.rank(&(at, Arc::from("")));
        rank(until).saturating_sub(rank(from))
    }

    /// A page of those in a state who came to be so since a time, and how many there are in all.
    pub fn page(
        &self,
        state: State,
        since: Option<Timestamp>,
        (order, descends): (Order, bool),
        (start, size): (usize, usize),
    ) -> (Vec<&Subscriber>, usize) {
        let (by_email, by_date) = (&self.by_email[state as usize], &self.by_date[state as usize]);
        let first = since.map_or(0, |since| by_date.rank(&(since, Arc::from(""))));
        let total = by_date.len() - first;
        let held = |key: &Arc<str>| self.subscribers.get(key);
        let dated = |(_, key): &(Timestamp, Arc<str>)| self.subscribers.get(key);
        let page = match order {
            Order::Date if descends => {
                by_date.backwards(start).take(size.min(total.saturating_sub(start))).filter_map(dated).collect()
            }
            Order::Date => by_date.starting_at(first + start).take(size).filter_map(dated).collect(),
            Order::Email if since.is_none() && descends => {
                by_email.backwards(start).take(size).filter_map(held).collect()
            }
            Order::Email if since.is_none() => by_email.starting_at(start).take(size).filter_map(held).collect(),
            Order::Email | Order::Name => {
                let mut all: Vec<_> = by_date.starting_at(first).filter_map(dated).collect();
                all.sort_by_cached_key(|held| {
                    let name = if order == Order::Name { held.name.to_lowercase() } else { String::new() };
                    (name, held.email.to_ascii_lowercase())
                });
                if descends {
                    all.reverse();
                }
                all.into_iter().skip(start).take(size).collect()
            }
        };
        (page, total)
    }
}
