//! From nothing to everything: the plan, doing it, and that people's acts then flow.

use crate::desk::Desk;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_what_is_missing_and_changes_nothing() {
    let mut desk = Desk::ordinary().await;
    desk.sandbox.campaign_monitor.delete_field(desk.list(), "GigyaUID");
    desk.set("GATEWAY_ROUTE__0__FIELDS", "{ Tier = \"data.loyalty.tier\", Name = \"profile.firstName\" }");
    let ran = desk.registers(&[]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    let list = desk.list();
    for begins in [
        "gigya.main webhook missing".to_owned(),
        format!("campaign_monitor.news list {list}: webhook missing"),
        format!("campaign_monitor.news list {list}: custom field GigyaUID missing"),
        format!("campaign_monitor.news list {list}: custom field Tier missing"),
        "marketing_cloud.crm callback missing".to_owned(),
        "marketing_cloud.crm subscription to EngagementEvents.EmailUnsubscribe missing".to_owned(),
    ] {
        ran.line(&begins);
    }
    assert!(!ran.out.contains("custom field Name"), "a subscriber has one: {}", ran.out);
    assert_eq!(ran.conclusion(), "6 to be done, 6 of them by: register --apply");
    assert_eq!(desk.writes(), 0);
    assert!(!desk.file("signature-key").exists());
    assert_eq!(desk.registers(&["--dry-run"]).await.code, 3, "as the default");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_registered_carries_acts_both_ways_and_a_second_run_finds_nothing() {
    let desk = Desk::ordinary().await;
    let ran = desk.registers(&["--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.conclusion(), "All of it is done.");
    ran.line("gigya.main: webhook: created");
    ran.line("marketing_cloud.crm: callback: created and verified");
    ran.line("marketing_cloud.crm callback ok");
    assert!(ran.err.contains("marketing_cloud.crm: callback"), "progress: {}", ran.err);
    let key = desk.file("signature-key");
    assert_eq!(std::fs::read_to_string(&key).unwrap().trim(), desk.sandbox.marketing_cloud.settings().signature_key);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    let writes = desk.writes();
    for arguments in [&["--apply"][..], &[]] {
        let again = desk.registers(arguments).await;
        assert_eq!((again.code, again.conclusion()), (0, "There is nothing to do."), "{again:?}");
    }
    assert_eq!(desk.writes(), writes);

    desk.quiet().await;
    let (gigya, address) = (&desk.sandbox.gigya, "ann@example.org");
    let uid = gigya.sign_up(address, "Ann");
    gigya.subscribe(&uid, "newsletter");
    desk.quiet().await;
    assert!(desk.sandbox.esps.iter().all(|esp| esp.mails(address)), "Gigya's webhook came");
    desk.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    assert!(desk.sandbox.campaign_monitor.unsubscribe_link(desk.list(), address));
    desk.quiet().await;
    assert_eq!(gigya.is_subscribed(&uid, "newsletter"), Some(false), "Campaign Monitor's webhook came");

    let other = gigya.sign_up("bob@example.org", "Bob");
    gigya.subscribe(&other, "newsletter");
    desk.quiet().await;
    desk.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    assert!(desk.sandbox.marketing_cloud.unsubscribe_link("bob@example.org", None));
    desk.quiet().await;
    assert_eq!(gigya.is_subscribed(&other, "newsletter"), Some(false), "Marketing Cloud's callback came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_goes_where_the_configuration_says_that_it_will_be() {
    let mut desk = Desk::ordinary().await;
    desk.stop();
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__SIGNATURE_KEYS", "[{ file = \"the-key\" }]");
    desk.start();
    let ran = desk.run(&["register", "--apply", "--connection", "crm"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    desk.stop();
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__REGISTERING", "false");
    desk.start();
    let ran = desk.run(&["register", "--connection", "crm"]).await;
    assert_eq!((ran.code, ran.conclusion()), (0, "There is nothing to do."), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_alone_can_be_registered() {
    let desk = Desk::ordinary().await;
    for (named, connection) in [("news", "campaign_monitor.news"), ("gigya.main", "gigya.main")] {
        let ran = desk.registers(&["--connection", named, "--apply", "--json"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        let findings = told["findings"].as_array().unwrap();
        assert!(!findings.is_empty());
        for finding in findings {
            assert_eq!(finding["connection"], connection);
            assert_eq!(finding["state"], "ok");
        }
        assert!(told["steps"][0]["done"].as_str().unwrap().starts_with("created"), "{told}");
    }
    assert_eq!(desk.registers(&[]).await.code, 3, "Marketing Cloud is left");
}
