//! What people do at a site, and which webhooks it fires.

use super::GigyaSim;
use super::account::{Account, Fields, Subscription};
use super::world::World;
use jiff::Timestamp;
use serde_json::{Value, json};

/// An account as a test or a page wants to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountView {
    /// Its UID.
    pub uid: String,
    /// Its address.
    pub email: String,
    /// Whether it is active.
    pub is_active: bool,
    /// Whether it is lite.
    pub is_lite: bool,
    /// Its subscriptions: id, whether subscribed, since when it is so.
    pub subscriptions: Vec<(String, bool, Timestamp)>,
}

impl GigyaSim {
    /// Somebody signs up with a full account. Returns the UID.
    pub fn sign_up(&self, email: &str, first_name: &str) -> String {
        let uid = World::new_uid();
        self.add(&uid, email, first_name, false);
        let call = call_id();
        self.fire("accountCreated", &call, json!({ "accountType": "full", "uid": uid }));
        self.fire("accountRegistered", &call, json!({ "accountType": "full", "uid": uid }));
        uid
    }

    /// Somebody leaves an address only: a lite account. Returns the UID.
    pub fn sign_up_lite(&self, email: &str) -> String {
        let uid = World::new_uid();
        self.add(&uid, email, "", true);
        self.fire("accountCreated", &call_id(), json!({ "accountType": "lite", "uid": uid }));
        uid
    }

    pub(super) fn add(&self, uid: &str, email: &str, first_name: &str, is_lite: bool) {
        let mut world = self.world();
        let now = world.clock.now();
        let mut profile = Fields::default();
        profile.insert("email", email.into());
        if !first_name.is_empty() {
            profile.insert("firstName", first_name.into());
        }
        world.insert(Account {
            uid: uid.into(),
            is_lite,
            is_active: true,
            profile,
            data: json!({}),
            former_emails: Vec::new(),
            created: now,
            updated: now,
        });
    }

    /// A lite account becomes a full one. The record exists already, so `accountCreated` isn't fired again.
    pub fn progress(&self, uid: &str) {
        self.change(uid, |account| account.is_lite = false);
        let call = call_id();
        self.fire("accountProgressed", &call, json!({ "accountType": "full", "uid": uid }));
        self.fire("accountRegistered", &call, json!({ "accountType": "full", "uid": uid }));
    }

    /// Somebody opts in. Where the subscription needs it, confirmation is pending.
    pub fn subscribe(&self, uid: &str, id: &str) {
        self.act(uid, id, true, None);
    }

    /// Somebody opts out.
    pub fn unsubscribe(&self, uid: &str, id: &str) {
        self.act(uid, id, false, None);
    }

    /// Somebody follows the link in the confirmation mail.
    pub fn confirm(&self, uid: &str, id: &str) {
        let Some(address) = self.account(uid).map(|account| account.email) else { return };
        let mut world = self.world();
        let now = world.clock.now();
        let held = world.email_account(&address).subscriptions.get(id).cloned();
        if let Some(held) = held {
            let confirmed = Subscription { status: "Confirmed", confirmed: Some(now), ..held };
            world.set_subscription(&address, id, confirmed, now);
        }
        drop(world);
        self.fire_subscription(&address, id, &call_id());
    }

    fn act(&self, uid: &str, id: &str, subscribed: bool, tags: Option<Vec<String>>) {
        let Some(address) = self.account(uid).map(|account| account.email) else { return };
        if self.set_subscription(&address, id, subscribed, tags, false) {
            self.fire_subscription(&address, id, &call_id());
        }
    }

    /// Sets a subscription of an address. The time changes only when the state does. Returns whether anything did.
    pub(super) fn set_subscription(
        &self,
        address: &str,
        id: &str,
        subscribed: bool,
        tags: Option<Vec<String>>,
        vouched_for: bool,
    ) -> bool {
        let needs_confirmation = self.settings().double_opt_in.iter().any(|needs| needs == id);
        let mut world = self.world();
        let now = world.clock.now();
        let before = world.email_account(address).subscriptions.get(id).cloned();
        let is_new = before.as_ref().is_none_or(|before| before.is_subscribed != subscribed);
        let mut state = before.unwrap_or(Subscription {
            is_subscribed: subscribed,
            updated: now,
            tags: Vec::new(),
            status: "NotConfirmed",
            confirmed: None,
            is_vouched_for: false,
        });
        if is_new {
            state.is_subscribed = subscribed;
            state.updated = now;
            state.is_vouched_for = vouched_for;
            state.status = if subscribed && needs_confirmation { "Pending" } else { "NotConfirmed" };
        }
        let changed = is_new || tags.as_ref().is_some_and(|tags| *tags != state.tags);
        state.tags = tags.unwrap_or(state.tags);
        if changed {
            world.set_subscription(address, id, state, now);
        }
        changed
    }

    /// Fires what a change of subscription does: `subscriptionUpdated` by the email account's token, and an
    /// `accountUpdated` of the account with the address (that it does is inferred; a gateway must not mind).
    pub(super) fn fire_subscription(&self, address: &str, id: &str, call: &str) {
        let (token, state, account) = {
            let mut world = self.world();
            let email = world.email_account(address);
            let state = email.subscriptions.get(id).is_some_and(|state| state.is_subscribed);
            let token = email.token.to_string();
            (token, state, world.account_of(address).map(|account| (account.uid.to_string(), account.kind())))
        };
        let change = json!({ id: { "email": { "isSubscribed": state } } });
        self.fire("subscriptionUpdated", call, json!({ "emailAccountToken": token, "subscription": change }));
        if let Some((uid, kind)) = account {
            self.fire("accountUpdated", call, json!({ "accountType": kind, "uid": uid }));
        }
    }

