//! All sides as they stand, a row for every person.

use super::actions::{GIGYA, Kind, NEWSLETTER};
use crate::sandbox::esp::{Standing, Subscriber};
use crate::sandbox::gigya::AccountView;
use crate::sandbox::{Courier, Faults, Sandbox, SimulatedEsp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Everybody known at an address: accounts (a full and a lite one may share it), and what each ESP holds, in the
/// sandbox's order.
struct Person {
    accounts: Vec<AccountView>,
    at_esps: Vec<Vec<Subscriber>>,
}

/// Looks at all sides.
pub fn of(sandbox: &Sandbox) -> Value {
    let systems = systems(sandbox);
    let pending: Vec<usize> = systems.iter().map(|(_, courier, _)| courier.pending()).collect();
    let is_something_on_the_way = pending.iter().any(|pending| *pending > 0);
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    let nobody = || Person { accounts: Vec::new(), at_esps: vec![Vec::new(); sandbox.esps.len()] };
    for account in sandbox.gigya.accounts() {
        people.entry(account.email.to_lowercase()).or_insert_with(nobody).accounts.push(account);
    }
    for (index, esp) in sandbox.esps.iter().enumerate() {
        for subscriber in esp.people() {
            people.entry(subscriber.email.to_lowercase()).or_insert_with(nobody).at_esps[index].push(subscriber);
        }
    }
    let rows = people.iter().map(|(email, person)| row(&sandbox.esps, email, person, is_something_on_the_way));
    let by_system = |told: Vec<Value>| -> Map<String, Value> {
        systems.iter().map(|(name, ..)| (*name).to_owned()).zip(told).collect()
    };
    json!({
        "people": rows.collect::<Vec<_>>(),
        "pending": by_system(pending.into_iter().map(Value::from).collect()),
        "weather": by_system(systems.iter().map(|(.., faults)| json!(Kind::of(faults.weather()))).collect()),
    })
}

/// Each system by the page's name for it.
fn systems(sandbox: &Sandbox) -> Vec<(&'static str, &Courier, &Faults)> {
    let gigya = (GIGYA, sandbox.gigya.courier(), sandbox.gigya.faults());
    let esps = sandbox.esps.iter().map(|esp| (esp.slug(), esp.courier(), esp.faults()));
    std::iter::once(gigya).chain(esps).collect()
}

type Esp = std::sync::Arc<dyn SimulatedEsp>;

fn row(esps: &[Esp], email: &str, person: &Person, on_the_way: bool) -> Value {
    let mut at_esps = Map::new();
    let mut worst = Step::Same;
    for (esp, held) in esps.iter().zip(&person.at_esps) {
        let why = difference(esp.name(), &person.accounts, held);
        let step = match (&why, on_the_way) {
            (None, _) => Step::Same,
            (Some(_), true) => Step::OnTheWay,
            (Some(_), false) => Step::Different,
        };
        worst = worst.max(step);
        let told = json!({
            "subscribers": held.iter().map(subscriber).collect::<Vec<_>>(),
            "step": step.name(),
            "why": why.filter(|_| step == Step::Different),
        });
        at_esps.insert(esp.slug().to_owned(), told);
    }
    json!({
        "email": email,
        "accounts": person.accounts.iter().map(account).collect::<Vec<_>>(),
        "esps": at_esps,
        "step": worst.name(),
    })
}

/// Whether a person stands at an ESP as in Gigya.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Same,
    OnTheWay,
    Different,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Same => "in step",
            Self::OnTheWay => "on the way",
            Self::Different => "out of step",
        }
    }
}

fn account(account: &AccountView) -> Value {
    let newsletter = newsletter(account);
    json!({
        "uid": account.uid, "active": account.is_active, "lite": account.is_lite,
        "opted_in": newsletter.map(|(opted_in, _)| opted_in),
        "since": newsletter.map(|(_, since)| since.to_string()),
    })
}

fn subscriber(held: &Subscriber) -> Value {
    json!({
        "state": held.state, "mailed": held.is_mailed(), "since": held.since.map(|since| since.to_string()),
        "first_name": held.first_name, "uid": held.uid,
    })
}

fn newsletter(account: &AccountView) -> Option<(bool, jiff::Timestamp)> {
    let subscription = account.subscriptions.iter().find(|(id, _, _)| id == NEWSLETTER)?;
    Some((subscription.1, subscription.2))
}

/// What it means if Gigya and an ESP stay like this; `None` if they say the same.
fn difference(esp: &str, accounts: &[AccountView], held: &[Subscriber]) -> Option<String> {
    let is_opted_in = |account: &AccountView| newsletter(account).is_some_and(|(opted_in, _)| opted_in);
    let wanted = accounts.iter().any(|account| account.is_active && is_opted_in(account));
    let mailed = held.iter().any(Subscriber::is_mailed);
    let why = match (wanted, mailed, held.first().map(|subscriber| subscriber.standing)) {
        (true, true, _) | (false, false, _) => return None,
        (true, false, None) => format!(
            "Opted in at Gigya, but unknown to {esp}: deleted there without a word, or the gateway was not heard. The \
             account's next change puts it right."
        ),
        (true, false, Some(Standing::Bounced)) => {
            "The mailbox returned a mail. On this route that is no opt-out, so Gigya keeps the opt-in.".to_owned()
        }
        (true, false, Some(Standing::Unconfirmed)) => format!("{esp} waits for a confirmation."),
        (true, false, Some(_)) => {
            format!("The end at {esp} is newer than the opt-in, so nobody mails them: opt out and in again.")
        }
        (false, true, _) if accounts.is_empty() => {
            format!("At {esp} without an account: signed up there, or the account's address can't be found anymore.")
        }
        (false, true, _) => "Subscribed by a form. This route takes opt-ins from Gigya only.".to_owned(),
    };
    Some(why)
}
