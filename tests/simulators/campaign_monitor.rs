//! Campaign Monitor.

use gigya_esp_gateway::sandbox::Surroundings;
use gigya_esp_gateway::sandbox::campaign_monitor::{CampaignMonitorSettings, CampaignMonitorSim, State};
use gigya_esp_gateway::sandbox::{Clock, Weather};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::broadcast;

pub struct Esp {
    pub sim: CampaignMonitorSim,
    pub clock: Clock,
    base: String,
    pub list: String,
}

impl Esp {
    pub async fn with(settings: CampaignMonitorSettings) -> Self {
        let list = settings.lists[0].id.clone();
        let clock = Clock::default();
        let sim = CampaignMonitorSim::start(settings, Surroundings::real(clock.clone(), broadcast::channel(100).0));
        let base = format!("http://{}/api/v3.3", sim.serve().await.unwrap());
        Self { sim, clock, base, list }
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/{path}", self.base.as_str());
        let request = reqwest::Client::new().request(method.parse().unwrap(), url);
        let request = request.basic_auth(&self.sim.settings().api_key, Some("x")).body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn import(&self, email: &str, resubscribe: bool) -> (u16, Value) {
        let subscriber = json!({ "EmailAddress": email, "ConsentToTrack": "Unchanged" });
        let body = json!({ "Subscribers": [subscriber], "Resubscribe": resubscribe });
        self.call("POST", &format!("subscribers/{}/import.json", self.list), body).await
    }
}

#[tokio::test]
async fn campaign_monitor_reports_states_as_codes() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    let get = format!("subscribers/{}.json?email=ann@example.org", esp.list);
    assert_eq!(esp.call("GET", &get, Value::Null).await.1["Code"], 203);
    assert_eq!(esp.import("ann@example.org", false).await.0, 201);
    assert_eq!(esp.call("GET", &get, Value::Null).await.1["State"], "Active");
    for (leave, code) in [("unsubscribe", 206), ("bounce", 207), ("delete", 205)] {
        assert_eq!(esp.import("ann@example.org", true).await.0, 201);
        match leave {
            "unsubscribe" => assert!(esp.sim.unsubscribe_link(&esp.list, "ann@example.org")),
            "bounce" => assert!(esp.sim.bounce(&esp.list, "ann@example.org")),
            _ => assert!(esp.sim.delete(&esp.list, "ann@example.org")),
        }
        let (status, refused) = esp.import("ann@example.org", false).await;
        assert_eq!((status, &refused["Code"]), (400, &json!(210)), "an import with failures");
        assert_eq!(refused["ResultData"]["FailureDetails"][0]["Code"], code, "{leave}");
    }
}

#[tokio::test]
async fn campaign_monitor_refuses_foreign_keys_and_lists_with_401() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    let url = format!("{}/subscribers/{}.json?email=a@b.c", esp.base, esp.list);
    let foreign = reqwest::Client::new().get(url).basic_auth("other", Some("x")).send().await.unwrap();
    assert_eq!(foreign.status(), 401);
    let (status, refused) = esp.call("GET", "subscribers/0000.json?email=a@b.c", Value::Null).await;
    assert_eq!((status, &refused["Code"]), (401, &json!(102)));
}

#[tokio::test]
async fn an_add_waits_in_the_queue_and_can_be_overtaken() {
    let settings = CampaignMonitorSettings { queue: Duration::from_millis(50), ..CampaignMonitorSettings::default() };
    let esp = Esp::with(settings).await;
    let add = json!({ "EmailAddress": "ann@example.org", "ConsentToTrack": "Unchanged" });
    assert_eq!(esp.call("POST", &format!("subscribers/{}.json", esp.list), add).await.0, 201);
    let unsubscribe = json!({ "EmailAddress": "ann@example.org" });
    let path = format!("subscribers/{}/unsubscribe.json", esp.list);
    assert_eq!(esp.call("POST", &path, unsubscribe).await.1["Code"], 203, "there is nobody yet");
    while esp.sim.state(&esp.list, "ann@example.org").is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(esp.sim.state(&esp.list, "ann@example.org"), Some(State::Active));
}

#[tokio::test]
async fn one_person_cannot_be_written_too_often() {
    let esp = Esp::with(CampaignMonitorSettings { writes_a_minute: 2, ..CampaignMonitorSettings::default() }).await;
    let statuses = [esp.import("a@example.org", false).await.0, esp.import("a@example.org", false).await.0];
    assert_eq!(statuses, [201, 201]);
    assert_eq!(esp.import("a@example.org", false).await.0, 429);
    assert_eq!(esp.import("b@example.org", false).await.0, 201, "others can");
}

