//! Somebody whom Gigya doesn't know subscribes by a form at an ESP and becomes a lite account, which goes the ways that a full one goes.

use crate::marketing_cloud::town::{ALL, ALL_AND_ROW, LIST_AND_ROW, MarketingCloudTown, ON_LIST, ROW, setup};
use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::campaign_monitor::{ListSettings, State};
use gigya_esp_gateway::sandbox::{Esps, Setup, Temper, Weather};
use std::time::Duration;

const AUDIENCES: [&str; 5] = [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW, ROW];
const CREATE: &str = "accept_opt_ins = true\ncreate_lite_accounts = true\n";

fn creating() -> Setup {
    Setup { route: CREATE.to_owned(), ..Setup::default() }
}

/// A form at Campaign Monitor, and an audience of Marketing Cloud beside it.
fn both(audience: &str) -> Setup {
    Setup { esps: Esps::Both, route: CREATE.to_owned(), ..setup(audience, "") }
}

impl Town {
    fn fills_in_the_form(&self, name: &str) {
        self.sandbox.campaign_monitor.form_subscribe(&self.sandbox.list, &address(name));
    }

    /// The UID of the one account that there is, a lite one.
    fn lite_account(&self) -> String {
        let accounts = self.sandbox.gigya.accounts();
        assert_eq!(
            accounts.iter().map(|account| account.is_lite).collect::<Vec<_>>(),
            [true],
            "one account, a lite one"
        );
        accounts[0].uid.clone()
    }

    fn one_subscriber(&self) {
        assert_eq!(self.sandbox.campaign_monitor.subscribers(&self.sandbox.list).len(), 1, "one subscriber");
    }

    /// Waits for what comes about while webhooks are held up.
    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "{what}");
    }
}

#[tokio::test]
async fn a_form_reaches_every_audience_and_so_does_all_that_the_person_says_later() {
    for audience in AUDIENCES {
        let town = Town::with(both(audience)).await;
        town.fills_in_the_form("ann");
        town.quiet().await;
        let uid = town.lite_account();
        let held = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, &address("ann")).unwrap();
        assert_eq!(held.field("GigyaUID"), Some(uid.as_str()), "{audience}");
        assert_eq!((town.gigya(&uid), town.esp("ann")), (Some(true), Some(State::Active)), "{audience}");
        assert!(town.is_mailed("ann", audience), "{audience}");

        town.a_moment_passes();
        town.follows_the_unsubscribe_link("ann");
        town.quiet().await;
        assert_eq!(town.gigya(&uid), Some(false), "{audience}");
        assert!(!town.is_mailed("ann", audience), "{audience}: out at one, out at all");

        // Longer than the tag of the form's opt-in may be taken for that of another.
        town.sandbox.clock.advance(jiff::SignedDuration::from_mins(3));
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        town.sandbox.gigya.progress(&uid);
        town.quiet().await;
        assert_eq!(
            (town.gigya(&uid), town.esp("ann")),
            (Some(true), Some(State::Active)),
            "{audience}: a full account"
        );
        assert!(town.is_mailed("ann", audience), "{audience}: a full account");
        town.one_subscriber();

        town.a_moment_passes();
        town.sandbox.gigya.set_active(&uid, false);
        town.quiet().await;
        assert!(!town.is_mailed("ann", audience) && town.esp("ann") != Some(State::Active), "{audience}: deactivated");
    }
}

#[tokio::test]
async fn whoever_becomes_a_full_account_with_another_uid_stays_one_subscriber() {
    for audience in AUDIENCES {
        for merged in [false, true] {
            let town = Town::with(both(audience)).await;
            town.fills_in_the_form("ann");
            town.quiet().await;
            let lite = town.lite_account();
            let full = if merged {
                let full = town.sandbox.gigya.sign_up(&address("ann"), "ann");
                town.sandbox.gigya.merge(&lite, &full);
                full
            } else {
                town.sandbox.gigya.change_uid(&lite, "u-full");
                town.sandbox.gigya.progress("u-full");
                "u-full".to_owned()
            };
            town.quiet().await;
            town.one_subscriber();
            let held = town.sandbox.campaign_monitor.subscriber(&town.sandbox.list, &address("ann")).unwrap();
            assert_eq!(
                (held.state, held.field("GigyaUID")),
                (State::Active, Some(full.as_str())),
                "{audience} {merged}"
            );
            assert!(town.is_mailed("ann", audience), "{audience} {merged}");
            assert!(town.cloud().row("GIGYA_PROFILES", &lite).is_none(), "{audience} {merged}");

            town.a_moment_passes();
            town.sandbox.gigya.unsubscribe(&full, NEWSLETTER);
            town.quiet().await;
            assert!(!town.is_mailed("ann", audience) && town.esp("ann") != Some(State::Active), "{audience} {merged}");
        }
    }
}

