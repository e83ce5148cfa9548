//! Gigya's accounts read as a whole, page by page, from an index that is late.

use super::gigya::Gigya;
use gigya_esp_gateway::sandbox::gigya::GigyaSettings;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;

const ALL: &str = "SELECT UID, profile FROM accounts ORDER BY createdTimestamp LIMIT 2";

impl Gigya {
    async fn open(&self, query: &str) -> Value {
        let form = [("query", query), ("accountTypes", "full,lite"), ("openCursor", "true")];
        self.call("accounts.search", &form).await
    }

    async fn follow(&self, page: &Value) -> Value {
        let cursor = page["nextCursorId"].as_str().expect("a page before the last");
        self.call("accounts.search", &[("cursorId", cursor)]).await
    }

    /// The addresses of a page and of every page after it.
    async fn rest(&self, mut page: Value) -> Vec<String> {
        let mut found = addresses(&page);
        while page["nextCursorId"].is_string() {
            page = self.follow(&page).await;
            found.extend(addresses(&page));
        }
        found
    }
}

fn addresses(page: &Value) -> Vec<String> {
    let rows = page["results"].as_array().unwrap();
    assert_eq!(page["objectsCount"], rows.len());
    rows.iter().map(|row| row["profile"]["email"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn full_and_lite_accounts_are_found_page_by_page() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let mut all = Vec::new();
    for n in 0..3 {
        for (kind, is_lite) in [("full", false), ("lite", true)] {
            let address = format!("{kind}{n}@example.org");
            if is_lite {
                gigya.sim.sign_up_lite(&address)
            } else {
                gigya.sim.sign_up(&address, "")
            };
            all.push(address);
            gigya.clock.advance(SignedDuration::from_secs(1));
        }
    }
    let full = gigya.call("accounts.search", &[("query", ALL)]).await;
    assert_eq!((&full["objectsCount"], &full["totalCount"]), (&json!(2), &json!(3)), "full only by default");
    assert!(full["nextCursorId"].is_null(), "no cursor was opened");
    let first = gigya.open(ALL).await;
    assert_eq!(first["totalCount"], 6);
    assert_eq!(gigya.rest(first).await, all, "each once, and no cursor after the last page");
    let uids: std::collections::HashSet<_> = gigya.sim.accounts().into_iter().map(|account| account.uid).collect();
    assert_eq!(uids.len(), 6, "lite accounts have UIDs too");
}

#[tokio::test]
async fn accounts_are_found_that_changed_since_a_time() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let ann = gigya.sim.sign_up("ann@example.org", "ann");
    gigya.sim.sign_up("bob@example.org", "bob");
    gigya.clock.advance(SignedDuration::from_secs(10));
    let since = gigya.clock.now().as_millisecond();
    let query = format!("SELECT * FROM accounts WHERE lastUpdatedTimestamp >= {since} LIMIT 1000");
    assert_eq!(gigya.open(&query).await["totalCount"], 0);
    gigya.sim.unsubscribe(&ann, "newsletter");
    assert_eq!(gigya.rest(gigya.open(&query).await).await, ["ann@example.org"]);
}

#[tokio::test]
async fn a_page_that_failed_can_be_asked_for_again_for_five_minutes() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    for n in 0..7 {
        gigya.sim.sign_up(&format!("{n}@example.org"), "");
        gigya.clock.advance(SignedDuration::from_secs(1));
    }
    let first = gigya.open(ALL).await;
    let second = gigya.follow(&first).await;
    assert_eq!(addresses(&gigya.follow(&first).await), addresses(&second), "the same again");
    gigya.clock.advance(SignedDuration::from_secs(299));
    let third = gigya.follow(&second).await;
    assert_eq!(addresses(&third), ["4@example.org", "5@example.org"]);
    assert_eq!(gigya.follow(&first).await["errorCode"], 400_006, "but not the one before");
    gigya.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(gigya.follow(&third).await["errorCode"], 400_006, "the cursor is dead");
    assert_eq!(gigya.call("accounts.search", &[("cursorId", "made-up")]).await["errorCode"], 400_006);
}

#[tokio::test]
async fn a_cursor_shows_what_the_late_index_knew_when_it_was_opened() {
    let late = GigyaSettings { index_delay: Duration::from_secs(5), ..GigyaSettings::default() };
    let gigya = Gigya::with(late).await;
    let names = ["ann@example.org", "bob@example.org", "cid@example.org", "dan@example.org"];
    let uids = names.map(|name| {
        gigya.clock.advance(SignedDuration::from_secs(1));
        gigya.sim.sign_up(name, "")
    });
    gigya.clock.advance(SignedDuration::from_secs(6));
    gigya.sim.delete(&uids[2]);
    gigya.sim.change_email(&uids[3], "eva@example.org");
    gigya.sim.sign_up("new@example.org", "");
    let first = gigya.open(ALL).await;
    gigya.clock.advance(SignedDuration::from_secs(6));
    gigya.sim.delete(&uids[0]);
    assert_eq!(gigya.rest(first).await, names, "deleted, moved and new people are as they were");
    gigya.clock.advance(SignedDuration::from_secs(6));
    let now = ["bob@example.org", "eva@example.org", "new@example.org"];
    assert_eq!(gigya.rest(gigya.open(ALL).await).await, now);
}

#[tokio::test]
async fn searches_that_ask_for_too_much_are_refused() {
    let gigya = Gigya::with(GigyaSettings::default()).await;
    let strict = Gigya::with(GigyaSettings { most_rows: 1000, ..GigyaSettings::default() }).await;
    for (query, code, strict_code) in [
        ("SELECT * FROM accounts LIMIT 1000", 0, 0),
        ("SELECT * FROM accounts LIMIT 10000", 0, 400_006),
        ("SELECT * FROM accounts LIMIT 10001", 400_006, 400_006),
        ("SELECT * FROM accounts START 5 LIMIT 10", 400_006, 400_006),
    ] {
        assert_eq!(gigya.open(query).await["errorCode"], code, "{query}");
        assert_eq!(strict.open(query).await["errorCode"], strict_code, "{query}");
    }
    let both = [("cursorId", "x"), ("query", ALL)];
    assert_eq!(gigya.call("accounts.search", &both).await["errorCode"], 400_006);
    let types = [("query", ALL), ("accountTypes", "half")];
    assert_eq!(gigya.call("accounts.search", &types).await["errorCode"], 400_006);
}
