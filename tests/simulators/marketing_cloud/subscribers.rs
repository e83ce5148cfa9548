//! The SOAP calls about subscribers, lists and rows.

use super::{Account, LIST, OTHER_LIST, equals, object, simple, values};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Status};
use serde_json::json;

const ANN: &str = "<SubscriberKey>ann</SubscriberKey><EmailAddress>ann@example.org</EmailAddress>";

/// Ann with more to write.
fn ann(more: &str) -> String {
    format!("{ANN}{more}")
}

fn on_list(list: &str, action: &str, status: &str) -> String {
    ann(&format!("<Lists><ID>{list}</ID><Action>{action}</Action><Status>{status}</Status></Lists>"))
}

#[tokio::test]
async fn create_update_and_delete_say_whether_there_was_anybody() {
    let account = Account::new().await;
    assert_eq!(account.write("Update", &object(ANN)).await.as_deref(), Some("12015"));
    assert_eq!(account.write("Delete", &object(ANN)).await.as_deref(), Some("12001"));
    let (_, created) = account.soap("Create", &object(ANN)).await;
    let id = account.sim.subscriber("ann").unwrap().id.to_string();
    assert_eq!(values(&created, "StatusMessage"), ["Created Subscriber."]);
    assert_eq!(values(&created, "NewID"), [id.as_str()]);
    assert_eq!(values(&created, "OverallStatus"), ["OK"]);
    assert_eq!(account.write("Create", &object(ANN)).await.as_deref(), Some("12014"));
    assert_eq!(account.upsert(ANN).await, None, "with UpdateAdd");
    assert_eq!(account.write("Update", &object(ANN)).await, None);
    assert_eq!(account.write("Delete", &object(ANN)).await, None);
    assert!(account.sim.subscriber("ann").is_none());
    let (_, mixed) = account.soap("Delete", &(object(ANN) + &object(ANN))).await;
    assert_eq!(values(&mixed, "OverallStatus"), ["Error"]);
    let both = object(ANN) + &object("<SubscriberKey>bob</SubscriberKey><EmailAddress>bob</EmailAddress>");
    let (_, mixed) = account.soap("Create", &both).await;
    assert_eq!((values(&mixed, "OverallStatus"), values(&mixed, "ErrorCode")), (vec!["Has Errors"], vec!["12000"]));
    assert_eq!(values(&mixed, "OrdinalID"), ["0", "1"]);
}

#[tokio::test]
async fn a_status_without_lists_is_for_everything() {
    let account = Account::new().await;
    let now = || account.sim.subscriber("ann").unwrap();
    account.upsert(ANN).await;
    assert_eq!((now().status, now().unsubscribed), (Status::Active, None));
    account.upsert(&ann("<Status>Unsubscribed</Status>")).await;
    let since = now().unsubscribed;
    assert!(since.is_some() && !account.sim.is_mailable("ann@example.org", None));
    account.upsert(&ann("<Attributes><Name>First Name</Name><Value>A &amp; B</Value></Attributes>")).await;
    assert_eq!((now().status, now().unsubscribed), (Status::Unsubscribed, since), "no status, no change");
    assert_eq!(now().attribute("First Name"), Some("A & B"));
    account.upsert(&ann("<Status>Active</Status>")).await;
    assert_eq!((now().status, now().unsubscribed), (Status::Active, None));
}

#[tokio::test]
async fn each_list_has_a_status_of_its_own() {
    let account = Account::new().await;
    let now = || account.sim.subscriber("ann").unwrap();
    account.upsert(ANN).await;
    assert_eq!(account.upsert(&on_list(LIST, "Update", "Unsubscribed")).await.as_deref(), Some("12009"));
    assert_eq!(account.upsert(&on_list(LIST, "Create", "Active")).await, None);
    assert_eq!(account.upsert(&on_list(LIST, "Create", "Active")).await.as_deref(), Some("12014"));
    assert_eq!(account.upsert(&on_list(OTHER_LIST, "Upsert", "Active")).await, None);
    assert_eq!(account.upsert(&on_list(LIST, "Update", "Unsubscribed")).await, None);
    assert_eq!((now().status, now().on_list(LIST)), (Status::Active, Some(Status::Unsubscribed)));
    assert_eq!(now().on_list(OTHER_LIST), Some(Status::Active));
    assert!(account.sim.is_mailable("ann@example.org", None));
    assert!(!account.sim.is_mailable("ann@example.org", Some(LIST)));
    assert_eq!(account.upsert(&on_list(LIST, "Delete", "Active")).await, None);
    assert_eq!(now().on_list(LIST), None);
    assert_eq!(account.upsert(&on_list("404", "Upsert", "Active")).await.as_deref(), Some("13000"));
}

