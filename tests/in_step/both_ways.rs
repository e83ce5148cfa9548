//! What people do on one side arrives on the other, and comes to rest there.

use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::campaign_monitor::State;

#[tokio::test]
async fn an_opt_in_arrives_with_its_fields() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    let there = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, &address("ann")).unwrap();
    assert_eq!(there.field("GigyaUID"), Some(uid.as_str()));
    assert_eq!(there.field("First Name"), Some("ann"));
}

#[tokio::test]
async fn an_opt_out_in_gigya_arrives() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
    assert_eq!(town.gigya(&uid), Some(false));
}

#[tokio::test]
async fn an_unsubscribe_link_arrives() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test]
async fn somebody_deactivated_is_removed() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
    assert_eq!(town.gigya(&uid), Some(true), "flags stay, unless clear_flags_on_inactive says otherwise");
}

#[tokio::test]
async fn somebody_who_comes_back_is_subscribed_again() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));
    assert_eq!(town.gigya(&uid), Some(true));
}

#[tokio::test]
async fn a_profile_update_subscribes_nobody_again() {
    let mut town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    // The callback about it is held up, so Gigya still says that she is opted in.
    town.sandbox.campaign_monitor.courier().pause(true);
    town.follows_the_unsubscribe_link("ann");
    town.answers();
    town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    assert!(town.sandbox.gigya.courier().settled(std::time::Duration::from_secs(10)).await);
    assert!(town.outcomes().contains(&"skipped:newer_opt_out".to_owned()));
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
    assert_eq!(town.gigya(&uid), Some(false), "and Gigya needs no callback to get to know");
    town.sandbox.campaign_monitor.courier().pause(false);
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
}
