//! A Gigya account as it was read, and what it says about a subscription.
//!
//! Source: SAP, "accounts.getAccountInfo", "Subscriptions Object", "Email Accounts Object".

use super::members::Unread;
use super::tag::{self, Confirmed, OptInTag, PlaceMark};
use super::tree::Part;
use super::whole::Whole;
use crate::config::Route;
use crate::domain::{ActedAt, Consent, Email, OptOutReason, SubscriptionId, Uid};
use crate::mutation::{self, Mutation};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// An account, full or lite, as it was read.
#[derive(Clone, Debug)]
pub struct Account {
    /// How to reach it again.
    pub handle: Handle,
    /// Its UID; lite accounts have one too.
    pub uid: Uid,
    /// The subscriber's address, `profile.email`; `None` where it is missing or no address.
    pub address: Option<Email>,
    /// Other addresses that the account has or had: where an ESP may still keep its subscriber.
    pub other_addresses: Vec<Email>,
    /// Whether it is active. A deactivated account must not be mailed, whatever its flags say.
    pub is_active: bool,
    is_gone: bool,
    /// The whole answer, for field mappings.
    whole: Whole,
    /// When it was read.
    read: Instant,
}

/// How an account is reached in Gigya's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handle {
    /// By UID, the ordinary case.
    Uid(Uid),
    /// By a token from `accounts.getLiteToken`, for email accounts without a readable UID.
    RegToken(String),
}

impl Account {
    /// Takes the text of an answer of `accounts.getAccountInfo`, or of a row of `accounts.search`. `None` if it has no UID.
    ///
    /// # Errors
    /// It isn't a JSON object, or what decides can't be read.
    pub fn read(json: &str, reg_token: Option<String>) -> Result<Option<Self>, Unread> {
        let whole = Whole::new(json)?;
        let Some(uid) = whole.part("UID")?.and_then(|uid| Uid::new(uid.as_str()?)) else { return Ok(None) };
        let parsed = |text: &str| Email::parse(text).ok();
        let address = whole.at(&["profile", "email"], |email| email.and_then(Part::as_str).and_then(parsed))?;
        let mut other_addresses: Vec<Email> = Vec::new();
        for (member, lists) in [("emails", ["verified", "unverified"]), ("loginIDs", ["emails", "unverifiedEmails"])] {
            let Some(member) = whole.part(member)? else { continue };
            let texts = lists.iter().filter_map(|list| member.get(list)).flat_map(Part::items).filter_map(Part::as_str);
            for other in texts.filter_map(parsed) {
                if Some(&other) != address.as_ref() && !other_addresses.contains(&other) {
                    other_addresses.push(other);
                }
            }
        }
        let is_active = whole.part("isActive")?.and_then(Part::as_bool).unwrap_or(true);
        // May be an opt-out: if it can't be read, the account can't.
        whole.part("subscriptions")?;
        let handle = reg_token.map_or_else(|| Handle::Uid(uid.clone()), Handle::RegToken);
        Ok(Some(Self { handle, uid, address, other_addresses, is_active, is_gone: false, whole, read: Instant::now() }))
    }

    /// The same account, if this answer says nothing else than the one that it was read from. `None` if it does, and of an account
    /// that is gone, of which more is told than was read.
    #[must_use]
    pub fn read_again(&self, json: &str) -> Option<Self> {
        (!self.is_gone && self.whole.is_repeated_by(json)).then(|| Self { read: Instant::now(), ..self.clone() })
    }

    /// An account of which nothing is left but its UID: nobody may be mailed on its behalf.
    #[must_use]
    pub fn gone(uid: &Uid) -> Self {
        Self {
            is_gone: true,
            handle: Handle::Uid(uid.clone()),
            uid: uid.clone(),
            address: None,
            other_addresses: Vec::new(),
            is_active: false,
            whole: Whole::empty(),
            read: Instant::now(),
        }
    }

    /// The same, whose subscriber is held under this address.
    #[must_use]
    pub fn gone_from(uid: &Uid, address: Option<Email>) -> Self {
        Self { address, ..Self::gone(uid) }
    }

    /// What is left of an account that can't be read anymore, as it was last known.
    #[must_use]
    pub fn into_gone(self) -> Self {
        Self { is_active: false, is_gone: true, ..self }
    }