#[tokio::test]
async fn what_is_not_valid_is_refused_with_its_code() {
    let account = Account::new().await;
    let attribute = "<Attributes><Name>Shoe Size</Name><Value>38</Value></Attributes>";
    assert_eq!(account.upsert(&ann(attribute)).await.as_deref(), Some("12004"));
    assert_eq!(account.upsert(&ann("<Status>Bounced</Status>")).await.as_deref(), Some("12016"));
    assert!(account.sim.subscriber("ann").is_none(), "nothing was done");
    account.sim.unsubscribe_globally("ann@example.org");
    assert_eq!(account.upsert(ANN).await.as_deref(), Some("12003"));
    let nonsense = ann("<Status>Sleepy</Status>");
    assert_eq!(account.soap("Create", &object(&nonsense)).await, (400, "Bad Request".to_owned()));
    assert_eq!(account.soap_text("Create", "<Envelope>".to_owned()).await, (400, "Bad Request".to_owned()));
    assert_eq!(account.soap("Describe", "").await.0, 400);
}

#[tokio::test]
async fn another_address_under_the_same_key_is_the_same_person_and_no_longer_held() {
    let account = Account::new().await;
    account.upsert(ANN).await;
    let before = account.sim.subscriber("ann").unwrap();
    assert!(account.sim.hold("ann@example.org"));
    assert!(!account.sim.is_mailable("ann@example.org", None));
    account.upsert("<SubscriberKey>ann</SubscriberKey><EmailAddress>new@example.org</EmailAddress>").await;
    let after = account.sim.subscriber("ann").unwrap();
    assert_eq!((after.id, after.status, after.email.as_str()), (before.id, Status::Active, "new@example.org"));
}

#[tokio::test]
async fn a_retrieve_tells_what_is_asked_for_in_the_platforms_time() {
    let account = Account::new().await;
    account.upsert(&ann("<Attributes><Name>Last Name</Name><Value>Ångström</Value></Attributes>")).await;
    let properties = ["ID", "SubscriberKey", "Status", "UnsubscribedDate", "Client.ID"];
    let found = account.retrieve("Subscriber", &properties, &equals("EmailAddress", "ANN@example.org")).await;
    assert_eq!((values(&found, "SubscriberKey"), values(&found, "Status")), (vec!["ann"], vec!["Active"]));
    assert!(values(&found, "UnsubscribedDate").is_empty() && values(&found, "EmailAddress").is_empty());
    assert_eq!(values(&found, "Value"), ["Ångström"], "attributes are told unasked");
    assert!(found.contains("<Client><ID>100001</ID></Client>"));
    account.upsert(&ann("<Status>Unsubscribed</Status>")).await;
    let id = account.sim.subscriber("ann").unwrap().id.to_string();
    let found = account.retrieve("Subscriber", &properties, &equals("ID", &id)).await;
    let since = account.sim.subscriber("ann").unwrap().unsubscribed.unwrap();
    let told: jiff::civil::DateTime = values(&found, "UnsubscribedDate")[0].parse().unwrap();
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(-6));
    let told = zone.to_timestamp(told).unwrap();
    assert_eq!(told.as_millisecond(), since.as_millisecond());
    let refused = account.retrieve("Subscriber", &["ID", "Shoe"], "").await;
    let status = "Error: The Request Property(s) Shoe do not match with the fields of Subscriber retrieve";
    assert_eq!(values(&refused, "OverallStatus"), [status]);
    let refused = account.retrieve("Shoe", &["ID"], "").await;
    assert!(values(&refused, "OverallStatus")[0].starts_with("Error: Unable to find a handler for object type: Shoe"));
}

