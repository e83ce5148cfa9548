//! Subscribers, lists and data extensions, read as a whole and filled by many at once.

use super::{Account, LIST, equals, object, simple, values};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;

const READ: &str = "/data/v1/customobjectdata/key/GIGYA_PROFILES/rowset";
const LATER: &str = "/data/v1/async/dataextensions/key:GIGYA_PROFILES/rows";
const ROWSET: &str = "/hub/v1/dataevents/key:GIGYA_PROFILES/rowset";

impl Account {
    /// What an element says in every object, page after page.
    pub async fn retrieve_all(&self, object: &str, property: &str, filter: &str) -> Vec<String> {
        let mut page = self.retrieve(object, &[property], filter).await;
        let mut found = Vec::new();
        loop {
            found.extend(values(&page, property).into_iter().map(ToOwned::to_owned));
            if values(&page, "OverallStatus") == ["OK"] {
                return found;
            }
            assert_eq!(values(&page, "OverallStatus"), ["MoreDataAvailable"]);
            page = self.follow(values(&page, "RequestID")[0]).await;
        }
    }

    async fn follow(&self, request: &str) -> String {
        let next = format!("<RetrieveRequest><ContinueRequest>{request}</ContinueRequest></RetrieveRequest>");
        self.soap("Retrieve", &next).await.1
    }
}

#[tokio::test]
async fn everybody_on_a_list_is_retrieved_in_batches() {
    let account = Account::new().await;
    for n in 0..3_000 {
        let (list, status) = ((n % 2 == 0).then_some(LIST), [Status::Active, Status::Unsubscribed][n / 2 % 2]);
        account.sim.import(&format!("n{n:04}"), &format!("n{n}@example.org"), list, status);
    }
    let all = account.retrieve_all("Subscriber", "SubscriberKey", "").await;
    assert!((0..3_000).map(|n| format!("n{n:04}")).eq(all), "each once, in order");
    assert_eq!(account.retrieve_all("ListSubscriber", "SubscriberKey", &equals("ListID", LIST)).await.len(), 1_500);
    assert_eq!(account.retrieve_all("ListSubscriber", "ListID", "").await.len(), 4_500);
    let out = equals("Status", "Unsubscribed");
    assert_eq!(account.retrieve_all("Subscriber", "SubscriberKey", &out).await.len(), 750);
    let some = simple("SubscriberKey", "IN", &["n0005", "n0001", "nobody", "n0001"]);
    let some = format!("<Filter xsi:type=\"SimpleFilterPart\">{some}</Filter>");
    assert_eq!(account.retrieve_all("Subscriber", "SubscriberKey", &some).await, ["n0001", "n0005"]);
}

#[tokio::test]
async fn a_batch_that_was_lost_cannot_be_asked_for_again() {
    let account = Account::new().await;
    for n in 0..7_000 {
        account.sim.import(&format!("n{n:04}"), &format!("n{n}@example.org"), None, Status::Active);
    }
    let first = account.retrieve("Subscriber", &["SubscriberKey"], "").await;
    let request = values(&first, "RequestID")[0];
    let lost = account.follow(request).await;
    account.sim.administrator_deletes("n6000@example.org");
    let next = account.follow(request).await;
    assert_eq!(values(&lost, "SubscriberKey")[0], "n2500");
    assert_eq!(values(&next, "SubscriberKey")[0], "n5000");
    assert_eq!(values(&next, "SubscriberKey").len(), 1_999, "who is gone by now isn't told");
    let ended = account.follow(request).await;
    assert!(values(&ended, "OverallStatus")[0].starts_with("Error"), "{ended}");
}

#[tokio::test]
async fn objects_are_found_by_when_they_changed() {
    let account = Account::new().await;
    for name in ["ann", "bob"] {
        account.sim.import(name, &format!("{name}@example.org"), Some(LIST), Status::Active);
        account.clock.advance(SignedDuration::from_secs(60));
    }
    let dates = account.retrieve_all("ListSubscriber", "ModifiedDate", &equals("ListID", LIST)).await;
    for (operator, wanted) in
        [("greaterThan", vec!["bob"]), ("greaterThanOrEqual", vec!["ann", "bob"]), ("lessThan", vec![])]
    {
        let since = format!(
            "<Property>ModifiedDate</Property><SimpleOperator>{operator}</SimpleOperator><DateValue>{}</DateValue>",
            dates[0]
        );
        let filter = format!(
            "<Filter xsi:type=\"ComplexFilterPart\"><LeftOperand xsi:type=\"SimpleFilterPart\">{}</LeftOperand>\
             <LogicalOperator>AND</LogicalOperator><RightOperand xsi:type=\"SimpleFilterPart\">{since}</RightOperand>\
             </Filter>",
            simple("ListID", "equals", &[LIST])
        );
        assert_eq!(account.retrieve_all("ListSubscriber", "SubscriberKey", &filter).await, wanted, "{operator}");
    }
}