    /// How long ago it was read.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.read.elapsed()
    }

    /// Whether it can't be read anymore.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Whether this is one of the account's addresses, its present one or another.
    #[must_use]
    pub fn has_address(&self, address: &Email) -> bool {
        self.address.as_ref() == Some(address) || self.other_addresses.contains(address)
    }

    /// Whether anything that decides about a route is different in `now`.
    #[must_use]
    pub fn has_moved(&self, now: &Self, route: &Route) -> bool {
        let consent = |account: &Self| account.consent(&route.subscription, route.double_opt_in);
        let is_same_person = (&self.uid, &self.address, self.is_active) == (&now.uid, &now.address, now.is_active);
        !is_same_person || !self.whole.is(&now.whole) && consent(self) != consent(now)
    }

    /// What the person said about a subscription. With `double_opt_in`, an opt-in that awaits confirmation is
    /// pending; `isSubscribed` flips before that.
    #[must_use]
    pub fn consent(&self, id: &SubscriptionId, double_opt_in: bool) -> Consent {
        let Some(state) = self.subscription(id) else { return Consent::Unknown };
        let Some(subscribed) = state.get("isSubscribed").and_then(Part::as_bool) else { return Consent::Unknown };
        let updated = time(state.get("lastUpdatedSubscriptionState"));
        if !subscribed {
            let since = updated.map_or(ActedAt::UNKNOWN, ActedAt::exactly);
            return Consent::OptedOut { since, reason: OptOutReason::Unsubscribed };
        }
        let tag = tag::of_this_change(state, updated);
        if let Some(tag) = tag.filter(|tag| tag.confirmed == Confirmed::AtTheEsp) {
            // The person opted in at the ESP, and it is the ESP's to confirm.
            return Consent::OptedIn { since: ActedAt::exactly(tag.acted) };
        }
        let confirmation = state.get("doubleOptIn");
        let confirmation = |key: &str| confirmation?.get(key);
        let is = |key: &str| confirmation(key).and_then(Part::as_bool).unwrap_or(false);
        // "Pending" alone awaits confirmation; "NotConfirmed" with isSubscribed=true means that none is needed.
        let status = confirmation("status").and_then(Part::as_str).unwrap_or_default();
        let vouched_for = is("doiConditionallyConfirmed") || is("isExternallyVerified");
        let double_opt_in = double_opt_in && !mutation::is(Mutation::ForgetTheConfirmation);
        let asked = tag.map(|tag| tag.acted);
        if double_opt_in && status.eq_ignore_ascii_case("pending") && !vouched_for {
            return Consent::Pending { since: asked.or(updated).map_or(ActedAt::UNKNOWN, ActedAt::exactly) };
        }
        // Confirming is the act that counts, where it came last.
        let confirmed = if status.eq_ignore_ascii_case("confirmed") { time(confirmation("confirmTime")) } else { None };
        let acted = asked.or(updated).max(confirmed);
        Consent::OptedIn { since: acted.map_or(ActedAt::UNKNOWN, ActedAt::exactly) }
    }

    /// Whether the opt-in that stands there was made at the ESP that a route leads to, in its very audience, and is Gigya's to have
    /// confirmed: then it can't count against what that audience holds.
    #[must_use]
    pub fn was_asked_at(&self, route: &Route) -> bool {
        self.subscription(&route.subscription).is_some_and(|state| {
            tag::was_made_at(PlaceMark::of(route), state, time(state.get("lastUpdatedSubscriptionState")))
        })
    }

    /// What is at a place in the account (`profile.firstName`, `data.loyalty.tier`, `UID`): nothing where nothing is, and where what is
    /// can't be read.
    pub fn at<R>(&self, path: &[String], say: impl Fn(Option<Part<'_>>) -> R) -> R {
        self.whole.at(path, &say).unwrap_or_else(|_| say(None))
    }

    /// The same as a value that stands for itself; of no path, the whole answer.
    #[must_use]
    pub fn value(&self, path: &[String]) -> Option<Value> {
        if path.is_empty() { self.whole.to_value() } else { self.at(path, |part| part.map(Part::to_value)) }
    }

    /// The `subscriptions` parameter that sets one subscription (with a tag: opts in), in the form in which the account has it:
    /// one dotted key, or objects in each other.
    #[must_use]
    pub fn subscription_change(&self, id: &SubscriptionId, subscribed: bool, tag: Option<OptInTag>) -> Value {
        let email = match tag {
            Some(tag) => {
                let kept = self.subscription(id).and_then(|state| state.get("tags"));
                tag.opt_in(kept.into_iter().flat_map(Part::items).filter_map(Part::as_str))
            }
            None => json!({ "isSubscribed": subscribed }),
        };
        let change = json!({ "email": email });
        let there = self.subscriptions().and_then(|all| find(all, id.as_str()));
        let keys = there.map_or_else(|| vec![id.as_str()], |(keys, _)| keys);
        keys.into_iter().rev().fold(change, |inner, key| json!({ key: inner }))
    }

    fn subscription(&self, id: &SubscriptionId) -> Option<Part<'_>> {
        find(self.subscriptions()?, id.as_str())?.1.get("email")
    }

    /// What was said about every subscription. That it could be read was seen when the account was.
    fn subscriptions(&self) -> Option<Part<'_>> {
        self.whole.part("subscriptions").ok().flatten()
    }
}

/// Finds a subscription by its dotted id, however the dots are spread over keys and nesting; with its keys.
fn find<'a, 'b>(within: Part<'a>, id: &'b str) -> Option<(Vec<&'b str>, Part<'a>)> {
    let is_one = |found: &Part<'_>| found.get("email").and_then(|email| email.get("isSubscribed")).is_some();
    if let Some(found) = within.get(id).filter(is_one) {
        return Some((vec![id], found));
    }
    id.match_indices('.').find_map(|(dot, _)| {
        let (mut keys, found) = find(within.get(&id[..dot])?, &id[dot + 1..])?;
        keys.insert(0, &id[..dot]);
        Some((keys, found))
    })
}

/// A time as Gigya writes it: ISO 8601, or Unix milliseconds.
fn time(part: Option<Part<'_>>) -> Option<Timestamp> {
    let part = part?;
    match part.as_str() {
        Some(text) => text.parse().ok(),
        None => Timestamp::from_millisecond(part.as_i64()?).ok(),
    }
}

#[cfg(test)]
mod tests;