    /// The account is deactivated, or activated again.
    pub fn set_active(&self, uid: &str, active: bool) {
        self.change(uid, |account| account.is_active = active);
        self.fire_updated(uid);
    }

    /// Something in the profile changes.
    pub fn set_profile(&self, uid: &str, key: &str, value: Value) {
        self.change(uid, |account| {
            account.profile.insert(key, value);
        });
        self.fire_updated(uid);
    }

    /// The address changes. The subscriptions are those of the new address, to which the old ones are copied when
    /// it has none; the old address stays among the account's unverified ones.
    pub fn change_email(&self, uid: &str, new: &str) {
        let Some(old) = self.account(uid).map(|account| account.email) else { return };
        self.world().hand_on(&old, new);
        self.change(uid, |account| {
            account.profile.insert("email", new.into());
            account.former_emails.retain(|former| former != new);
            if !self.settings().forgets_addresses {
                account.former_emails.push(old);
            }
        });
        self.fire_updated(uid);
    }

    /// The record is deleted: nothing of it can be read anymore.
    pub fn delete(&self, uid: &str) {
        let kind = {
            let mut world = self.world();
            let now = world.clock.now();
            let Some(account) = world.remove(uid, now) else { return };
            world.forget(account.address().unwrap_or_default());
            account.kind()
        };
        self.fire("accountDeleted", &call_id(), json!({ "accountType": kind, "uid": uid }));
    }

    /// One account is merged into another, which takes its place.
    pub fn merge(&self, old: &str, new: &str) {
        let Some(address) = self.account(old).map(|account| account.email) else { return };
        if !self.settings().forgets_addresses {
            self.change(new, |account| account.former_emails.push(address));
        }
        {
            let mut world = self.world();
            let now = world.clock.now();
            world.remove(old, now);
        }
        self.fire("accountMerged", &call_id(), json!({ "accountType": "full", "uid": old, "newUid": new }));
    }

    /// An account gets another UID.
    pub fn change_uid(&self, old: &str, new: &str) {
        {
            let mut world = self.world();
            let now = world.clock.now();
            let Some(account) = world.remove(old, now) else { return };
            world.insert(Account { uid: new.into(), updated: now, ..account });
        }
        self.fire("accountUidChanged", &call_id(), json!({ "accountType": "full", "uid": old, "newUid": new }));
    }

    /// Looks at an account.
    #[must_use]
    pub fn account(&self, uid: &str) -> Option<AccountView> {
        let world = self.world();
        let account = world.account(uid)?;
        Some(view(&world, account))
    }

    /// Looks at every account.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountView> {
        let world = self.world();
        world.accounts().map(|account| view(&world, account)).collect()
    }

    /// Whether an account is subscribed; `None` if it never was asked, or isn't there.
    #[must_use]
    pub fn is_subscribed(&self, uid: &str, id: &str) -> Option<bool> {
        let account = self.account(uid)?;
        account.subscriptions.iter().find(|(name, _, _)| name == id).map(|(_, subscribed, _)| *subscribed)
    }

    /// Whether an account is subscribed without having confirmed that.
    #[must_use]
    pub fn awaits_confirmation(&self, uid: &str, id: &str) -> bool {
        let Some(address) = self.account(uid).map(|account| account.email) else { return false };
        let world = self.world();
        let held = world.email(&address).and_then(|email| email.subscriptions.get(id));
        held.is_some_and(|held| held.is_subscribed && held.confirmed.is_none())
    }

    /// Whose email account a token stands for.
    #[must_use]
    pub fn address_of_token(&self, token: &str) -> Option<String> {
        self.world().address_of_token(token)
    }

    pub(super) fn change(&self, uid: &str, change: impl FnOnce(&mut Account)) {
        let mut world = self.world();
        let now = world.clock.now();
        world.change(uid, now, change);
    }

    /// Tells of a change of an account that nobody can read anymore: its webhook was late.
    pub fn fire_update_of(&self, uid: &str) {
        self.fire("accountUpdated", &call_id(), json!({ "accountType": "full", "uid": uid }));
    }

    /// Tells of a deletion, once more or ahead of time.
    pub fn fire_deletion_of(&self, uid: &str) {
        self.fire("accountDeleted", &call_id(), json!({ "accountType": "full", "uid": uid }));
    }

    fn fire_updated(&self, uid: &str) {
        let Some(account) = self.account(uid) else { return };
        let kind = if account.is_lite { "lite" } else { "full" };
        self.fire("accountUpdated", &call_id(), json!({ "accountType": kind, "uid": uid }));
    }
}

fn view(world: &World, account: &Account) -> AccountView {
    let email = account.address().unwrap_or_default().to_owned();
    let subscriptions = world.email(&email).into_iter().flat_map(|email| email.subscriptions.iter());
    AccountView {
        uid: account.uid.to_string(),
        is_active: account.is_active,
        is_lite: account.is_lite,
        subscriptions: subscriptions.map(|(id, state)| (id.to_owned(), state.is_subscribed, state.updated)).collect(),
        email,
    }
}

pub(super) fn call_id() -> String {
    crate::sandbox::new_uuid().simple().to_string()
}
