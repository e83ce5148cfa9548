//! Filling an audience: many people by few calls, and nobody's opt-out undone.

use crate::desk::{Desk, LIST, PROFILES, address};
use gigya_esp_gateway::domain::RemovalKind;
use gigya_esp_gateway::esp::{Person, Record, Written};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status};
use gigya_esp_gateway::upstream::Fault;
use jiff::SignedDuration;

const ON_LIST: &str = "publication-list:69238";
const LIST_AND_ROW: &str = "publication-list:69238+data-extension:GIGYA_PROFILES";
const ROW: &str = "data-extension:GIGYA_PROFILES";
const EVERY: [&str; 5] =
    ["all-subscribers", ON_LIST, "all-subscribers+data-extension:GIGYA_PROFILES", LIST_AND_ROW, ROW];
const BY_EMAIL: &str = "subscriber_key = \"email\"\nuid_attribute = \"Gigya UID\"";
/// A retrieval that finds nobody.
const NOBODY: &str = "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
    <RetrieveResponseMsg xmlns=\"http://exacttarget.com/wsdl/partnerAPI\"><OverallStatus>OK</OverallStatus>\
    <RequestID>1</RequestID></RetrieveResponseMsg></soap:Body></soap:Envelope>";

fn list_of(audience: &str) -> Option<&str> {
    audience.contains("publication-list").then_some(LIST)
}

fn people(desk: &Desk, names: &[&str]) -> Vec<Person> {
    names.iter().map(|name| desk.person(name)).collect()
}

/// All that a look tells.
fn told(record: &Record) -> String {
    let (key, address) = (&record.key.0, record.address.expose());
    let mut fields = record.fields.clone();
    fields.sort();
    format!("{key} {address} {:?} {:?} {:?} {fields:?}", record.consent, record.levels, record.leftover)
}

#[tokio::test]
async fn who_is_new_is_there_as_if_they_had_come_alone_by_a_handful_of_calls() {
    for audience in EVERY {
        for lines in ["", "status_column = \"Status\"", "uid_attribute = \"Gigya UID\"", BY_EMAIL] {
            let desk = Desk::with(&[audience], lines, MarketingCloudSettings::default()).await;
            let alone = Desk::with(&[audience], lines, MarketingCloudSettings::default()).await;
            let names: Vec<String> = (0..50).map(|one| format!("p{one}")).collect();
            let all: Vec<Person> = names.iter().map(|name| desk.person(name)).collect();
            assert_eq!(desk.load(&all).await.unwrap(), vec![Ok(Written::Done); 50], "{audience}, {lines}");
            // A token, a look at the subscribers, one at lists and one at rows, one write of each kind.
            assert!(desk.sim.faults().all_calls() <= 6, "{audience}: {}", desk.sim.faults().all_calls());
            for person in &all {
                assert_eq!(alone.opt_in(None, person, false).await, Ok(Written::Done));
                let (together, alone) = (desk.record(person).await, alone.record(person).await);
                assert_eq!(told(&together), told(&alone), "{audience}, {lines}");
                assert!(!desk.differs(&together, person), "{audience}, {lines}");
            }
        }
    }
}

#[tokio::test]
async fn who_is_there_in_whatever_way_stays_as_they_are() {
    for audience in EVERY {
        let desk = Desk::of(audience).await;
        desk.sim.import("u-out", "out@example.org", list_of(audience), Status::Unsubscribed);
        desk.sim.import("other", "elsewhere@example.org", list_of(audience), Status::Unsubscribed);
        desk.sim.import("u-all", "all@example.org", None, Status::Unsubscribed);
        desk.subscriber("here").await;
        desk.sim.stock_rows(PROFILES, [("u-row", [("EmailAddress", "row@example.org"), ("FirstName", "Row")])]);
        let names = ["out", "elsewhere", "all", "here", "new"];
        let before: Vec<_> = ["u-out", "other", "u-all", "u-here"].map(|key| desk.sim.subscriber(key)).into();
        let moved = || Ok(Written::Moved);
        let expected = vec![moved(), moved(), moved(), moved(), Ok(Written::Done)];
        assert_eq!(desk.load(&people(&desk, &names)).await.unwrap(), expected, "{audience}");
        let after: Vec<_> = ["u-out", "other", "u-all", "u-here"].map(|key| desk.sim.subscriber(key)).into();
        assert_eq!(before, after, "{audience}");
        assert!(desk.sim.row(PROFILES, "u-out").is_none() && desk.sim.row(PROFILES, "u-all").is_none());
        if audience.contains("data-extension") {
            let row = desk.load(&people(&desk, &["row"])).await.unwrap();
            assert_eq!(row, [Ok(Written::Moved)], "{audience}: a row without a subscriber");
        }
    }
}