#[tokio::test]
async fn a_retrieve_filters_by_values_and_by_other_filters() {
    let account = Account::new().await;
    for (key, list) in [("ann", LIST), ("bob", LIST), ("cid", OTHER_LIST)] {
        account.sim.import(key, &format!("{key}@example.org"), Some(list), Status::Active);
    }
    let found = async |filter: String| {
        let found = account.retrieve("ListSubscriber", &["SubscriberKey", "ListID", "Status"], &filter).await;
        values(&found, "SubscriberKey").join(" ")
    };
    let part = |name: &str, text: &str| format!("<{name} xsi:type=\"SimpleFilterPart\">{text}</{name}>");
    let list = |name: &str| part(name, &simple("ListID", "equals", &[LIST]));
    let people = part("RightOperand", &simple("SubscriberKey", "IN", &["bob", "cid"]));
    let complex = |operator: &str, more: &str| {
        let operands = format!("{}<LogicalOperator>{operator}</LogicalOperator>{people}{more}", list("LeftOperand"));
        format!("<Filter xsi:type=\"ComplexFilterPart\">{operands}</Filter>")
    };
    assert_eq!(found(equals("ListID", LIST)).await, "ann bob");
    assert_eq!(found(equals("ListID", "1")).await, "ann bob cid", "everybody is on All Subscribers");
    assert_eq!(found(complex("AND", "")).await, "bob");
    let nested = format!(
        "<Filter xsi:type=\"ComplexFilterPart\"><LeftOperand xsi:type=\"ComplexFilterPart\">{}<LogicalOperator>AND\
         </LogicalOperator>{people}</LeftOperand><LogicalOperator>OR</LogicalOperator>{}</Filter>",
        list("LeftOperand"),
        part("RightOperand", &simple("ListID", "equals", &[OTHER_LIST])),
    );
    assert_eq!(found(nested).await, "bob cid");
    let untyped = format!("<Filter>{}</Filter>", simple("ListID", "equals", &[LIST]));
    let asked = format!("<ObjectType>ListSubscriber</ObjectType><Properties>ID</Properties>{untyped}");
    let (status, _) = account.soap("Retrieve", &format!("<RetrieveRequest>{asked}</RetrieveRequest>")).await;
    assert_eq!(status, 400);
    let lists = account.retrieve("List", &["ID", "ListName"], "").await;
    assert_eq!(values(&lists, "ID"), ["1", LIST, OTHER_LIST]);
}

#[tokio::test]
async fn places_on_lists_have_dates_or_asking_for_them_is_an_error() {
    for list_dates in [true, false] {
        let settings = MarketingCloudSettings { list_dates, ..MarketingCloudSettings::default() };
        let account = Account::with(settings).await;
        account.sim.import("ann", "ann@example.org", Some(LIST), Status::Active);
        let properties = ["Status", "ModifiedDate"];
        let found = account.retrieve("ListSubscriber", &properties, &equals("ListID", LIST)).await;
        assert_eq!(values(&found, "ModifiedDate").len(), usize::from(list_dates));
        let refused =
            "Error: The Request Property(s) ModifiedDate do not match with the fields of ListSubscriber retrieve";
        assert_eq!(values(&found, "OverallStatus"), [if list_dates { "OK" } else { refused }]);
    }
}

#[tokio::test]
async fn long_answers_come_page_by_page() {
    let account = Account::new().await;
    for n in 0..5_001 {
        account.sim.import(&format!("n{n:04}"), &format!("n{n}@example.org"), None, Status::Active);
    }
    let mut page = account.retrieve("Subscriber", &["SubscriberKey"], "").await;
    let mut sizes = vec![values(&page, "SubscriberKey").len()];
    while values(&page, "OverallStatus") == ["MoreDataAvailable"] {
        let next = format!("<ContinueRequest>{}</ContinueRequest>", values(&page, "RequestID")[0]);
        page = account.soap("Retrieve", &format!("<RetrieveRequest>{next}</RetrieveRequest>")).await.1;
        sizes.push(values(&page, "SubscriberKey").len());
    }
    assert_eq!(sizes, [2_500, 2_500, 1]);
    assert_eq!(values(&page, "OverallStatus"), ["OK"]);
}

