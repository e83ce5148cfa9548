//! Each difference by itself: it is found, named, healed, and found no more.

use crate::town::{Town, address, found};
use gigya_esp_gateway::forward::Difference;
use gigya_esp_gateway::reconcile::Limits;
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use serde_json::json;

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
    let (mut tally, scope) = (gigya_esp_gateway::reconcile::Tally::default(), town.scope());
    let mut plan = gigya_esp_gateway::reconcile::Plan::fleeting(&scope.scratch).unwrap();
    gigya_esp_gateway::reconcile::compare(&gateway, &scope, &mut plan, &mut tally, &|_| {}).await.unwrap();
    assert_eq!(found(&tally), [(Difference::Inactive, 1)]);
    // Between the search and the healing, she is active again, and has asked for it anew.
    town.sandbox.gigya.set_active(&ann, true);
    let stop = tokio_util::sync::CancellationToken::new();
    let limits = crate::town::FREELY;
    gigya_esp_gateway::reconcile::heal(&gateway, plan, &limits, &mut tally, "test", &stop, &|_| {}).await.unwrap();
    assert_eq!(town.esp("ann"), Some(State::Active));
}
