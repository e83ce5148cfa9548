//! Answers that mislead: each is sorted into what passes, what a person must see to, and what never will be.

use crate::desk::{Desk, PROFILES};
use futures_util::future::join_all;
use gigya_esp_gateway::esp::Written;
use gigya_esp_gateway::sandbox::marketing_cloud::MarketingCloudSettings;
use gigya_esp_gateway::upstream::Fault;
use std::time::Duration;
use tokio::time::Instant;

const AUDIENCE: &str = "all-subscribers+data-extension:GIGYA_PROFILES";
const THROTTLED: &str = "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><soap:Fault>\
    <faultcode>soap:Server</faultcode><faultstring>Rate Limited</faultstring><detail><apifault><Code>17</Code>\
    <Message>Rate Limited</Message></apifault></detail></soap:Fault></soap:Body></soap:Envelope>";
const EXPIRED: &str = "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><soap:Fault>\
    <faultcode>q0:Security</faultcode><faultstring>Token Expired</faultstring></soap:Fault></soap:Body></soap:Envelope>";
const NO_REASON: &str = r#"{"message":"Unable to save rows for data extension ID x","errorcode":10006}"#;

#[tokio::test]
async fn throttled_with_status_500_waits_and_goes_on() {
    let desk = Desk::of(AUDIENCE).await;
    desk.sim.fail_next("soap.create", 500, THROTTLED, &[("content-type", "text/xml")]);
    let started = Instant::now();
    desk.subscriber("ann").await;
    assert!(started.elapsed() >= Duration::from_millis(100), "a little, as no time is told");
    assert_eq!(desk.sim.faults().calls("soap.create"), 2);
}

