//! One request is one trace: taken in, told span by span, passed on. And whatever becomes of the collector, requests
//! don't notice.

use crate::collector::{Collector, Manner, attribute};
use crate::contract::{Answer, Held, Port, ask};
use crate::place::{Folder, free_port, until};
use crate::replica::Replica;
use crate::tap::Tap;
use gigya_esp_gateway::sandbox::{Outfit, Sandbox, Setup};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CANARY: &str = "canary@example.org";
const COLLECTOR_TOKEN: &str = "canary-collector-token";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The simulators with somebody opted in whom nobody was told of yet, a gateway, and what its upstreams hear.
pub struct Scene {
    sandbox: Sandbox,
    gigya: Tap,
    campaign_monitor: Tap,
    pub gateway: Replica,
    uid: String,
    _folder: Folder,
}

impl Scene {
    pub async fn start(endpoint: Option<&str>, overrides: &[(&str, &str)]) -> Self {
        let (mut sandbox, outfit) = Sandbox::simulators(Setup::default(), Held::default()).await.unwrap();
        let (gigya, configuration) = Tap::before("http://", "\"\nuser_key", &outfit.configuration).await;
        let (campaign_monitor, configuration) = Tap::before("http://", "/api/v3.3", &configuration).await;
        let outfit = Outfit { configuration, ..outfit };
        let folder = Folder::new("traces");
        let mut overrides = overrides.to_vec();
        if let Some(endpoint) = endpoint {
            overrides.push(("GATEWAY_TELEMETRY__OTLP_ENDPOINT", endpoint));
            overrides.push(("GATEWAY_TELEMETRY__OTLP_HEADERS__AUTHORIZATION", COLLECTOR_TOKEN));
        }
        let gateway = Replica::start(&outfit, &folder, &overrides).await;
        sandbox.gateways.push(gateway.ports.webhooks);
        let uid = sandbox.gigya.sign_up(CANARY, "Canary");
        sandbox.gigya.subscribe(&uid, "newsletter");
        Self { sandbox, gigya, campaign_monitor, gateway, uid, _folder: folder }
    }

    /// Gigya tells that the account changed.
    pub async fn webhook(&self, headers: &[(&str, &str)]) -> Answer {
        let signer = self.sandbox.gigya.signer();
        let now = self.sandbox.clock.now().as_second();
        let event = json!({
            "type": "subscriptionUpdated", "id": "event-1", "timestamp": now, "callId": "call-1", "version": "2.0",
            "apiKey": self.sandbox.gigya.settings().api_key, "data": { "uid": self.uid, "accountType": "full" },
        });
        let body = json!({ "events": [event], "nonce": "n", "timestamp": now }).to_string();
        let token = signer.token(&signer.parts(body.as_bytes(), "n", now));
        let request = reqwest::Client::new().post(self.sandbox.gigya_url(0)).header("x-gigya-sig-jwt", token);
        send(request.header("content-type", "application/json").body(body), headers).await
    }

    /// Campaign Monitor tells that they unsubscribed.
    async fn callback(&self, headers: &[(&str, &str)]) -> Answer {
        let event = json!({
            "Type": "Deactivate", "Date": "2026-11-24 10:00:00", "State": "Unsubscribed", "EmailAddress": CANARY,
            "CustomFields": [],
        });
        let body = json!({ "ListID": self.sandbox.list, "Events": [event] }).to_string();
        let request = reqwest::Client::new().post(self.sandbox.callback_url(0));
        send(request.header("content-type", "application/json").body(body), headers).await
    }

    /// What must not be in any trace.
    fn secrets(&self) -> Vec<String> {
        let gigya = self.sandbox.gigya.settings();
        let cm = gigya_esp_gateway::sandbox::campaign_monitor::CampaignMonitorSettings::default();
        let token = self.sandbox.callback_url(0).rsplit('/').next().unwrap().to_owned();
        let known = [CANARY, "Canary", "example.org", COLLECTOR_TOKEN, "?", "&"].map(ToOwned::to_owned);
        let own = [token, self.uid.clone(), gigya.credentials.secret.clone(), cm.api_key];
        known.into_iter().chain(own).collect()
    }
}

async fn send(request: reqwest::RequestBuilder, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    ask(Port::Webhooks, request).await
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// The only child of this name.
fn child<'a>(spans: &'a [Span], parent: &Span, name: &str) -> &'a Span {
    let is_it = |span: &&Span| span.parent_span_id == parent.span_id && span.name == name;
    let found: Vec<_> = spans.iter().filter(is_it).collect();
    assert!(!found.is_empty(), "{} has no {name}; spans: {:?}", parent.name, names(spans));
    found[0]
}

fn children<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.parent_span_id == parent.span_id).collect()
}

fn names(spans: &[Span]) -> Vec<String> {
    spans.iter().map(|span| format!("{} < {}", span.name, hex(&span.parent_span_id))).collect()
}

