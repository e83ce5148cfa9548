//! What each kind of audience holds, and what each write leaves behind.

use crate::desk::{Desk, LIST, OTHER_LIST, PROFILES, address};
use gigya_esp_gateway::domain::{Consent, OptOutReason, RemovalKind};
use gigya_esp_gateway::esp::{Leftover, Written};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status};
use jiff::SignedDuration;

const ALL: &str = "all-subscribers";
const ON_LIST: &str = "publication-list:69238";
const ALL_AND_ROW: &str = "all-subscribers+data-extension:GIGYA_PROFILES";
const LIST_AND_ROW: &str = "publication-list:69238+data-extension:GIGYA_PROFILES";
const ROW: &str = "data-extension:GIGYA_PROFILES";
const EVERY: [&str; 5] = [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW, ROW];

fn list_of(audience: &str) -> Option<&str> {
    audience.contains("publication-list").then_some(LIST)
}

fn is_out(consent: Consent) -> bool {
    matches!(consent, Consent::OptedOut { .. })
}

#[tokio::test]
async fn somebody_comes_with_their_fields_and_leaves() {
    for audience in EVERY {
        let desk = Desk::of(audience).await;
        assert!(desk.records(&desk.person("ann")).await.unwrap().is_empty());
        let ann = desk.subscriber("ann").await;
        let record = desk.record(&ann).await;
        assert!(record.consent.is_opted_in(), "{audience}");
        assert_eq!((record.uid.as_ref(), &record.address), (Some(&ann.uid), &ann.address), "{audience}");
        assert!(!desk.differs(&record, &ann), "{audience}: what was written is what is read");
        match audience {
            ROW | ALL_AND_ROW | LIST_AND_ROW => {
                assert_eq!(desk.column("u-ann", "FirstName").as_deref(), Some("ann"));
                assert_eq!(desk.column("u-ann", "EmailAddress").as_deref(), Some("ann@example.org"));
            }
            _ => assert_eq!(desk.held("ann").attribute("First Name"), Some("ann")),
        }
        if audience != ROW {
            assert!(desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
        }

        assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
        assert!(audience == ROW || !desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
        let left = desk.records(&ann).await.unwrap();
        assert!(left.iter().all(|record| !record.consent.is_opted_in()), "{audience}");
        assert!(left.iter().all(|record| record.leftover != Leftover::Mailable), "{audience}");
        assert_eq!(desk.sim.row(PROFILES, "u-ann").is_some(), audience.contains('+'), "{audience}");
        if audience.contains("publication-list") {
            assert_eq!(desk.held("ann").status, Status::Active, "everything else stays as it is");
        }
    }
}

#[tokio::test]
async fn somebody_who_opted_out_meanwhile_stays_out() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW] {
        let desk = Desk::of(audience).await;
        let ann = desk.person("ann");
        // Between the look, which found nobody, and the write.
        desk.sim.import("u-ann", "ann@example.org", list_of(audience), Status::Unsubscribed);
        assert_eq!(desk.opt_in(None, &ann, false).await, Ok(Written::Moved), "{audience}");
        assert!(!desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
        assert!(desk.sim.row(PROFILES, "u-ann").is_none(), "{audience}");
    }
    // Known, not on the list when looked at, and opted out of it since.
    let desk = Desk::of(ON_LIST).await;
    desk.sim.import("u-ann", "ann@example.org", None, Status::Active);
    let ann = desk.person("ann");
    let record = desk.record(&ann).await;
    assert_eq!((record.consent, record.leftover), (Consent::Unknown, Leftover::Nothing));
    desk.sim.import("u-ann", "ann@example.org", Some(LIST), Status::Unsubscribed);
    assert_eq!(desk.opt_in(Some(&record), &ann, false).await, Ok(Written::Moved));
    assert!(!desk.sim.is_mailable("ann@example.org", Some(LIST)));
}

#[tokio::test]
async fn a_newer_opt_in_is_written_over_an_opt_out() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW] {
        let desk = Desk::of(audience).await;
        let ann = desk.subscriber("ann").await;
        assert!(desk.sim.unsubscribe_link("ann@example.org", list_of(audience)), "{audience}");
        let record = desk.record(&ann).await;
        let left = record.consent.since().unwrap().latest().unwrap();
        assert!(desk.clock.now().duration_since(left).abs() < SignedDuration::from_secs(2), "local time is understood");
        assert_eq!(desk.opt_in(Some(&record), &ann, true).await, Ok(Written::Done), "{audience}");
        assert!(desk.record(&ann).await.consent.is_opted_in(), "{audience}");
        assert!(desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
    }
}