#[tokio::test]
async fn a_pace_that_one_call_is_told_holds_for_all() {
    let desk = Desk::of(AUDIENCE).await;
    let people: Vec<_> = ["ann", "ben", "cleo"].map(|name| desk.person(name)).into();
    desk.records(&people[0]).await.unwrap();
    desk.sim.fail_next("rowset", 429, r#"{"errorcode":50100,"retryAfter":60}"#, &[]);
    assert_eq!(desk.opt_in(None, &people[0], false).await, Err(Fault::RateLimited));
    let before = desk.sim.faults().calls("rowset");
    let others = join_all(people[1..].iter().map(|person| desk.opt_in(None, person, false))).await;
    assert!(others.iter().all(|result| *result == Err(Fault::RateLimited)), "{others:?}");
    assert_eq!(desk.sim.faults().calls("rowset"), before, "nobody asked");
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_once() {
    for operation in ["soap.retrieve.subscriber", "soap.create", "soap.update"] {
        let desk = Desk::of(AUDIENCE).await;
        let ann = desk.subscriber("ann").await;
        desk.sim.fail_next(operation, 500, EXPIRED, &[("content-type", "text/xml")]);
        let record = desk.record(&ann).await;
        assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
        let ben = desk.person("ben");
        assert_eq!(desk.opt_in(None, &ben, false).await, Ok(Written::Done));
        assert_eq!(desk.sim.faults().calls("token"), 2, "{operation}");
    }
    let desk = Desk::of(AUDIENCE).await;
    let ann = desk.subscriber("ann").await;
    desk.sim.revoke_tokens();
    desk.record(&ann).await;
    assert_eq!(desk.sim.faults().calls("token"), 2);
    desk.sim.fail_next("rowset", 401, r#"{"message":"Not Authorized","errorcode":0}"#, &[]);
    desk.subscriber("ben").await;
    assert_eq!(desk.sim.faults().calls("token"), 3);
}

#[tokio::test]
async fn rows_that_could_not_be_saved_for_no_reason_are_saved_again() {
    let desk = Desk::of(AUDIENCE).await;
    desk.sim.fail_next("rowset", 400, NO_REASON, &[("content-type", "application/json")]);
    desk.subscriber("ann").await;
    assert_eq!(desk.sim.faults().calls("rowset"), 2);
    assert!(desk.sim.row(PROFILES, "u-ann").is_some());
}

#[tokio::test]
async fn data_that_is_refused_is_told_and_the_status_counts_all_the_same() {
    let desk = Desk::of(AUDIENCE).await;
    let mut ann = desk.person("ann");
    // A column that the data extension doesn't have: the mapping is wrong.
    ann.fields[0].name = "Nickname".to_owned();
    assert_eq!(desk.opt_in(None, &ann, false).await, Err(Fault::Refused { code: 10006 }));
    // Nobody's opt-out waits until that is put right.
    let record = desk.record(&ann).await;
    assert!(record.consent.is_opted_in() && desk.differs(&record, &ann));
    assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
    assert!(!desk.sim.is_mailable("ann@example.org", None));
    // The opt-out of somebody whose row can't be written is no less an opt-out.
    let ben = desk.subscriber("ben").await;
    let record = desk.record(&ben).await;
    desk.sim.fail_next("rowset", 400, r#"{"message":"x","errorcode":10001}"#, &[]);
    assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
    assert!(!desk.sim.is_mailable("ben@example.org", None));
}

/// Of a rowset, the rows before the first bad one are saved, and which one that was isn't told. So every row is a
/// rowset of its own.
#[tokio::test]
async fn a_row_that_is_refused_takes_nobody_else_s_with_it() {
    let desk = Desk::of(AUDIENCE).await;
    let people: Vec<_> = ["ann", "ben", "cleo", "dan"].map(|name| desk.person(name)).into();
    desk.sim.fail_next("rowset", 400, r#"{"message":"x","errorcode":10001}"#, &[]);
    let results = join_all(people.iter().map(|person| desk.opt_in(None, person, false))).await;
    assert_eq!(results.iter().filter(|result| **result == Ok(Written::Done)).count(), 3, "{results:?}");
    for (person, result) in people.iter().zip(&results) {
        assert_eq!(desk.sim.row(PROFILES, person.uid.expose()).is_some(), result.is_ok());
    }
}

#[tokio::test]
async fn what_is_written_in_part_shows_and_is_finished() {
    let lines = "status_column = \"Status\"";
    let desk = Desk::with(&[AUDIENCE], lines, MarketingCloudSettings::default()).await;
    let ann = desk.person("ann");
    desk.sim.fail_next("rowset", 400, r#"{"message":"x","errorcode":10001}"#, &[]);
    assert_eq!(desk.opt_in(None, &ann, false).await, Err(Fault::Refused { code: 10001 }));
    let record = desk.record(&ann).await;
    assert!(record.consent.is_opted_in() && desk.differs(&record, &ann));
    assert_eq!(desk.update(&record, &ann).await, Ok(Written::Done));
    assert!(!desk.differs(&desk.record(&ann).await, &ann));

    desk.sim.fail_next("rowset", 400, r#"{"message":"x","errorcode":10001}"#, &[]);
    let record = desk.record(&ann).await;
    assert_eq!(desk.opt_out(&record).await, Err(Fault::Refused { code: 10001 }));
    let record = desk.record(&ann).await;
    assert_eq!(record.leftover, gigya_esp_gateway::esp::Leftover::Mailable);
    assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
    assert_eq!(desk.column("u-ann", "Status").as_deref(), Some("Unsubscribed"));
}

#[tokio::test]
async fn the_list_of_those_who_want_nothing_from_anybody_is_respected() {
    let desk = Desk::of("all-subscribers").await;
    let ann = desk.person("ann");
    desk.sim.unsubscribe_globally("ann@example.org");
    assert_eq!(desk.opt_in(None, &ann, false).await, Ok(Written::Held));
}

#[tokio::test]
async fn a_contact_that_is_being_deleted_is_not_there() {
    let desk = Desk::of("all-subscribers").await;
    let ann = desk.subscriber("ann").await;
    let record = desk.record(&ann).await;
    let delete = gigya_esp_gateway::domain::RemovalKind::Delete;
    assert_eq!(desk.remove(&record, delete).await, Ok(Written::Done));
    desk.clock.advance(jiff::SignedDuration::from_hours(1));
    assert!(desk.records(&ann).await.unwrap().is_empty());
    // Its key is blocked meanwhile; that passes.
    assert!(matches!(desk.opt_in(None, &ann, false).await, Err(Fault::Failing { .. })));
}

#[tokio::test]
async fn a_list_that_is_not_there_is_for_a_person_to_see_to() {
    let desk = Desk::of("publication-list:1234567").await;
    let result = desk.opt_in(None, &desk.person("ann"), false).await;
    assert_eq!(result, Err(Fault::Configuration { code: 13000 }));
}
