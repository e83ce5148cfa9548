//! What Marketing Cloud calls back: batches, levels, keys, strangers, and the three seconds.

use super::town::{ALL, ALL_AND_ROW, LIST_AND_ROW, MarketingCloudTown, ON_LIST, setup, town};
use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::marketing_cloud::{KeyReading, MarketingCloudSettings, Redelivery, Status};
use gigya_esp_gateway::sandbox::{Esps, Setup, Temper, Weather};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

fn unsubscribe(number: u64, list: &str, to: &str, at: i64) -> Value {
    json!({
        "eventCategoryType": "EngagementEvents.EmailUnsubscribe", "timestampUTC": at, "mid": 100_001, "eid": 1,
        "compositeId": format!("1.{list}.2.{number}"), "definitionKey": "NA", "definitionId": "NA",
        "composite": { "jobId": "1", "batchId": "2", "listId": list, "subscriberId": number.to_string() },
        "info": { "to": to, "domain": "example.org", "unsubscribeMethod": "Click" },
    })
}

/// Many people, named by their numbers, opted in on both sides.
async fn crowd(town: &Town, people: usize) -> Vec<String> {
    let newcomer = |n: usize| {
        let uid = town.sandbox.gigya.sign_up(&address(&n.to_string()), "");
        town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        uid
    };
    let uids = (0..people).map(newcomer).collect();
    town.quiet().await;
    town.a_moment_passes();
    uids
}

#[tokio::test]
async fn both_readings_of_the_signature_key_and_a_subscriber_key_in_the_event() {
    for key_reading in [KeyReading::Text, KeyReading::Base64] {
        for with_subscriber_key in [false, true] {
            let mut setup = setup(ALL, "");
            setup.marketing_cloud =
                MarketingCloudSettings { key_reading, with_subscriber_key, ..MarketingCloudSettings::default() };
            let town = Town::with(setup).await;
            let uid = town.newcomer("ann").await;
            town.cloud().unsubscribe_link(&address("ann"), None);
            town.quiet().await;
            assert_eq!(town.gigya(&uid), Some(false), "{key_reading:?} {with_subscriber_key}");
        }
    }
}

#[tokio::test]
async fn a_batch_is_looked_up_in_few_calls_and_answered_event_by_event() {
    const PEOPLE: usize = 300;
    let mut setup = setup(ALL, "lookup_batch = 200");
    setup.marketing_cloud_lines += "\ndeadline = \"30s\"";
    let town = Town::with(setup).await;
    let uids = crowd(&town, PEOPLE).await;
    let temper = Temper { batch: 1000, ..town.cloud().courier().temper() };
    town.cloud().courier().set_temper(temper);
    town.cloud().courier().pause(true);
    for n in 0..PEOPLE {
        assert!(town.cloud().unsubscribe_link(&address(&n.to_string()), None));
    }
    let before = town.cloud().faults().calls("soap.retrieve.subscriber");
    town.sandbox.gigya.courier().pause(true);
    town.cloud().courier().pause(false);
    assert!(town.cloud().courier().settled(Duration::from_secs(30)).await);
    let asked = town.cloud().faults().calls("soap.retrieve.subscriber") - before;
    assert_eq!(asked, 2, "300 subscribers, at most 200 a call");
    assert!(uids.iter().all(|uid| town.gigya(uid) == Some(false)));
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
}

