//! The later act counts, and in doubt the opt-out, for every kind of audience.

use super::town::{ALL, ALL_AND_ROW, LIST_AND_ROW, MarketingCloudTown, ON_LIST, ROW, list_of, setup, town};
use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::Weather;
use gigya_esp_gateway::sandbox::marketing_cloud::Status;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
const EVERY: [&str; 5] = [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW, ROW];

#[tokio::test]
async fn in_and_out_and_in_again_in_gigya() {
    for audience in EVERY {
        let town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        assert!(town.is_mailed("ann", audience), "{audience}");
        town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        town.quiet().await;
        assert!(!town.is_mailed("ann", audience), "{audience}");
        town.a_moment_passes();
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        town.quiet().await;
        assert!(town.is_mailed("ann", audience), "{audience}");
        assert_eq!(town.gigya(&uid), Some(true), "{audience}");
    }
}

#[tokio::test]
async fn a_link_in_a_mail_is_forwarded_and_a_newer_opt_in_brings_them_back() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW] {
        let town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        assert!(town.cloud().unsubscribe_link(&address("ann"), list_of(audience)), "{audience}");
        town.quiet().await;
        assert_eq!(town.gigya(&uid), Some(false), "{audience}");
        town.a_moment_passes();
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        town.quiet().await;
        assert!(town.is_mailed("ann", audience), "{audience}");
    }
}

#[tokio::test]
async fn an_opt_out_of_everything_reaches_gigya_from_every_audience() {
    for audience in [ON_LIST, LIST_AND_ROW, ROW] {
        let town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        if audience == ROW {
            // A send to the data extension makes the subscriber.
            town.cloud().import(&uid, &address("ann"), None, Status::Active);
        }
        assert!(town.cloud().unsubscribe_link(&address("ann"), None), "{audience}");
        town.quiet().await;
        assert_eq!(town.gigya(&uid), Some(false), "{audience}");
        assert!(!town.is_mailed("ann", audience), "{audience}");
    }
}

#[tokio::test]
async fn a_profile_update_subscribes_nobody_again_and_tells_gigya_what_no_callback_told() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW] {
        let mut town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        // Complaints are not called back.
        town.cloud().complain(&address("ann"));
        town.answers();
        town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
        town.quiet().await;
        assert!(town.outcomes().contains(&"skipped:newer_opt_out".to_owned()), "{audience}");
        assert!(!town.is_mailed("ann", audience), "{audience}");
        assert_eq!(town.gigya(&uid), Some(false), "{audience}");
    }
}

#[tokio::test]
async fn a_late_callback_does_not_undo_a_newer_opt_in() {
    for audience in [ALL, ON_LIST] {
        let mut town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        let callbacks = town.cloud().courier().clone();
        callbacks.pause(true);
        town.cloud().unsubscribe_link(&address("ann"), list_of(audience));
        town.a_moment_passes();
        town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        assert!(town.sandbox.gigya.courier().settled(SOON).await);
        assert!(town.is_mailed("ann", audience), "{audience}");
        town.answers();
        callbacks.pause(false);
        town.quiet().await;
        let outcomes = town.outcomes();
        assert!(outcomes == ["skipped:newer_opt_in"] || outcomes == ["skipped:no_route"], "{audience}: {outcomes:?}");
        assert_eq!(town.gigya(&uid), Some(true), "{audience}");
        assert!(town.is_mailed("ann", audience), "{audience}");
    }
}

#[tokio::test]
async fn a_double_opt_in_that_is_pending_is_none() {
    let mut setup = setup(ALL_AND_ROW, "");
    setup.gigya.double_opt_in = vec![NEWSLETTER.to_owned()];
    let town = Town::with(setup).await;
    let uid = town.newcomer("ann").await;
    assert!(town.cloud().subscribers().is_empty());
    town.sandbox.gigya.confirm(&uid, NEWSLETTER);
    town.quiet().await;
    assert!(town.is_mailed("ann", ALL));
}

#[tokio::test]
async fn a_changed_address_moves_the_subscriber_and_the_key_stays() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW] {
        let town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        let number = town.held(&uid).id;
        town.sandbox.gigya.change_email(&uid, &address("anna"));
        town.quiet().await;
        assert_eq!((town.held(&uid).email, town.held(&uid).id), (address("anna"), number), "{audience}");
        assert!(!town.is_mailed("ann", audience) && town.is_mailed("anna", audience), "{audience}");
        assert_eq!(town.cloud().subscribers().len(), 1, "{audience}");
    }
}

#[tokio::test]
async fn a_merged_account_keeps_one_subscriber() {
    for audience in [ALL, ON_LIST, LIST_AND_ROW] {
        let town = town(audience, "").await;
        let old = town.newcomer("ann").await;
        let new = town.newcomer("anna").await;
        town.sandbox.gigya.merge(&old, &new);
        town.quiet().await;
        assert!(town.is_mailed("anna", audience), "{audience}");
        assert!(!town.is_mailed("ann", audience), "{audience}: the old one must not be mailed besides");
    }
}

#[tokio::test]
async fn two_accounts_of_one_address_have_a_subscriber_each() {
    let town = town(ALL_AND_ROW, "").await;
    let ann = town.newcomer("home").await;
    let ben = town.sandbox.gigya.sign_up(&address("home"), "ben");
    town.quiet().await;
    assert_eq!(town.cloud().subscribers_at(&address("home")).len(), 2);
    town.sandbox.gigya.set_active(&ann, false);
    town.quiet().await;
    assert_eq!((town.held(&ann).status, town.held(&ben).status), (Status::Unsubscribed, Status::Active));
}

