//! Accounts that are deactivated or deleted.

use super::town::{ALL, ALL_AND_ROW, LIST_AND_ROW, MarketingCloudTown, ON_LIST, ROW, setup, town};
use crate::town::{NEWSLETTER, Town};

#[tokio::test]
async fn somebody_deactivated_is_unsubscribed_and_their_row_is_gone() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW, ROW] {
        let mut town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        town.sandbox.gigya.set_active(&uid, false);
        town.quiet().await;
        assert!(!town.is_mailed("ann", audience), "{audience}");
        assert!(town.cloud().row("GIGYA_PROFILES", &uid).is_none(), "{audience}");
        assert_eq!(town.cloud().faults().calls("contact.delete"), 0);
        town.answers();
        town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
        town.quiet().await;
        assert_eq!(town.outcomes(), ["unchanged"], "{audience}");
        // Activated again: the flag is older than the removal, which only a row alone can't tell.
        town.a_moment_passes();
        town.sandbox.gigya.set_active(&uid, true);
        town.quiet().await;
        assert_eq!(town.is_mailed("ann", audience), audience == ROW, "{audience}");
    }
}

#[tokio::test]
async fn a_contact_is_deleted_where_the_route_says_so() {
    let mut setup = setup(ALL_AND_ROW, "");
    setup.marketing_cloud_route += "\non_inactive = \"delete\"";
    let town = Town::with(setup).await;
    let uid = town.newcomer("ann").await;
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    assert!(!town.is_mailed("ann", ALL), "at once, long before the deletion");
    assert!(town.cloud().faults().calls("contact.delete") >= 1);
}

#[tokio::test]
async fn somebody_deleted_in_gigya_is_found_by_the_uid() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW, ROW] {
        let mut town = town(audience, "").await;
        let uid = town.newcomer("ann").await;
        town.answers();
        town.sandbox.gigya.delete(&uid);
        town.quiet().await;
        assert_eq!(town.outcomes(), ["applied"], "{audience}: no address is left, and none is needed");
        assert!(!town.is_mailed("ann", audience), "{audience}");
        assert!(town.cloud().row("GIGYA_PROFILES", &uid).is_none(), "{audience}");
    }
}

#[tokio::test]
async fn somebody_deleted_who_is_known_by_another_key_is_set_aside() {
    let lines = "subscriber_key = \"email\"\nuid_attribute = \"Gigya UID\"";
    let mut town = town(ALL, lines).await;
    let uid = town.newcomer("ann").await;
    assert!(town.is_mailed("ann", ALL));
    town.answers();
    town.sandbox.gigya.delete(&uid);
    town.quiet().await;
    assert_eq!(town.outcomes(), ["rejected:address_unknown"]);
}

#[tokio::test]
async fn flags_are_cleared_and_nothing_comes_back() {
    let mut setup = setup(ALL, "");
    setup.gigya_lines = "clear_flags_on_inactive = true".to_owned();
    let town = Town::with(setup).await;
    let uid = town.newcomer("ann").await;
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
    town.a_moment_passes();
    town.sandbox.gigya.set_active(&uid, true);
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert!(town.is_mailed("ann", ALL), "a newer opt-in counts");
}

#[tokio::test]
async fn nobody_else_s_contact_is_deleted() {
    let mut setup = setup(ALL, "");
    setup.marketing_cloud_route += "\non_inactive = \"delete\"";
    let town = Town::with(setup).await;
    let uid = town.newcomer("ann").await;
    let is_out = |town: &Town, key: &str| town.held(key).status.name() == "Unsubscribed";
    town.cloud().import("CRM-1", "ann@example.org", None, gigya_esp_gateway::sandbox::marketing_cloud::Status::Active);
    town.sandbox.gigya.set_active(&uid, false);
    town.quiet().await;
    assert!(is_out(&town, "CRM-1") && is_out(&town, &uid));
    assert_eq!(town.cloud().faults().calls("contact.delete"), 1, "hers, and not the one that the CRM made");
}
