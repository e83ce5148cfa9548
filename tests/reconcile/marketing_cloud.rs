//! The same at Marketing Cloud, where consent is kept in several places and whoever leaves leaves something behind.

use crate::town::{NEWSLETTER, Town, address, found};
use gigya_esp_gateway::forward::Difference;
use gigya_esp_gateway::sandbox::{Esps, Setup};
use serde_json::json;

const AUDIENCES: [&str; 3] = [
    "all-subscribers+data-extension:GIGYA_PROFILES",
    "publication-list:69238",
    "publication-list:69238+data-extension:GIGYA_PROFILES",
];

async fn towns() -> Vec<Town> {
    let mut towns = Vec::new();
    for audience in AUDIENCES {
        let marketing_cloud_audience = audience.to_owned();
        let field = if audience.contains("data-extension") { "FirstName" } else { "\"First Name\"" };
        let marketing_cloud_route = format!("fields = {{ {field} = \"profile.firstName\" }}");
        let setup = Setup { marketing_cloud_audience, marketing_cloud_route, ..Setup::with_esps(Esps::MarketingCloud) };
        towns.push(Town::without_gateway(setup).await);
    }
    towns
}

async fn subscriber(town: &Town, name: &str) -> String {
    let uid = town.sandbox.gigya.sign_up(&address(name), name);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.heal().await;
    assert!(mails(town, name), "{name} is subscribed");
    assert_eq!(found(&town.differs().await), []);
    town.a_moment_passes();
    uid
}

fn mails(town: &Town, name: &str) -> bool {
    town.sandbox.esps.iter().all(|esp| esp.mails(&address(name)))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_missing_is_subscribed() {
    for town in towns().await {
        subscriber(&town, "ann").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_in_gigya_that_came_to_nothing_is_carried_out() {
    for town in towns().await {
        let ann = subscriber(&town, "ann").await;
        town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
        town.is_healed_of(Difference::LateOptOut).await;
        assert!(!mails(&town, "ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_at_the_esp_that_came_to_nothing_is_told_gigya() {
    for town in towns().await {
        let ann = subscriber(&town, "ann").await;
        assert!(town.sandbox.esps[0].unsubscribe_link(&address("ann")));
        town.is_healed_of(Difference::UntoldOptOut).await;
        assert_eq!(town.gigya(&ann), Some(false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_deactivated_or_deleted_is_removed() {
    for town in towns().await {
        let (ann, bob) = (subscriber(&town, "ann").await, subscriber(&town, "bob").await);
        town.sandbox.gigya.set_active(&ann, false);
        town.is_healed_of(Difference::Inactive).await;
        town.sandbox.gigya.delete(&bob);
        town.is_healed_of(Difference::Orphan).await;
        assert!(!mails(&town, "ann") && !mails(&town, "bob"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_and_fields_become_the_accounts() {
    for town in towns().await {
        let ann = subscriber(&town, "ann").await;
        town.sandbox.gigya.change_email(&ann, &address("anna"));
        town.is_healed_of(Difference::WrongAddress).await;
        assert!(mails(&town, "anna") && !mails(&town, "ann"));
        town.sandbox.gigya.set_profile(&ann, "firstName", json!("Anna"));
        town.is_healed_of(Difference::WrongFields).await;
    }
}
