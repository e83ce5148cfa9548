//! Campaign Monitor's lists, read as a whole and filled by imports.

use super::campaign_monitor::Esp;
use gigya_esp_gateway::sandbox::campaign_monitor::CampaignMonitorSettings;
use jiff::SignedDuration;
use serde_json::{Value, json};

impl Esp {
    async fn page(&self, state: &str, query: &str) -> (u16, Value) {
        self.call("GET", &format!("lists/{}/{state}.json?{query}", self.list), Value::Null).await
    }

    async fn import_all(&self, subscribers: Vec<Value>) -> (u16, Value) {
        let body = json!({ "Subscribers": subscribers, "Resubscribe": false });
        self.call("POST", &format!("subscribers/{}/import.json", self.list), body).await
    }
}

fn subscriber(n: usize) -> Value {
    json!({ "EmailAddress": format!("p{n:04}@example.org"), "Name": format!("N{}", 9999 - n), "ConsentToTrack": "Yes" })
}

fn names(page: &Value) -> Vec<String> {
    let rows = page["Results"].as_array().unwrap();
    assert_eq!(page["RecordsOnThisPage"], rows.len());
    rows.iter().map(|row| row["EmailAddress"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_is_read_state_by_state_and_page_by_page() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    assert_eq!(esp.import_all((0..35).map(subscriber).collect()).await.0, 201);
    assert!(esp.sim.unsubscribe_link(&esp.list, "p0003@example.org"));
    assert!(esp.sim.bounce(&esp.list, "p0004@example.org"));
    assert!(esp.sim.delete(&esp.list, "p0005@example.org"));
    let mut seen = Vec::new();
    for (number, size) in [(1, 10), (2, 10), (3, 10), (4, 2), (5, 0)] {
        let (status, page) = esp.page("active", &format!("page={number}&pagesize=10")).await;
        assert_eq!((status, names(&page).len()), (200, size));
        assert_eq!(page["TotalNumberOfRecords"], 32);
        let numbers = json!([page["PageNumber"], page["PageSize"], page["NumberOfPages"]]);
        assert_eq!(numbers, json!([number, 10, 4]));
        assert_eq!(json!([page["ResultsOrderedBy"], page["OrderDirection"]]), json!(["email", "asc"]));
        seen.extend(names(&page));
    }
    let all = (0..35).filter(|n| ![3, 4, 5].contains(n)).map(|n| format!("p{n:04}@example.org"));
    assert!(all.eq(seen), "each once, in order");
    for (state, who) in [("unsubscribed", 3), ("bounced", 4), ("deleted", 5)] {
        let page = esp.page(state, "").await.1;
        assert_eq!(names(&page), [format!("p000{who}@example.org")]);
        assert!(page["Results"][0]["State"].as_str().unwrap().eq_ignore_ascii_case(state));
    }
    assert_eq!(names(&esp.page("unconfirmed", "").await.1).len(), 0);
    let stats = esp.call("GET", &format!("lists/{}/stats.json", esp.list), Value::Null).await.1;
    let totals = ["TotalActiveSubscribers", "TotalUnsubscribes", "TotalBounces", "TotalDeleted"];
    assert_eq!(totals.map(|name| stats[name].as_u64().unwrap()), [32, 1, 1, 1]);
    assert_eq!(json!([stats["NewActiveSubscribersToday"], stats["UnsubscribesYesterday"]]), json!([32, 0]));
}

#[tokio::test]
async fn pages_are_ordered_and_cut_by_date_as_is_asked() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    for n in [2, 0, 1] {
        esp.import_all(vec![subscriber(n)]).await;
        esp.clock.advance(SignedDuration::from_hours(24));
    }
    let ordered = async |field: &str, direction: &str| {
        let page = esp.page("active", &format!("orderfield={field}&orderdirection={direction}")).await.1;
        names(&page).iter().map(|name| name[1..5].parse().unwrap()).collect::<Vec<u32>>()
    };
    assert_eq!(ordered("email", "desc").await, [2, 1, 0]);
    assert_eq!(ordered("name", "asc").await, [2, 1, 0]);
    assert_eq!(ordered("date", "asc").await, [2, 0, 1]);
    assert_eq!(ordered("date", "desc").await, [1, 0, 2]);
    let page = esp.page("active", "orderfield=date").await.1;
    let second = page["Results"][1]["Date"].as_str().unwrap();
    for (date, left) in [(&second[..10], 2), (&second[..16], 2), ("2999-01-01", 0), ("", 3)] {
        let since = esp.page("active", &format!("date={}", date.replace(' ', "%20"))).await.1;
        assert_eq!(names(&since).len(), left, "{date}");
        assert_eq!(since["TotalNumberOfRecords"], left, "{date}");
    }
    let shown = esp.page("active", "includetrackingpreference=true").await.1;
    assert_eq!(shown["Results"][0]["ConsentToTrack"], "Yes");
    assert_eq!(page["Results"][0]["ConsentToTrack"], Value::Null, "only where asked for");
}

#[tokio::test]
async fn pages_that_cannot_be_are_refused() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    for (query, code) in [
        ("page=0", 800),
        ("page=x", 800),
        ("pagesize=9", 801),
        ("pagesize=1001", 801),
        ("orderfield=shoe", 802),
        ("orderdirection=up", 803),
    ] {
        let (status, refused) = esp.page("active", query).await;
        assert_eq!((status, &refused["Code"]), (400, &json!(code)), "{query}");
    }
    assert_eq!(esp.page("painted", "").await.0, 404);
    assert_eq!(esp.call("GET", "lists/0000/active.json", Value::Null).await.0, 401);
    assert_eq!(esp.call("GET", "lists/0000/stats.json", Value::Null).await.0, 401);
}

#[tokio::test]
async fn an_import_of_many_does_what_it_can_and_tells_the_rest() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    assert_eq!(esp.import_all(Vec::new()).await.1["Code"], 212);
    assert_eq!(esp.import_all((0..1001).map(subscriber).collect()).await.1["Code"], 209);
    let (status, done) = esp.import_all((0..1000).map(subscriber).collect()).await;
    assert_eq!((status, &done["TotalNewSubscribers"]), (201, &json!(1000)));
    assert!(esp.sim.unsubscribe_link(&esp.list, "p0000@example.org"));
    let mixed = [0, 1, 2000, 2000].map(subscriber).into_iter().chain([json!({ "EmailAddress": "nobody" })]);
    let (status, told) = esp.import_all(mixed.collect()).await;
    assert_eq!((status, &told["Code"]), (400, &json!(210)));
    let result = &told["ResultData"];
    let codes: Vec<_> =
        result["FailureDetails"].as_array().unwrap().iter().map(|failure| failure["Code"].clone()).collect();
    assert_eq!(codes, [206, 1]);
    let counts = ["TotalUniqueEmailsSubmitted", "TotalExistingSubscribers", "TotalNewSubscribers"];
    assert_eq!(counts.map(|name| result[name].as_u64().unwrap()), [4, 1, 1]);
    assert_eq!(result["DuplicateEmailsInSubmission"], json!(["p2000@example.org"]));
    assert_eq!(esp.page("active", "pagesize=10").await.1["TotalNumberOfRecords"], 1000);
}
