//! Where an account's subscribers are, whatever address it has by now. Unless it is said otherwise, nothing but the journal
//! could tell: the list has no field for the UID, and Gigya forgets an account's addresses of before.

use crate::town::{NEWSLETTER, Town, address, forgetful};
use gigya_esp_gateway::sandbox::campaign_monitor::{ListSettings, State};
use gigya_esp_gateway::sandbox::marketing_cloud::Status;
use gigya_esp_gateway::sandbox::{Esps, Setup, Temper};
use std::time::Duration;

const SECOND_LIST: &str = "b58ee1d3039b8bec838e6d1482a8a966";

#[tokio::test]
async fn a_changed_address_takes_its_subscriber_along() {
    let town = Town::forgetful().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.esp("anna")), (None, Some(State::Active)));
    assert_eq!(town.gigya(&uid), Some(true), "the echo of the move opts nobody out");
    assert_eq!(town.held_links().await, 1);
}

#[tokio::test]
async fn many_changes_leave_one_link() {
    let town = Town::forgetful().await;
    let uid = town.subscriber("ann").await;
    for number in 0..8 {
        town.sandbox.gigya.change_email(&uid, &address(&format!("ann{number}")));
        town.quiet().await;
    }
    let there = town.sandbox.campaign_monitor.subscribers(&town.sandbox.list);
    assert_eq!(there.iter().filter(|held| held.state == State::Active).count(), 1);
    assert_eq!(town.esp("ann7"), Some(State::Active));
    assert_eq!(town.held_links().await, 1);
    assert_eq!(town.links_in_two_days().await, 1);
}

#[tokio::test]
async fn a_change_whose_webhook_is_lost_is_made_up_for_by_the_next() {
    let town = Town::forgetful().await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.sandbox.gigya.courier().forget();
    town.sandbox.gigya.change_email(&uid, &address("anne"));
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.esp("anna"), town.esp("anne")), (None, None, Some(State::Active)));
    assert_eq!(town.held_links().await, 1);
}

#[tokio::test]
async fn whom_the_journal_has_at_an_address_is_no_stranger_there() {
    let mut setup = forgetful();
    setup.route += "\naccept_opt_ins = true\ncreate_lite_accounts = true";
    let town = Town::with(setup).await;
    let (gigya, news) = (&town.sandbox.gigya, &town.sandbox.campaign_monitor);
    // What the list tells of the gateway's own import is late, and the account is gone by then.
    news.courier().pause(true);
    let uid = gigya.sign_up(&address("ann"), "ann");
    gigya.subscribe(&uid, NEWSLETTER);
    town.gigya_is_quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));
    gigya.courier().pause(true);
    gigya.delete(&uid);
    news.courier().pause(false);
    assert!(news.courier().settled(Duration::from_secs(20)).await);
    assert_eq!(gigya.accounts().len(), 0, "an echo makes no account");
    gigya.courier().pause(false);
    town.quiet().await;
    assert_eq!((town.esp("ann"), gigya.accounts().len()), (Some(State::Deleted), 0));
    // Whoever fills in the form once all of that is forgotten is a stranger.
    town.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    news.form_subscribe(&town.sandbox.list, &address("ann"));
    town.quiet().await;
    assert_eq!((gigya.accounts().len(), town.esp("ann")), (1, Some(State::Active)));
}

/// How an address is held at Campaign Monitor when it becomes somebody's, or stops being theirs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum There {
    Empty,
    In,
    /// Opted out before they opted in, in Gigya.
    OutBefore,
    /// Opted out since.
    OutSince,
}

#[tokio::test]
async fn at_an_address_that_is_there_already_the_last_word_counts() {
    let left = [There::In, There::OutBefore, There::OutSince];
    let taken = [There::Empty, There::In, There::OutBefore, There::OutSince];
    for (left, taken) in left.into_iter().flat_map(|left| taken.map(|taken| (left, taken))) {
        moves_to_one_that_is_there(left, taken).await;
    }
}

