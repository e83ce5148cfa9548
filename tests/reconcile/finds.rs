//! Each difference by itself: it is found, named, healed, and found no more.

use crate::town::{FREELY, Town, address, compared, found, heal};
use gigya_esp_gateway::domain::{Change, ConnectionName, Email, Uid};
use gigya_esp_gateway::forward::Difference;
use gigya_esp_gateway::journal::{Journal, Kind};
use gigya_esp_gateway::reconcile::{Limits, Scope};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::gigya::StockedAccount;
use gigya_esp_gateway::sandbox::{Setup, Weather};
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

const NEWSLETTER: &str = crate::town::NEWSLETTER;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_missing_is_subscribed() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.sandbox.gigya.sign_up(&address("ann"), "Ann");
    town.sandbox.gigya.subscribe(&ann, NEWSLETTER);
    town.is_healed_of(Difference::Missing).await;
    assert_eq!(town.esp("ann"), Some(State::Active));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_in_gigya_that_came_to_nothing_is_carried_out() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    town.is_healed_of(Difference::LateOptOut).await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_at_the_esp_that_came_to_nothing_is_told_gigya() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ann")));
    town.is_healed_of(Difference::UntoldOptOut).await;
    assert_eq!(town.gigya(&ann), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_deactivated_is_removed() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.set_active(&ann, false);
    town.is_healed_of(Difference::Inactive).await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_deleted_straight_from_gigya_is_removed() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.delete(&ann);
    town.is_healed_of(Difference::Orphan).await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_address_moves_the_subscriber() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.change_email(&ann, &address("anna"));
    town.is_healed_of(Difference::WrongAddress).await;
    assert_eq!((town.esp("ann"), town.esp("anna")), (None, Some(State::Active)));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_become_the_accounts() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.set_profile(&ann, "firstName", json!("Anne"));
    town.is_healed_of(Difference::WrongFields).await;
    let subscriber = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, &address("ann")).unwrap();
    assert_eq!(subscriber.field("First Name"), Some("Anne"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_opt_in_undoes_the_older_opt_out_alone() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    town.heal().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&ann, NEWSLETTER);
    town.is_healed_of(Difference::LateOptIn).await;
    assert_eq!(town.esp("ann"), Some(State::Active));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_in_at_the_esp_is_told_gigya_where_the_route_accepts_it() {
    let route = "accept_opt_ins = true\nfields = { \"First Name\" = \"profile.firstName\" }".to_owned();
    let town = Town::without_gateway(Setup { route, ..Setup::default() }).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    town.heal().await;
    town.sandbox.clock.advance(jiff::SignedDuration::from_hours(1));
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    town.is_healed_of(Difference::UntoldOptIn).await;
    assert_eq!(town.gigya(&ann), Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_counted_and_left_alone() {
    let town = Town::without_gateway(Setup::default()).await;
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("eve"));
    assert_eq!(found(&town.differs().await), [(Difference::Stranger, 1)]);
    let (tally, _) = town.heal().await;
    assert_eq!(tally.settled + tally.left, 0);
    assert_eq!(town.esp("eve"), Some(State::Active));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_never_asked_differs_in_nothing() {
    let town = Town::without_gateway(Setup::default()).await;
    town.sandbox.gigya.sign_up(&address("ann"), "Ann");
    let out = town.sandbox.gigya.sign_up(&address("bob"), "Bob");
    town.sandbox.gigya.unsubscribe(&out, NEWSLETTER);
    assert_eq!(found(&town.differs().await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_removals_than_may_be_are_held_back_and_opt_outs_are_not() {
    let town = Town::without_gateway(Setup::default()).await;
    let (ann, bob) = (town.subscriber("ann").await, town.subscriber("bob").await);
    town.subscriber("eve").await;
    town.sandbox.gigya.delete(&ann);
    town.sandbox.gigya.unsubscribe(&bob, NEWSLETTER);
    let (tally, stopped) = town.heal_within(&Limits { removals: 0, removals_in_percent: 100.0 }).await;
    assert!(stopped.withheld.is_some());
    assert_eq!((tally.settled, tally.left), (1, 1));
    assert_eq!((town.esp("ann"), town.esp("bob")), (Some(State::Active), Some(State::Unsubscribed)));
}

/// The index says that she is gone; her account says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_removed_on_the_word_of_an_index() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.set_active(&ann, false);
    let gateway = town.gateway();
    let (plan, mut tally) = compared(&gateway, &Town::scope()).await.unwrap();
    assert_eq!(found(&tally), [(Difference::Inactive, 1)]);
    // Between the search and the healing, she is active again, and has asked for it anew.
    town.sandbox.gigya.set_active(&ann, true);
    heal(&gateway, plan, &FREELY, &mut tally).await;
    assert_eq!(town.esp("ann"), Some(State::Active));
}

/// Only who changed lately is read of Gigya; what was said at the ESP since then is found all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_changed_lately_is_found_without_reading_everybody() {
    let town = Town::without_gateway(Setup::default()).await;
    let (ann, bob) = (town.subscriber("ann").await, town.subscriber("bob").await);
    let eve = town.subscriber("eve").await;
    town.sandbox.clock.advance(jiff::SignedDuration::from_hours(48));
    let since = town.sandbox.clock.now();
    town.sandbox.clock.advance(jiff::SignedDuration::from_hours(1));
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("bob")));
    let (gateway, scope) = (town.gateway(), Scope { since: Some(since), ..Town::scope() });
    let (plan, mut tally) = compared(&gateway, &scope).await.unwrap();
    assert_eq!(tally.accounts, 1, "only ann changed");
    assert_eq!(found(&tally), [(Difference::LateOptOut, 1), (Difference::UntoldOptOut, 1)]);
    heal(&gateway, plan, &FREELY, &mut tally).await;
    assert_eq!((town.esp("ann"), town.gigya(&bob)), (Some(State::Unsubscribed), Some(false)));
    // Whoever isn't among those that changed isn't taken for gone.
    assert_eq!((town.esp("eve"), town.gigya(&eve)), (Some(State::Active), Some(true)));
}

/// A subscriber whom another list or a form made has no UID; what they say counts all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_opt_out_without_a_uid_is_found_without_reading_everybody() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.sandbox.gigya.sign_up(&address("ann"), "Ann");
    town.sandbox.gigya.subscribe(&ann, NEWSLETTER);
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    town.sandbox.clock.advance(jiff::SignedDuration::from_hours(48));
    let since = town.sandbox.clock.now();
    town.a_moment_passes();
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ann")));
    let (gateway, scope) = (town.gateway(), Scope { since: Some(since), ..Town::scope() });
    let (plan, mut tally) = compared(&gateway, &scope).await.unwrap();
    assert_eq!((tally.accounts, found(&tally)), (0, vec![(Difference::UntoldOptOut, 1)]));
    heal(&gateway, plan, &FREELY, &mut tally).await;
    assert_eq!(town.gigya(&ann), Some(false));
}

/// Two accounts, one address: the list has one subscriber for both, which is equal, once and always.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_shares_an_address_differs_in_nothing() {
    let town = Town::without_gateway(Setup::default()).await;
    town.subscriber("ann").await;
    let other = town.sandbox.gigya.sign_up(&address("ann"), "Andrew");
    town.sandbox.gigya.subscribe(&other, NEWSLETTER);
    assert_eq!(found(&town.differs().await), []);
}

