//! What may be there already at Marketing Cloud, and what becomes of it.

use crate::desk::Desk;
use gigya_esp_gateway::sandbox::{Esps, Setup};
use serde_json::json;

const SUBSCRIPTION: &str = "marketing_cloud.crm subscription to EngagementEvents.EmailUnsubscribe";

fn setup(registering: bool) -> Setup {
    Setup { marketing_cloud_lines: format!("registering = {registering}"), ..Setup::with_esps(Esps::MarketingCloud) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_is_not_made_before_its_key_has_a_place() {
    let desk = Desk::with(setup(true)).await;
    let ran = desk.run(&["register", "--apply", "--connection", "crm"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.line("marketing_cloud.crm callback missing").contains("you: say where its signature key goes"));
    std::fs::write(desk.file("signature-key"), "an older one").unwrap();
    let ran = desk.registers(&["--apply", "--connection", "crm"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.line("marketing_cloud.crm callback missing").contains("isn't overwritten"));
    assert_eq!(std::fs::read_to_string(desk.file("signature-key")).unwrap(), "an older one");
    let ran = desk.run(&["register", "--apply", "--signature-key-file", "nowhere/key", "--connection", "crm"]).await;
    assert!(ran.line("marketing_cloud.crm: callback: FAILED: the file for its signature key").contains("nowhere/key"));
    assert_eq!(desk.sandbox.marketing_cloud.faults().calls("ens.callback.create"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_expects_none_leaves_nothing_behind() {
    let mut desk = Desk::with(setup(false)).await;
    let ran = desk.registers(&["--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.line("marketing_cloud.crm callback missing").contains("you: set registering = true"));
    // The gateway that runs was not told.
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__REGISTERING", "true");
    let ran = desk.registers(&["--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 1);
    ran.line("marketing_cloud.crm: callback: FAILED: Marketing Cloud didn't create it");
    assert_eq!(desk.cloud("GET", "ens-callbacks", &json!(null)).await.1, json!([]), "a dead one would block its URL");
    assert!(!desk.file("signature-key").exists());
    desk.stop();
    desk.start();
    let ran = desk.registers(&["--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_callback_is_replaced() {
    let mut desk = Desk::without_gateway(setup(true)).await;
    let url = desk.url("/webhooks/marketing-cloud/crm");
    let dead = json!([{ "callbackName": "by hand", "url": url }]);
    assert_eq!(desk.cloud("POST", "ens-callbacks", &dead).await.0, 400);
    desk.start();
    let ran = desk.registers(&["--connection", "crm"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.line("marketing_cloud.crm callback differs").contains("is not verified"));
    let ran = desk.registers(&["--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let held = desk.cloud("GET", "ens-callbacks", &json!(null)).await.1;
    assert_eq!((held.as_array().unwrap().len(), &held[0]["status"]), (1, &json!("verified")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_subscription_is_activated_and_a_large_batch_made_small() {
    let desk = Desk::with(setup(true)).await;
    let ran = desk.registers(&["--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    desk.sandbox.marketing_cloud.pause_subscriptions();
    let id = desk.cloud("GET", "ens-callbacks", &json!(null)).await.1[0]["callbackId"].clone();
    let large = json!([{ "callbackId": id, "callbackName": "by hand", "maxBatchSize": 1000 }]);
    assert_eq!(desk.cloud("PUT", "ens-callbacks", &large).await.0, 200);
    let ran = desk.registers(&["--connection", "crm"]).await;
    assert!(ran.line("marketing_cloud.crm callback differs").contains("up to 1000 events"));
    ran.line(&format!("{SUBSCRIPTION} deactivated"));
    let ran = desk.registers(&["--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let held = desk.cloud("GET", "ens-callbacks", &json!(null)).await.1;
    assert_eq!(json!([held[0]["maxBatchSize"], held[0]["callbackName"]]), json!([100, "by hand"]));
    assert!(desk.sandbox.marketing_cloud.callback_status().is_subscribed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_whose_key_was_lost_gets_another_one() {
    let mut desk = Desk::with(setup(true)).await;
    desk.is_registered().await;
    std::fs::remove_file(desk.file("signature-key")).unwrap();
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__SIGNATURE_KEYS", "[{ file = \"signature-key\" }]");
    // The gateway that runs may have it: this is no reason to end it.
    let ran = desk.run(&["register", "--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let line = ran.line("marketing_cloud.crm callback differs");
    assert!(line.contains("doesn't know") && line.contains("you: ") && line.contains("--new-signature-key"), "{line}");
    assert_eq!(desk.sandbox.marketing_cloud.faults().calls("ens.regenerate"), 0);
    let ran = desk.run(&["register", "--connection", "crm", "--new-signature-key"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    // A run that was killed left this.
    std::fs::write(desk.file("signature-key"), "").unwrap();
    let ran = desk.run(&["register", "--connection", "crm", "--new-signature-key", "--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(desk.sandbox.marketing_cloud.faults().calls("ens.regenerate"), 1);
    let key = std::fs::read_to_string(desk.file("signature-key")).unwrap();
    assert_ne!(key.trim(), desk.sandbox.marketing_cloud.settings().signature_key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_killed_leaves_an_empty_file_which_keeps_nothing_from_its_start() {
    let mut desk = Desk::without_gateway(setup(true)).await;
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__SIGNATURE_KEYS", "[{ file = \"signature-key\" }]");
    std::fs::write(desk.file("signature-key"), "").unwrap();
    desk.start();
    let ran = desk.run(&["register", "--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let key = std::fs::read_to_string(desk.file("signature-key")).unwrap();
    assert_eq!(key.trim(), desk.sandbox.marketing_cloud.settings().signature_key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verified_callback_is_not_deleted_for_a_create_that_failed() {
    let desk = Desk::with(setup(true)).await;
    // What the first look is answered: none. Somebody else's run makes it meanwhile.
    let simulation = &desk.sandbox.marketing_cloud;
    desk.is_registered().await;
    std::fs::remove_file(desk.file("signature-key")).unwrap();
    for _ in 0..2 {
        simulation.fail_next("ens.callback.list", 200, "[]", &[]);
    }
    simulation.fail_next("ens.callback.create", 400, r#"{"message":"it is there","errorcode":10000}"#, &[]);
    let ran = desk.registers(&["--connection", "crm", "--apply"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    ran.line("marketing_cloud.crm: callback: FAILED: Marketing Cloud didn't create it");
    let held = desk.cloud("GET", "ens-callbacks", &json!(null)).await.1;
    assert_eq!(held[0]["status"], "verified", "{held}");
}
