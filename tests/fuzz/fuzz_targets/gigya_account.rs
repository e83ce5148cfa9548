//! Gigya's answers: about an account, then to whatever is asked next.

#![no_main]

use fuzzing::{Answers, deadline, gigya, parts, run};
use gigya_esp_gateway::domain::{Consent, Email, SubscriptionId, Uid};
use gigya_esp_gateway::gigya::{Account, Client, Confirmed, OptInTag, Reading};
use gigya_esp_gateway::upstream::{Upstream, WallClock};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use std::sync::Arc;

const SUBSCRIPTIONS: [&str; 4] = ["newsletter", "pets.canine", "post.marketing", "a.b.c.d"];

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let settings = gigya("old");
    let answers = Arc::new(Answers::new(&parts));
    let upstream = Upstream::new("gigya/old".to_owned(), answers.transport(), &settings.common);
    let client = Client::new(settings, upstream, WallClock::system()).expect("credentials are right");
    let (uid, address) = (Uid::new("u-ann").expect("it is one"), Email::parse("ann@example.org").expect("it is one"));
    run(async {
        if let Ok(Reading::Found(account)) = client.account(&uid, None, deadline()).await {
            for id in SUBSCRIPTIONS.map(SubscriptionId::new) {
                says_what_it_says(&account, &id);
            }
        }
        for account in client.search_by_address(&address, deadline()).await.unwrap_or_default() {
            assert!(!account.uid.expose().is_empty());
        }
        let _ = client.account_by_email(&address, deadline()).await;
        let news = SubscriptionId::new("newsletter");
        if let Ok(begun) = client.begin_lite_account(deadline()).await {
            let _ = client.create_lite_account(begun, &address, &news, tag(1_760_000_000), deadline()).await;
        }
        let _ = client.unsubscribe(&address, &news, deadline()).await;
    });
});

fn tag(second: i64) -> OptInTag {
    let at = |second| Timestamp::from_second(second).expect("it is a time");
    OptInTag { acted: at(second - 100), written: at(second), confirmed: Confirmed::AtTheEsp }
}

fn says_what_it_says(account: &Account, id: &SubscriptionId) {
    let Some(whole) = account.value(&[]) else { return };
    let whole = &whole;
    let (strict, lenient) = (account.consent(id, true), account.consent(id, false));
    // Whoever isn't opted in must not be mailed, and nobody's opt-out is overlooked.
    match flag(whole, id) {
        Some(false) => assert!(matches!((strict, lenient), (Consent::OptedOut { .. }, Consent::OptedOut { .. }))),
        Some(true) => assert!(lenient.is_opted_in() && !matches!(strict, Consent::OptedOut { .. } | Consent::Unknown)),
        None => assert_eq!((strict, lenient), (Consent::Unknown, Consent::Unknown)),
    }

    // What a route may map is what is there.
    for path in
        ["UID", "profile", "profile.email", "data.a.b", "subscriptions.newsletter.email", "emails.verified.0", "callId"]
    {
        let path: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
        let step = |value: &Value, name: &String| match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?).cloned(),
            value => value.get(name).cloned(),
        };
        assert_eq!(account.value(&path), path.iter().try_fold(whole.clone(), |value, name| step(&value, name)));
    }

    // Whoever says the same again has said nothing new; whoever says it of somebody else, has.
    let text = whole.to_string();
    if let Ok(Some(read)) = Account::read(&text, None) {
        if let Some(again) = read.read_again(&text) {
            assert_eq!((again.consent(id, true), again.address), (read.consent(id, true), read.address.clone()));
        }
        let mut other = whole.clone();
        other["UID"] = "somebody else's".into();
        assert!(read.read_again(&other.to_string()).is_none_or(|again| again.uid.expose() == "somebody else's"));
    }

    // What is written of a subscription is read again, as if Gigya had merged and timed it.
    let written = tag(1_760_000_000);
    let change = account.subscription_change(id, true, Some(written));
    let after = account_with(whole, &change, id, written.written + SignedDuration::from_secs(3));
    let Some(Consent::OptedIn { since }) = after.map(|after| after.consent(id, true)) else { panic!("not opted in") };
    assert_eq!((since.earliest(), since.latest()), (Some(written.acted), Some(written.acted)));
    let change = account.subscription_change(id, false, None);
    let after = account_with(whole, &change, id, written.written).map(|after| after.consent(id, true));
    assert!(matches!(after, Some(Consent::OptedOut { .. })), "{after:?}");
}

/// The flag of a subscription, wherever its dots are keys or nesting; the longest key first.
fn flag(whole: &Value, id: &SubscriptionId) -> Option<bool> {
    found(whole.get("subscriptions")?, id.as_str())?.pointer("/email/isSubscribed")?.as_bool()
}

fn found<'a>(within: &'a Value, id: &str) -> Option<&'a Value> {
    let whole = within.get(id).filter(|found| found.pointer("/email/isSubscribed").is_some());
    whole.or_else(|| id.match_indices('.').find_map(|(dot, _)| found(within.get(&id[..dot])?, &id[dot + 1..])))
}

/// The account after Gigya merged a change into it.
fn account_with(whole: &Value, change: &Value, id: &SubscriptionId, at: Timestamp) -> Option<Account> {
    let mut whole = whole.clone();
    if !whole["subscriptions"].is_object() {
        whole["subscriptions"] = Value::Object(Map::new());
    }
    merge(&mut whole["subscriptions"], change);
    let state = state(&mut whole["subscriptions"], id.as_str())?;
    state["lastUpdatedSubscriptionState"] = at.to_string().into();
    Account::read(&whole.to_string(), None).ok()?
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, change) in change {
                merge(into.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn state<'a>(within: &'a mut Value, id: &str) -> Option<&'a mut Value> {
    if within.get(id).is_some_and(|found| found.pointer("/email/isSubscribed").is_some()) {
        return within.get_mut(id)?.get_mut("email");
    }
    let dot = id
        .match_indices('.')
        .map(|(dot, _)| dot)
        .find(|dot| within.get(&id[..*dot]).is_some_and(|inner| found(inner, &id[dot + 1..]).is_some()))?;
    state(within.get_mut(&id[..dot])?, &id[dot + 1..])
}
