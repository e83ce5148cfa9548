//! What stands in the way, and that it keeps nothing else from being done.

use crate::desk::Desk;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_at_one_system_keeps_none_of_the_others() {
    let mut desk = Desk::ordinary().await;
    desk.set("CM_API_KEY", "another-key-of-campaign-monitor");
    let ran = desk.registers(&["--apply"]).await;
    assert_eq!(ran.code, 1);
    let list = desk.list();
    let line = ran.line(&format!("campaign_monitor.news list {list}: webhook wrong"));
    assert!(line.contains("the API key is not taken") && line.contains("you: check api_key"), "{line}");
    ran.line("gigya.main webhook ok");
    ran.line("marketing_cloud.crm callback ok");
    assert_eq!(desk.monitors_webhooks().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_is_told_and_the_rest_is_done() {
    let desk = Desk::ordinary().await;
    desk.sandbox.marketing_cloud.fail_next(
        "ens.subscription.create",
        403,
        r#"{"message":"Insufficient privileges","errorcode":20000}"#,
        &[],
    );
    let ran = desk.registers(&["--apply"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let failed = "marketing_cloud.crm: subscription to EngagementEvents.EmailUnsubscribe: FAILED: the package may not";
    ran.line(failed);
    ran.line("marketing_cloud.crm callback ok");
    ran.line("gigya.main webhook ok");
    let ran = desk.registers(&["--apply"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_is_down_is_unknown() {
    let desk = Desk::ordinary().await;
    desk.sandbox.campaign_monitor.faults().set_down(true);
    let ran = desk.registers(&["--connection", "news"]).await;
    assert_eq!(ran.code, 1);
    ran.line(&format!("campaign_monitor.news list {}: webhook unknown", desk.list()));
    let ran = desk.run(&["check", "--online"]).await;
    assert_eq!(ran.code, 1);
    ran.line("unknown campaign_monitor.news: API key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused_before_any_call() {
    let mut desk = Desk::ordinary().await;
    let calls = || desk.sandbox.gigya.faults().all_calls() + desk.sandbox.campaign_monitor.faults().all_calls();
    let ran = desk.registers(&["--connection", "nobody"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("configured are gigya.main, marketing_cloud.crm, campaign_monitor.news"), "{}", ran.err);
    assert_eq!(desk.registers(&["--apply", "--dry-run"]).await.code, 2);
    assert_eq!(calls(), 0);
    desk.set("GATEWAY_SERVER__PUBLIC_URL", "http://gateway.example.com");
    let ran = desk.registers(&[]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("server.public_url: is not https"), "{}", ran.err);
    desk.forget("GATEWAY_SERVER__PUBLIC_URL");
    let ran = desk.registers(&[]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("server.public_url is missing"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_not_reached_is_named_with_the_cause() {
    let mut desk = Desk::ordinary().await;
    // The port on which nobody listens: 1 is reserved, and nobody's but root's.
    desk.set("GATEWAY_CAMPAIGN_MONITOR__NEWS__BASE_URL", "http://127.0.0.1:1/api/v3.3");
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__REST_BASE_URL", "http://127.0.0.1:1");
    for arguments in [&["check", "--online"][..], &["register"]] {
        let ran = desk.run(arguments).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        let told = ran.out.matches("no answer from 127.0.0.1:1: no connection: Connection refused").count();
        assert!(told >= 2, "{}", ran.out);
        assert!(!ran.out.contains("breaker") && !ran.out.contains("unavailable"), "{}", ran.out);
    }
}