#[tokio::test]
async fn what_is_not_done_in_time_is_finished_by_redeliveries() {
    const PEOPLE: usize = 120;
    let mut setup = setup(ALL, "deadline = \"600ms\"\nmax_concurrent_calls = 8");
    setup.gigya_lines = "attempt_timeout = \"4s\"".to_owned();
    let mut town = Town::with(setup).await;
    let uids = crowd(&town, PEOPLE).await;
    // So slow that reading every account takes longer than there is: 120 of 8 at once, 100 ms each.
    town.sandbox.gigya.faults().set(Weather { latency: Duration::from_millis(100), ..Weather::default() });
    town.cloud().courier().set_temper(Temper { batch: 1000, ..town.cloud().courier().temper() });
    town.cloud().courier().pause(true);
    for n in 0..PEOPLE {
        town.cloud().unsubscribe_link(&address(&n.to_string()), None);
    }
    town.sandbox.gigya.courier().pause(true);
    town.answers();
    town.cloud().courier().pause(false);
    assert!(town.cloud().courier().settled(Duration::from_mins(1)).await);
    assert_eq!(town.cloud().courier().dropped(), 0);
    assert!(uids.iter().all(|uid| town.gigya(uid) == Some(false)), "all of them are out in Gigya");
    let answers = town.answers();
    assert!(answers.iter().any(|answer| answer.status == 503), "not at once");
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 503)));
    assert!(answers.iter().all(|answer| answer.took < Duration::from_secs(2)), "nobody waited for longer than 3 s");
    assert!(answers.last().unwrap().answer.contains("\"unchanged\""), "what was done stays done");
    town.sandbox.gigya.faults().set(Weather::default());
    town.sandbox.gigya.courier().pause(false);
    town.quiet().await;
}

#[tokio::test]
async fn events_that_are_none_of_ours_are_taken_and_skipped() {
    let mut town = town(ON_LIST, "").await;
    let uid = town.newcomer("ann").await;
    town.answers();
    town.cloud().opens_a_mail(&address("ann"));
    town.quiet().await;
    assert_eq!(town.outcomes(), ["skipped:event_type_ignored"]);
    // A list that no route is about.
    town.cloud().import(&uid, &address("ann"), Some("70001"), Status::Active);
    town.cloud().unsubscribe_link(&address("ann"), Some("70001"));
    town.quiet().await;
    assert_eq!(town.outcomes(), ["skipped:no_route"]);
    assert_eq!(town.gigya(&uid), Some(true));
    let (status, answer) = town.sends(&json!([{ "eventCategoryType": "Something.New", "mid": 100_001 }])).await;
    assert_eq!((status, &answer["skipped"]), (200, &json!(1)));
    let (status, answer) = town.sends(&json!([])).await;
    assert_eq!((status, &answer["received"]), (200, &json!(0)));
}

#[tokio::test]
async fn the_list_s_own_callback_does_not_opt_anybody_out_of_another() {
    let mut setup = setup(ON_LIST, "");
    setup.more = "[[route]]\nsubscription = \"main/offers\"\naudience = \"crm/publication-list:70001\"".to_owned();
    let town = Town::with(setup).await;
    let uid = town.newcomer("ann").await;
    town.sandbox.gigya.subscribe(&uid, "offers");
    town.quiet().await;
    town.a_moment_passes();
    town.cloud().unsubscribe_link(&address("ann"), Some("70001"));
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(true));
    assert_eq!(town.sandbox.gigya.is_subscribed(&uid, "offers"), Some(false));
    // Everything is both of them; and an opt-in to one of them afterwards is no opt-in to the other.
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, "offers");
    town.quiet().await;
    town.a_moment_passes();
    town.cloud().unsubscribe_link(&address("ann"), None);
    town.quiet().await;
    assert_eq!((town.gigya(&uid), town.sandbox.gigya.is_subscribed(&uid, "offers")), (Some(false), Some(false)));
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, "offers");
    town.quiet().await;
    assert!(town.cloud().is_mailable(&address("ann"), Some("70001")));
    assert!(!town.cloud().is_mailable(&address("ann"), Some("69238")));
}