/// The address that she left has somebody else by now, who never asked for mail.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_left_behind_at_somebody_elses_address_moves() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.change_email(&ann, &address("anna"));
    town.sandbox.gigya.stock([account("another-ann", "ann", &[], town.sandbox.clock.now())]);
    town.is_healed_of(Difference::WrongAddress).await;
    assert_eq!((town.esp("ann"), town.esp("anna")), (None, Some(State::Active)));
}

/// The calls that healing makes can fail: then it is left, said so, and found again.
#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_done_now_is_left_and_found_again() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    let gateway = town.gateway();
    let (plan, mut tally) = compared(&gateway, &Town::scope()).await.unwrap();
    town.sandbox.campaign_monitor.faults().set(Weather { error: 1.0, ..Weather::default() });
    heal(&gateway, plan, &FREELY, &mut tally).await;
    assert_eq!((tally.settled, tally.left), (0, 1));
    town.sandbox.campaign_monitor.faults().set(Weather::default());
    town.is_healed_of(Difference::LateOptOut).await;
}

/// A thousand people who aren't there come by one import, and their accounts are read before it and after it.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_is_filled_by_imports() {
    let town = Town::without_gateway(Setup::default()).await;
    for person in 0..50 {
        let uid = town.sandbox.gigya.sign_up(&address(&format!("person-{person}")), "Person");
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    }
    let before = town.sandbox.campaign_monitor.faults().all_calls();
    let (tally, _) = town.heal().await;
    let calls = town.sandbox.campaign_monitor.faults().all_calls() - before;
    assert_eq!((tally.settled, tally.left), (50, 0), "{:?}", tally.healed);
    assert!(calls <= 10, "five lists, statistics and one import, not {calls} calls");
    assert_eq!(found(&town.differs().await), []);
}

