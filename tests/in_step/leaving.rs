//! Accounts that are deactivated or deleted.

use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::gigya::GigyaSettings;
use gigya_esp_gateway::sandbox::{Sandbox, Setup};
use std::time::Duration;

fn with_route(route: &str) -> Setup {
    Setup { route: route.to_owned(), ..Setup::default() }
}

#[tokio::test]
async fn removal_means_what_the_route_says() {
    for (policy, state) in
        [("delete", State::Deleted), ("unsubscribe", State::Unsubscribed), ("suppress", State::Unsubscribed)]
    {
        let town = Town::with(with_route(&format!("on_inactive = \"{policy}\""))).await;
        let uid = town.subscriber("ann").await;
        town.sandbox.gigya.set_active(&uid, false);
        town.quiet().await;
        assert_eq!(town.esp("ann"), Some(state), "{policy}");
        let suppressed = town.sandbox.campaign_monitor.faults().calls("suppress");
        assert_eq!(suppressed > 0, policy == "suppress");
    }
}

#[tokio::test]
async fn somebody_activated_again_is_subscribed_only_by_a_newer_opt_in() {
    let mut town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    town.answers();
    town.sandbox.gigya.set_active(&uid, true);
    town.quiet().await;
    assert_eq!(town.outcomes(), ["skipped:newer_opt_out"]);
    assert_eq!(town.esp("ann"), Some(State::Deleted));
    town.a_moment_passes();
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));
}

#[tokio::test]
async fn flags_are_cleared_where_the_connection_says_so() {
    let setup = Setup { gigya_lines: "clear_flags_on_inactive = true".to_owned(), ..Setup::default() };
    let town = Town::with(setup).await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    assert_eq!(town.esp("ann"), Some(State::Deleted));
}

#[tokio::test]
async fn somebody_deleted_is_removed_as_long_as_the_index_knows_the_address() {
    let gigya = GigyaSettings { index_delay: Duration::from_secs(5), ..GigyaSettings::default() };
    let town = Town::with(Setup { gigya, ..Setup::default() }).await;
    let uid = town.subscriber("ann").await;
    town.sandbox.clock.advance(jiff::SignedDuration::from_secs(10));
    town.sandbox.gigya.delete(&uid);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
}

#[tokio::test]
async fn somebody_deleted_is_removed_although_the_list_never_got_to_know_the_uid() {
    let gigya = GigyaSettings { index_delay: Duration::from_secs(5), ..GigyaSettings::default() };
    let town = Town::with(Setup { gigya, ..Setup::default() }).await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));
    town.sandbox.clock.advance(jiff::SignedDuration::from_secs(10));
    town.sandbox.gigya.delete(&uid);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
}

#[tokio::test]
async fn somebody_deleted_whose_address_is_somebody_elses_by_now_leaves_their_subscriber_alone() {
    let gigya = GigyaSettings { index_delay: Duration::from_secs(5), ..GigyaSettings::default() };
    let town = Town::with(Setup { gigya, ..Setup::default() }).await;
    let gone = town.subscriber("home").await;
    let stays = town.sandbox.gigya.sign_up(&address("home"), "ben");
    town.quiet().await;
    town.sandbox.clock.advance(jiff::SignedDuration::from_secs(10));
    town.sandbox.gigya.delete(&gone);
    town.quiet().await;
    let there = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, &address("home")).unwrap();
    assert_eq!((there.state, there.field("GigyaUID")), (State::Active, Some(stays.as_str())));
}

#[tokio::test]
async fn somebody_deleted_whose_address_nobody_knows_is_set_aside() {
    for code in [403_005, 403_047] {
        let gigya = GigyaSettings { unknown_uid_code: code, ..GigyaSettings::default() };
        let mut town = Town::with(Setup { gigya, ..Setup::default() }).await;
        let uid = town.subscriber("ann").await;
        town.answers();
        town.sandbox.gigya.delete(&uid);
        town.quiet().await;
        assert_eq!(town.outcomes(), ["rejected:address_unknown"]);
    }
}

#[tokio::test]
async fn a_change_of_an_account_that_is_gone_by_now_is_a_removal() {
    let gigya = GigyaSettings { index_delay: Duration::from_secs(5), ..GigyaSettings::default() };
    let town = Town::with(Setup { gigya, ..Setup::default() }).await;
    let uid = town.subscriber("ann").await;
    town.sandbox.clock.advance(jiff::SignedDuration::from_secs(10));
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    town.sandbox.clock.advance(jiff::SignedDuration::from_secs(10));
    town.sandbox.gigya.delete(&uid);
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
}

#[tokio::test]
async fn a_subscriber_stays_while_another_account_with_the_address_is_opted_in() {
    let town = Town::ordinary().await;
    let ann = town.subscriber("home").await;
    let ben = town.sandbox.gigya.sign_up(&address("home"), "ben");
    town.quiet().await;
    town.sandbox.gigya.set_active(&ann, false);
    town.quiet().await;
    let list = &town.sandbox.list;
    let there = town.sandbox.campaign_monitor.subscriber(list, &address("home")).unwrap();
    assert_eq!(there.state, State::Active);
    assert_eq!(there.field("GigyaUID"), Some(ben.as_str()), "and is the other one's now");
    town.sandbox.gigya.set_active(&ben, false);
    town.quiet().await;
    assert_eq!(town.esp("home"), Some(State::Deleted));
}

#[tokio::test]
async fn a_subscriber_stays_with_an_account_that_no_search_finds_yet() {
    let gigya = GigyaSettings { index_delay: Duration::from_hours(1), ..GigyaSettings::default() };
    let town = Town::with(Setup { gigya, ..Setup::default() }).await;
    let ann = town.sandbox.gigya.sign_up(&address("home"), "ann");
    let ben = town.subscriber("home").await;
    town.sandbox.gigya.set_active(&ann, false);
    town.quiet().await;
    assert_eq!(town.esp("home"), Some(State::Active));
    assert_eq!(town.gigya(&ben), Some(true));
}

#[tokio::test]
async fn two_accounts_of_one_address_do_not_write_over_each_other_for_ever() {
    let town = Town::ordinary().await;
    let ann = town.subscriber("home").await;
    let ben = town.sandbox.gigya.sign_up(&address("home"), "ben");
    town.quiet().await;
    let writes = |sandbox: &Sandbox| sandbox.campaign_monitor.faults().calls("update");
    let before = writes(&town.sandbox);
    for _ in 0..3 {
        town.sandbox.gigya.set_profile(&ann, "city", "Paris".into());
        town.sandbox.gigya.set_profile(&ben, "city", "Rome".into());
        town.quiet().await;
    }
    assert_eq!(writes(&town.sandbox), before);
}

#[tokio::test]
async fn removing_somebody_who_is_not_there_is_done() {
    let mut town = Town::ordinary().await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.quiet().await;
    town.answers();
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    assert_eq!(town.outcomes(), ["unchanged"]);
}