#[tokio::test]
async fn a_subscriber_of_nobody_s_is_opted_out_with_the_account_and_else_left_alone() {
    let town = town(ALL, "").await;
    town.cloud().import("C-7", &address("ann"), None, Status::Active);
    let uid = town.newcomer("ann").await;
    assert_eq!((town.held(&uid).status, town.held("C-7").status), (Status::Active, Status::Active));
    town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    town.quiet().await;
    assert_eq!(town.held("C-7").status, Status::Active, "whoever made it may need it");
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!((town.held(&uid).status, town.held("C-7").status), (Status::Unsubscribed, Status::Unsubscribed));
}

#[tokio::test]
async fn whoever_said_stop_under_another_key_is_not_subscribed_under_their_own() {
    let town = town(ALL, "").await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.a_moment_passes();
    town.cloud().import("C-7", &address("ann"), None, Status::Unsubscribed);
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert!(!town.is_mailed("ann", ALL));
    assert_eq!(town.gigya(&uid), Some(false), "and Gigya is told");
}

#[tokio::test]
async fn of_several_subscribers_of_nobody_s_the_last_word_counts() {
    for (first, second) in [("C-1", "C-2"), ("C-2", "C-1")] {
        let town = town(ALL, "").await;
        let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
        town.sandbox.gigya.courier().pause(true);
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        town.a_moment_passes();
        town.cloud().import(first, &address("ann"), None, Status::Active);
        town.cloud().import(second, &address("ann"), None, Status::Unsubscribed);
        town.sandbox.gigya.courier().pause(false);
        town.quiet().await;
        assert!(town.cloud().subscriber(&uid).is_none(), "{first} {second}: nobody is subscribed anew who said stop");
        assert_eq!(town.gigya(&uid), Some(false));
    }
}

#[tokio::test]
async fn a_link_in_a_mail_takes_the_row_s_status_along() {
    for audience in [ALL_AND_ROW, LIST_AND_ROW] {
        let town = town(audience, "status_column = \"Status\"").await;
        let uid = town.newcomer("ann").await;
        let status = |town: &Town| town.cloud().row("GIGYA_PROFILES", &uid).unwrap().get("Status").cloned();
        assert_eq!(status(&town).as_deref(), Some("Active"));
        assert!(town.cloud().unsubscribe_link(&address("ann"), list_of(audience)));
        town.quiet().await;
        assert_eq!(status(&town).as_deref(), Some("Unsubscribed"), "{audience}");
    }
}

#[tokio::test]
async fn everybody_at_an_address_that_is_the_key_is_opted_out() {
    let town = town(ALL, "subscriber_key = \"email\"\nuid_attribute = \"Gigya UID\"").await;
    let uid = town.newcomer("ann").await;
    for key in ["C-7", "zz-7"] {
        town.cloud().import(key, &address("ann"), None, Status::Active);
    }
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert!(!town.is_mailed("ann", ALL), "{:?}", town.cloud().subscribers());
}

#[tokio::test]
async fn an_opt_out_of_a_list_is_kept_though_everything_is_out_already() {
    for audience in [ON_LIST, LIST_AND_ROW] {
        let town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        town.cloud().complain(&address("ann"));
        town.a_moment_passes();
        town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        town.quiet().await;
        // Somebody over there lifts the opt-out of everything.
        town.cloud().import(&uid, &address("ann"), None, Status::Active);
        assert!(!town.is_mailed("ann", audience), "{audience}");
    }
}

#[tokio::test]
async fn whoever_leaves_while_their_row_is_updated_is_out_in_the_end() {
    for lines in ["", "status_column = \"Status\""] {
        let town = town(ROW, lines).await;
        let uid = town.newcomer("ann").await;
        // Slow enough that all of this is under way at once.
        let latency = Duration::from_millis(40);
        town.cloud().faults().set(Weather { latency, jitter: latency, ..Weather::default() });
        for round in 0..5 {
            town.sandbox.gigya.set_profile(&uid, "firstName", format!("Ann {round}").into());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        town.quiet().await;
        let row = town.cloud().row("GIGYA_PROFILES", &uid);
        let is_in = row.is_some_and(|row| row.get("Status").is_none_or(|status| status != "Unsubscribed"));
        assert!(!is_in, "{lines}");
    }
}

#[tokio::test]
async fn who_left_comes_back_where_rows_have_a_status() {
    let mut town = town(ROW, "status_column = \"Status\"").await;
    let uid = town.newcomer("ann").await;
    let status = |town: &Town| town.cloud().row("GIGYA_PROFILES", &uid).unwrap().get("Status").cloned();
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(status(&town).as_deref(), Some("Unsubscribed"));
    town.answers();
    town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    town.quiet().await;
    assert_eq!(town.outcomes(), ["unchanged"]);
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(true));
    assert_eq!(status(&town).as_deref(), Some("Active"));
}

#[tokio::test]
async fn an_address_change_that_is_refused_does_not_block_for_ever() {
    let mut town = town(ALL, "").await;
    let uid = town.newcomer("ann").await;
    town.answers();
    let held = "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body><UpdateResponse><Results>\
        <StatusCode>Error</StatusCode><ErrorCode>12003</ErrorCode></Results><OverallStatus>Error</OverallStatus>\
        </UpdateResponse></Body></Envelope>";
    town.cloud().fail_next("soap.update", 200, held, &[]);
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.quiet().await;
    assert_eq!(town.outcomes(), ["skipped:held_by_esp"]);
}
