//! `check --online` proves each thing that webhooks need, and changes nothing.

use crate::desk::{Desk, Ran};
use gigya_esp_gateway::sandbox::{Esps, Setup};

async fn checks(desk: &Desk) -> Ran {
    let writes = desk.writes();
    let ran = desk.run(&["check", "--online"]).await;
    assert_eq!(desk.writes(), writes, "it changes nothing");
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_it_says_so() {
    let desk = Desk::ordinary().await;
    desk.is_registered().await;
    let ran = checks(&desk).await;
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert_eq!(ran.conclusion(), "Everything that can be proved is proved.");
    for begins in [
        "ok gigya.main: credentials for 4_SimulatedSite",
        "ok gigya.main: permission for accounts.getAccountInfo",
        "ok gigya.main: permission for accounts.setAccountInfo",
        "ok gigya.main: permission for accounts.getLiteToken",
        "ok gigya.main: permission for accounts.unsubscribe",
        "remark gigya.main: permission for accounts.webhooks.set: not proved",
        "ok gigya.main: permission for accounts.webhooks.getAll",
        "ok gigya.main: public keys",
        "ok gigya.main: subscription newsletter",
        "ok gigya.main: field profile.firstName",
        "ok gigya.main: webhook",
        "ok campaign_monitor.news: API key",
        "ok campaign_monitor.news: time_zone",
        "ok marketing_cloud.crm: token",
        "ok marketing_cloud.crm: permissions",
        "ok marketing_cloud.crm: all_subscribers_list 1",
        "ok marketing_cloud.crm: data extension GIGYA_PROFILES: its primary key is SubscriberKey",
        "ok marketing_cloud.crm: data extension GIGYA_PROFILES: column FirstName",
        "ok marketing_cloud.crm: callback",
    ] {
        ran.line(begins);
    }
    let plain = desk.run(&["check"]).await;
    assert_eq!(plain.code, 0);
    assert!(plain.out.ends_with("The configuration is valid.\n"), "{}", plain.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_told_of_each_system() {
    let mut desk = Desk::ordinary().await;
    desk.set("GATEWAY_GIGYA__MAIN__SECRET", "YW5vdGhlcg==");
    desk.set("GATEWAY_CAMPAIGN_MONITOR__NEWS__API_KEY", "another");
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__CLIENT_SECRET", "another");
    let ran = checks(&desk).await;
    assert_eq!(ran.code, 1);
    assert!(ran.line("problem gigya.main: credentials for 4_SimulatedSite").contains("doesn't take the secret"));
    assert!(ran.line("problem campaign_monitor.news: API key").contains("is not taken"));
    assert!(ran.line("problem marketing_cloud.crm: token").contains("gives no token"));
    assert!(ran.out.contains("check secret: copy it again"), "what to do: {}", ran.out);

    desk.set("GATEWAY_GIGYA__MAIN__USER_KEY", "nobody");
    assert!(checks(&desk).await.line("problem gigya.main: credentials").contains("doesn't know the user key"));
    desk.set("GATEWAY_GIGYA__MAIN__API_KEYS", "[\"4_Other\"]");
    assert!(checks(&desk).await.line("problem gigya.main: credentials").contains("doesn't know the API key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_permissions_are_told() {
    for denied in [
        "accounts.setAccountInfo",
        "accounts.getAccountInfo",
        "accounts.getLiteToken",
        "accounts.unsubscribe",
        "accounts.webhooks.getAll",
    ] {
        let mut setup = Setup::with_esps(Esps::MarketingCloud);
        setup.gigya.denied = vec![denied.to_owned()];
        setup.marketing_cloud.scopes.retain(|scope| scope != "event_notification_callback_read");
        let desk = Desk::without_gateway(setup).await;
        let ran = checks(&desk).await;
        assert_eq!(ran.code, 1);
        let line = ran.line(&format!("problem gigya.main: permission for {denied}"));
        assert!(line.contains("the application may not do this (code 403007)"), "{line}");
        let line = ran.line("problem marketing_cloud.crm: permissions: missing");
        assert!(line.ends_with("the package lacks event_notification_callback_read"), "{line}");
        ran.line("problem marketing_cloud.crm: callback: the package may not do this");
    }
    let mut setup = Setup::with_esps(Esps::MarketingCloud);
    setup.gigya.denied = vec!["accounts.getSchema".to_owned()];
    setup.marketing_cloud.scopes.retain(|scope| !scope.ends_with("_delete"));
    let ran = checks(&Desk::without_gateway(setup).await).await;
    ran.line("unknown gigya.main: schema");
    ran.line("remark marketing_cloud.crm: permissions: without event_notification_callback_delete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_routes_name_and_is_not_there_is_told() {
    let mut desk = Desk::ordinary().await;
    desk.set("GATEWAY_ROUTE__0__SUBSCRIPTION", "main/Newsletter");
    desk.set("GATEWAY_ROUTE__0__AUDIENCE", "news/0123456789abcdef0123456789abcdef");
    desk.set("GATEWAY_ROUTE__0__FIELDS", "{ Shoes = \"profile.shoeSize\", Hat = \"data.hat\" }");
    desk.set("GATEWAY_ROUTE__1__AUDIENCE", "crm/publication-list:4711+data-extension:NOWHERE");
    let ran = checks(&desk).await;
    assert_eq!(ran.code, 1);
    let line = ran.line("problem gigya.main: subscription Newsletter: missing");
    assert!(line.contains("but \"newsletter\""), "{line}");
    ran.line("problem gigya.main: field profile.shoeSize: missing");
    ran.line("remark gigya.main: field data.hat");
    let list = "campaign_monitor.news: list 0123456789abcdef0123456789abcdef";
    assert!(ran.line(&format!("problem {list}: it is not there")).contains("not this API key's"));
    ran.line("problem marketing_cloud.crm: publication list 4711: missing");
    ran.line("problem marketing_cloud.crm: data extension NOWHERE: missing");

    desk.set("GATEWAY_ROUTE__0__AUDIENCE", &format!("news/{}", desk.list()));
    desk.set("GATEWAY_ROUTE__1__AUDIENCE", "crm/publication-list:69238+data-extension:GIGYA_PROFILES");
    desk.set("GATEWAY_ROUTE__1__FIELDS", "{ Shoes = \"profile.shoeSize\" }");
    desk.set("GATEWAY_MARKETING_CLOUD__CRM__KEY_COLUMN", "EmailAddress");
    let ran = checks(&desk).await;
    ran.line(&format!("problem campaign_monitor.news: list {}: custom field Shoes: missing", desk.list()));
    ran.line("problem marketing_cloud.crm: data extension GIGYA_PROFILES: column Shoes: missing");
    ran.line("problem marketing_cloud.crm: data extension GIGYA_PROFILES: its primary key is SubscriberKey, not Email");
    ran.line("ok marketing_cloud.crm: publication list 69238");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_zone_that_is_another_one_and_what_lists_do_is_told() {
    let mut setup = Setup::default();
    setup.campaign_monitor.lists[0].confirmed_opt_in = true;
    setup.campaign_monitor.lists[0].unsubscribe_from_all = true;
    let mut desk = Desk::without_gateway(setup).await;
    let list = desk.list().to_owned();
    let ran = checks(&desk).await;
    ran.line("ok campaign_monitor.news: time_zone: Europe/Berlin fits");
    ran.line(&format!("remark campaign_monitor.news: list {list}: has confirmed opt-in"));
    ran.line(&format!("remark campaign_monitor.news: list {list}: unsubscribing from it unsubscribes from all lists"));
    desk.set("GATEWAY_CAMPAIGN_MONITOR__NEWS__TIME_ZONE", "Australia/Sydney");
    let line = checks(&desk).await;
    let line = line.line("problem campaign_monitor.news: time_zone");
    assert!(line.contains("(GMT+01:00) Amsterdam"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_registered_or_switched_off_is_told() {
    let mut desk = Desk::ordinary().await;
    let ran = checks(&desk).await;
    assert_eq!(ran.code, 1);
    ran.line("problem gigya.main: webhook: missing");
    ran.line("problem marketing_cloud.crm: callback: missing");
    desk.is_registered().await;
    desk.sandbox.marketing_cloud.pause_subscriptions();
    desk.sandbox.campaign_monitor.switch_off(desk.list());
    desk.gigya_sets("esp-gateway", &desk.url("/webhooks/gigya/main"), &[("active", "false")]).await;
    let ran = checks(&desk).await;
    assert_eq!(ran.code, 1);
    ran.line("problem gigya.main: webhook: deactivated");
    ran.line(&format!("problem campaign_monitor.news: list {}: webhook: deactivated", desk.list()));
    ran.line("problem marketing_cloud.crm: subscription to EngagementEvents.EmailUnsubscribe: deactivated");
    desk.forget("GATEWAY_SERVER__PUBLIC_URL");
    let ran = checks(&desk).await;
    assert_eq!(ran.code, 0, "{}", ran.out);
    ran.line("remark gigya.main: webhook: not looked at");
}