async fn moves_to_one_that_is_there(left: There, taken: There) {
    let town = Town::forgetful().await;
    let (list, cm, gigya) = (&town.sandbox.list, &town.sandbox.campaign_monitor, &town.sandbox.gigya);
    if taken != There::Empty {
        cm.form_subscribe(list, &address("anna"));
    }
    if taken == There::OutBefore {
        assert!(cm.unsubscribe_link(list, &address("anna")));
        town.a_moment_passes();
    }
    let uid = town.subscriber("ann").await;
    if left == There::OutBefore {
        assert!(cm.unsubscribe_link(list, &address("ann")));
    }
    town.quiet().await;
    town.a_moment_passes();
    gigya.courier().pause(true);
    cm.courier().pause(true);
    if town.gigya(&uid) == Some(false) {
        gigya.subscribe(&uid, NEWSLETTER);
        town.a_moment_passes();
    }
    for (state, name) in [(left, "ann"), (taken, "anna")] {
        if state == There::OutSince {
            assert!(cm.unsubscribe_link(list, &address(name)));
        }
    }
    town.a_moment_passes();
    gigya.change_email(&uid, &address("anna"));
    gigya.courier().pause(false);
    town.gigya_is_quiet().await;
    let is_in = left != There::OutSince && taken != There::OutSince;
    let check = |when: &str| {
        let told = format!("{when}: {left:?} at the old address, {taken:?} at the new one");
        assert_ne!(town.esp("ann"), Some(State::Active), "{told}");
        assert_eq!(town.esp("anna") == Some(State::Active), is_in, "{told}");
        assert_eq!(town.gigya(&uid), Some(is_in), "{told}");
    };
    check("before Campaign Monitor calls back");
    cm.courier().pause(false);
    town.quiet().await;
    check("after it did");
}

#[tokio::test]
async fn what_happens_between_the_call_and_its_receipt_leaves_nobody_behind() {
    let mut town = Town::forgetful().await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.quiet().await;
    town.outcomes();
    // They are opted in, and that can't be written down. Then the address changes; neither is told anymore.
    town.rename("journal_receipt", "away").await;
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.until_answered("deferred:journal_unavailable", 1).await;
    assert_eq!(town.esp("ann"), Some(State::Active));
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.sandbox.gigya.courier().forget();
    town.sandbox.gigya.courier().pause(false);
    town.rename("away", "journal_receipt").await;
    town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.esp("anna")), (None, Some(State::Active)));
    assert_eq!(town.held_links().await, 1);
}

#[tokio::test]
async fn somebody_deleted_whose_address_nobody_knows_anymore_is_removed() {
    let mut town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.outcomes();
    town.sandbox.gigya.delete(&uid);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
    assert!(town.outcomes().contains(&"applied".to_owned()));
    let mut receipts = town.receipts("ann").await;
    // An echo may find it so before that is written down.
    receipts.retain(|receipt| !receipt.contains('?'));
    assert_eq!(receipts, ["opt_in gigya_to_esp", "removal gigya_to_esp"]);
    assert_eq!(town.held_links().await, 0);
    assert_eq!(town.links_in_two_days().await, 0);
}

#[tokio::test]
async fn whoever_is_deleted_is_removed_everywhere() {
    let mut setup = forgetful();
    setup.esps = Esps::Both;
    setup.marketing_cloud_audience = "all-subscribers".to_owned();
    setup.marketing_cloud_lines = "subscriber_key = \"email\"\nuid_attribute = \"Gigya UID\"".to_owned();
    setup.marketing_cloud_route = "on_inactive = \"unsubscribe\"".to_owned();
    setup.campaign_monitor.lists.push(ListSettings { fields: Vec::new(), ..ListSettings::ordinary(SECOND_LIST) });
    setup.more = format!("[[route]]\nsubscription = \"main/offers\"\naudience = \"news/{SECOND_LIST}\"\n");
    let mut town = Town::with(setup).await;
    let ann = town.subscriber("ann").await;
    let ben = town.subscriber("ben").await;
    town.sandbox.gigya.subscribe(&ben, "offers");
    town.quiet().await;
    let cm = town.sandbox.campaign_monitor.clone();
    assert_eq!(cm.state(SECOND_LIST, &address("ben")), Some(State::Active));
    town.outcomes();
    // One deletion is told; of the other account, a change is told that nobody can read anymore.
    town.sandbox.gigya.delete(&ann);
    town.quiet().await;
    assert!(town.outcomes().iter().all(|outcome| !outcome.starts_with("rejected")), "one list never had her");
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.delete(&ben);
    town.sandbox.gigya.courier().forget();
    town.sandbox.gigya.courier().pause(false);
    town.sandbox.gigya.fire_update_of(&ben);
    town.quiet().await;
    for name in ["ann", "ben"] {
        assert_eq!(town.esp(name), Some(State::Deleted), "{name}");
        assert_eq!(
            town.sandbox.marketing_cloud.subscriber(&address(name)).map(|held| held.status),
            Some(Status::Unsubscribed),
            "{name}"
        );
    }
    assert_eq!(cm.state(SECOND_LIST, &address("ben")), Some(State::Deleted));
    assert_eq!(town.held_links().await, 0);
}

