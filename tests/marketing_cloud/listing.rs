//! An audience as a whole: everybody whom a look finds is listed, and as the look finds them.

use crate::desk::{Desk, LIST, OTHER_LIST, PROFILES, address};
use gigya_esp_gateway::domain::{Audience, Consent};
use gigya_esp_gateway::esp::{Bookmark, Record};
use gigya_esp_gateway::sandbox::Weather;
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status, StockedContact};
use gigya_esp_gateway::upstream::Fault;
use std::collections::{BTreeMap, BTreeSet};

const EVERY: [&str; 5] = [
    "all-subscribers",
    "publication-list:69238",
    "all-subscribers+data-extension:GIGYA_PROFILES",
    "publication-list:69238+data-extension:GIGYA_PROFILES",
    "data-extension:GIGYA_PROFILES",
];
const STATUSES: [Status; 4] = [Status::Active, Status::Unsubscribed, Status::Bounced, Status::Held];

/// Every page's parts, by key; and how many pages there were.
async fn listed(desk: &Desk, audience: &str) -> (BTreeMap<String, Vec<Vec<u8>>>, usize) {
    let (audience, mut parts, mut from, mut pages) = (Audience::new(audience), BTreeMap::new(), None, 0);
    loop {
        let page = desk.esp.list(&audience, from.as_ref(), Desk::deadline()).await.unwrap();
        pages += 1;
        for part in page.parts {
            parts.entry(part.key.0.to_string()).or_insert_with(Vec::new).push(part.said);
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return (parts, pages),
        }
    }
}