#[tokio::test]
async fn an_opt_out_of_everything_is_lifted_for_what_was_opted_in_to_only() {
    let audiences = [ON_LIST, "publication-list:70001"];
    let desk = Desk::with(&audiences, "", MarketingCloudSettings::default()).await;
    let ann = desk.subscriber("ann").await;
    // On another list of a route, and on one that the gateway has nothing to do with.
    desk.sim.import("u-ann", "ann@example.org", Some(OTHER_LIST), Status::Active);
    assert!(desk.sim.unsubscribe_link("ann@example.org", None));
    let record = desk.record(&ann).await;
    assert!(is_out(record.consent) && record.level("publication-list").is_opted_in());
    assert_eq!(desk.opt_in(Some(&record), &ann, true).await, Ok(Written::Done));
    assert!(desk.sim.is_mailable("ann@example.org", Some(LIST)));
    assert!(!desk.sim.is_mailable("ann@example.org", Some(OTHER_LIST)), "that was opted out of, too");
    assert_eq!(desk.held("ann").on_list(OTHER_LIST), Some(Status::Unsubscribed));

    // Where a route says what everything is, a list leaves it alone.
    let desk = Desk::with(&[ON_LIST, ALL], "", MarketingCloudSettings::default()).await;
    let ann = desk.subscriber("ann").await;
    desk.sim.unsubscribe_link("ann@example.org", None);
    let record = desk.record(&ann).await;
    assert_eq!(desk.opt_in(Some(&record), &ann, true).await, Ok(Written::Held));
    assert_eq!(desk.held("ann").status, Status::Unsubscribed);

    // A row can't lift it.
    let desk = Desk::of(ROW).await;
    desk.sim.import("u-ann", "ann@example.org", None, Status::Active);
    desk.sim.unsubscribe_link("ann@example.org", None);
    let ann = desk.person("ann");
    let record = desk.record(&ann).await;
    assert!(is_out(record.consent));
    assert_eq!(desk.opt_in(Some(&record), &ann, true).await, Ok(Written::Held));
    assert!(desk.sim.row(PROFILES, "u-ann").is_none());
}

#[tokio::test]
async fn a_status_column_says_what_the_status_says() {
    for audience in [ALL_AND_ROW, LIST_AND_ROW, ROW] {
        let desk = Desk::with(&[audience], "status_column = \"Status\"", MarketingCloudSettings::default()).await;
        let ann = desk.subscriber("ann").await;
        assert_eq!(desk.column("u-ann", "Status").as_deref(), Some("Active"), "{audience}");
        if audience == ROW {
            let record = desk.record(&ann).await;
            assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
        } else {
            // A link in a mail changes the status; the row is left behind, and shows.
            desk.sim.unsubscribe_link("ann@example.org", list_of(audience));
            let record = desk.record(&ann).await;
            assert!(is_out(record.consent));
            assert_eq!(record.leftover, Leftover::Mailable, "{audience}");
            let writes = desk.sim.faults().calls("soap.update");
            assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
            let after = desk.sim.faults().calls("soap.update");
            assert_eq!(after, writes, "written again, an opt-out might look like a later one");
        }
        assert_eq!(desk.column("u-ann", "Status").as_deref(), Some("Unsubscribed"), "{audience}");
        assert_eq!(desk.column("u-ann", "FirstName").as_deref(), Some("ann"), "{audience}: the rest stays");
        let record = desk.record(&ann).await;
        assert_eq!(record.leftover, Leftover::ForOptedOut, "{audience}");
        assert_eq!(desk.opt_in(Some(&record), &ann, true).await, Ok(Written::Done));
        assert_eq!(desk.column("u-ann", "Status").as_deref(), Some("Active"), "{audience}");
    }
}

#[tokio::test]
async fn a_row_without_a_subscriber_is_found_and_taken_out() {
    // A send to the data extension would make an active subscriber of it.
    for audience in [ALL_AND_ROW, LIST_AND_ROW] {
        let desk = Desk::of(audience).await;
        let ann = desk.subscriber("ann").await;
        desk.sim.administrator_deletes("ann@example.org");
        assert!(desk.sim.row(PROFILES, "u-ann").is_some());
        let record = desk.record(&ann).await;
        assert_eq!((record.consent, record.leftover), (Consent::Unknown, Leftover::Mailable), "{audience}");
        assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
        assert!(!desk.sim.is_mailable("ann@example.org", list_of(audience)));
        assert!(is_out(desk.record(&ann).await.consent), "{audience}: a mark that the next send finds");
    }
}

#[tokio::test]
async fn removing_takes_the_row_too_and_deletes_the_contact_only_where_the_route_says_so() {
    for audience in EVERY {
        for kind in [RemovalKind::Unsubscribe, RemovalKind::Delete] {
            let desk = Desk::of(audience).await;
            let ann = desk.subscriber("ann").await;
            let record = desk.record(&ann).await;
            assert_eq!(desk.remove(&record, kind).await, Ok(Written::Done), "{audience}");
            assert!(audience == ROW || !desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
            assert!(desk.sim.row(PROFILES, "u-ann").is_none(), "{audience}");
            let deletions = desk.sim.faults().calls("contact.delete");
            assert_eq!(deletions, u64::from(kind == RemovalKind::Delete), "{audience}");
        }
    }
}

#[tokio::test]
async fn a_changed_address_moves_the_subscriber_in_place() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW] {
        let desk = Desk::of(audience).await;
        let ann = desk.subscriber("ann").await;
        let id = desk.held("ann").id;
        let mut moved = ann.clone();
        moved.address = address("anna");
        let record = desk.record(&moved).await;
        assert!(desk.differs(&record, &moved));
        assert_eq!(desk.update(&record, &moved).await, Ok(Written::Done));
        assert_eq!((desk.held("ann").email.as_str(), desk.held("ann").id), ("anna@example.org", id), "the key stays");
        assert!(!desk.differs(&desk.record(&moved).await, &moved), "{audience}");
        assert!(desk.sim.subscribers_at("ann@example.org").is_empty());
    }
}