#[tokio::test]
async fn many_subscribers_are_created_in_one_request_with_a_result_each() {
    let account = Account::new().await;
    account.sim.import("bob", "bob@example.org", None, Status::Unsubscribed);
    let one = |key: &str, address: &str| {
        object(&format!("<SubscriberKey>{key}</SubscriberKey><EmailAddress>{address}</EmailAddress>"))
    };
    let all = [one("ann", "ann@example.org"), one("bob", "bob@example.org"), one("cid", "nonsense")].concat();
    let (status, answer) = account.soap("Create", &all).await;
    assert_eq!((status, values(&answer, "OverallStatus")), (200, vec!["Has Errors"]));
    assert_eq!(values(&answer, "StatusCode"), ["OK", "Error", "Error"]);
    assert_eq!(values(&answer, "ErrorCode"), ["12014", "12000"]);
    assert_eq!(values(&answer, "OrdinalID"), ["0", "1", "2"]);
    assert_eq!(account.sim.subscriber("bob").unwrap().status, Status::Unsubscribed);
}

#[tokio::test]
async fn rows_are_read_page_by_page() {
    let account = Account::new().await;
    let row = |n: usize| json!({ "keys": { "SubscriberKey": format!("n{n:02}") }, "values": { "EmailAddress": format!("n{n}@example.org") } });
    let rows: Value = (0..25).map(row).collect();
    assert_eq!(account.rest("POST", ROWSET, rows).await.0, 200);
    let (status, first) = account.rest("GET", &format!("{READ}?$page=1&$pagesize=10"), Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(json!([first["count"], first["page"], first["pageSize"]]), json!([25, 1, 10]));
    let shown = json!({
        "keys": { "subscriberkey": "n00" },
        "values": { "emailaddress": "n0@example.org", "firstname": "", "status": "" },
    });
    assert_eq!(first["items"][0], shown, "names in small letters");
    let mut page = first;
    let mut seen = Vec::new();
    loop {
        let keys = page["items"].as_array().unwrap().iter();
        seen.extend(keys.map(|item| item["keys"]["subscriberkey"].as_str().unwrap().to_owned()));
        let Some(next) = page["links"]["next"].as_str().map(ToOwned::to_owned) else { break };
        page = account.rest("GET", &format!("/data{next}"), Value::Null).await.1;
    }
    assert!((0..25).map(|n| format!("n{n:02}")).eq(seen));
    let third = account.rest("GET", &format!("{READ}?$page=3&$pagesize=10"), Value::Null).await.1;
    assert_eq!(third["items"].as_array().unwrap().len(), 5);
    let beyond = account.rest("GET", &format!("{READ}?$page=4&$pagesize=10"), Value::Null).await.1;
    assert_eq!(beyond["items"], json!([]));
    assert_eq!(account.rest("GET", READ, Value::Null).await.1["pageSize"], 2_500);
    for wrong in ["$pagesize=2501", "$page=0", "$pagesize=x"] {
        assert_eq!(account.rest("GET", &format!("{READ}?{wrong}"), Value::Null).await.0, 400, "{wrong}");
    }
    assert_eq!(account.rest("GET", "/data/v1/customobjectdata/key/OTHER/rowset", Value::Null).await.0, 404);
    assert_eq!(account.sim.faults().calls("rows.read"), 10);
}

#[tokio::test]
async fn rows_can_be_written_later() {
    let settings =
        MarketingCloudSettings { async_rows_take: Duration::from_mins(1), ..MarketingCloudSettings::default() };
    let account = Account::with(settings).await;
    let items = json!({ "items": [
        { "SubscriberKey": "ann", "EmailAddress": "ann@example.org" },
        { "SubscriberKey": "bob", "EmailAddress": "nonsense" },
        { "SubscriberKey": "cid", "FirstName": "Cid" },
    ] });
    let (status, taken) = account.rest("PUT", LATER, items.clone()).await;
    assert_eq!(status, 202);
    let path = format!("/data/v1/async/{}", taken["requestId"].as_str().unwrap());
    let pending = account.rest("GET", &format!("{path}/status"), Value::Null).await.1;
    assert_eq!(pending["status"]["requestStatus"], "Pending");
    assert!(account.sim.row("GIGYA_PROFILES", "ann").is_none(), "not yet");
    account.clock.advance(SignedDuration::from_secs(61));
    let done = account.rest("GET", &format!("{path}/status"), Value::Null).await.1;
    assert_eq!(json!([done["status"]["requestStatus"], done["status"]["hasErrors"]]), json!(["Complete", true]));
    let results = account.rest("GET", &format!("{path}/results"), Value::Null).await.1;
    let statuses: Vec<_> = results["items"].as_array().unwrap().iter().map(|item| item["status"].clone()).collect();
    assert_eq!(statuses, ["OK", "Error", "OK"]);
    assert_eq!(account.sim.row("GIGYA_PROFILES", "cid").unwrap()["FirstName"], "Cid");
    let (status, unknown) = account.rest("PUT", "/data/v1/async/dataextensions/key:OTHER/rows", items).await;
    assert_eq!((status, &unknown["resultMessages"][0]["resultCode"]), (200, &json!("CustomObjectNotFound")));
    let (status, unknown) = account.rest("GET", "/data/v1/async/no-such/status", Value::Null).await;
    assert_eq!((status, &unknown["resultMessages"][0]["resultCode"]), (200, &json!("AsyncRequestStatusNotFound")));
}