/// What of a record both ways of reading must agree on. Names of fields compare without case.
fn told(record: &Record, fields: &[&str]) -> String {
    let field = |name: &&str| {
        let held = record.fields.iter().find(|(held, _)| held.eq_ignore_ascii_case(name));
        held.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let fields: Vec<_> = fields.iter().map(field).collect();
    format!(
        "{} {} {:?} {:?} {:?} {:?} {fields:?}",
        &record.key.0,
        record.address.expose(),
        record.uid.as_ref().map(|uid| uid.expose().to_owned()),
        record.consent,
        record.levels,
        record.leftover,
    )
}

#[tokio::test]
async fn who_is_listed_is_as_a_look_finds_them() {
    for audience in EVERY {
        for lines in ["", "status_column = \"Status\"", "uid_attribute = \"Gigya UID\""] {
            let settings = MarketingCloudSettings::default();
            let desk = Desk::with(&[audience], lines, settings).await;
            let field = if audience.contains("data-extension") { "FirstName" } else { "First Name" };
            let mut names = Vec::new();
            for (one, master) in STATUSES.into_iter().enumerate() {
                for (other, list) in [None].into_iter().chain(STATUSES.map(Some)).enumerate() {
                    for row in ["none", "plain", "Unsubscribed"] {
                        let name = format!("p{one}{other}{row}");
                        let at = desk.clock.now();
                        desk.sim.stock([StockedContact {
                            key: format!("u-{name}").into(),
                            email: address(&name).expose().to_owned(),
                            status: master,
                            attributes: vec![("First Name".into(), name.clone())],
                            lists: list
                                .map(|status| (LIST.into(), status))
                                .into_iter()
                                .chain([(OTHER_LIST.into(), Status::Active)])
                                .collect(),
                            at,
                        }]);
                        if row != "none" {
                            let (key, email) = (format!("u-{name}"), address(&name).expose().to_owned());
                            let columns = [("EmailAddress", email.as_str()), ("FirstName", &name), ("Status", row)];
                            desk.sim.stock_rows(PROFILES, [(key.as_str(), columns)]);
                        }
                        names.push(name);
                    }
                }
            }
            // Somebody who has a row, and isn't a subscriber yet.
            desk.sim
                .stock_rows(PROFILES, [("u-alone", [("EmailAddress", "alone@example.org"), ("FirstName", "alone")])]);
            names.push("alone".to_owned());
            let (listed, _) = listed(&desk, audience).await;
            for name in names {
                let found = desk.records(&desk.person(&name)).await.unwrap();
                let found = found.first().map(|record| told(record, &[field]));
                let parts: Vec<&[u8]> = listed
                    .get(&format!("u-{}", name.to_lowercase()))
                    .into_iter()
                    .flatten()
                    .map(Vec::as_slice)
                    .collect();
                let combined = desk.esp.combine(&Audience::new(audience), &parts);
                assert_eq!(combined.map(|record| told(&record, &[field])), found, "{audience}, {lines}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn many_are_read_by_as_few_calls_as_pages_go() {
    let desk = Desk::of("publication-list:69238+data-extension:GIGYA_PROFILES").await;
    let people = 6_000;
    let at = desk.clock.now();
    let key = |person: usize| format!("u-{person:05}");
    desk.sim.stock((0..people).map(|person| StockedContact {
        key: key(person).into(),
        email: format!("person-{person}@example.org"),
        status: Status::Active,
        attributes: Vec::new(),
        lists: vec![(LIST.into(), Status::Active)],
        at,
    }));
    let keys: Vec<String> = (0..people).map(key).collect();
    desk.sim.stock_rows(PROFILES, keys.iter().map(|key| (key.as_str(), [("EmailAddress", "any@example.org")])));
    let (listed, pages) = listed(&desk, "publication-list:69238+data-extension:GIGYA_PROFILES").await;
    assert_eq!(listed.len(), people);
    assert!(listed.values().all(|parts| parts.len() == 3));
    assert_eq!(pages, 9, "three pages for each of three places");
}

#[tokio::test]
async fn pages_may_be_shorter_than_was_asked_for() {
    let settings = MarketingCloudSettings { rows_a_page: 7, ..MarketingCloudSettings::default() };
    let desk = Desk::with(&["data-extension:GIGYA_PROFILES"], "", settings).await;
    let keys: Vec<String> = (0..40).map(|person| format!("u-{person:05}")).collect();
    desk.sim.stock_rows(PROFILES, keys.iter().map(|key| (key.as_str(), [("EmailAddress", "any@example.org")])));
    let (listed, pages) = listed(&desk, "data-extension:GIGYA_PROFILES").await;
    assert_eq!((listed.len(), pages), (40, 1 + 6), "one page without subscribers, and six of rows");
}

#[tokio::test]
async fn rows_that_end_too_early_or_are_not_counted_are_no_list() {
    let audience = Audience::new("data-extension:GIGYA_PROFILES");
    for body in [r#"{"count":12,"items":[]}"#, r#"{"items":[]}"#, "[]", ""] {
        let desk = Desk::of("data-extension:GIGYA_PROFILES").await;
        let rows = desk.esp.list(&audience, None, Desk::deadline()).await.unwrap().next.unwrap();
        for _ in 0..4 {
            desk.sim.fail_next("rows.read", 200, body, &[("content-type", "application/json")]);
        }
        let page = desk.esp.list(&audience, Some(&rows), Desk::deadline()).await;
        assert!(matches!(page, Err(Fault::Unavailable { .. })), "{body}: {page:?}");
    }
    let desk = Desk::of("data-extension:GIGYA_PROFILES").await;
    for mark in ["", "rows", "shelves/1", "rows/2", "rows/x+y", "rows/1+-1"] {
        let page = desk.esp.list(&audience, Some(&Bookmark::at(mark.to_owned())), Desk::deadline()).await;
        assert!(matches!(page, Err(Fault::Unavailable { .. })), "{mark}: {page:?}");
    }
}

/// What continues a retrieval is told once: if its answer is lost, the next call would get the page after it.
#[tokio::test]
async fn a_page_whose_answer_was_lost_is_not_asked_for_twice() {
    let desk = Desk::of("all-subscribers").await;
    let audience = Audience::new("all-subscribers");
    let at = desk.clock.now();
    desk.sim.stock(
        (0..6_000)
            .map(|person| StockedContact::active(&format!("u-{person}"), &format!("person-{person}@example.org"), at)),
    );
    let first = desk.esp.list(&audience, None, Desk::deadline()).await.unwrap();
    let second = first.next.unwrap();
    let calls = desk.sim.faults().all_calls();
    desk.sim.faults().set(Weather { error_after: 1.0, ..Weather::default() });
    assert!(desk.esp.list(&audience, Some(&second), Desk::deadline()).await.is_err());
    assert_eq!(desk.sim.faults().all_calls(), calls + 1);
    desk.sim.faults().set(Weather::default());
    // It begins anew from there, and then everybody is told of.
    let (mut from, mut keys) = (Some(Bookmark::at(second.anew.unwrap())), BTreeSet::new());
    while let Some(mark) = from {
        let page = desk.esp.list(&audience, Some(&mark), Desk::deadline()).await.unwrap();
        keys.extend(page.parts.into_iter().map(|part| part.key.0));
        from = page.next;
    }
    assert_eq!(keys.len(), 6_000);
}

#[tokio::test]
async fn who_was_read_twice_counts_as_out_in_doubt() {
    let audience = Audience::new("publication-list:69238");
    for out in [Some(LIST), None] {
        let desk = Desk::of("publication-list:69238").await;
        let ann = desk.subscriber("ann").await;
        let (before, _) = listed(&desk, "publication-list:69238").await;
        desk.sim.import("u-ann", "ann@example.org", out, Status::Unsubscribed);
        let (after, _) = listed(&desk, "publication-list:69238").await;
        let both = [&before["u-ann"][..], &after["u-ann"][..]];
        for order in [both, [both[1], both[0]]] {
            let parts: Vec<&[u8]> = order.concat().iter().map(|part| Vec::leak(part.clone()) as &[u8]).collect();
            let record = desk.esp.combine(&audience, &parts).unwrap();
            assert!(matches!(record.consent, Consent::OptedOut { .. }), "{record:?}");
        }
        assert_eq!(desk.record(&ann).await.key.0.as_ref(), "u-ann");
    }
}