#[tokio::test]
async fn a_deletion_that_is_told_twice_is_done_once() {
    let mut town = Town::forgetful().await;
    let uid = town.subscriber("ann").await;
    town.outcomes();
    for _ in 0..2 {
        town.sandbox.gigya.fire_deletion_of(&uid);
        town.sandbox.gigya.delete(&uid);
        town.quiet().await;
    }
    let outcomes = town.outcomes();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "applied").count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| !outcome.starts_with("rejected")), "{outcomes:?}");
    // Once nothing leads to the address anymore, the receipt tells.
    assert_eq!(town.links_in_two_days().await, 0);
    town.sandbox.gigya.fire_deletion_of(&uid);
    town.quiet().await;
    assert_eq!(town.outcomes(), ["unchanged"]);
}

#[tokio::test]
async fn links_follow_to_another_uid() {
    for is_merge in [true, false] {
        let town = Town::forgetful().await;
        let old = town.subscriber("ann").await;
        let new = if is_merge {
            let new = town.sandbox.gigya.sign_up(&address("anna"), "anna");
            town.sandbox.gigya.subscribe(&new, NEWSLETTER);
            town.quiet().await;
            town.sandbox.gigya.merge(&old, &new);
            new
        } else {
            town.sandbox.gigya.change_uid(&old, "another-uid");
            "another-uid".to_owned()
        };
        town.quiet().await;
        let present = if is_merge { "anna" } else { "ann" };
        assert_eq!(town.esp(present), Some(State::Active), "merge: {is_merge}");
        if is_merge {
            assert_ne!(town.esp("ann"), Some(State::Active), "it is nobody's anymore");
        }
        assert_eq!(town.held_links().await, 1);
        town.sandbox.gigya.delete(&new);
        town.quiet().await;
        assert_eq!(town.esp(present), Some(State::Deleted), "merge: {is_merge}");
        assert_eq!(town.held_links().await, 0);
    }
}

#[tokio::test]
async fn an_address_that_is_somebody_elses_by_now_is_left_to_them() {
    for deletes in [false, true] {
        let town = Town::forgetful().await;
        let ann = town.subscriber("home").await;
        let ben = town.sandbox.gigya.sign_up(&address("home"), "ben");
        town.sandbox.gigya.subscribe(&ben, NEWSLETTER);
        town.quiet().await;
        if deletes {
            town.sandbox.gigya.delete(&ann);
        } else {
            town.sandbox.gigya.change_email(&ann, &address("ann"));
        }
        town.quiet().await;
        assert_eq!(town.esp("home"), Some(State::Active), "deletes: {deletes}");
        assert_eq!(town.esp("ann"), (!deletes).then_some(State::Active));
        assert_eq!(town.gigya(&ben), Some(true));
        town.sandbox.gigya.delete(&ben);
        town.quiet().await;
        assert_eq!(town.esp("home"), Some(State::Deleted), "deletes: {deletes}");
    }
}