#[tokio::test]
async fn a_lite_account_that_is_deleted_is_removed_everywhere() {
    for audience in AUDIENCES {
        let mut setup = both(audience);
        setup.gigya.deleted_is_found = Duration::from_hours(1);
        let town = Town::with(setup).await;
        town.fills_in_the_form("ann");
        town.quiet().await;
        town.sandbox.gigya.delete(&town.lite_account());
        town.quiet().await;
        assert!(!town.is_mailed("ann", audience) && town.esp("ann") != Some(State::Active), "{audience}");
        assert_eq!(town.sandbox.gigya.accounts().len(), 0, "{audience}: the callbacks about it make no new one");
    }
}

#[tokio::test]
async fn gigya_asks_for_the_confirmation_unless_the_esp_did() {
    for confirmed_at_esp in [false, true] {
        let mut setup = both(ALL);
        setup.gigya.double_opt_in = vec![NEWSLETTER.to_owned()];
        setup.route = format!("{CREATE}confirmed_at_esp = {confirmed_at_esp}");
        let town = Town::with(setup).await;
        town.fills_in_the_form("ann");
        town.quiet().await;
        let uid = town.lite_account();
        assert_eq!(
            (town.gigya(&uid), town.esp("ann")),
            (Some(true), Some(State::Active)),
            "she stays where she subscribed"
        );
        assert_eq!(town.is_mailed("ann", ALL), confirmed_at_esp, "confirmed_at_esp = {confirmed_at_esp}");
        town.a_moment_passes();
        town.sandbox.gigya.confirm(&uid, NEWSLETTER);
        town.quiet().await;
        assert!(town.is_mailed("ann", ALL) && town.esp("ann") == Some(State::Active));
    }
}

#[tokio::test]
async fn what_was_never_confirmed_may_be_taken_back_on_either_side() {
    for in_gigya in [false, true] {
        let mut setup = both(ALL);
        setup.gigya.double_opt_in = vec![NEWSLETTER.to_owned()];
        let town = Town::with(setup).await;
        town.fills_in_the_form("ann");
        town.quiet().await;
        let uid = town.lite_account();
        town.a_moment_passes();
        if in_gigya {
            town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        } else {
            town.follows_the_unsubscribe_link("ann");
        }
        town.quiet().await;
        assert_eq!(
            (town.gigya(&uid), town.esp("ann")),
            (Some(false), Some(State::Unsubscribed)),
            "in Gigya: {in_gigya}"
        );
    }
}

#[tokio::test]
async fn whom_the_esp_asks_to_confirm_is_nobody_until_then() {
    let mut setup = creating();
    let confirming = ListSettings { confirmed_opt_in: true, ..ListSettings::ordinary("1".repeat(32).as_str()) };
    setup.campaign_monitor.lists = vec![confirming];
    let town = Town::with(setup).await;
    town.fills_in_the_form("ann");
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.sandbox.gigya.accounts().len()), (Some(State::Unconfirmed), 0));
    town.sandbox.campaign_monitor.confirm(&town.sandbox.list, &address("ann"));
    town.quiet().await;
    assert_eq!(town.gigya(&town.lite_account()), Some(true));
}

#[tokio::test]
async fn an_opt_out_while_the_account_is_made_is_seen_by_whoever_made_it() {
    let town = Town::with(creating()).await;
    let gigya = &town.sandbox.gigya;
    gigya.faults().set(Weather { latency: Duration::from_millis(300), ..Weather::default() });
    town.fills_in_the_form("ann");
    town.until("an account is being made", || gigya.faults().calls("accounts.initRegistration") > 0).await;
    town.a_moment_passes();
    // No callback tells of it: it came first, and found nobody.
    town.sandbox.campaign_monitor.courier().pause(true);
    gigya.courier().pause(true);
    town.follows_the_unsubscribe_link("ann");
    let is_out = || gigya.accounts().first().is_some_and(|account| town.gigya(&account.uid) == Some(false));
    town.until("she is out in Gigya, before any webhook tells of it", is_out).await;
    gigya.courier().pause(false);
    town.sandbox.campaign_monitor.courier().pause(false);
    town.quiet().await;
    assert_eq!((town.gigya(&town.lite_account()), town.esp("ann")), (Some(false), Some(State::Unsubscribed)));
}