#[tokio::test]
async fn consent_to_track_and_short_values_are_demanded() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    let refused = async |subscriber: Value| {
        let body = json!({ "Subscribers": [subscriber], "Resubscribe": false });
        let path = format!("subscribers/{}/import.json", esp.list);
        esp.call("POST", &path, body).await.1["ResultData"]["FailureDetails"][0]["Code"].clone()
    };
    assert_eq!(refused(json!({ "EmailAddress": "a@example.org" })).await, 214);
    assert_eq!(refused(json!({ "EmailAddress": "a@example.org", "ConsentToTrack": "Maybe" })).await, 215);
    assert_eq!(refused(json!({ "EmailAddress": "nobody", "ConsentToTrack": "Yes" })).await, 1);
    let long = json!([{ "Key": "FirstName", "Value": "x".repeat(251) }]);
    let long = json!({ "EmailAddress": "a@example.org", "ConsentToTrack": "Yes", "CustomFields": long });
    assert_eq!(refused(long).await, 1);
}

#[tokio::test]
async fn a_broken_connection_may_have_done_its_work_or_not() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    for (weather, done) in [
        (Weather { reset: 1.0, ..Weather::default() }, false),
        (Weather { error: 1.0, ..Weather::default() }, false),
        (Weather { too_fast: 1.0, ..Weather::default() }, false),
        (Weather { error_after: 1.0, ..Weather::default() }, true),
    ] {
        let email = format!("{}@example.org", fastrand::u64(..));
        esp.sim.faults().set(weather);
        let body = json!({ "Subscribers": [{ "EmailAddress": email, "ConsentToTrack": "Yes" }] });
        let url = format!("{}/subscribers/{}/import.json", esp.base, esp.list);
        let request = reqwest::Client::new().post(url).basic_auth(&esp.sim.settings().api_key, Some("x"));
        let answer = request.body(body.to_string()).send().await;
        let failed = match answer {
            Ok(answer) => !answer.status().is_success() || answer.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(failed, "{weather:?}");
        assert_eq!(esp.sim.state(&esp.list, &email).is_some(), done, "{weather:?}");
    }
}

#[tokio::test]
async fn lists_have_webhooks_that_are_made_tested_and_switched_but_never_changed() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    let webhooks = format!("lists/{}/webhooks", esp.list);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hook = |url: &str| json!({ "Events": ["Subscribe", "Deactivate"], "Url": url, "PayloadFormat": "json" });
    for (wrong, code) in [("Url", 601), ("PayloadFormat", 602), ("Events", 603)] {
        let mut body = hook(&url);
        body[wrong] = json!("nonsense");
        assert_eq!(esp.call("POST", &format!("{webhooks}.json"), body).await.1["Code"], code);
    }
    let (status, id) = esp.call("POST", &format!("{webhooks}.json"), hook(&url)).await;
    let id = id.as_str().unwrap().to_owned();
    assert_eq!(status, 201);
    assert_eq!(esp.call("POST", &format!("{webhooks}.json"), hook(&url)).await.0, 201, "nothing prevents two");
    let answer = || async { http::StatusCode::IM_A_TEAPOT };
    let server = tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
    let (status, failed) = esp.call("GET", &format!("{webhooks}/{id}/test.json"), Value::Null).await;
    assert_eq!(
        (status, &failed["Code"], &failed["ResultData"]["FailureResponseCode"]),
        (400, &json!(610), &json!(418))
    );
    server.abort();
    for (call, status) in [("deactivate", "Inactive"), ("activate", "Active")] {
        assert_eq!(esp.call("PUT", &format!("{webhooks}/{id}/{call}.json"), Value::Null).await.0, 200);
        let listed = esp.call("GET", &format!("{webhooks}.json"), Value::Null).await.1;
        assert_eq!(json!([listed[0]["Status"], listed[0]["PayloadFormat"]]), json!([status, "Json"]));
    }
    assert_eq!(esp.call("DELETE", &format!("{webhooks}/{id}.json"), Value::Null).await.0, 200);
    assert_eq!(esp.call("DELETE", &format!("{webhooks}/{id}.json"), Value::Null).await.0, 404);
    assert_eq!(esp.call("GET", "lists/0000/webhooks.json", Value::Null).await.1["Code"], 102);
}

#[tokio::test]
async fn lists_have_fields_of_different_names_and_clients_a_time_zone() {
    let esp = Esp::with(CampaignMonitorSettings::default()).await;
    let fields = format!("lists/{}/customfields.json", esp.list);
    let field = |name: &str, kind: &str| json!({ "FieldName": name, "DataType": kind });
    assert_eq!(esp.call("POST", &fields, field("Loyalty Tier", "Text")).await, (201, json!("[loyaltytier]")));
    assert_eq!(esp.call("POST", &fields, field("loyalty tier", "Text")).await.0, 400);
    assert_eq!(esp.call("POST", &fields, field("Shoes", "Leather")).await.0, 400);
    let names = esp.call("GET", &fields, Value::Null).await.1;
    assert_eq!(names.as_array().unwrap().last().unwrap()["FieldName"], "Loyalty Tier");
    let client = format!("clients/{}.json", esp.sim.settings().client_id);
    let client = esp.call("GET", &client, Value::Null).await.1;
    assert!(client["BasicDetails"]["TimeZone"].as_str().unwrap().starts_with("(GMT+01:00)"));
    assert!(esp.call("GET", "systemdate.json", Value::Null).await.1["SystemDate"].is_string());
}
