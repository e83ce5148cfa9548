//! Nobody's address, no token and no secret reaches a log, a metric, a trace, an answer or a panic's message.
//!
//! A test program of its own, as it listens to everything that this process logs, at the finest level.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod collector;
mod contract;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use collector::{Collector, Manner};
use contract::{Held, Port, ask};
use gigya_esp_gateway::config::{LogFormat, Telemetry, Traces};
use gigya_esp_gateway::sandbox::described::DescribedSettings;
use gigya_esp_gateway::sandbox::gigya::WebhookVersion;
use gigya_esp_gateway::sandbox::marketing_cloud::Status;
use gigya_esp_gateway::sandbox::salesforce::SalesforceSettings;
use gigya_esp_gateway::sandbox::{Esps, Sandbox, Setup, Weather};
use gigya_esp_gateway::telemetry;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Stands in every name and address.
const CANARY: &str = "canary";

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Heard {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

fn address(name: &str) -> String {
    format!("{CANARY}-{name}@example.org")
}

/// People do all that they can do, while calls fail; strangers send what they shouldn't. Returns what was answered.
async fn a_day(version: WebhookVersion) -> Vec<String> {
    let mut setup = Setup::with_esps(Esps::Both);
    setup.gigya.webhooks = version;
    setup.marketing_cloud_lines = "deadline = \"2s\"\nattempt_timeout = \"200ms\"\nregistering = true\n\
                                   status_column = \"Status\"\nuid_attribute = \"Gigya UID\""
        .to_owned();
    setup.route = "accept_opt_ins = true\ncreate_lite_accounts = true\nforward_bounces = true\n\
                   fields = { \"First Name\" = \"profile.firstName\" }"
        .to_owned();
    setup.gigya_lines = "deadline = \"2s\"\nattempt_timeout = \"200ms\"\nauth = \"signed\"".to_owned();
    setup.campaign_monitor_lines = "deadline = \"2s\"\nattempt_timeout = \"200ms\"".to_owned();
    let lines = "deadline = \"2s\"\nattempt_timeout = \"200ms\"".to_owned();
    setup.further = vec![
        Arc::new(DescribedSettings { lines: lines.clone(), ..DescribedSettings::default() }),
        Arc::new(SalesforceSettings { lines, ..SalesforceSettings::default() }),
    ];
    let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
    let mut attempts = sandbox.attempts.subscribe();
    let (gigya, esp, list) = (&sandbox.gigya, &sandbox.campaign_monitor, sandbox.list.as_str());
    let cloud = &sandbox.marketing_cloud;
    for system in sandbox.faults() {
        system.set(Weather::stormy(0.2));
    }
    let uids: Vec<_> = (0..10).map(|n| gigya.sign_up(&address(&n.to_string()), CANARY)).collect();
    for uid in &uids {
        gigya.subscribe(uid, "newsletter");
    }
    assert!(sandbox.settled(Duration::from_mins(1)).await);
    sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    gigya.change_uid(&uids[0], &address("uid"));
    gigya.change_email(&uids[1], &address("moved"));
    gigya.merge(&uids[2], &uids[3]);
    gigya.set_active(&uids[4], false);
    gigya.delete(&uids[5]);
    gigya.set_profile(&uids[6], "email", "canary is no address".into());
    esp.unsubscribe_link(list, &address("7"));
    cloud.unsubscribe_link(&address("8"), None);
    cloud.import("canary-key", &address("6"), None, Status::Active);
    cloud.fail_next("rowset", 400, r#"{"message":"canary@example.org is no address","errorcode":10001}"#, &[]);
    cloud.fail_next("soap.update", 500, "canary", &[]);
    cloud.fail_next("soap.retrieve.subscriber", 200, "<canary", &[]);
    cloud.fail_next("token", 401, r#"{"error":"canary"}"#, &[]);
    cloud.revoke_tokens();
    esp.bounce(list, &address("8"));
    esp.change_address(list, &address("9"), &address("elsewhere"));
    esp.form_subscribe(list, &address("stranger"));
    assert!(sandbox.settled(Duration::from_mins(1)).await);
    let mut answers: Vec<_> = std::iter::from_fn(|| attempts.try_recv().ok()).map(|attempt| attempt.answer).collect();

    let client = reqwest::Client::new();
    let token = gigya.signer().token(&gigya.signer().parts(b"canary", "canary", sandbox.clock.now().as_second()));
    let urls = [
        sandbox.gigya_url(0),
        format!("{}?email=canary@example.org", sandbox.gigya_url(0)),
        sandbox.callback_url(0),
        sandbox.marketing_cloud_url(0),
        format!("{}canary", sandbox.callback_url(0)),
        format!("http://{}/webhooks/http/mail", sandbox.gateways[0]),
        format!("http://{}/webhooks/http/mail/canary", sandbox.gateways[0]),
        format!("http://{}/webhooks/salesforce/sales", sandbox.gateways[0]),
        format!("http://{}/webhooks/salesforce/sales/canary", sandbox.gateways[0]),
        format!("http://{}/canary/canary@example.org", sandbox.gateways[0]),
        format!("http://{}/webhooks/canary/canary", sandbox.gateways[0]),
    ];
    let bodies = [
        "canary",
        "{\"events\":\"canary\"}",
        "{\"ListID\":\"canary\",\"Events\":[]}",
        "<a>canary",
        "{\"callbackId\":\"canary\",\"verificationKey\":\"canary\"}",
        "[{\"eventCategoryType\":\"canary\"}]",
    ];
    for url in &urls {
        for body in bodies {
            for (name, value) in [
                ("x-gigya-sig-jwt", token.as_str()),
                ("x-gigya-sig-hmac-sha1", "canary"),
                ("content-type", "canary/canary"),
                ("content-encoding", "canary"),
                ("authorization", "canary"),
                ("cookie", "canary"),
                ("traceparent", "canary"),
                ("tracestate", "canary"),
            ] {
                let answer = ask(Port::Webhooks, client.post(url).header(name, value).body(body)).await;
                answers.push(format!("{:?} {}", answer.headers, answer.body));
            }
        }
    }
    for path in ["", "metrics", "readyz", "livez", "canary"] {
        let request = client.get(format!("http://{}/{path}", sandbox.operations[0]));
        answers.push(ask(Port::Operations, request).await.body);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens() {
    let heard = Heard::default();
    let collector = Collector::start(Manner::Well).await;
    let traces = Traces {
        endpoint: collector.endpoint().parse().unwrap(),
        headers: [("authorization".to_owned(), "Bearer canary".into())].into(),
        ratio: 1.0,
        service_name: "gateway".to_owned(),
    };
    let telemetry = Telemetry {
        log_format: LogFormat::Json,
        log_filter: "trace,hyper=trace,reqwest=trace,h2=trace".parse().expect("a filter"),
        traces: Some(traces),
        ..Telemetry::default()
    };
    let writer = heard.clone();
    let installed = telemetry::install(&telemetry, move || writer.clone()).unwrap();
    let mut answers = a_day(WebhookVersion::V2_0).await;
    answers.extend(a_day(WebhookVersion::V1_1).await);
    assert!(std::panic::catch_unwind(|| panic!("canary@example.org")).is_err());

    tokio::task::spawn_blocking(move || installed.end()).await.unwrap();
    let _ = std::panic::take_hook(); // else nobody would hear what this test says

    let told = heard.text();
    let exported = collector.text();
    for expected in ["read the account", "forward", "marketing-cloud/crm/", "campaign-monitor/news ", "deferred"] {
        assert!(exported.contains(expected), "the traces don't tell of {expected:?}");
    }
    for expected in ["event settled", "\"outcome\":\"applied\"", "not verified", "nothing_leaks.rs", "call failed"] {
        assert!(told.contains(expected), "the log doesn't tell of {expected:?}");
    }
    for shown in ["gateway_events_total", "<h2>Last outcomes</h2>"] {
        assert!(answers.iter().any(|answer| answer.contains(shown)), "{shown} was not looked at");
    }
    let settings = gigya_esp_gateway::sandbox::gigya::GigyaSettings::default();
    let esp = gigya_esp_gateway::sandbox::campaign_monitor::CampaignMonitorSettings::default();
    let cloud = gigya_esp_gateway::sandbox::marketing_cloud::MarketingCloudSettings::default();
    let everything = format!("{told}\n{exported}\n{}", answers.join("\n")).to_lowercase();
    let as_basic = BASE64_STANDARD.encode(format!("{}:x", esp.api_key));
    let encoded = BASE64_STANDARD.encode(CANARY);
    let secrets = [
        CANARY,
        encoded.trim_end_matches('='),
        as_basic.trim_end_matches('='),
        "example.org",
        &settings.credentials.secret,
        &settings.webhook_secret,
        &esp.api_key,
        &cloud.client_id,
        &cloud.client_secret,
        &cloud.signature_key,
        "bearer ",
        "sandbox-callback-token",
        "eyJ",
        "st2.",
        "sig=",
    ];
    for secret in secrets {
        if let Some(place) = everything.find(&secret.to_lowercase()) {
            let around = &everything[place.saturating_sub(300)..(place + 100).min(everything.len())];
            panic!("{secret:?} leaks: ...{around}...");
        }
    }
}
