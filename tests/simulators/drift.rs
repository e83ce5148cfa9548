//! What happens on either side without the other being told, and how many people the simulators hold.

use super::campaign_monitor::Esp;
use super::gigya::Gigya;
use super::marketing_cloud::{Account, LIST};
use gigya_esp_gateway::sandbox::campaign_monitor::{CampaignMonitorSettings, State, StockedSubscriber};
use gigya_esp_gateway::sandbox::gigya::{GigyaSettings, StockedAccount};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status, StockedContact};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Enough that what walks through everybody for each of them doesn't end.
const MANY: usize = 100_000;

fn before(now: Timestamp, hours: i64) -> Timestamp {
    now - SignedDuration::from_hours(hours)
}

fn address(n: usize) -> String {
    format!("p{n:07}@example.org")
}

fn uid(n: usize) -> Arc<str> {
    format!("{n:032x}").into()
}

fn accounts(count: usize, at: Timestamp) -> impl Iterator<Item = StockedAccount> {
    let (newsletter, first_name): (Arc<str>, Arc<str>) = ("newsletter".into(), "firstName".into());
    (0..count).map(move |n| StockedAccount {
        uid: uid(n),
        email: address(n),
        is_lite: n % 10 == 0,
        is_active: true,
        profile: vec![(Arc::clone(&first_name), "Ann".into())],
        subscriptions: vec![(Arc::clone(&newsletter), true, at)],
        at,
    })
}

fn subscribers(count: usize, at: Timestamp) -> impl Iterator<Item = StockedSubscriber> {
    let field: Arc<str> = "GigyaUID".into();
    (0..count).map(move |n| StockedSubscriber {
        email: address(n),
        name: "Ann".to_owned(),
        state: State::Active,
        changed: at,
        fields: vec![(Arc::clone(&field), uid(n).to_string())],
    })
}

fn contacts(count: usize, at: Timestamp) -> impl Iterator<Item = StockedContact> {
    let list: Arc<str> = LIST.into();
    (0..count).map(move |n| StockedContact {
        key: uid(n),
        email: address(n),
        status: Status::Active,
        attributes: Vec::new(),
        lists: vec![(Arc::clone(&list), Status::Active)],
        at,
    })
}

async fn found(gigya: &Gigya, condition: &str) -> Value {
    let query = format!("SELECT * FROM accounts WHERE {condition} LIMIT 10");
    gigya.call("accounts.search", &[("query", &query), ("accountTypes", "full,lite")]).await["results"].clone()
}

#[tokio::test]
async fn gigya_drifts_without_webhooks_and_its_index_is_late_all_the_same() {
    let late = GigyaSettings { index_delay: Duration::from_secs(5), ..GigyaSettings::default() };
    let gigya = Gigya::with(late).await;
    let now = gigya.clock.now();
    gigya.sim.stock(accounts(5, before(now, 48)));
    let all = found(&gigya, "isActive = true").await;
    assert_eq!(all.as_array().unwrap().len(), 5, "the index knows who was there before");
    gigya.sim.set_muted_subscription(&uid(0), "newsletter", false, now);
    gigya.sim.set_muted_email(&uid(1), "new@example.org", now);
    gigya.sim.set_muted_profile(&uid(2), "firstName", "Eva".into(), now);
    gigya.sim.set_muted_active(&uid(3), false, now);
    gigya.sim.delete_muted(&uid(4), now);
    assert_eq!(found(&gigya, "isActive = true").await, all, "it shows what was");
    let one = gigya.call("accounts.getAccountInfo", &[("UID", &uid(0))]).await;
    assert_eq!(one["subscriptions"]["newsletter"]["email"]["isSubscribed"], false, "but reading one doesn't");
    gigya.clock.advance(SignedDuration::from_secs(6));
    assert_eq!(found(&gigya, "isActive = true").await.as_array().unwrap().len(), 3);
    let moved = found(&gigya, "profile.email = \"new@example.org\"").await;
    assert_eq!(moved[0]["emails"]["unverified"], json!([address(1)]));
    assert_eq!(moved[0]["subscriptions"]["newsletter"]["email"]["isSubscribed"], true);
    assert_eq!(found(&gigya, &format!("profile.email = \"{}\"", address(1))).await, json!([]));
    let changed = found(&gigya, &format!("lastUpdatedTimestamp >= {}", now.as_millisecond())).await;
    assert_eq!(changed.as_array().unwrap().len(), 4);
    // Long ago is known at once.
    gigya.sim.set_muted_subscription(&uid(2), "newsletter", false, before(now, 1));
    let then = format!("lastUpdatedTimestamp = {}", before(now, 1).as_millisecond());
    assert_eq!(found(&gigya, &then).await[0]["UID"], *uid(2));
    assert_eq!(gigya.sim.courier().pending(), 0, "nobody was told");
    let mut subscribed = 0;
    gigya.sim.for_each_account("newsletter", |_, _, _, held| subscribed += usize::from(held == Some(true)));
    assert_eq!(subscribed, 2);
}

