//! Gigya sites differ: versions of webhooks, ways to call, shapes of subscriptions, lite accounts.

use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::gigya::WebhookVersion;

async fn opts_in_and_out(town: &Town) {
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));
}

#[tokio::test]
async fn every_version_of_webhooks_is_understood() {
    for version in [WebhookVersion::V1_0, WebhookVersion::V1_1, WebhookVersion::V2_0] {
        let mut setup = Setup::default();
        setup.gigya.webhooks = version;
        opts_in_and_out(&Town::with(setup).await).await;
    }
}

#[tokio::test]
async fn calls_are_made_with_secret_or_signature() {
    for auth in ["secret", "signed"] {
        let setup = Setup { gigya_lines: format!("auth = \"{auth}\""), ..Setup::default() };
        opts_in_and_out(&Town::with(setup).await).await;
    }
}

#[tokio::test]
async fn calls_are_made_with_bearer_tokens_from_either_form_of_key() {
    let public = include_str!("../fixtures/gigya/test-key-public.pem");
    for form in ["pkcs1", "pkcs8"] {
        let mut setup = Setup::default();
        setup.gigya.credentials.public_key = Some(public.to_owned());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gigya");
        setup.gigya_lines = format!("private_key = {{ file = \"{folder}/test-key-{form}.pem\" }}");
        opts_in_and_out(&Town::with(setup).await).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_gigyas() {
    for minutes in [-20, 20] {
        let lines = "auth = \"signed\"\nclock_tolerance = \"1h\"";
        let town = Town::with(Setup { gigya_lines: lines.to_owned(), ..Setup::default() }).await;
        town.sandbox.clock.advance(jiff::SignedDuration::from_mins(minutes));
        town.subscriber("ann").await;
    }
}

#[tokio::test]
async fn nested_subscriptions_are_found_and_written() {
    for nested in [false, true] {
        let mut setup = Setup::default();
        setup.gigya.nested_subscriptions = nested;
        let list = setup.campaign_monitor.lists[0].id.clone();
        setup
            .campaign_monitor
            .lists
            .push(gigya_esp_gateway::sandbox::campaign_monitor::ListSettings::ordinary(&"2".repeat(32)));
        setup.more = format!("[[route]]\nsubscription = \"main/pets.canine\"\naudience = \"news/{}\"", "2".repeat(32));
        let town = Town::with(setup).await;
        let gigya = &town.sandbox.gigya;
        let uid = gigya.sign_up(&address("ann"), "ann");
        gigya.subscribe(&uid, "pets.canine");
        town.quiet().await;
        let state = |list: &str| town.sandbox.campaign_monitor.state(list, &address("ann"));
        assert_eq!((state(&"2".repeat(32)), state(&list)), (Some(State::Active), None), "nested: {nested}");
        gigya.unsubscribe(&uid, "pets.canine");
        town.quiet().await;
        assert_eq!(state(&"2".repeat(32)), Some(State::Unsubscribed));
    }
}

#[tokio::test]
async fn lite_accounts_are_people_too() {
    let town = Town::ordinary().await;
    let uid = town.sandbox.gigya.sign_up_lite(&address("ann"));
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.sandbox.gigya.progress(&uid);
    town.quiet().await;
    assert_eq!(town.sandbox.campaign_monitor.subscribers(&town.sandbox.list).len(), 1, "one subscriber");
    assert_eq!(town.esp("ann"), Some(State::Active));
}

#[tokio::test]
async fn a_double_opt_in_is_forwarded_once_confirmed() {
    let mut setup = Setup::default();
    setup.gigya.double_opt_in = vec![NEWSLETTER.to_owned()];
    let town = Town::with(setup.clone()).await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), None);
    town.sandbox.gigya.confirm(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));

    setup.route = "double_opt_in = false".to_owned();
    let town = Town::with(setup).await;
    let uid = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Active));
}

#[tokio::test]
async fn one_account_of_many_events_is_read_once() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    let reads = || town.sandbox.gigya.faults().calls("accounts.getAccountInfo");
    town.sandbox.gigya.courier().pause(true);
    for city in 0..50 {
        town.sandbox.gigya.set_profile(&uid, "city", city.to_string().into());
    }
    let before = reads();
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
    assert_eq!(reads() - before, 1);
}

#[tokio::test]
async fn muted_writes_fire_no_webhook() {
    let setup = Setup { gigya_lines: "mute_webhooks = true".to_owned(), ..Setup::default() };
    let mut town = Town::with(setup).await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.answers();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    assert!(town.answers().iter().all(|answer| answer.sender == "Campaign Monitor"));
}