/// The server span; checks that all others are below it, of the same trace.
fn root(spans: &[Span]) -> &Span {
    let roots: Vec<_> = spans.iter().filter(|span| span.kind == SpanKind::Server as i32).collect();
    assert_eq!(roots.len(), 1, "{:?}", names(spans));
    for span in spans {
        assert_eq!(span.trace_id, roots[0].trace_id);
        let parent = spans.iter().any(|parent| parent.span_id == span.parent_span_id);
        assert!(parent || span == roots[0], "{} has no parent", span.name);
    }
    roots[0]
}

/// That each call an upstream heard is a client span of the trace.
fn are_calls_of(spans: &[Span], tap: &Tap, system: &str) {
    let heard = tap.heard("traceparent");
    assert!(!heard.is_empty(), "nothing called {system}");
    assert_eq!(heard.len(), tap.calls(), "every call to {system} carries the trace");
    for traceparent in heard {
        let span = spans.iter().find(|span| {
            traceparent == format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
                && span.kind == SpanKind::Client as i32
        });
        let span = span.unwrap_or_else(|| panic!("{traceparent} is no client span"));
        assert_eq!(attribute(span, "gateway.system").as_deref(), Some(system));
        assert_eq!(attribute(span, "gateway.attempt").as_deref(), Some("1"));
        assert_eq!(attribute(span, "server.address").as_deref(), Some("127.0.0.1"));
        assert!(attribute(span, "http.response.status_code").is_some(), "{}", span.name);
        assert_eq!(attribute(span, "gateway.result").as_deref(), Some("ok"), "{}", span.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_a_traceparent_is_one_trace() {
    let collector = Collector::start(Manner::Well).await;
    let mut scene = Scene::start(Some(&collector.endpoint()), &[]).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", traceparent.as_str()), ("tracestate", "us=1"), ("x-request-id", "request-1")];
    let answer = scene.webhook(&headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("\"applied\":1"), "{answer:?}");
    scene.gateway.stop().await;

    let spans = collector.spans();
    let request = root(&spans);
    assert_eq!((hex(&request.trace_id).as_str(), hex(&request.parent_span_id).as_str()), (TRACE, PARENT));
    assert_eq!(request.name, "POST /webhooks/gigya/{connection}");
    assert_eq!(request.trace_state, "us=1");
    for (key, expected) in [
        ("http.request.method", "POST"),
        ("http.route", "/webhooks/gigya/{connection}"),
        ("http.response.status_code", "200"),
        ("gateway.request_id", "request-1"),
    ] {
        assert_eq!(attribute(request, key).as_deref(), Some(expected));
    }
    assert!(!children(&spans, child(&spans, request, "verify")).is_empty(), "the keys are asked for");
    child(&spans, request, "parse");
    let subscriber = child(&spans, request, "subscriber");
    assert_eq!(attribute(subscriber, "gateway.subscriber").map(|pseudonym| pseudonym.len()), Some(16));
    let read = child(&spans, subscriber, "read the account");
    assert!(children(&spans, read)[0].name.starts_with("gigya/main "));
    let forward = child(&spans, subscriber, "forward");
    let route = format!("main/newsletter -> news/{}", scene.sandbox.list);
    assert_eq!(attribute(forward, "gateway.route"), Some(route));
    assert_eq!(attribute(forward, "gateway.outcome").as_deref(), Some("applied"));
    assert!(children(&spans, forward).iter().any(|call| call.name.starts_with("campaign-monitor/news ")));
    are_calls_of(&spans, &scene.gigya, "gigya/main");
    are_calls_of(&spans, &scene.campaign_monitor, "campaign-monitor/news");
    assert!(scene.gigya.heard("tracestate").iter().all(|state| state == "us=1"));

    assert_eq!(collector.resource("service.name").as_deref(), Some("gigya-esp-gateway"));
    assert_eq!(collector.resource("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(collector.resource("service.instance.id").map(|id| id.len()), Some(36));
    assert_eq!(collector.headers("authorization")[0], COLLECTOR_TOKEN);
    let (told, log) = (collector.text(), scene.gateway.log());
    for secret in scene.secrets() {
        assert!(!told.contains(&secret), "{secret} is in a trace");
    }
    assert!(!log.contains(COLLECTOR_TOKEN));

    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let settled = lines.iter().find(|line| line["message"] == "event settled").unwrap();
    assert_eq!(settled["request_id"], "request-1");
    assert_eq!(settled["endpoint"], "gigya");
    assert_eq!(settled["trace_id"], TRACE);
    assert_eq!(settled["span_id"], hex(&request.span_id));
    for line in lines.iter().filter(|line| line["endpoint"] == "gigya") {
        assert!(line["request_id"] == "request-1" && line["trace_id"] == TRACE, "{line}");
    }
    assert!(lines.iter().any(|line| line["message"] == "started" && line.get("trace_id").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_one_trace_and_an_odd_traceparent_begins_a_new_one() {
    let collector = Collector::start(Manner::Well).await;
    let mut scene =
        Scene::start(Some(&collector.endpoint()), &[("GATEWAY_TELEMETRY__LOG_FORMAT", "text"), ("NO_COLOR", "1")])
            .await;
    let odd = format!("00-{}-{PARENT}-01", TRACE.to_uppercase());
    let answer = scene.callback(&[("traceparent", odd.as_str()), ("tracestate", "us=1")]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    scene.gateway.stop().await;

    let spans = collector.spans();
    let request = root(&spans);
    assert!(request.parent_span_id.is_empty());
    assert_ne!(hex(&request.trace_id), TRACE);
    assert_eq!(request.trace_state, "");
    assert_eq!(request.name, "POST /webhooks/campaign-monitor/{connection}/{token}");
    child(&spans, request, "verify");
    child(&spans, request, "parse");
    let subscriber = child(&spans, request, "subscriber");
    assert!(attribute(subscriber, "gateway.subscriber").is_some());
    let forward = child(&spans, subscriber, "forward");
    assert!(attribute(forward, "gateway.outcome").is_some());
    assert!(!children(&spans, child(&spans, forward, "read the account")).is_empty());
    are_calls_of(&spans, &scene.gigya, "gigya/main");
    let (told, log) = (collector.text(), scene.gateway.log());
    for secret in scene.secrets() {
        assert!(!told.contains(&secret), "{secret} is in a trace");
    }
    let settled = log.lines().find(|line| line.contains("event settled")).unwrap();
    let ids = format!(" trace_id={} span_id={}", hex(&request.trace_id), hex(&request.span_id));
    assert!(settled.contains(" request_id=\"") && settled.contains(&ids), "{settled}");
    assert_eq!(settled.matches("request_id").count(), 1, "{settled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_sender_does_not_sample_is_passed_on_and_not_sent() {
    let collector = Collector::start(Manner::Well).await;
    let mut scene = Scene::start(Some(&collector.endpoint()), &[]).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-00");
    assert_eq!(scene.webhook(&[("traceparent", traceparent.as_str())]).await.status, 200);
    scene.gateway.stop().await;
    assert_eq!(collector.calls(), 0, "{:?}", names(&collector.spans()));
    let heard = scene.gigya.heard("traceparent");
    assert!(!heard.is_empty());
    for traceparent in heard {
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")) && traceparent.ends_with("-00"), "{traceparent}");
    }
    assert!(scene.gateway.log().contains(TRACE), "log lines tell the trace all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_none_by_ratio_nothing_is_sent_but_what_its_sender_samples() {
    let collector = Collector::start(Manner::Well).await;
    let mut scene = Scene::start(Some(&collector.endpoint()), &[("GATEWAY_TELEMETRY__TRACE_RATIO", "0.0")]).await;
    assert_eq!(scene.webhook(&[]).await.status, 200);
    assert_eq!(scene.webhook(&[("traceparent", &format!("00-{TRACE}-{PARENT}-01"))]).await.status, 200);
    scene.gateway.stop().await;
    assert_eq!(hex(&root(&collector.spans()).trace_id), TRACE);
}

/// With a collector that behaves so, requests are answered as ever, and stopping takes seconds.
async fn nobody_notices(endpoint: &str, is_lost: bool) {
    let mut scene = Scene::start(Some(endpoint), &[]).await;
    for _ in 0..5 {
        let answer = scene.webhook(&[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    if is_lost {
        let dropped = async || scene.gateway.metric("gateway_trace_spans_dropped_total").await > 0.0;
        until("spans are counted as dropped", dropped).await;
        assert!(scene.gateway.log().contains("traces are being lost"));
    }
    assert_eq!(scene.webhook(&[]).await.status, 200);
    let stopping = Instant::now();
    scene.gateway.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(15), "{:?}", stopping.elapsed());
    assert!(scene.gateway.log().contains("stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_is_not_noticed() {
    nobody_notices(&format!("http://{}", free_port()), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_is_not_noticed() {
    let collector = Collector::start(Manner::Badly).await;
    nobody_notices(&collector.endpoint(), true).await;
    assert!(collector.calls() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_is_not_noticed() {
    let collector = Collector::start(Manner::Never).await;
    nobody_notices(&collector.endpoint(), false).await;
    assert!(collector.calls() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_is_traced() {
    let mut scene = Scene::start(None, &[]).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(scene.webhook(&[("traceparent", traceparent.as_str())]).await.status, 200);
    scene.gateway.stop().await;
    assert!(scene.gigya.calls() > 0);
    assert!(scene.gigya.heard("traceparent").is_empty());
    let log = scene.gateway.log();
    assert!(log.contains("request_id") && !log.contains("trace_id") && !log.contains("span_id"), "{log}");
}
