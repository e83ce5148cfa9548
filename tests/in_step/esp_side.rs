//! What happens at the ESP, and what of it Gigya gets to know.

use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::{CampaignMonitorSettings, Format, ListSettings, State};
use jiff::tz::TimeZone;

fn with_route(route: &str) -> Setup {
    Setup { route: route.to_owned(), ..Setup::default() }
}

fn with_client(change: impl FnOnce(&mut CampaignMonitorSettings)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.campaign_monitor);
    setup
}

#[tokio::test]
async fn a_spam_complaint_and_a_deletion_are_opt_outs() {
    let town = Town::ordinary().await;
    let (ann, ben) = (town.subscriber("ann").await, town.subscriber("ben").await);
    town.a_moment_passes();
    assert!(town.sandbox.campaign_monitor.complain(&town.sandbox.list, &address("ann")));
    assert!(town.sandbox.campaign_monitor.delete(&town.sandbox.list, &address("ben")));
    town.quiet().await;
    assert_eq!((town.gigya(&ann), town.gigya(&ben)), (Some(false), Some(false)));
}

#[tokio::test]
async fn a_bounce_is_one_only_where_the_route_says_so() {
    for (forward, subscribed) in [(false, true), (true, false)] {
        let town = Town::with(with_route(&format!("forward_bounces = {forward}"))).await;
        let uid = town.subscriber("ann").await;
        town.a_moment_passes();
        assert!(town.sandbox.campaign_monitor.bounce(&town.sandbox.list, &address("ann")));
        town.quiet().await;
        assert_eq!(town.gigya(&uid), Some(subscribed), "forward_bounces = {forward}");
        assert_eq!(town.esp("ann"), Some(State::Bounced));
    }
}

#[tokio::test]
async fn an_opt_in_there_counts_only_where_the_route_says_so() {
    for accept in [false, true] {
        let town = Town::with(with_route(&format!("accept_opt_ins = {accept}"))).await;
        let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
        town.quiet().await;
        town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
        town.quiet().await;
        assert_eq!(town.gigya(&uid), accept.then_some(true), "accept_opt_ins = {accept}");
        assert_eq!(town.esp("ann"), Some(State::Active));
    }
}

#[tokio::test]
async fn somebody_who_left_may_come_back_by_a_form_there() {
    let town = Town::with(with_route("accept_opt_ins = true")).await;
    town.sandbox.clock.advance(jiff::SignedDuration::from_mins(-10));
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    // Longer than a write of our own can have been on its way.
    town.sandbox.clock.advance(jiff::SignedDuration::from_mins(10));
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    town.quiet().await;
    assert_eq!((town.gigya(&uid), town.esp("ann")), (Some(true), Some(State::Active)));
}

#[tokio::test]
async fn a_stranger_becomes_a_lite_account_only_where_the_route_says_so() {
    for create in [false, true] {
        let route = format!("accept_opt_ins = true\ncreate_lite_accounts = {create}");
        let town = Town::with(with_route(&route)).await;
        town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
        town.quiet().await;
        let accounts = town.sandbox.gigya.accounts();
        assert_eq!(accounts.len(), usize::from(create), "create_lite_accounts = {create}");
        if let [account] = &accounts[..] {
            assert!(account.is_lite && account.email == address("ann"));
            assert_eq!(town.gigya(&account.uid), Some(true));
            assert_eq!(town.esp("ann"), Some(State::Active));
        }
    }
}

#[tokio::test]
async fn an_opt_out_of_somebody_without_uid_finds_the_account_by_address() {
    let town = Town::ordinary().await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.quiet().await;
    // Subscribed long ago, by somebody else: the list knows no UID.
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    assert!(town.sandbox.campaign_monitor.courier().settled(std::time::Duration::from_secs(10)).await);
    assert_eq!(town.gigya(&uid), Some(false));
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test]
async fn an_opt_out_of_somebody_whom_no_search_finds_yet_arrives() {
    let mut setup = Setup::default();
    setup.gigya.index_delay = std::time::Duration::from_hours(1);
    let town = Town::with(setup).await;
    let uid = town.sandbox.gigya.sign_up_lite(&address("ann"));
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    assert!(town.sandbox.campaign_monitor.courier().settled(std::time::Duration::from_secs(10)).await);
    assert_eq!(town.gigya(&uid), Some(false));
}

#[tokio::test]
async fn callbacks_about_people_who_do_not_exist_are_answered_2xx() {
    let mut town = Town::ordinary().await;
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("nobody"));
    town.sandbox.campaign_monitor.change_address(&town.sandbox.list, &address("nobody"), &address("noone"));
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("noone")));
    town.quiet().await;
    assert!(town.answers().iter().all(|answer| answer.status == 200 && answer.number == 1));
}

#[tokio::test]
async fn xml_callbacks_are_understood() {
    let town = Town::with(with_client(|client| client.format = Format::Xml)).await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
}

#[tokio::test]
async fn times_are_read_in_the_clients_zone() {
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"] {
        let town = Town::with(with_client(|client| client.time_zone = TimeZone::get(zone).unwrap())).await;
        let uid = town.subscriber("ann").await;
        town.a_moment_passes();
        town.follows_the_unsubscribe_link("ann");
        town.quiet().await;
        assert_eq!(town.gigya(&uid), Some(false), "{zone}");
        town.a_moment_passes();
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        town.quiet().await;
        assert_eq!(town.esp("ann"), Some(State::Active), "{zone}");
    }
}

#[tokio::test]
async fn a_day_is_too_coarse_to_undo_an_opt_out_of_the_same_day() {
    let town = Town::with(with_client(|client| client.coarse_times = true)).await;
    let uid = town.subscriber("ann").await;
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed), "in doubt, the opt-out");
}

#[tokio::test]
async fn somebody_who_must_confirm_at_the_esp_is_not_asked_again() {
    let confirming = ListSettings { confirmed_opt_in: true, ..ListSettings::ordinary("1".repeat(32).as_str()) };
    let town = Town::with(with_client(|client| client.lists = vec![confirming])).await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Unconfirmed));
    let imports = town.sandbox.campaign_monitor.faults().calls("import");
    town.sandbox.gigya.set_profile(&uid, "city", "Paris".into());
    town.quiet().await;
    assert_eq!(town.sandbox.campaign_monitor.faults().calls("import"), imports);
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Deleted), "and can take it back before confirming");
}

#[tokio::test]
async fn an_added_subscriber_is_waited_for_in_the_queue() {
    let setup = Setup { campaign_monitor_lines: "subscribe_with = \"add\"".to_owned(), ..Setup::default() };
    let town = Town::with(setup).await;
    let uid = town.subscriber("ann").await;
    assert_eq!(town.sandbox.campaign_monitor.faults().calls("import"), 0);
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test]
async fn an_update_of_somebody_who_is_out_is_no_newer_opt_out() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    town.a_moment_passes();
    // She comes back in Gigya; before that arrives, somebody edits her record at the ESP, out as it is.
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.a_moment_passes();
    town.sandbox.campaign_monitor.change_address(&town.sandbox.list, &address("ann"), &address("ann"));
    assert!(town.sandbox.campaign_monitor.courier().settled(std::time::Duration::from_secs(10)).await);
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert_eq!((town.gigya(&uid), town.esp("ann")), (Some(true), Some(State::Active)));
}
