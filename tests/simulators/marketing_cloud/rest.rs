//! Tokens, rows, contact deletion.

use super::Account;
use gigya_esp_gateway::sandbox::Weather;
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;

const ROWSET: &str = "/hub/v1/dataevents/key:GIGYA_PROFILES/rowset";

fn row(key: &str, values: Value) -> Value {
    json!({ "keys": { "SubscriberKey": key }, "values": values })
}

#[tokio::test]
async fn a_token_is_given_for_credentials_and_a_business_unit() {
    let account = Account::new().await;
    let (status, answer) = account.ask_for_token(account.credentials()).await;
    assert_eq!((status, &answer["token_type"], &answer["expires_in"]), (200, &json!("Bearer"), &json!(1079)));
    for url in ["rest_instance_url", "soap_instance_url"] {
        assert_eq!(answer[url], format!("{}/", account.base), "with a slash at its end");
    }
    let other = |name: &str, value: &str| {
        let mut credentials = account.credentials();
        credentials[name] = value.into();
        credentials
    };
    let (status, refused) = account.ask_for_token(other("client_secret", "wrong")).await;
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
    assert!(refused["error_description"].is_string() && refused["errorcode"].is_null(), "in OAuth's shape");
    assert_eq!(account.ask_for_token(other("account_id", "5")).await.0, 400);
    assert_eq!(account.ask_for_token(other("grant_type", "password")).await.0, 400);
    let settings = account.sim.settings();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        settings.client_id, settings.client_secret
    );
    let request = reqwest::Client::new().post(format!("{}/v2/token", account.base)).body(form);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(answer.status(), 200, "a form is good, too");
    assert_eq!(account.sim.faults().calls("token"), 6);
}

#[tokio::test]
async fn a_token_is_good_for_a_while_and_not_without_a_scope() {
    let mut account = Account::new().await;
    let write = json!([row("ann", json!({ "FirstName": "Ann" }))]);
    assert_eq!(account.rest("POST", ROWSET, write.clone()).await.0, 200);
    account.clock.advance(SignedDuration::from_secs(1080));
    let (status, refused) = account.rest("POST", ROWSET, write.clone()).await;
    assert_eq!((status, &refused["errorcode"]), (401, &json!(0)));
    assert!(refused["message"].is_string() && refused["documentation"].is_string());
    let (status, fault) = account.soap("Create", &super::object("<SubscriberKey>ann</SubscriberKey>")).await;
    assert_eq!((status, super::values(&fault, "faultstring")), (500, vec!["Token Expired"]));
    account.log_in().await;
    assert_eq!(account.rest("POST", ROWSET, write.clone()).await.0, 200);
    account.sim.revoke_tokens();
    assert_eq!(account.rest("POST", ROWSET, write.clone()).await.0, 401);
    let mut credentials = account.credentials();
    credentials["scope"] = "".into();
    let answer = account.ask_for_token(credentials).await.1;
    account.token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(account.rest("POST", ROWSET, write).await.0, 403, "an empty scope is no right at all");
}

#[tokio::test]
async fn rows_before_a_bad_one_are_saved_and_those_after_it_are_not() {
    let account = Account::new().await;
    let rows = json!([
        row("ann", json!({ "EmailAddress": "ann@example.org", "Status": true })),
        row("bob", json!({ "EmailAddress": "not an address" })),
        row("cid", json!({ "EmailAddress": "cid@example.org" })),
    ]);
    let (status, refused) = account.rest("POST", ROWSET, rows).await;
    assert_eq!((status, &refused["errorcode"]), (400, &json!(10006)));
    let inside = &refused["additionalErrors"][0];
    assert_eq!(inside["errorcode"], 10000);
    assert!(inside["message"].as_str().unwrap().ends_with("Parse error [InvalidEmailAddress]"));
    let saved = ["ann", "bob", "cid"].map(|key| account.sim.row("GIGYA_PROFILES", key).is_some());
    assert_eq!(saved, [true, false, false]);
    assert_eq!(account.sim.row("GIGYA_PROFILES", "ann").unwrap()["Status"], "True");
}

#[tokio::test]
async fn a_row_needs_its_primary_key_known_columns_and_values() {
    let account = Account::new().await;
    let refused = async |row: Value| {
        let (status, refused) = account.rest("POST", ROWSET, json!([row])).await;
        assert_eq!(status, 400, "{refused}");
        let inside = refused["additionalErrors"][0]["errorcode"].as_i64();
        (refused["errorcode"].as_i64().unwrap(), inside)
    };
    assert_eq!(refused(json!({ "keys": { "Contact Key": "ann" }, "values": {} })).await, (10000, None));
    assert_eq!(refused(json!({ "keys": {}, "values": {} })).await, (10000, None));
    assert_eq!(refused(row("ann", json!({ "Shoe Size": "38" }))).await, (10006, Some(10000)));
    assert_eq!(refused(row("ann", json!({ "FirstName": null }))).await, (10006, Some(10005)));
    assert_eq!(refused(row("ann", json!({ "FirstName": ["Ann"] }))).await, (10001, None));
    assert_eq!(account.rest("POST", "/hub/v1/dataevents/key:OTHER/rowset", json!([])).await.0, 404);
    assert_eq!(account.rest("POST", "/hub/v1/nothing", json!([])).await.1["errorcode"], 30000);
}

