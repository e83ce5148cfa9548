//! Addresses and UIDs that change.

use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::campaign_monitor::State;

#[tokio::test]
async fn a_changed_address_moves_the_subscriber() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.esp("anna")), (None, Some(State::Active)));
    assert_eq!(town.gigya(&uid), Some(true), "the echo of the move opts nobody out");
}

#[tokio::test]
async fn an_opt_out_moves_with_the_address() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    // The link was followed, and Gigya doesn't know yet when the address changes.
    town.sandbox.campaign_monitor.courier().pause(true);
    town.follows_the_unsubscribe_link("ann");
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    assert!(town.sandbox.gigya.courier().settled(std::time::Duration::from_secs(10)).await);
    assert_ne!(town.esp("anna"), Some(State::Active));
    assert_ne!(town.esp("ann"), Some(State::Active));
    town.sandbox.campaign_monitor.courier().pause(false);
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    assert_ne!(town.esp("anna"), Some(State::Active));
}

#[tokio::test]
async fn somebody_who_leaves_under_a_new_address_is_not_mailed_at_the_old_one() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert_ne!(town.esp("ann"), Some(State::Active));
    assert_ne!(town.esp("anna"), Some(State::Active));
}

#[tokio::test]
async fn an_address_taken_already_leaves_one_subscriber() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("anna"));
    town.quiet().await;
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.quiet().await;
    assert_eq!(town.esp("anna"), Some(State::Active));
    assert_eq!(town.esp("ann"), Some(State::Deleted));
    assert_eq!(town.gigya(&uid), Some(true), "deleting what was left behind opts nobody out");
}

#[tokio::test]
async fn an_address_changed_at_the_esp_goes_back_to_the_one_that_gigya_holds() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.campaign_monitor.change_address(&town.sandbox.list, &address("ann"), &address("elsewhere"));
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.esp("elsewhere")), (Some(State::Active), None));
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test]
async fn merged_accounts_are_one_subscriber() {
    let town = Town::ordinary().await;
    let old = town.subscriber("ann").await;
    let new = town.sandbox.gigya.sign_up(&address("anna"), "ann");
    town.sandbox.gigya.subscribe(&new, NEWSLETTER);
    town.quiet().await;
    town.sandbox.gigya.merge(&old, &new);
    town.quiet().await;
    assert_eq!(town.esp("anna"), Some(State::Active));
    assert_ne!(town.esp("ann"), Some(State::Active), "the old account's address is not mailed anymore");
    assert_eq!(town.gigya(&new), Some(true));
}

#[tokio::test]
async fn a_changed_uid_is_written_to_the_subscriber() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.change_uid(&uid, "another-uid");
    town.quiet().await;
    let there = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, &address("ann")).unwrap();
    assert_eq!((there.state, there.field("GigyaUID")), (State::Active, Some("another-uid")));
}
