//! Stories of all of them, and of those that tell of what happened.

use super::guests::Provider;
use super::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::{Temper, Weather};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// A public key of nobody who signs here.
const ANOTHER_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEH7x3I2Ttjqd7Zjl7ZQvxGauRzbuNwYtqQ2jAFpcW/RtiuL7HBZ1Gwm3mEcAJUwuoiEy87Hrk/Dq9l2By8BixGA==";

#[tokio::test]
async fn an_opt_in_brings_the_name_and_the_uid_and_coming_twice_does_nothing() {
    for provider in Provider::ALL {
        let mut town = Town::of(provider).await;
        let uid = town.subscriber("ann").await;
        let held = town.esp.find(&address("ann")).unwrap();
        assert_eq!((held.uid.as_ref(), held.first_name.as_deref()), (Some(&uid), Some("ann")), "{provider:?}");
        town.outcomes();
        town.sandbox.gigya.fire_update_of(&uid);
        town.quiet().await;
        let outcomes = town.outcomes();
        assert!(outcomes.iter().all(|outcome| outcome == "unchanged"), "{provider:?}: {outcomes:?}");
    }
}

#[tokio::test]
async fn off_and_on_again_in_the_account() {
    for provider in Provider::ALL {
        let mut town = Town::of(provider).await;
        let uid = town.subscriber("ann").await;
        town.a_moment_passes();
        town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        town.quiet().await;
        assert!(!town.mails("ann"), "{provider:?}");
        town.a_moment_passes();
        town.outcomes();
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        town.quiet().await;
        let outcomes = town.outcomes();
        assert_eq!(town.mails("ann"), provider.traits().comes_back, "{provider:?}: {outcomes:?}");
    }
}

#[tokio::test]
async fn an_opt_in_that_arrives_late_does_not_undo_a_newer_opt_out() {
    for provider in Provider::ALL {
        let town = Town::of(provider).await;
        let uid = town.subscriber("ann").await;
        town.a_moment_passes();
        let (gigya, esp) = (town.sandbox.gigya.courier().clone(), town.esp.courier().clone());
        gigya.pause(true);
        esp.pause(true);
        town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        town.a_moment_passes();
        town.follows_the_unsubscribe_link("ann");
        gigya.pause(false);
        assert!(gigya.settled(SOON).await, "{provider:?}");
        assert!(!town.mails("ann"), "{provider:?}");
        esp.pause(false);
        town.quiet().await;
        assert_eq!((town.gigya(&uid), town.mails("ann")), (Some(false), false), "{provider:?}");
    }
}

#[tokio::test]
async fn an_account_that_is_gone_is_not_mailed_and_nobody_knows_the_unknown() {
    for policy in ["delete", "unsubscribe"] {
        for provider in Provider::ALL {
            let mut town = Town::routed(provider, &format!("on_inactive = \"{policy}\"")).await;
            let uid = town.subscriber("ann").await;
            town.a_moment_passes();
            town.outcomes();
            town.sandbox.gigya.set_active(&uid, false);
            town.quiet().await;
            town.until(|town| !town.mails("ann")).await;
            let stranger = town.sandbox.gigya.sign_up(&address("eve"), "eve");
            town.sandbox.gigya.set_active(&stranger, false);
            town.quiet().await;
            let outcomes = town.outcomes();
            let settled = |outcome: &String| !outcome.starts_with("rejected") && !outcome.starts_with("deferred:conf");
            assert!(outcomes.iter().all(settled), "{provider:?} {policy}: {outcomes:?}");
        }
    }
}

#[tokio::test]
async fn a_callback_that_somebody_else_signed_is_not_taken() {
    for provider in Provider::ALL {
        // What the gateway knows is another one's.
        let other = match provider {
            Provider::Sendgrid => ANOTHER_KEY,
            _ => "some-other-secret-0123456789abcdef",
        };
        let town = Town::with(provider.shipped().with_callback_secret(other)).await;
        let uid = town.subscriber_without_echo("ann").await;
        town.a_moment_passes();
        let mut attempts = town.sandbox.attempts.subscribe();
        town.follows_the_unsubscribe_link("ann");
        let attempt = loop {
            let attempt = tokio::time::timeout(SOON, attempts.recv()).await.unwrap().unwrap();
            if attempt.sender != "Gigya" {
                break attempt;
            }
        };
        assert_eq!((attempt.status, town.gigya(&uid)), (401, Some(true)), "{provider:?}");
        town.esp.courier().forget();
    }
}