#[tokio::test]
async fn a_stranger_and_somebody_deleted_are_opted_out_by_what_is_known_of_them() {
    let mut town = town(ALL_AND_ROW, "").await;
    let uid = town.newcomer("ann").await;
    let number = town.held(&uid).id;
    town.cloud().administrator_deletes(&address("ann"));
    town.answers();
    // The event comes although the subscriber is gone by now.
    let at = town.sandbox.clock.now().as_millisecond();
    let (status, answer) = town.sends(&json!([unsubscribe(number, "1", &address("ann"), at)])).await;
    assert_eq!((status, &answer["applied"]), (200, &json!(1)), "{answer}");
    assert_eq!(town.gigya(&uid), Some(false));
    let (status, answer) = town.sends(&json!([unsubscribe(999, "1", "nobody@example.org", at)])).await;
    assert_eq!((status, &answer["skipped"]), (200, &json!(1)), "{answer}");
    let (status, answer) = town.sends(&json!([unsubscribe(999, "1", "", at)])).await;
    assert_eq!((status, &answer["rejected"]), (200, &json!(1)), "{answer}");
}

#[tokio::test]
async fn an_opt_out_of_everything_that_does_not_show_yet_is_taken_at_its_word() {
    let town = town(ALL, "").await;
    let uid = town.newcomer("ann").await;
    let at = town.sandbox.clock.now().as_millisecond();
    let (status, answer) = town.sends(&json!([unsubscribe(town.held(&uid).id, "1", &address("ann"), at)])).await;
    assert_eq!((status, &answer["applied"]), (200, &json!(1)), "{answer}");
    assert_eq!(town.gigya(&uid), Some(false));
    town.quiet().await;
    assert!(!town.is_mailed("ann", ALL));
}

#[tokio::test]
async fn the_address_that_was_mailed_finds_the_account_though_the_subscriber_has_another_by_now() {
    let mut town = town(ALL, "").await;
    let uid = town.sandbox.gigya.sign_up(&address("old"), "ann");
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    town.a_moment_passes();
    town.cloud().import("C-7", &address("new"), None, Status::Unsubscribed);
    let number = town.held("C-7").id;
    town.answers();
    let at = town.sandbox.clock.now().as_millisecond();
    let (status, answer) = town.sends(&json!([unsubscribe(number, "1", &address("old"), at)])).await;
    assert_eq!((status, &answer["applied"]), (200, &json!(1)), "{answer}");
    assert_eq!(town.gigya(&uid), Some(false));
}

#[tokio::test]
async fn when_marketing_cloud_cannot_say_whom_it_is_about_the_callback_is_put_off() {
    let town = town(ALL, "").await;
    let uid = town.newcomer("ann").await;
    let number = town.held(&uid).id;
    let at = town.sandbox.clock.now().as_millisecond();
    town.cloud().faults().set_down(true);
    let (status, answer) = town.sends(&json!([unsubscribe(number, "1", &address("ann"), at)])).await;
    assert_eq!((status, &answer["deferred"]), (503, &json!(1)), "{answer}");
    assert_eq!(town.gigya(&uid), Some(true));
    town.cloud().faults().set_down(false);
}

#[tokio::test]
async fn the_older_rule_drops_what_is_put_off_for_long_and_the_next_change_finds_it() {
    let mut setup = setup(ALL, "");
    setup.gigya_lines = "deadline = \"1s\"\nattempt_timeout = \"200ms\"".to_owned();
    setup.marketing_cloud =
        MarketingCloudSettings { redelivery: Redelivery::DropAndSuspend, ..MarketingCloudSettings::default() };
    let town = Town::with(setup).await;
    let uid = town.newcomer("ann").await;
    town.sandbox.gigya.faults().set_down(true);
    town.cloud().unsubscribe_link(&address("ann"), None);
    assert!(town.cloud().courier().settled(Duration::from_secs(30)).await);
    assert_eq!(town.cloud().courier().dropped(), 1, "Marketing Cloud gave up");
    town.sandbox.gigya.faults().set_down(false);
    assert_eq!(town.gigya(&uid), Some(true));
    town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    assert!(!town.is_mailed("ann", ALL));
}

