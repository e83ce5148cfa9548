//! What happens at a site without any webhook: imports, muted calls, deletions in the console, people from before
//! there was a gateway. Each says when it happened, which may be long ago, so that it is known who acted last.

use super::GigyaSim;
use super::account::{Account, Fields, Subscription, Subscriptions};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// An account as it is to be there.
#[derive(Clone, Debug)]
pub struct StockedAccount {
    /// Its UID.
    pub uid: Arc<str>,
    /// Its address.
    pub email: String,
    /// Whether it is lite.
    pub is_lite: bool,
    /// Whether it is active.
    pub is_active: bool,
    /// Fields of its profile other than the address.
    pub profile: Vec<(Arc<str>, Value)>,
    /// Its subscriptions: id, whether subscribed, since when it is so. Where the address has an account already,
    /// that one's are kept.
    pub subscriptions: Vec<(Arc<str>, bool, Timestamp)>,
    /// When it was made and last changed.
    pub at: Timestamp,
}

impl GigyaSim {
    /// Accounts are there, a million at once perhaps, and the search index knows of them. (Clones of one `Arc` for
    /// names and ids save memory.)
    pub fn stock(&self, accounts: impl IntoIterator<Item = StockedAccount>) {
        let email: Arc<str> = "email".into();
        let mut world = self.world();
        for stocked in accounts {
            let address = std::iter::once((Arc::clone(&email), Value::from(stocked.email.as_str())));
            let profile: Fields = address.chain(stocked.profile).collect();
            let subscription = |(id, is_subscribed, updated)| (id, subscription(is_subscribed, updated));
            let subscriptions: Subscriptions = stocked.subscriptions.into_iter().map(subscription).collect();
            let held = world.email_account(&stocked.email);
            if held.holders.is_empty() {
                held.subscriptions = Arc::new(subscriptions);
            }
            world.stock(Account {
                uid: stocked.uid,
                is_lite: stocked.is_lite,
                is_active: stocked.is_active,
                profile,
                data: json!({}),
                former_emails: Vec::new(),
                created: stocked.at,
                updated: stocked.at,
            });
        }
    }

    /// Somebody opted in or out, and no webhook told.
    pub fn set_muted_subscription(&self, uid: &str, id: &str, subscribed: bool, at: Timestamp) {
        let mut world = self.world();
        let address = world.account(uid).and_then(|account| account.address().map(ToOwned::to_owned));
        if let Some(address) = address {
            world.set_subscription(&address, id, subscription(subscribed, at), at);
        }
    }

    /// The address changed, and no webhook told. As with [`change_email`](Self::change_email), subscriptions are
    /// handed on to an address that has none.
    pub fn set_muted_email(&self, uid: &str, new: &str, at: Timestamp) {
        let forgets = self.settings().forgets_addresses;
        let mut world = self.world();
        let old = world.account(uid).and_then(|account| account.address().map(ToOwned::to_owned));
        let Some(old) = old else { return };
        world.hand_on(&old, new);
        world.change(uid, at, |account| {
            account.profile.insert("email", new.into());
            account.former_emails.retain(|former| former != new);
            if !forgets {
                account.former_emails.push(old);
            }
        });
    }

    /// A field of the profile changed, and no webhook told.
    pub fn set_muted_profile(&self, uid: &str, key: &str, value: Value, at: Timestamp) {
        self.world().change(uid, at, |account| account.profile.insert(key, value));
    }

    /// The account was deactivated or activated, and no webhook told.
    pub fn set_muted_active(&self, uid: &str, active: bool, at: Timestamp) {
        self.world().change(uid, at, |account| account.is_active = active);
    }

    /// The account was deleted straight from the site, and no webhook told. The index gets to know late, by when it
    /// happened.
    pub fn delete_muted(&self, uid: &str, at: Timestamp) {
        let mut world = self.world();
        if let Some(account) = world.remove(uid, at) {
            world.forget(account.address().unwrap_or_default());
        }
    }

    /// Looks at one account after the other, without copying all of them: UID, address, whether active, and
    /// whether subscribed to `id`, if it was ever asked. (The site waits meanwhile: `look` can't call it.)
    pub fn for_each_account(&self, id: &str, mut look: impl FnMut(&str, &str, bool, Option<bool>)) {
        let world = self.world();
        for account in world.accounts() {
            let address = account.address().unwrap_or_default();
            let held = world.email(address).and_then(|email| email.subscriptions.get(id));
            look(&account.uid, address, account.is_active, held.map(|held| held.is_subscribed));
        }
    }
}

const fn subscription(is_subscribed: bool, updated: Timestamp) -> Subscription {
    Subscription {
        is_subscribed,
        updated,
        tags: Vec::new(),
        status: "NotConfirmed",
        confirmed: None,
        is_vouched_for: false,
    }
}
