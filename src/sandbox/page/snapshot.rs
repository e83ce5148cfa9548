//! Both sides as they stand, a row for every person.

use super::actions::{Kind, NEWSLETTER};
use crate::sandbox::Sandbox;
use crate::sandbox::campaign_monitor::{State, SubscriberView};
use crate::sandbox::gigya::AccountView;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everybody known at an address: accounts (a full and a lite one may share it), and the subscriber.
#[derive(Default)]
struct Person {
    accounts: Vec<AccountView>,
    subscriber: Option<SubscriberView>,
}

/// Looks at both sides.
pub fn of(sandbox: &Sandbox) -> Value {
    let (gigya, esp) = (sandbox.gigya.courier().pending(), sandbox.campaign_monitor.courier().pending());
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    for account in sandbox.gigya.accounts() {
        people.entry(account.email.to_lowercase()).or_default().accounts.push(account);
    }
    for subscriber in sandbox.campaign_monitor.subscribers(&sandbox.list) {
        let email = subscriber.email.to_lowercase();
        people.entry(email).or_default().subscriber = Some(subscriber);
    }
    let rows: Vec<Value> = people.iter().map(|(email, person)| row(email, person, gigya + esp > 0)).collect();
    json!({
        "people": rows,
        "pending": { "gigya": gigya, "esp": esp },
        "weather": {
            "gigya": Kind::of(sandbox.gigya.faults().weather()),
            "esp": Kind::of(sandbox.campaign_monitor.faults().weather()),
        },
    })
}

fn row(email: &str, person: &Person, on_the_way: bool) -> Value {
    let why = difference(person);
    let step = match (why, on_the_way) {
        (None, _) => "in step",
        (Some(_), true) => "on the way",
        (Some(_), false) => "out of step",
    };
    let accounts = person.accounts.iter().map(|account| {
        let newsletter = newsletter(account);
        json!({
            "uid": account.uid, "active": account.is_active, "lite": account.is_lite,
            "opted_in": newsletter.map(|(opted_in, _)| opted_in),
            "since": newsletter.map(|(_, since)| since.to_string()),
        })
    });
    json!({
        "email": email,
        "accounts": accounts.collect::<Vec<_>>(),
        "subscriber": person.subscriber.as_ref().map(|subscriber| json!({
            "state": subscriber.state.name(), "since": subscriber.changed.to_string(),
            "first_name": subscriber.field("First Name"), "uid": subscriber.field("GigyaUID"),
        })),
        "step": step,
        "why": (step == "out of step").then_some(why),
    })
}

fn newsletter(account: &AccountView) -> Option<(bool, jiff::Timestamp)> {
    let subscription = account.subscriptions.iter().find(|(id, _, _)| id == NEWSLETTER)?;
    Some((subscription.1, subscription.2))
}

/// What it means if the two sides stay like this; `None` if they say the same.
fn difference(person: &Person) -> Option<&'static str> {
    let is_opted_in = |account: &AccountView| newsletter(account).is_some_and(|(opted_in, _)| opted_in);
    let wanted = person.accounts.iter().any(|account| account.is_active && is_opted_in(account));
    let state = person.subscriber.as_ref().map(|subscriber| subscriber.state);
    let mailed = state == Some(State::Active);
    match (wanted, mailed, state) {
        (true, true, _) | (false, false, _) => None,
        (true, false, None) => Some("Opted in at Gigya, but not on the list: the gateway was not heard."),
        (true, false, Some(State::Bounced)) => {
            Some("The mailbox returned a mail. On this route that is no opt-out, so Gigya keeps the opt-in.")
        }
        (true, false, Some(State::Unconfirmed)) => Some("Campaign Monitor waits for a confirmation."),
        (true, false, Some(_)) => {
            Some("The end at Campaign Monitor is newer than the opt-in, so nobody mails them: opt out and in again.")
        }
        (false, true, _) if person.accounts.is_empty() => {
            Some("On the list without an account: signed up there, or the account's address can't be found anymore.")
        }
        (false, true, _) => Some("Subscribed by a form. This route takes opt-ins from Gigya only."),
    }
}
