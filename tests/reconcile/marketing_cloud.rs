//! The same at Marketing Cloud, where consent is kept in several places and whoever leaves leaves something behind.

use crate::town::{FREELY, NEWSLETTER, Town, address, compared, found, heal};
use gigya_esp_gateway::forward::Difference;
use gigya_esp_gateway::sandbox::marketing_cloud::{Status, StockedContact};
use gigya_esp_gateway::sandbox::{Esps, Setup};
use serde_json::json;

const AUDIENCES: [&str; 3] = [
    "all-subscribers+data-extension:GIGYA_PROFILES",
    "publication-list:69238",
    "publication-list:69238+data-extension:GIGYA_PROFILES",
];

const BY_EMAIL: &str = "subscriber_key = \"email\"\nuid_attribute = \"Gigya UID\"";

async fn towns() -> Vec<Town> {
    let mut towns = Vec::new();
    let by_uid = AUDIENCES.map(|audience| (audience, ""));
    for (audience, lines) in by_uid.into_iter().chain(AUDIENCES.map(|audience| (audience, BY_EMAIL))) {
        let marketing_cloud_audience = audience.to_owned();
        let field = if audience.contains("data-extension") { "FirstName" } else { "\"First Name\"" };
        let marketing_cloud_route = format!("fields = {{ {field} = \"profile.firstName\" }}");
        let setup = Setup {
            marketing_cloud_audience,
            marketing_cloud_route,
            marketing_cloud_lines: lines.to_owned(),
            ..Setup::with_esps(Esps::MarketingCloud)
        };
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

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_audience_is_filled_fifty_at_a_time() {
    for town in towns().await {
        for person in 0..120 {
            let uid = town.sandbox.gigya.sign_up(&address(&format!("person-{person}")), "Person");
            town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        }
        let calls = || town.sandbox.marketing_cloud.faults().all_calls();
        let before = calls();
        let (tally, _) = town.heal().await;
        let (made, pages, bulks) = (calls() - before, 3, 3);
        assert_eq!((tally.settled, tally.left), (120, 0), "{:?}", tally.healed);
        assert!(made <= 1 + pages + bulks * 5, "a token, the pages, and five calls for each fifty people, not {made}");
        assert!((0..120).all(|person| mails(&town, &format!("person-{person}"))));
        assert_eq!(found(&town.differs().await), []);
    }
}

/// Somebody opted out while the audience is filled: they are seen before the write, and stay out.
#[tokio::test(flavor = "multi_thread")]
async fn filling_an_audience_undoes_no_opt_out() {
    for town in towns().await {
        let mut uids = Vec::new();
        for name in ["ann", "bob", "cleo"] {
            let uid = town.sandbox.gigya.sign_up(&address(name), name);
            town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
            uids.push(uid);
        }
        let gateway = town.gateway();
        let (plan, mut tally) = compared(&gateway, &Town::scope()).await.unwrap();
        town.a_moment_passes();
        // After the comparison: Ann out of everything by an import there, Bob in his account.
        town.sandbox.marketing_cloud.import(&uids[0], &address("ann"), None, Status::Unsubscribed);
        town.sandbox.gigya.unsubscribe(&uids[1], NEWSLETTER);
        heal(&gateway, plan, &FREELY, &mut tally).await;
        assert!(!mails(&town, "ann") && !mails(&town, "bob") && mails(&town, "cleo"));
    }
}

/// What continues a retrieval is told once. If that answer is lost the list is read again, so that nobody is missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_lost_is_not_skipped() {
    let setup = Setup {
        marketing_cloud_audience: "all-subscribers".to_owned(),
        marketing_cloud_route: String::new(),
        ..Setup::with_esps(Esps::MarketingCloud)
    };
    let town = Town::without_gateway(setup).await;
    let at = town.sandbox.clock.now();
    town.sandbox.marketing_cloud.stock(
        (0..6_000)
            .map(|person| StockedContact::active(&format!("u-{person}"), &format!("person-{person}@example.org"), at)),
    );
    town.sandbox.marketing_cloud.faults().lose_answer("soap.retrieve.continue", 1);
    let tally = town.differs().await;
    assert_eq!(tally.subscribers, 6_000, "whoever was read twice is counted once");
    assert_eq!(found(&tally), [(Difference::Orphan, 6_000)]);
}
