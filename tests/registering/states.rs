//! What may be there already at Gigya and at Campaign Monitor, and what becomes of it.

use crate::desk::{Desk, OLD_TOKEN};
use gigya_esp_gateway::sandbox::gigya::WebhookVersion;
use gigya_esp_gateway::sandbox::{CALLBACK_TOKEN, Setup};
use serde_json::json;

/// With Campaign Monitor alone.
async fn desk() -> Desk {
    Desk::with(Setup::default()).await
}

/// How it is expected to be told, what is changed before, and what is said.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const ALL: &[&str] = &["Subscribe", "Update", "Deactivate"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gigyas_webhook_is_mended_under_the_name_that_it_has() {
    let desk = desk().await;
    let url = desk.url("/webhooks/gigya/main");
    let cases: [Case; 4] = [
        ("differs", &[("events", "accountUpdated")], "isn't told of accountCreated,"),
        ("differs", &[("version", "1.1")], "is of version 1.1, not 2.0"),
        ("deactivated", &[("active", "false")], "is switched off"),
        (
            "ok",
            &[(
                "events",
                "accountCreated,accountRegistered,accountUpdated,accountProgressed,accountMerged,\
                             accountUidChanged,accountDeleted,subscriptionUpdated,accountLoggedIn",
            )],
            "by hand",
        ),
    ];
    for (state, wrong, told) in cases {
        let headers = [("headers", "[{\"name\":\"x-route\",\"value\":\"a\"}]")];
        desk.gigya_sets("by hand", &url, &[wrong, &headers].concat()).await;
        let ran = desk.registers(&["--connection", "main"]).await;
        let line = ran.line(&format!("gigya.main webhook {state}"));
        assert!(line.contains(told), "{line}");
        assert_eq!(ran.code, if state == "ok" { 0 } else { 3 });
        let ran = desk.registers(&["--connection", "main", "--apply"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let held = desk.sandbox.gigya.listed_webhooks();
        assert_eq!(held.len(), 1, "{held:?}");
        assert_eq!((&held[0]["name"], &held[0]["active"]), (&json!("by hand"), &json!(true)));
        assert_eq!(held[0]["version"], "2.0");
        assert_eq!(held[0]["headers"][0]["name"], "x-route", "somebody wants it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_goes_elsewhere_is_nobodys_to_take() {
    let desk = desk().await;
    // In capitals it is another URL to Gigya.
    for url in ["https://other.example.com/webhooks/gigya/main".to_owned(), desk.url("/webhooks/gigya/MAIN")] {
        desk.gigya_sets("esp-gateway", &url, &[]).await;
        let ran = desk.registers(&["--connection", "main", "--apply"]).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        let line = ran.line("gigya.main webhook differs");
        assert!(line.contains("goes elsewhere") && line.contains("you: "), "{line}");
        assert_eq!(desk.sandbox.gigya.listed_webhooks()[0]["url"], url.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_moved_takes_its_webhooks_along_when_told_so() {
    const FORMER: &str = "https://former.example.com/in";
    let desk = desk().await;
    let at_former = |path: &str| format!("{FORMER}{path}");
    desk.gigya_sets("esp-gateway", &at_former("/webhooks/gigya/main"), &[]).await;
    desk.monitor_makes(&at_former(&format!("/webhooks/campaign-monitor/news/{CALLBACK_TOKEN}")), ALL, "json").await;
    desk.monitor_makes("https://other.example.com/webhooks/campaign-monitor/news/x", ALL, "json").await;

    let ran = desk.registers(&[]).await;
    let line = ran.line("gigya.main webhook differs");
    assert!(line.contains("https://former.example.com") && line.contains("you: ") && line.contains("--moved-from"));
    let ran = desk.registers(&["--moved-from", &format!("{FORMER}/")]).await;
    assert_eq!(ran.conclusion(), "2 to be done, 2 of them by: register --apply", "{ran:?}");
    let line = ran.line(&format!("campaign_monitor.news list {}: webhook differs", desk.list()));
    assert!(line.contains("/news/(token) is where the gateway was before"), "{line}");

    let ran = desk.registers(&["--moved-from", FORMER, "--apply"]).await;
    assert_eq!((ran.code, ran.conclusion()), (0, "All of it is done."), "{ran:?}");
    let gigyas = desk.sandbox.gigya.listed_webhooks();
    assert_eq!(gigyas.len(), 1, "{gigyas:?}");
    assert_eq!(gigyas[0]["url"], desk.url("/webhooks/gigya/main"));
    let held = desk.monitors_webhooks();
    let urls: Vec<_> = held.iter().map(|webhook| webhook["Url"].as_str().unwrap()).collect();
    let ours = desk.url(&format!("/webhooks/campaign-monitor/news/{CALLBACK_TOKEN}"));
    assert_eq!(urls, ["https://other.example.com/webhooks/campaign-monitor/news/x", ours.as_str()]);

    let ran = desk.registers(&["--moved-from", &desk.url("")]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--moved-from is where the gateway is now"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_signed_with_hmac_are_made_with_their_signing_key() {
    let mut setup = Setup::default();
    setup.gigya.webhooks = WebhookVersion::V1_1;
    setup.webhook_secrets = "[{ env = \"GIGYA_SECRET\" }]".to_owned();
    setup.gigya_lines = format!("webhook_signing_key = \"{}\"", setup.gigya.credentials.user_key);
    let desk = Desk::with(setup).await;
    let url = desk.url("/webhooks/gigya/main");
    desk.gigya_sets("esp-gateway", &url, &[("version", "1.1")]).await;
    let ran = desk.registers(&["--connection", "main"]).await;
    assert!(ran.line("gigya.main webhook differs").contains("signed with another key"));
    assert_eq!(desk.registers(&["--connection", "main", "--apply"]).await.code, 0);
    assert_eq!(desk.registers(&["--connection", "main"]).await.code, 0);
    assert_eq!(desk.registers(&["--connection", "news", "--apply"]).await.code, 0);
    let uid = desk.sandbox.gigya.sign_up("ann@example.org", "Ann");
    desk.sandbox.gigya.subscribe(&uid, "newsletter");
    desk.sandbox.gigya.set_profile(&uid, "firstName", "Anne".into());
    desk.quiet().await;
    assert!(desk.sandbox.esps[0].mails("ann@example.org"), "it was believed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn campaign_monitors_webhook_is_replaced_where_it_differs() {
    let desk = desk().await;
    let ours = |token: &str| desk.url(&format!("/webhooks/campaign-monitor/news/{token}"));
    let foreign = "https://crm.example.com/hook";
    desk.monitor_makes(foreign, &["Subscribe"], "xml").await;
    let cases: [(String, &[&str], &str, &str); 4] = [
        (ours(OLD_TOKEN), ALL, "json", "another token"),
        (desk.url("/webhooks/campaign-monitor/news"), ALL, "json", "another token"),
        (ours(CALLBACK_TOKEN), &["Subscribe"], "json", "is told of Subscribe only"),
        (ours(CALLBACK_TOKEN), ALL, "xml", "comes as Xml"),
    ];
    for (url, events, format, told) in cases {
        desk.sandbox.campaign_monitor.register(foreign);
        desk.monitor_makes(&url, events, format).await;
        let subject = format!("campaign_monitor.news list {}: webhook", desk.list());
        let ran = desk.registers(&["--connection", "news"]).await;
        let line = ran.line(&format!("{subject} differs"));
        assert!(line.contains(told) && line.contains("/news/(token)"), "{line}");
        let ran = desk.registers(&["--connection", "news", "--apply"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let held = desk.monitors_webhooks();
        assert_eq!(held.len(), 2, "{held:?}");
        assert_eq!(held[0]["Url"], foreign, "that one is somebody else's");
        let right = json!([ours(CALLBACK_TOKEN), ALL, "Json", "Active"]);
        assert_eq!(json!([held[1]["Url"], held[1]["Events"], held[1]["PayloadFormat"], held[1]["Status"]]), right);
    }
    assert_eq!(desk.registers(&["--connection", "news"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_switched_off_is_activated_and_one_too_many_deleted() {
    let desk = desk().await;
    let url = desk.url(&format!("/webhooks/campaign-monitor/news/{CALLBACK_TOKEN}"));
    let subject = format!("campaign_monitor.news list {}: webhook", desk.list());
    desk.monitor_makes(&url, ALL, "json").await;
    desk.sandbox.campaign_monitor.switch_off(desk.list());
    let ran = desk.registers(&["--connection", "news"]).await;
    ran.line(&format!("{subject} deactivated"));
    assert_eq!(desk.registers(&["--connection", "news", "--apply"]).await.code, 0);
    assert_eq!(desk.monitors_webhooks()[0]["Status"], "Active");

    desk.monitor_makes(&url, ALL, "json").await;
    desk.monitor_makes(&url, ALL, "xml").await;
    let ran = desk.registers(&["--connection", "news"]).await;
    ran.line(&format!("{subject} ok"));
    let extra = ran.out.lines().filter(|line| line.contains(" extra ")).count();
    assert_eq!(extra, 2, "{}", ran.out);
    assert_eq!(desk.registers(&["--connection", "news", "--apply"]).await.code, 0);
    let held = desk.monitors_webhooks();
    assert_eq!((held.len(), &held[0]["PayloadFormat"]), (1, &json!("Json")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_the_gateway_does_not_answer_is_told_and_taken_back() {
    let mut desk = desk().await;
    desk.monitor_makes(&desk.url(&format!("/webhooks/campaign-monitor/news/{OLD_TOKEN}")), ALL, "json").await;
    desk.stop();
    let ran = desk.registers(&["--connection", "news", "--apply"]).await;
    assert_eq!(ran.code, 1);
    let list = desk.list();
    let line =
        ran.line(&format!("campaign_monitor.news: list {list}: webhook: FAILED: its test failed, so it was deleted"));
    assert!(line.contains("610"), "{line}");
    assert!(ran.conclusion().starts_with("1 step failed"), "{ran:?}");
    let held = desk.monitors_webhooks();
    assert_eq!(held.len(), 1, "the old one is deleted only once a new one works: {held:?}");
    desk.start();
    let ran = desk.registers(&["--connection", "news", "--apply"]).await;
    assert_eq!((ran.code, desk.monitors_webhooks().len()), (0, 1), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_running_gateway_does_not_know_yet_costs_no_working_webhook() {
    const NEW: &str = "new-token-0123456789-0123456789";
    let mut desk = desk().await;
    desk.is_registered().await;
    let working = desk.monitors_webhooks();
    std::fs::write(desk.file("new-token"), NEW).unwrap();
    let both = "[{ file = \"new-token\" }, { env = \"CM_CALLBACK_TOKEN\" }]";
    desk.set("GATEWAY_CAMPAIGN_MONITOR__NEWS__CALLBACK_TOKENS", both);
    for _ in 0..2 {
        let ran = desk.registers(&["--connection", "news", "--apply"]).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.out.contains("the gateway answered 401 (code 610)"), "{ran:?}");
        assert_eq!(desk.monitors_webhooks(), working);
    }
    // One with the new token that was left there by whoever else looks right, and leads nowhere all the same.
    desk.monitor_makes(&desk.url(&format!("/webhooks/campaign-monitor/news/{NEW}")), ALL, "json").await;
    let ran = desk.registers(&["--connection", "news", "--apply"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("FAILED: not deleted, as the one that is to stay failed its test"), "{ran:?}");
    assert_eq!(ran.conclusion(), "1 step failed and 1 left; see above what to do.", "{ran:?}");
    assert_eq!(desk.monitors_webhooks().len(), 2, "the one that works is still there");
    desk.stop();
    desk.start();
    let ran = desk.registers(&["--connection", "news", "--apply"]).await;
    assert_eq!((ran.code, ran.conclusion()), (0, "All of it is done."), "{ran:?}");
    let held = desk.monitors_webhooks();
    assert!(held.len() == 1 && held[0]["Url"].as_str().unwrap().ends_with(NEW), "{held:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_failed_is_never_called_done() {
    let mut desk = desk().await;
    desk.is_registered().await;
    desk.sandbox.campaign_monitor.switch_off(desk.list());
    desk.stop();
    let ran = desk.registers(&["--connection", "news", "--apply"]).await;
    assert_eq!((ran.code, ran.conclusion()), (1, "1 step failed; see above what to do."), "{ran:?}");
    assert!(ran.out.contains("FAILED: activated, but its test failed"), "{ran:?}");
}
