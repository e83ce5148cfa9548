//! Both sides as they stand, a row for every person.

use super::actions::NEWSLETTER;
use crate::sandbox::Sandbox;
use crate::sandbox::campaign_monitor::{State, SubscriberView};
use crate::sandbox::gigya::AccountView;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Looks at both sides.
pub fn of(sandbox: &Sandbox) -> Value {
    let (gigya, esp) = (sandbox.gigya.courier().pending(), sandbox.campaign_monitor.courier().pending());
    let mut people: BTreeMap<String, (Option<AccountView>, Option<SubscriberView>)> = BTreeMap::new();
    for account in sandbox.gigya.accounts() {
        let email = account.email.to_lowercase();
        people.entry(email).or_default().0 = Some(account);
    }
    for subscriber in sandbox.campaign_monitor.subscribers(&sandbox.list) {
        let email = subscriber.email.to_lowercase();
        people.entry(email).or_default().1 = Some(subscriber);
    }
    let rows: Vec<Value> = people
        .into_iter()
        .map(|(email, (account, subscriber))| row(&email, account.as_ref(), subscriber.as_ref(), gigya + esp > 0))
        .collect();
    let weather = |faults: &crate::sandbox::Faults| {
        let weather = faults.weather();
        match () {
            () if weather.down => "down",
            () if weather.error > 0.0 => "failing",
            () if !weather.latency.is_zero() => "slow",
            () => "fine",
        }
    };
    json!({
        "people": rows, "pending": { "gigya": gigya, "esp": esp },
        "weather": {
            "gigya": weather(sandbox.gigya.faults()), "esp": weather(sandbox.campaign_monitor.faults()),
        },
    })
}

fn row(email: &str, account: Option<&AccountView>, subscriber: Option<&SubscriberView>, on_the_way: bool) -> Value {
    let opted_in = account.and_then(|account| {
        account.subscriptions.iter().find(|(id, _, _)| id == NEWSLETTER).map(|(_, subscribed, _)| *subscribed)
    });
    let may_be_mailed_by_gigya = account.is_some_and(|account| account.is_active) && opted_in == Some(true);
    let is_mailed = subscriber.is_some_and(|subscriber| subscriber.state == State::Active);
    let step = match (may_be_mailed_by_gigya == is_mailed, on_the_way) {
        (true, _) => "in step",
        (false, true) => "on the way",
        // Only the ESP's own opt-in, or an older opt-in that rightly isn't forwarded.
        (false, false) => "differs",
    };
    json!({
        "email": email,
        "account": account.map(|account| json!({
            "uid": account.uid, "active": account.is_active, "lite": account.is_lite, "opted_in": opted_in,
        })),
        "subscriber": subscriber.map(|subscriber| json!({
            "state": subscriber.state.name(), "first_name": subscriber.field("First Name"),
        })),
        "step": step,
    })
}
