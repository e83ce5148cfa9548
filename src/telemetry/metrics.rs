//! Counts and times, for Prometheus. Every label has few values: no path, id, address or free text.

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder for this process, once; later calls give the same one. Its `render()` is the page.
///
/// # Panics
/// If something else in this process has installed a recorder, which nothing of ours does.
pub fn install() -> PrometheusHandle {
    INSTALLED
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
                .expect("the list of buckets is not empty");
            let handle = builder.install_recorder().expect("nothing else installs a recorder");
            describe();
            gauge!("gateway_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            handle
        })
        .clone()
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_gauge!("gateway_build_info", "The version that runs; always 1");
    describe_counter!("gateway_events_total", "Subscription events settled, by connection, direction, outcome, reason");
    describe_counter!("gateway_upstream_calls_total", "Outbound attempts, by system, operation and result");
    describe_histogram!("gateway_upstream_call_duration_seconds", Unit::Seconds, "Time of one outbound attempt");
    describe_counter!("gateway_upstream_retries_total", "Outbound calls tried again, by system and operation");
    describe_gauge!("gateway_breaker_state", "0 closed, 1 on trial, 2 open, by system");
    describe_counter!("gateway_signature_refused_total", "Webhooks not believed, by connection and reason");
    describe_gauge!("gateway_webhook_last_seen_timestamp_seconds", "When a connection's last webhook arrived");
    describe_counter!("gateway_http_requests_total", "Requests answered, by endpoint and status");
    describe_histogram!(
        "gateway_http_request_duration_seconds",
        Unit::Seconds,
        "Time from a request's head to its answer"
    );
    describe_counter!("gateway_http_shed_total", "Requests refused because too many were in flight");
    describe_gauge!("gateway_http_in_flight", "Requests being worked on");
    describe_gauge!("gateway_http_connections", "Connections open, by port");
    describe_counter!("gateway_trace_spans_dropped_total", "Spans that the collector of traces didn't get");
}

/// One subscription event is settled.
pub fn event_settled(connection: &str, direction: &'static str, outcome: &'static str, reason: &'static str) {
    let connection = connection.to_owned();
    counter!("gateway_events_total", "connection" => connection, "direction" => direction, "outcome" => outcome, "reason" => reason)
        .increment(1);
}

/// One outbound attempt is over.
pub fn upstream_call(system: &str, operation: &'static str, result: &'static str, time: Duration) {
    let labels = [("system", system.to_owned()), ("operation", operation.to_owned())];
    histogram!("gateway_upstream_call_duration_seconds", &labels).record(time);
    let [system, operation] = labels;
    let labels = [system, operation, ("result", result.to_owned())];
    counter!("gateway_upstream_calls_total", &labels).increment(1);
}

/// One outbound call is tried again.
pub fn upstream_retry(system: &str, operation: &'static str) {
    counter!("gateway_upstream_retries_total", "system" => system.to_owned(), "operation" => operation).increment(1);
}

/// A breaker's state: 0 closed, 1 on trial, 2 open.
pub fn breaker_state(system: &str, state: u8) {
    gauge!("gateway_breaker_state", "system" => system.to_owned()).set(f64::from(state));
}

/// A webhook was not believed.
pub fn signature_refused(connection: &str, reason: &str) {
    let labels = [("connection", connection.to_owned()), ("reason", reason.to_owned())];
    counter!("gateway_signature_refused_total", &labels).increment(1);
}

/// A webhook for a known connection arrived. Silence is what to alarm on.
pub fn webhook_arrived(connection: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!("gateway_webhook_last_seen_timestamp_seconds", "connection" => connection.to_owned()).set(now.as_secs_f64());
}