#[tokio::test]
async fn a_profile_update_opts_nobody_in() {
    for audience in [ALL, ON_LIST, ALL_AND_ROW, LIST_AND_ROW] {
        let desk = Desk::of(audience).await;
        let mut ann = desk.subscriber("ann").await;
        let record = desk.record(&ann).await;
        // They leave between the look and the write.
        desk.sim.unsubscribe_link("ann@example.org", list_of(audience));
        ann.fields[0].value = gigya_esp_gateway::esp::FieldValue::Text("Anna".to_owned());
        assert!(desk.differs(&record, &ann));
        assert_eq!(desk.update(&record, &ann).await, Ok(Written::Done));
        assert!(!desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
    }
}

#[tokio::test]
async fn a_row_that_says_out_by_now_is_not_updated_to_say_in() {
    for audience in [ROW, ALL_AND_ROW, LIST_AND_ROW] {
        let desk = Desk::with(&[audience], "status_column = \"Status\"", MarketingCloudSettings::default()).await;
        let ann = desk.subscriber("ann").await;
        let record = desk.record(&ann).await;
        assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
        assert_eq!(desk.update(&record, &ann).await, Ok(Written::Done));
        assert_eq!(desk.column("u-ann", "Status").as_deref(), Some("Unsubscribed"), "{audience}");
    }
    // Where the row alone counts, it may come back; whoever updates it is told to look again.
    assert!(Desk::of(ROW).await.updates_may_opt_in());
    assert!(!Desk::of(ALL_AND_ROW).await.updates_may_opt_in());
}

#[tokio::test]
async fn an_unsubscribe_can_be_logged() {
    for audience in [ALL, ON_LIST] {
        let lines = "unsubscribe_with = \"log-unsub-event\"";
        let desk = Desk::with(&[audience], lines, MarketingCloudSettings::default()).await;
        let ann = desk.subscriber("ann").await;
        let record = desk.record(&ann).await;
        assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
        assert!(!desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
        assert_eq!(desk.sim.faults().calls("soap.execute"), 1);
        assert_eq!(desk.opt_out(&record).await, Ok(Written::Done), "out already");
    }
}

#[tokio::test]
async fn a_second_record_goes_without_an_unsubscribe() {
    for audience in [ALL, ON_LIST, LIST_AND_ROW] {
        let settings = MarketingCloudSettings { api_unsubscribes_fire: true, ..MarketingCloudSettings::default() };
        let desk = Desk::with(&[audience], "", settings).await;
        desk.sim.register("http://127.0.0.1:9/");
        let ann = desk.subscriber("ann").await;
        let record = desk.record(&ann).await;
        assert_eq!(desk.discard(&record).await, Ok(Written::Done));
        assert!(!desk.sim.is_mailable("ann@example.org", list_of(audience)), "{audience}");
        assert!(desk.sim.row(PROFILES, "u-ann").is_none());
        assert_eq!(desk.sim.courier().pending(), 0, "nothing is called back about it");
    }
}

#[tokio::test]
async fn lists_that_tell_no_times_count_as_just_now() {
    let settings = MarketingCloudSettings { list_dates: false, ..MarketingCloudSettings::default() };
    let desk = Desk::with(&[ON_LIST], "", settings).await;
    let ann = desk.subscriber("ann").await;
    desk.sim.unsubscribe_link("ann@example.org", Some(LIST));
    for _ in 0..2 {
        match desk.record(&ann).await.consent {
            Consent::OptedOut { since, reason: OptOutReason::Unsubscribed } => assert_eq!(since.latest(), None),
            other => panic!("{other:?}"),
        }
    }
    let asked = desk.sim.faults().calls("soap.retrieve.listsubscriber");
    assert!(asked <= 6, "the refused question isn't asked again: {asked}");
}

#[tokio::test]
async fn somebody_held_for_bounces_is_opted_out_all_the_same() {
    let desk = Desk::of(ALL).await;
    let ann = desk.subscriber("ann").await;
    desk.sim.hold("ann@example.org");
    let record = desk.record(&ann).await;
    assert!(record.consent.is_opted_in(), "Marketing Cloud lifts that by itself");
    assert_eq!(desk.opt_out(&record).await, Ok(Written::Done));
    assert_eq!(desk.held("ann").status, Status::Unsubscribed);
}