/// Somebody opted out of the list while it is filled: the import leaves them out.
#[tokio::test(flavor = "multi_thread")]
async fn filling_a_list_undoes_no_opt_out() {
    let town = Town::without_gateway(Setup::default()).await;
    let mut uids = Vec::new();
    for name in ["ann", "bob"] {
        let uid = town.sandbox.gigya.sign_up(&address(name), name);
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        uids.push(uid);
    }
    let gateway = town.gateway();
    let (plan, mut tally) = compared(&gateway, &Town::scope()).await.unwrap();
    town.a_moment_passes();
    // After the comparison: Ann by a form and a link at the ESP, Bob in his account.
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ann")));
    town.sandbox.gigya.unsubscribe(&uids[1], NEWSLETTER);
    heal(&gateway, plan, &FREELY, &mut tally).await;
    assert_eq!((town.esp("ann"), town.esp("bob")), (Some(State::Unsubscribed), None));
    assert_eq!(town.gigya(&uids[0]), Some(false), "Gigya is told");
}

/// With a journal there is a receipt of what was healed, and the address of whoever was loaded is known from then on.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_healed_has_a_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::default().with_journal(&folder.path().join("journal.db"));
    let town = Town::with_gateway(setup).await;
    let journal = Arc::clone(&town.sandbox.journals[0]);
    let (ann, at) = ("0123456789abcdef", town.sandbox.clock.now());
    town.sandbox.gigya.stock([account(ann, "ann", &[true], at)]);
    let heal_one = async || {
        let gateway = town.gateway_with(Some(journal.clone()));
        let (plan, mut tally) = compared(&gateway, &Town::scope()).await.unwrap();
        heal(&gateway, plan, &FREELY, &mut tally).await;
        assert_eq!((tally.settled, tally.left), (1, 0), "{:?}", tally.healed);
    };
    heal_one().await;
    let uid = Uid::new(ann).unwrap();
    let connection = ConnectionName::new("main");
    let links = journal.links(&connection, &[&uid]).await.unwrap();
    assert_eq!(links.iter().map(|link| link.address.expose()).collect::<Vec<_>>(), [address("ann")]);
    town.a_moment_passes();
    town.sandbox.gigya.set_muted_subscription(ann, NEWSLETTER, false, town.sandbox.clock.now());
    heal_one().await;
    let receipts = journal.receipts_at(&Email::parse(&address("ann")).unwrap()).await.unwrap();
    // The ESP's callbacks about it, which the running gateway was told, have theirs.
    let ours = receipts.iter().filter(|receipt| receipt.direction == "gigya_to_esp");
    let changes: Vec<_> = ours.map(|receipt| receipt.kind).collect();
    assert_eq!(changes, [Kind::Change(Change::OptIn), Kind::Change(Change::OptOut)]);
}

fn account(uid: &str, name: &str, subscribed: &[bool], at: Timestamp) -> StockedAccount {
    StockedAccount {
        uid: uid.into(),
        email: address(name),
        is_lite: false,
        is_active: true,
        profile: Vec::new(),
        subscriptions: subscribed.iter().map(|is| (NEWSLETTER.into(), *is, at)).collect(),
        at,
    }
}