#[tokio::test]
async fn a_record_with_another_accounts_uid_is_left_to_it() {
    let mut setup = forgetful();
    setup.campaign_monitor.lists = vec![ListSettings::ordinary(&setup.list())];
    let town = Town::with(setup).await;
    let ann = town.subscriber("home").await;
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.change_email(&ann, &address("ann"));
    let ben = town.sandbox.gigya.sign_up(&address("home"), "ben");
    town.sandbox.gigya.subscribe(&ben, NEWSLETTER);
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    town.sandbox.gigya.set_profile(&ann, "firstName", "Ann".into());
    town.quiet().await;
    assert_eq!((town.esp("home"), town.esp("ann")), (Some(State::Active), Some(State::Active)));
    let held = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, &address("home")).unwrap();
    assert_eq!(held.field("GigyaUID"), Some(ben.as_str()));
}

#[tokio::test]
async fn an_unsubscribe_at_an_address_of_before_opts_the_account_out() {
    let town = Town::forgetful().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    // Gigya has the new address, and its webhook is late.
    town.sandbox.gigya.courier().pause(true);
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ann")));
    assert!(town.sandbox.campaign_monitor.courier().settled(std::time::Duration::from_secs(30)).await);
    assert_eq!(town.gigya(&uid), Some(false));
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert_ne!(town.esp("ann"), Some(State::Active));
    assert_ne!(town.esp("anna"), Some(State::Active));
}

#[tokio::test]
async fn a_form_at_an_address_of_before_opts_nobody_else_in() {
    let mut setup = forgetful();
    setup.route = "accept_opt_ins = true".to_owned();
    let town = Town::with(setup).await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.quiet().await;
    town.a_moment_passes();
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    town.sandbox.clock.advance(jiff::SignedDuration::from_mins(7));
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("ann"));
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false), "it is another person's by now");
    assert_ne!(town.esp("anna"), Some(State::Active));
}

#[tokio::test]
async fn without_a_journal_an_opt_out_takes_effect_and_comes_again() {
    let mut town = Town::forgetful().await;
    let ann = town.subscriber("ann").await;
    let ben = town.subscriber("ben").await;
    let cleo = town.sandbox.gigya.sign_up(&address("cleo"), "cleo");
    town.quiet().await;
    town.a_moment_passes();
    town.outcomes();
    town.rename("journal_link", "away").await;
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    town.until("ann is out", async || town.esp("ann") == Some(State::Unsubscribed)).await;
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ben")));
    town.until("ben is out", async || town.gigya(&ben) == Some(false)).await;
    town.sandbox.gigya.subscribe(&cleo, NEWSLETTER);
    town.until_answered("deferred:journal_unavailable", 3).await;
    assert_eq!(town.esp("cleo"), None, "nobody is opted in whose link can't be written");
    town.rename("away", "journal_link").await;
    town.quiet().await;
    assert_eq!(town.esp("cleo"), Some(State::Active));
    assert_eq!(town.gigya(&ann), Some(false));
    assert_eq!(town.held_links().await, 3);
}

#[tokio::test]
async fn what_waits_twice_is_worked_on_twice_and_ends_once() {
    let town = Town::forgetful().await;
    town.sandbox.set_tempers(|temper| Temper { twice: 1.0, ..temper });
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.quiet().await;
    town.sandbox.gigya.delete(&uid);
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.esp("anna")), (None, Some(State::Deleted)));
    assert_eq!(town.held_links().await, 0);
}

#[tokio::test]
async fn being_taken_out_at_one_esp_is_no_proof_for_another() {
    let setup = Setup { esps: Esps::Both, ..forgetful() };
    let mut town = Town::with(setup).await;
    let uid = town.subscriber("ann").await;
    // Of before the journal, as far as that knows; and gone from Gigya with her address.
    town.forget_links().await;
    for told in 1..=2 {
        town.outcomes();
        if told == 1 {
            town.sandbox.gigya.delete(&uid);
        } else {
            town.sandbox.gigya.fire_deletion_of(&uid);
        }
        town.quiet().await;
        let outcomes = town.outcomes();
        assert!(outcomes.contains(&"rejected:address_unknown".to_owned()), "told {told} times: {outcomes:?}");
    }
    assert_eq!(town.esp("ann"), Some(State::Active), "nobody could know where she is");
}