#[tokio::test]
async fn campaign_monitor_drifts_without_webhooks() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    let (now, list) = (esp.clock.now(), esp.list.as_str());
    esp.sim.stock(list, subscribers(5, before(now, 48)));
    esp.sim.set_muted_state(list, &address(0), State::Unsubscribed, before(now, 1));
    esp.sim.set_muted_state(list, &address(1), State::Deleted, now);
    esp.sim.set_muted_field(list, &address(2), "GigyaUID", "other");
    esp.sim.set_muted_field(list, &address(2), "Name", "Eva");
    esp.sim.set_muted_address(list, &address(3), "new@example.org");
    esp.sim.forget(list, &address(4));
    assert_eq!(esp.sim.courier().pending(), 0, "nobody was told");
    let page = esp.call("GET", &format!("lists/{list}/unsubscribed.json"), Value::Null).await.1;
    assert_eq!(page["Results"][0]["EmailAddress"], address(0));
    assert_eq!(esp.sim.subscriber(list, &address(0)).unwrap().changed, before(now, 1));
    let changed = esp.sim.subscriber(list, &address(2)).unwrap();
    assert_eq!((changed.field("GigyaUID"), changed.name.as_str()), (Some("other"), "Eva"));
    let mut states = Vec::new();
    esp.sim.for_each_subscriber(list, |email, state, _| states.push((email.to_owned(), state)));
    states.sort_by(|one, other| one.0.cmp(&other.0));
    let mut wanted = vec![("new@example.org".to_owned(), State::Active)];
    wanted.extend(
        [State::Unsubscribed, State::Deleted, State::Active]
            .into_iter()
            .enumerate()
            .map(|(n, state)| (address(n), state)),
    );
    assert_eq!(states, wanted);
}

#[tokio::test]
async fn marketing_cloud_drifts_without_events() {
    let account = Account::new().await;
    let now = account.clock.now();
    account.sim.stock(contacts(5, before(now, 48)));
    let keys: Vec<_> = (0..5).map(uid).collect();
    account.sim.stock_rows("GIGYA_PROFILES", keys.iter().map(|key| (&**key, [("FirstName", "Ann")])));
    account.sim.set_muted_status(&uid(0), Some(LIST), Status::Unsubscribed, before(now, 1));
    account.sim.set_muted_status(&uid(1), None, Status::Unsubscribed, now);
    account.sim.set_muted_address(&uid(2), "new@example.org");
    account.sim.set_muted_cell("GIGYA_PROFILES", &uid(3), "FirstName", "Eva");
    account.sim.forget(&uid(4));
    account.sim.forget_row("GIGYA_PROFILES", &uid(4));
    assert_eq!(account.sim.courier().pending(), 0, "nobody was told");
    let first = account.sim.subscriber(&uid(0)).unwrap();
    assert_eq!(first.lists, [(LIST.to_owned(), Status::Unsubscribed, before(now, 1))]);
    assert_eq!(account.sim.subscriber(&uid(1)).unwrap().unsubscribed, Some(now));
    assert_eq!(account.sim.subscribers_at("new@example.org")[0].key, *uid(2));
    assert!(account.sim.subscribers_at(&address(2)).is_empty());
    let row = account.sim.row("GIGYA_PROFILES", &uid(3)).unwrap();
    assert_eq!((row["FirstName"].as_str(), row["SubscriberKey"].as_str()), ("Eva", &*uid(3)));
    assert!(account.sim.subscriber(&uid(4)).is_none() && account.sim.row("GIGYA_PROFILES", &uid(4)).is_none());
    let mut on_list = 0;
    account.sim.for_each_subscriber(Some(LIST), |_, _, _, place| on_list += usize::from(place == Some(Status::Active)));
    assert_eq!(on_list, 3);
}