#[tokio::test]
async fn who_opted_out_after_the_look_stays_out() {
    for audience in EVERY.into_iter().filter(|audience| *audience != ROW) {
        let desk = Desk::of(audience).await;
        desk.sim.import("u-ann", "ann@example.org", list_of(audience), Status::Unsubscribed);
        for object in ["subscriber", "listsubscriber", "row"] {
            desk.sim.fail_next(&format!("soap.retrieve.{object}"), 200, NOBODY, &[("content-type", "text/xml")]);
        }
        let loaded = desk.load(&people(&desk, &["ann"])).await.unwrap();
        assert_eq!(loaded, [Ok(Written::Moved)], "{audience}");
        assert_eq!(desk.sim.faults().calls("soap.create"), 1, "it was tried");
        assert!(!desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
        assert!(desk.sim.row(PROFILES, "u-ann").is_none(), "{audience}");
    }
}

#[tokio::test]
async fn what_is_said_of_each_is_told_of_each() {
    let desk = Desk::of(ON_LIST).await;
    // Somebody whose contact is being deleted; one who wants nothing from anybody; one whose address isn't one there.
    let gone = desk.subscriber("gone").await;
    let record = desk.record(&gone).await;
    desk.remove(&record, RemovalKind::Delete).await.unwrap();
    desk.clock.advance(SignedDuration::from_hours(1));
    desk.sim.unsubscribe_globally("never@example.org");
    let loaded = desk.load(&people(&desk, &["ann", "gone", "never", "ben"])).await.unwrap();
    assert_eq!((&loaded[0], &loaded[3]), (&Ok(Written::Done), &Ok(Written::Done)));
    assert!(matches!(loaded[1], Err(Fault::Failing { .. })), "{loaded:?}");
    assert_eq!(loaded[2], Ok(Written::Held));
    assert!(!desk.sim.is_mailable("never@example.org", Some(LIST)));
}

/// Of a rowset, the rows before the first bad one are saved, and which one that was isn't told.
#[tokio::test]
async fn rows_that_are_refused_together_are_left_to_be_written_alone() {
    for audience in [LIST_AND_ROW, ROW] {
        let desk = Desk::of(audience).await;
        desk.sim.fail_next("rowset", 400, r#"{"message":"x","errorcode":10001}"#, &[]);
        let all = people(&desk, &["ann", "ben"]);
        assert_eq!(desk.load(&all).await.unwrap(), vec![Ok(Written::Moved); 2], "{audience}");
        for person in &all {
            match desk.records(person).await.unwrap().pop() {
                Some(record) => assert_eq!(desk.update(&record, person).await, Ok(Written::Done)),
                None => assert_eq!(desk.opt_in(None, person, false).await, Ok(Written::Done)),
            }
            assert!(desk.sim.row(PROFILES, person.uid.expose()).is_some());
        }
    }
}

#[tokio::test]
async fn two_with_one_address_are_each_looked_at_alone() {
    let desk = Desk::of(LIST_AND_ROW).await;
    let mut all = people(&desk, &["ann", "ben", "cleo"]);
    all[1].address = address("ann");
    let loaded = desk.load(&all).await.unwrap();
    assert_eq!(loaded, [Ok(Written::Moved), Ok(Written::Moved), Ok(Written::Done)]);
}