#[tokio::test]
async fn echoes_end_whether_api_writes_call_back_or_not() {
    for api_unsubscribes_fire in [false, true] {
        for audience in [ALL, LIST_AND_ROW] {
            let mut setup = setup(audience, "status_column = \"Status\"");
            setup.marketing_cloud =
                MarketingCloudSettings { api_unsubscribes_fire, ..MarketingCloudSettings::default() };
            let mut town = Town::with(setup).await;
            let uid = town.newcomer("ann").await;
            town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
            town.quiet().await;
            town.a_moment_passes();
            town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
            town.quiet().await;
            assert!(town.is_mailed("ann", audience));
            town.answers();
            let writes = |town: &Town| {
                let calls = ["soap.create", "soap.update", "rowset"];
                calls.iter().map(|operation| town.cloud().faults().calls(operation)).sum::<u64>()
            };
            let before = writes(&town);
            town.sandbox.gigya.set_profile(&uid, "city", "Paris".into());
            town.quiet().await;
            assert_eq!(town.outcomes(), ["unchanged"]);
            assert_eq!(writes(&town), before, "what isn't mapped costs no write");
        }
    }
}

#[tokio::test]
async fn three_systems_stay_in_step_and_the_echoes_end() {
    let setup = Setup { esps: Esps::Both, ..Setup::default() };
    let mut town = Town::with(setup).await;
    let list = town.sandbox.list.clone();
    let uid = town.newcomer("ann").await;
    let stand = |town: &Town| {
        let news = town.sandbox.campaign_monitor.state(&list, &address("ann"));
        (town.gigya(&uid), news.map(State::name), town.held(&uid).status.name())
    };
    assert_eq!(stand(&town), (Some(true), Some("Active"), "Active"));
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&list, &address("ann")));
    town.quiet().await;
    assert_eq!(stand(&town), (Some(false), Some("Unsubscribed"), "Unsubscribed"));
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(stand(&town), (Some(true), Some("Active"), "Active"));
    town.a_moment_passes();
    assert!(town.cloud().unsubscribe_link(&address("ann"), None));
    town.quiet().await;
    assert_eq!(stand(&town), (Some(false), Some("Unsubscribed"), "Unsubscribed"));
    town.answers();
    let quiet_since = Instant::now();
    assert!(town.sandbox.settled(Duration::from_secs(1)).await);
    assert!(town.answers().is_empty() && quiet_since.elapsed() < Duration::from_secs(1), "nothing travels anymore");
}

#[tokio::test]
async fn each_route_tells_what_it_changed() {
    let mut town = Town::with(Setup { esps: Esps::Both, ..Setup::default() }).await;
    let uid = town.newcomer("ann").await;
    town.answers();
    for esp in &town.sandbox.esps {
        esp.courier().pause(true);
    }
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    assert!(town.sandbox.gigya.courier().settled(Duration::from_secs(10)).await);
    let mut routes = std::collections::BTreeSet::new();
    for answer in town.answers() {
        let body: Value = serde_json::from_str(&answer.answer).unwrap();
        let applied = body["events"].as_array().unwrap().iter().filter(|event| event["outcome"] == "applied");
        routes.extend(applied.map(|event| event["route"].as_str().unwrap().to_owned()));
    }
    assert_eq!(routes.len(), 2, "one to each ESP: {routes:?}");
    for esp in &town.sandbox.esps {
        esp.courier().pause(false);
    }
    town.quiet().await;
}

#[tokio::test]
async fn one_esp_that_is_down_holds_up_its_own_and_loses_nothing() {
    let mut setup = Setup { esps: Esps::Both, ..Setup::default() };
    setup.gigya_lines = "deadline = \"1s\"\nattempt_timeout = \"300ms\"".to_owned();
    let town = Town::with(setup).await;
    let list = town.sandbox.list.clone();
    let uid = town.newcomer("ann").await;
    town.cloud().faults().set_down(true);
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    assert!(!town.sandbox.gigya.courier().settled(Duration::from_millis(1500)).await, "Gigya keeps it");
    let news = town.sandbox.campaign_monitor.state(&list, &address("ann")).unwrap();
    assert_eq!(news.name(), "Unsubscribed", "the other one has it");
    town.cloud().faults().set_down(false);
    town.quiet().await;
    assert_eq!(town.held(&uid).status, Status::Unsubscribed);
}
