//! By what Marketing Cloud knows a person.

use crate::desk::{Desk, address, uid};
use gigya_esp_gateway::domain::Consent;
use gigya_esp_gateway::esp::{Field, FieldValue, Written};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status};

const BY_EMAIL: &str = "subscriber_key = \"email\"\nuid_attribute = \"Gigya UID\"";
const BY_FIELD: &str = "subscriber_key = \"field:Crm\"\nuid_attribute = \"Gigya UID\"";

async fn desk(lines: &str) -> Desk {
    let mut settings = MarketingCloudSettings::default();
    settings.attributes.push("Crm".to_owned());
    Desk::with(&["all-subscribers"], lines, settings).await
}

#[tokio::test]
async fn the_address_stays_the_key_when_it_changes() {
    let desk = desk(BY_EMAIL).await;
    assert!(desk.esp.one_record_an_address());
    let ann = desk.subscriber("ann").await;
    let held = desk.sim.subscriber("ann@example.org").unwrap();
    assert_eq!(held.attribute("Gigya UID"), Some("u-ann"));
    let record = desk.record(&ann).await;
    assert_eq!(record.uid.as_ref(), Some(&ann.uid));
    let mut moved = ann.clone();
    moved.address = address("anna");
    assert_eq!(desk.update(&record, &moved).await, Ok(Written::Done));
    let record = desk.record(&moved).await;
    assert_eq!((record.address, record.uid), (address("anna"), Some(uid("ann"))));
    assert_eq!(desk.sim.subscriber("ann@example.org").unwrap().email, "anna@example.org");
    assert_eq!(desk.sim.subscribers().len(), 1);
}

#[tokio::test]
async fn a_field_is_the_key_where_the_account_has_it() {
    let desk = desk(BY_FIELD).await;
    assert!(!desk.esp.one_record_an_address());
    let mut ann = desk.person("ann");
    ann.fields.push(Field { name: "Crm".into(), value: FieldValue::Text("C-7".into()) });
    assert_eq!(desk.opt_in(None, &ann, false).await, Ok(Written::Done));
    assert_eq!(desk.sim.subscriber("C-7").unwrap().attribute("Gigya UID"), Some("u-ann"));
    assert!(!desk.differs(&desk.record(&ann).await, &ann));

    let ben = desk.subscriber("ben").await;
    assert!(desk.sim.subscriber("u-ben").is_some(), "the UID, where it hasn't");
    let mut ben_with_field = ben.clone();
    ben_with_field.fields.push(Field { name: "Crm".into(), value: FieldValue::Text("C-8".into()) });
    let record = desk.record(&ben_with_field).await;
    assert_eq!(desk.update(&record, &ben_with_field).await, Ok(Written::Done));
    assert_eq!(desk.sim.subscribers().len(), 2, "and he stays who he is when it gets one");
}

#[tokio::test]
async fn a_subscriber_under_another_key_is_found_by_the_address() {
    let with_uid_key = desk("").await;
    with_uid_key.sim.import("C-7", "ann@example.org", None, Status::Unsubscribed);
    let ann = with_uid_key.person("ann");
    let record = with_uid_key.record(&ann).await;
    assert!(matches!(record.consent, Consent::OptedOut { .. }), "whoever made it, they said stop");
    assert_eq!(record.uid, uid_of("C-7"));
    // A key can't be changed: a newer opt-in makes the account's own subscriber beside it.
    assert_eq!(with_uid_key.opt_in(Some(&record), &ann, true).await, Ok(Written::Done));
    assert_eq!(with_uid_key.sim.subscriber("C-7").unwrap().status, Status::Unsubscribed);
    assert_eq!(with_uid_key.held("ann").status, Status::Active);

    let adopting = desk("uid_attribute = \"Gigya UID\"").await;
    adopting.sim.import("C-7", "ann@example.org", None, Status::Active);
    let record = adopting.record(&ann).await;
    assert!(adopting.differs(&record, &ann));
    assert_eq!(adopting.update(&record, &ann).await, Ok(Written::Done));
    assert_eq!(adopting.record(&ann).await.uid, Some(uid("ann")));
    assert_eq!(adopting.sim.subscribers().len(), 1, "with an attribute for the UID, it becomes theirs");
}

#[tokio::test]
async fn an_update_beside_a_foreign_key_makes_the_accounts_own() {
    let desk = desk("").await;
    desk.sim.import("C-7", "ann@example.org", None, Status::Active);
    let ann = desk.person("ann");
    let record = desk.record(&ann).await;
    assert!(desk.differs(&record, &ann), "the UID must be written");
    assert_eq!(desk.update(&record, &ann).await, Ok(Written::Done));
    assert_eq!(desk.held("ann").status, Status::Active);
    assert_eq!(desk.records(&ann).await.unwrap().len(), 2);
    let out = desk.person("ben");
    desk.sim.import("C-8", "ben@example.org", None, Status::Unsubscribed);
    let record = desk.record(&out).await;
    assert_eq!(desk.update(&record, &out).await, Ok(Written::NothingToDo), "never of somebody who is out");
    assert!(desk.sim.subscriber("u-ben").is_none());
}

#[tokio::test]
async fn lists_and_rows_are_found_under_whatever_key_the_address_has() {
    for audience in ["publication-list:69238", "publication-list:69238+data-extension:GIGYA_PROFILES"] {
        let lines = "uid_attribute = \"Gigya UID\"";
        let desk = Desk::with(&[audience], lines, MarketingCloudSettings::default()).await;
        desk.sim.import("C-7", "ann@example.org", Some("69238"), Status::Active);
        let ann = desk.person("ann");
        assert!(desk.record(&ann).await.consent.is_opted_in(), "{audience}");
        assert!(desk.sim.unsubscribe_link("ann@example.org", Some("69238")));
        let record = desk.record(&ann).await;
        assert!(matches!(record.consent, Consent::OptedOut { .. }), "{audience}: they left that list");
        assert_eq!(desk.opt_in(Some(&record), &ann, true).await, Ok(Written::Done));
        assert!(!desk.differs(&desk.record(&ann).await, &ann), "{audience}");
        assert_eq!(desk.sim.subscribers().len(), 1);
    }
}

fn uid_of(text: &str) -> Option<gigya_esp_gateway::domain::Uid> {
    gigya_esp_gateway::domain::Uid::new(text)
}