#[tokio::test]
async fn an_account_whose_making_was_not_answered_is_found_and_not_made_again() {
    let mut town = Town::with(creating()).await;
    town.sandbox.gigya.faults().lose_answer("accounts.setAccountInfo", 1);
    town.fills_in_the_form("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&town.lite_account()), Some(true));
    assert_eq!(town.sandbox.gigya.faults().calls("accounts.setAccountInfo"), 1);
    assert!(town.answers().iter().any(|answer| answer.status == 503), "the first time");
}

#[tokio::test]
async fn replicas_that_hear_of_a_stranger_at_once_do_no_harm() {
    for refuses_known_addresses in [false, true] {
        let mut setup = Setup { replicas: 2, ..creating() };
        setup.gigya.refuses_known_addresses = refuses_known_addresses;
        let mut town = Town::with(setup).await;
        // So slow that each is at it before the other is done.
        town.sandbox.gigya.faults().set(Weather { latency: Duration::from_millis(100), ..Weather::default() });
        let courier = town.sandbox.campaign_monitor.courier();
        courier.set_temper(Temper { twice: 1.0, ..courier.temper() });
        town.fills_in_the_form("ann");
        town.quiet().await;
        assert_eq!(town.sandbox.gigya.faults().calls("accounts.initRegistration"), 2, "both heard of her");
        assert!(town.outcomes().iter().all(|outcome| !outcome.starts_with("rejected")), "{refuses_known_addresses}");
        assert!(!town.sandbox.gigya.accounts().is_empty());
        assert_eq!(town.esp("ann"), Some(State::Active));
        town.a_moment_passes();
        town.follows_the_unsubscribe_link("ann");
        town.quiet().await;
        assert!(town.sandbox.gigya.accounts().iter().all(|account| town.gigya(&account.uid) == Some(false)));
        assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
    }
}

#[tokio::test]
async fn an_echo_makes_no_account_of_somebody_who_deleted_theirs() {
    let mut setup = creating();
    setup.gigya.deleted_is_found = Duration::from_hours(1);
    let mut town = Town::with(setup).await;
    let (gigya, news) = (&town.sandbox.gigya, &town.sandbox.campaign_monitor);
    // What the list tells of the gateway's own import is late.
    news.courier().pause(true);
    let uid = gigya.sign_up(&address("ann"), "ann");
    gigya.subscribe(&uid, NEWSLETTER);
    assert!(gigya.courier().settled(Duration::from_secs(20)).await);
    assert_eq!(town.esp("ann"), Some(State::Active));
    gigya.courier().pause(true);
    gigya.delete(&uid);
    news.courier().pause(false);
    assert!(news.courier().settled(Duration::from_secs(20)).await);
    assert_eq!(gigya.accounts().len(), 0);
    gigya.courier().pause(false);
    town.quiet().await;
    assert_eq!((town.esp("ann"), town.sandbox.gigya.accounts().len()), (Some(State::Deleted), 0));
    assert!(town.outcomes().contains(&"skipped:unknown_subscriber".to_owned()));
}

#[tokio::test]
async fn a_form_that_is_told_of_after_the_person_left_makes_no_account() {
    let town = Town::with(creating()).await;
    town.sandbox.campaign_monitor.courier().pause(true);
    town.fills_in_the_form("ann");
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.sandbox.campaign_monitor.courier().pause(false);
    town.quiet().await;
    assert_eq!(town.sandbox.gigya.accounts().len(), 0);
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test]
async fn an_opt_out_reaches_the_full_and_the_lite_account_of_an_address() {
    let town = Town::with(creating()).await;
    town.fills_in_the_form("ann");
    town.quiet().await;
    let lite = town.lite_account();
    let full = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.quiet().await;
    town.one_subscriber();
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!((town.gigya(&lite), town.gigya(&full)), (Some(false), Some(false)));
    // The lite one is deleted by whoever cleans up; the person stays as they said.
    town.sandbox.gigya.delete(&lite);
    town.quiet().await;
    assert_eq!((town.gigya(&full), town.esp("ann")), (Some(false), Some(State::Unsubscribed)));
}