#[tokio::test]
async fn a_form_there_is_an_opt_in_only_where_the_route_says_so() {
    for provider in Provider::ALL.into_iter().filter(|provider| provider.traits().tells_opt_ins) {
        for accept in [false, true] {
            let town = Town::routed(provider, &format!("accept_opt_ins = {accept}")).await;
            let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
            town.quiet().await;
            town.esp.form_subscribe(&address("ann"));
            town.quiet().await;
            assert_eq!(town.gigya(&uid), accept.then_some(true), "{provider:?}, accept_opt_ins = {accept}");
        }
    }
}

#[tokio::test]
async fn a_deletion_there_is_an_opt_out_where_it_is_told_of() {
    for provider in Provider::ALL.into_iter().filter(|provider| provider.traits().tells_deletions) {
        let mut town = Town::of(provider).await;
        let uid = town.subscriber("ann").await;
        town.a_moment_passes();
        assert!(town.esp.delete(&address("ann")));
        town.quiet().await;
        assert_eq!(town.gigya(&uid), Some(false), "{provider:?}: {:?}", town.outcomes());
    }
}

#[tokio::test]
async fn a_bounce_is_one_only_where_the_route_says_so() {
    for provider in Provider::ALL.into_iter().filter(|provider| provider.traits().tells_bounces) {
        for forward in [false, true] {
            let town = Town::routed(provider, &format!("forward_bounces = {forward}")).await;
            let uid = town.subscriber("ann").await;
            town.a_moment_passes();
            assert!(town.esp.bounce(&address("ann")));
            town.quiet().await;
            assert_eq!(town.gigya(&uid), Some(!forward), "{provider:?}, forward_bounces = {forward}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_nobody_who_is_out_is_mailed_in_the_end() {
    futures_util::future::join_all(Provider::ALL.map(a_storm)).await;
}

async fn a_storm(provider: Provider) {
    let town = Town::of(provider).await;
    let people = ["ann", "ben", "eve"];
    let mut uids = Vec::new();
    for name in people {
        uids.push(town.subscriber(name).await);
    }
    town.sandbox.set_tempers(|temper| Temper { twice: 0.3, shuffle: Duration::from_millis(50), ..temper });
    let share = 0.05;
    let bad = Weather {
        error: share,
        error_after: share,
        too_fast: share,
        reset: share,
        reset_after: share,
        ..Weather::default()
    };
    town.sandbox.faults().for_each(|faults| faults.set(bad));
    for round in 0..3 {
        town.a_moment_passes();
        for (nth, (name, uid)) in people.iter().zip(&uids).enumerate() {
            match (nth + round) % 3 {
                0 => town.sandbox.gigya.unsubscribe(uid, NEWSLETTER),
                1 => {
                    town.esp.unsubscribe_link(&address(name));
                }
                _ => town.sandbox.gigya.subscribe(uid, NEWSLETTER),
            }
        }
        town.quiet().await;
    }
    town.sandbox.faults().for_each(|faults| faults.set(Weather::default()));
    for uid in &uids {
        town.sandbox.gigya.fire_update_of(uid);
    }
    town.quiet().await;
    for (name, uid) in people.iter().zip(&uids) {
        let (gigya, mailed) = (town.gigya(uid) == Some(true), town.mails(name));
        assert!(gigya || !mailed, "{provider:?}: {name} is mailed and out");
        // Who is in at Gigya and kept out there is what the description says of its system.
        let may_differ = !provider.traits().comes_back_after_link;
        assert!(may_differ || gigya == mailed, "{provider:?}: {name} {gigya} {mailed}");
    }
}
