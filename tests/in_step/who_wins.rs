//! Late, repeated and crossing news: the later act of the person counts, and in doubt the opt-out.

use crate::town::{NEWSLETTER, Town};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_opt_out_that_arrives_late_does_not_undo_a_newer_opt_in() {
    let mut town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    let esp = town.sandbox.campaign_monitor.courier().clone();
    esp.pause(true);
    town.follows_the_unsubscribe_link("ann");
    town.a_moment_passes();
    // She notices, and turns it off and on again in her account.
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    assert!(town.sandbox.gigya.courier().settled(SOON).await);
    assert_eq!(town.esp("ann"), Some(State::Active));
    town.answers();
    esp.pause(false);
    town.quiet().await;
    assert!(town.outcomes().contains(&"skipped:newer_opt_in".to_owned()));
    assert_eq!((town.gigya(&uid), town.esp("ann")), (Some(true), Some(State::Active)));
}

#[tokio::test]
async fn an_opt_in_that_arrives_late_does_not_undo_a_newer_opt_out() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    town.a_moment_passes();
    let gigya = town.sandbox.gigya.courier().clone();
    gigya.pause(true);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.a_moment_passes();
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    gigya.pause(false);
    town.quiet().await;
    assert_eq!((town.gigya(&uid), town.esp("ann")), (Some(false), Some(State::Unsubscribed)));
}

#[tokio::test]
async fn at_the_same_instant_the_opt_out_wins() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.campaign_monitor.courier().pause(true);
    // Within one second, which is as fine as the ESP's clock tells.
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.follows_the_unsubscribe_link("ann");
    town.sandbox.gigya.courier().pause(false);
    assert!(town.sandbox.gigya.courier().settled(SOON).await);
    town.sandbox.campaign_monitor.courier().pause(false);
    town.quiet().await;
    assert_eq!((town.gigya(&uid), town.esp("ann")), (Some(false), Some(State::Unsubscribed)));
}

#[tokio::test]
async fn somebody_back_within_the_second_of_leaving_is_out_on_both_sides() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    // Within the second in which she left, as far as the ESP's clock tells.
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    let sides = (town.gigya(&uid), town.esp("ann"));
    let within = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, "ann@example.org").unwrap().changed;
    let since = town.sandbox.gigya.account(&uid).unwrap().subscriptions[0].2;
    if since.as_second() == within.as_second() {
        assert_eq!(sides, (Some(false), Some(State::Unsubscribed)));
    } else {
        assert_eq!(sides, (Some(true), Some(State::Active)), "the second was over");
    }
}

#[tokio::test]
async fn an_opt_out_between_reading_and_writing_is_not_overtaken() {
    let town = Town::ordinary().await;
    let uid = town.sandbox.gigya.sign_up("ann@example.org", "ann");
    town.quiet().await;
    // The account is read as opted in, and the ESP is slow to take it. Meanwhile the person opts out, and the
    // webhook of that finds nobody to opt out.
    let esp = town.sandbox.campaign_monitor.faults().clone();
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    let mut slow = esp.weather();
    slow.latency = Duration::from_millis(400);
    esp.set(slow);
    town.sandbox.gigya.courier().pause(false);
    while esp.calls("import") == 0 {
        tokio::task::yield_now().await;
    }
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test]
async fn echoes_end() {
    let mut town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.answers();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    let answers = town.answers();
    assert!(answers.len() <= 4, "one callback, and the two webhooks of Gigya's change: {answers:?}");
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    assert!(town.answers().len() <= 4);
}

#[tokio::test]
async fn a_dead_side_is_answered_503_and_catches_up() {
    let mut town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.answers();
    town.sandbox.campaign_monitor.faults().set_down(true);
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    let first = town.attempts.recv().await.unwrap();
    assert_eq!((first.status, town.esp("ann")), (503, Some(State::Active)));
    town.sandbox.campaign_monitor.faults().set_down(false);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}