#[tokio::test]
async fn rows_are_read_and_deleted_by_soap() {
    let account = Account::new().await;
    let rows = json!([{ "keys": { "SubscriberKey": "ann" }, "values": { "FirstName": "A<n>n", "Status": false } }]);
    account.rest("POST", "/hub/v1/dataevents/key:GIGYA_PROFILES/rowset", rows).await;
    let filter = equals("SubscriberKey", "ann");
    let columns = ["FirstName", "Status", "EmailAddress"];
    let found = account.retrieve("DataExtensionObject[GIGYA_PROFILES]", &columns, &filter).await;
    assert_eq!(values(&found, "Name"), columns);
    assert_eq!(values(&found, "Value"), ["A&lt;n&gt;n", "False", ""]);
    let delete = |key: &str| {
        format!(
            "<Options/><Objects xsi:type=\"DataExtensionObject\"><CustomerKey>GIGYA_PROFILES</CustomerKey><Keys><Key>\
             <Name>SubscriberKey</Name><Value>{key}</Value></Key></Keys></Objects>"
        )
    };
    assert_eq!(account.write("Delete", &delete("ann")).await, None);
    assert!(account.sim.row("GIGYA_PROFILES", "ann").is_none());
    assert_eq!(account.write("Delete", &delete("ann")).await, None, "what isn't there is deleted, too");
    assert_eq!(account.sim.faults().calls("soap.delete"), 2);
    assert_eq!(account.sim.faults().calls("soap.retrieve.row"), 1);
}

#[tokio::test]
async fn an_opt_out_is_logged_for_a_list_or_for_everything() {
    let account = Account::new().await;
    account.sim.import("ann", "ann@example.org", Some(LIST), Status::Active);
    let log = async |parameters: &[(&str, &str)]| {
        let parameter = |(name, value): &(&str, &str)| {
            format!("<Parameters><Name>{name}</Name><Value>{value}</Value></Parameters>")
        };
        let parameters: String = parameters.iter().map(parameter).collect();
        let (status, answer) =
            account.soap("Execute", &format!("<Requests><Name>LogUnsubEvent</Name>{parameters}</Requests>")).await;
        assert_eq!(status, 200);
        let code = values(&answer, "ErrorCode").first().map(|&code| code.to_owned());
        code.unwrap_or_else(|| values(&answer, "StatusMessage")[0].to_owned())
    };
    assert_eq!(log(&[("Shoe", "38")]).await, "402");
    assert_eq!(log(&[("Reason", "preference")]).await, "403");
    assert_eq!(log(&[("EmailAddress", "ann@example.org")]).await, "404");
    assert_eq!(log(&[("SubscriberKey", "ann"), ("SubscriberID", "1")]).await, "405");
    assert_eq!(log(&[("SubscriberKey", "ann"), ("EmailAddress", "bob@example.org")]).await, "407");
    assert_eq!(log(&[("SubscriberKey", "ann"), ("JobID", "1")]).await, "400");
    assert_eq!(log(&[("SubscriberKey", "ann"), ("ListID", LIST)]).await, "Event posted");
    assert_eq!(log(&[("SubscriberKey", "ann"), ("ListID", LIST)]).await, "401");
    let ann = account.sim.subscriber("ann").unwrap();
    assert_eq!((ann.status, ann.on_list(LIST)), (Status::Active, Some(Status::Unsubscribed)));
    assert_eq!(log(&[("SubscriberKey", "ann"), ("BatchID", "3")]).await, "Event posted");
    assert_eq!(account.sim.subscriber("ann").unwrap().status, Status::Unsubscribed);
    assert_eq!(log(&[("SubscriberKey", "ann")]).await, "12012");
}

#[tokio::test]
async fn the_columns_of_a_data_extension_are_told_with_its_primary_key() {
    let account = Account::new().await;
    let columns = async |key: &str| {
        let properties = ["Name", "IsPrimaryKey", "DataExtension.CustomerKey"];
        account.retrieve("DataExtensionField", &properties, &equals("DataExtension.CustomerKey", key)).await
    };
    let found = columns("GIGYA_PROFILES").await;
    assert_eq!(values(&found, "Name"), ["SubscriberKey", "EmailAddress", "FirstName", "Status"]);
    assert_eq!(values(&found, "IsPrimaryKey"), ["true", "false", "false", "false"]);
    assert!(values(&columns("NOWHERE").await, "Name").is_empty());
}