#[tokio::test]
async fn a_row_is_upserted_by_its_path_and_keeps_other_columns() {
    let account = Account::new().await;
    account.rest("POST", ROWSET, json!([row("ann/1", json!({ "FirstName": "Ann", "Status": "in" }))])).await;
    let path = "/hub/v1/dataevents/key:GIGYA_PROFILES/rows/SubscriberKey:ann%2F1";
    let (status, answer) = account.rest("PUT", path, json!({ "values": { "FirstName": "" } })).await;
    assert_eq!((status, &answer["keys"]["SubscriberKey"]), (200, &json!("ann/1")));
    let row = account.sim.row("GIGYA_PROFILES", "ann/1").unwrap();
    assert_eq!((row["FirstName"].as_str(), row["Status"].as_str()), ("", "in"));
}

#[tokio::test]
async fn a_contact_is_hidden_and_its_key_blocked_until_it_is_gone() {
    let settings = MarketingCloudSettings {
        contact_delete_takes: Duration::from_mins(5),
        suppression: Duration::from_hours(48),
        ..MarketingCloudSettings::default()
    };
    // Tokens would expire on the way.
    let mut account = Account::with(settings).await;
    account.sim.import("ann", "ann@example.org", None, Status::Unsubscribed);
    account.rest("POST", ROWSET, json!([row("ann", json!({ "FirstName": "Ann" }))])).await;
    let delete = json!({ "values": ["ann"], "DeleteOperationType": "ContactAndAttributes" });
    let path = "/contacts/v1/contacts/actions/delete";
    let (status, answer) = account.rest("POST", &format!("{path}?type=keys"), delete).await;
    assert_eq!((status, &answer["operationInitiated"]), (200, &json!(true)));
    let status_path = format!("{path}/status?operationID={}", answer["operationID"]);
    let phases = async |account: &Account| {
        let answer = account.rest("GET", &status_path, Value::Null).await.1;
        let background = answer["backgroundOperationsSummary"][0]["backgroundOperationStatusID"].clone();
        [answer["operation"]["status"].clone(), background]
    };
    assert_eq!(phases(&account).await, ["Pending", "Processing"]);
    assert!(account.sim.subscriber("ann").is_some(), "still queued");

    account.clock.advance(SignedDuration::from_mins(6));
    assert_eq!(phases(&account).await, ["Completed", "Processing"]);
    let found = account.retrieve("Subscriber", &["ID"], &super::equals("SubscriberKey", "ann")).await;
    assert!(super::values(&found, "ID").is_empty());
    let back = "<SubscriberKey>ann</SubscriberKey><EmailAddress>ann@example.org</EmailAddress>";
    assert_eq!(account.upsert(back).await.as_deref(), Some("12010"));

    account.clock.advance(SignedDuration::from_hours(48));
    account.log_in().await;
    assert_eq!(phases(&account).await, ["Completed", "Completed"]);
    assert!(account.sim.row("GIGYA_PROFILES", "ann").is_none());
    assert_eq!(account.upsert(back).await, None);
    assert_eq!(account.sim.subscriber("ann").unwrap().status, Status::Active, "the old opt-out is gone, too");
}

#[tokio::test]
async fn too_many_calls_are_refused_in_each_hosts_own_way() {
    let account = Account::new().await;
    account.sim.faults().set(Weather { too_fast: 1.0, ..Weather::default() });
    let request = reqwest::Client::new().post(format!("{}{ROWSET}", account.base)).body("[]");
    let answer = request.bearer_auth(&account.token).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!((&body["errorcode"], &body["retryAfter"]), (&json!(50100), &json!(1)));
    let (status, fault) = account.soap("Create", "").await;
    assert_eq!((status, super::values(&fault, "Code")), (500, vec!["17"]));
    assert_eq!(account.ask_for_token(account.credentials()).await.0, 429);
}

#[tokio::test]
async fn the_next_answers_of_an_operation_can_be_scripted() {
    let account = Account::new().await;
    let body = json!({ "message": "Unable to save rows for data extension ID 1", "errorcode": 10006 }).to_string();
    account.sim.fail_next("rowset", 400, &body, &[]);
    account.sim.fail_next("rowset", 429, "{}", &[("Retry-After", "7")]);
    account.sim.fail_next("soap.create", 500, "<fault/>", &[]);
    let write = json!([row("ann", json!({}))]);
    let (status, answer) = account.rest("POST", ROWSET, write.clone()).await;
    assert_eq!((status, &answer["errorcode"]), (400, &json!(10006)));
    assert_eq!(account.rest("POST", ROWSET, write.clone()).await.0, 429);
    assert!(account.sim.row("GIGYA_PROFILES", "ann").is_none(), "nothing was done");
    assert_eq!(account.rest("POST", ROWSET, write).await.0, 200);
    assert_eq!(account.soap("Create", "").await, (500, "<fault/>".to_owned()));
    assert_eq!(account.sim.faults().calls("rowset"), 3);
}

#[tokio::test]
async fn a_package_may_do_what_its_scopes_say() {
    let mut settings = MarketingCloudSettings::default();
    settings.scopes.retain(|scope| scope != "event_notification_callback_create");
    let account = Account::with(settings).await;
    let (_, token) = account.ask_for_token(account.credentials()).await;
    let scopes = token["scope"].as_str().unwrap();
    assert!(scopes.contains("event_notification_callback_read") && !scopes.contains("callback_create"), "{scopes}");
    assert_eq!(account.rest("GET", "/platform/v1/ens-callbacks", Value::Null).await.0, 200);
    let (status, refused) = account.rest("POST", "/platform/v1/ens-callbacks", json!([])).await;
    assert_eq!((status, &refused["errorcode"]), (403, &json!(20000)));
}