/// Reads everything, page after page, and acts on everybody one by one: quick only if nothing walks through all.
#[tokio::test]
async fn many_people_are_made_read_and_changed() {
    let many = std::env::var("SIMULATED_PEOPLE").ok().and_then(|many| many.parse().ok()).unwrap_or(MANY);
    let lap = |what: &str, since: std::time::Instant| println!("{many} people: {what} in {:.1?}", since.elapsed());
    let start = std::time::Instant::now;
    let (gigya, esp) =
        (Gigya::with(GigyaSettings::default()).await, Esp::with(CampaignMonitorSettings::default()).await);
    let week = Duration::from_hours(7 * 24);
    let account =
        Account::with(MarketingCloudSettings { token_lifetime: week, ..MarketingCloudSettings::default() }).await;
    let at = before(gigya.clock.now(), 48);
    let made = start();
    gigya.sim.stock(accounts(many, at));
    lap("Gigya stocked", made);
    let made = start();
    esp.sim.stock(&esp.list, subscribers(many, at));
    lap("Campaign Monitor stocked", made);
    let made = start();
    account.sim.stock(contacts(many, at));
    lap("Marketing Cloud stocked", made);

    let read = start();
    let query = "SELECT UID, profile, subscriptions FROM accounts ORDER BY lastUpdatedTimestamp LIMIT 10000";
    let form = [("query", query), ("accountTypes", "full,lite"), ("openCursor", "true")];
    let mut page = gigya.call("accounts.search", &form).await;
    let mut seen = page["objectsCount"].as_u64().unwrap();
    while let Some(cursor) = page["nextCursorId"].as_str().map(ToOwned::to_owned) {
        page = gigya.call("accounts.search", &[("cursorId", &cursor)]).await;
        seen += page["objectsCount"].as_u64().unwrap();
    }
    assert_eq!(seen, many as u64);
    lap("Gigya read", read);
    let read = start();
    let mut seen = 0;
    for number in 1..=many.div_ceil(1000) {
        let path = format!("lists/{}/active.json?page={number}", esp.list);
        seen += esp.call("GET", &path, Value::Null).await.1["RecordsOnThisPage"].as_u64().unwrap();
    }
    assert_eq!(seen, many as u64);
    lap("Campaign Monitor read", read);
    let read = start();
    let on_list = super::marketing_cloud::equals("ListID", LIST);
    assert_eq!(account.retrieve_all("ListSubscriber", "SubscriberKey", &on_list).await.len(), many);
    lap("Marketing Cloud read", read);

    let changed = start();
    for n in (0..many).step_by(3) {
        let at = gigya.clock.now();
        gigya.sim.unsubscribe(&uid(n), "newsletter");
        esp.sim.set_muted_state(&esp.list, &address(n), State::Unsubscribed, at);
        account.sim.set_muted_status(&uid(n), Some(LIST), Status::Unsubscribed, at);
    }
    lap("a third changed", changed);
    let mut left = 0;
    gigya.sim.for_each_account("newsletter", |_, _, _, held| left += usize::from(held == Some(true)));
    assert_eq!(left, many - many.div_ceil(3));
    let stats = esp.call("GET", &format!("lists/{}/stats.json", esp.list), Value::Null).await.1;
    assert_eq!(stats["TotalUnsubscribes"], many.div_ceil(3));
}
