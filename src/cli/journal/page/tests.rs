//! What the document says, and that nothing in it comes alive.

use super::*;
use crate::domain::{ConnectionName, Email, Uid};
use crate::journal::{Broken, Verified};

const HOSTILE: &str = "<script>alert(1)</script>\"' onload=x &";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_750_000_000 + second).unwrap()
}

fn entry(change: Change) -> Entry {
    Entry {
        seq: 7,
        hash: "ab".repeat(32),
        change,
        was_found: false,
        written: at(3),
        connection: "main".to_owned(),
        direction: "gigya_to_esp".to_owned(),
        route: "main/newsletter -> news/LIST".to_owned(),
        acted: (Some(at(0)), Some(at(0))),
        received: Some(at(1)),
        accepted: Some(at(3)),
        call_id: Some("call-1".to_owned()),
        event: "event-1".to_owned(),
        request: "request-1".to_owned(),
        redeliveries: 0,
        redelivered: None,
    }
}

fn report(changes: Vec<Entry>) -> Report {
    let systems = [("main", "SAP Customer Data Cloud"), ("news", "Campaign Monitor")];
    Report {
        whom: Whom::Address(Email::parse("ann@example.org").unwrap()),
        made: at(9),
        systems: systems.map(|(name, system)| (name.to_owned(), system.to_owned())).into(),
        chain: Verified { receipts: 12, first: 1, last: 12, hash: "cd".repeat(32), ..Verified::default() },
        changes,
    }
}

#[test]
fn it_answers_when_the_opt_out_was_honoured() {
    let page = of(&report(vec![entry(Change::OptIn), entry(Change::OptOut)]));
    for told in [
        "<strong>ann@example.org</strong>",
        "took effect in Campaign Monitor (news) at <time datetime=\"2025-06-15T15:06:43Z\">2025-06-15 15:06:43.000 UTC</time>, \
         3.0 s after the person acted at most",
        "from SAP Customer Data Cloud (main) to Campaign Monitor (news)",
        "<code>call-1</code>",
        "All receipts of everybody (12) were read when this document was made, and the chain holds.",
        &"cd".repeat(32),
    ] {
        assert!(page.contains(told), "{told}\n{page}");
    }
    assert!(!page.contains("found in effect</span>") && !page.contains("class=\"broken\""));
}

#[test]
fn what_was_found_is_told_as_that() {
    let found = Entry { was_found: true, direction: "esp_to_gigya".to_owned(), ..entry(Change::OptOut) };
    let page = of(&report(vec![found]));
    assert!(page.contains("was found to be in effect in SAP Customer Data Cloud (main)"));
    assert!(page.contains("<span class=\"tag\">found in effect</span>") && page.contains("Seen in effect"));
    assert!(!page.contains("after the person acted at most"), "how long it took is not known");
}

#[test]
fn nothing_in_it_comes_alive() {
    let hostile = || HOSTILE.to_owned();
    let entry = Entry {
        hash: hostile(),
        connection: hostile(),
        direction: hostile(),
        route: format!("{HOSTILE}/{HOSTILE} -> {HOSTILE}"),
        call_id: Some(hostile()),
        event: hostile(),
        request: hostile(),
        ..entry(Change::OptOut)
    };
    let mut report = report(vec![entry]);
    report.whom = Whom::Account(ConnectionName::new(HOSTILE), Uid::new(HOSTILE).unwrap());
    report.systems.insert(HOSTILE.split('/').next().unwrap().to_owned(), hostile());
    report.chain.hash = hostile();
    let page = of(&report);
    assert!(!page.contains("<script") && !page.contains("\"' onload"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x &amp;"));
    for never in ["<script", "<link", "<img", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(never), "{never}");
    }
}

#[test]
fn a_broken_chain_is_told_at_the_top() {
    let mut report = report(vec![entry(Change::OptOut)]);
    let broken = |seq| Broken { seq, what: "its content is not what was written" };
    report.chain.broken = (0..25).map(broken).collect();
    let page = of(&report);
    let notice = page.find("Something in the journal is not as it was written").unwrap();
    assert!(notice < page.find("<article>").unwrap());
    assert!(page.contains("<li>place 19: its content is not what was written</li><li>and 5 more</li>"));
    assert!(page.contains("NOT verified") && page.contains("<strong>does not hold</strong>"));
}

#[test]
fn nothing_on_record_is_an_answer() {
    let page = of(&report(Vec::new()));
    assert!(page.contains("There is none on record.") && !page.contains("class=\"answer\""));
}

#[test]
fn what_is_not_known_is_not_made_up() {
    let unknown = Entry { acted: (None, None), received: None, accepted: None, call_id: None, ..entry(Change::OptOut) };
    let page = of(&report(vec![unknown]));
    assert!(page.contains("<dt>Person acted</dt><dd>not known</dd>") && page.contains("<dd class=\"took\">–</dd>"));
    let coarse = Entry { acted: (Some(at(0)), Some(at(60))), ..entry(Change::OptOut) };
    let page = of(&report(vec![coarse]));
    assert!(page.contains("between 2025-06-15 15:06:40.000 UTC and 2025-06-15 15:07:40.000 UTC"));
}
