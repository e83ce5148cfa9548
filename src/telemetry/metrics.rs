//! Counts and times, for Prometheus. Every label has few values: no path, id, address or free text.
//!
//! [`families`] says what there is; nothing else in the house names a metric. Whoever counts often keeps the handle that a
//! function here gives.

mod families;

pub use families::{FAMILIES, Family, Kind};

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The buckets of what takes milliseconds to seconds, in seconds.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The buckets of an opt-out's age, in seconds: from one second to a week, with the limits that laws and habits know (a day,
/// two days) among them.
const AGES: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 172_800.0, 604_800.0];
/// The one histogram that has [`AGES`].
const OPT_OUT_AGE: &str = "gateway_opt_out_age_seconds";

static INSTALLED: OnceLock<Metrics> = OnceLock::new();
/// Held from the beginning, as who panics may hold any lock, and must not wait for the recorder's.
static PANICS: OnceLock<Counter> = OnceLock::new();

/// What is counted in this process.
#[derive(Clone)]
pub struct Metrics {
    exporter: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// The page that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        self.exporter.render()
    }

    /// Sums up measured times, which are kept one by one until then: to be called every few seconds.
    pub fn upkeep(&self) {
        self.exporter.run_upkeep();
    }
}

/// Installs the recorder for this process, once; later calls give the same one.
///
/// # Panics
/// If something else in this process has installed a recorder, which nothing of ours does.
pub fn install() -> Metrics {
    INSTALLED
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
                .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(OPT_OUT_AGE.to_owned()), AGES))
                .expect("the lists of buckets are not empty");
            let exporter = builder.install_recorder().expect("nothing else installs a recorder");
            let process = Collector::default();
            process.describe();
            describe();
            PANICS.get_or_init(|| counter!("gateway_panics_total")).increment(0);
            gauge!("gateway_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            Metrics { exporter, process }
        })
        .clone()
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    for family in FAMILIES.iter().filter(|family| !family.is_about_the_process()) {
        let Family { name, kind, help, .. } = *family;
        let unit = if family.is_in_seconds() { Unit::Seconds } else { Unit::Count };
        match kind {
            Kind::Counter => describe_counter!(name, unit, help),
            Kind::Gauge => describe_gauge!(name, unit, help),
            Kind::Histogram => describe_histogram!(name, unit, help),
        }
    }
}

/// A connection is configured. What it may count is there from now on, at zero: of a series that begins with its first
/// count, Prometheus does not see that count. `kind` is `gigya` or a provider's name in paths; `failures` are the outcomes
/// and reasons that somebody may want to be alarmed by.
pub fn connection_known(
    connection: &str,
    kind: &'static str,
    direction: &'static str,
    failures: impl IntoIterator<Item = (&'static str, &'static str)>,
) {
    gauge!("gateway_connection_info", "connection" => connection.to_owned(), "kind" => kind).set(1.0);
    counter!("gateway_webhooks_total", "connection" => connection.to_owned()).increment(0);
    for (outcome, reason) in failures {
        events(connection, direction, outcome, reason).increment(0);
    }
}

/// A connection is no longer configured. Its series stay until the process ends; this tells them from those that count.
pub fn connection_gone(connection: &str, kind: &'static str) {
    gauge!("gateway_connection_info", "connection" => connection.to_owned(), "kind" => kind).set(0.0);
}

/// Series whose labels are a few words of ours, each looked up once: to find a series by its labels takes longer than
/// to count. There are so few that to go through them takes less than to hash one's labels.
struct Known<K, S>(RwLock<Vec<(K, S)>>);

impl<K: PartialEq, S: Clone> Known<K, S> {
    fn get(&self, labels: K, look_up: impl FnOnce() -> S) -> S {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, series)) = known.iter().find(|(known, _)| *known == labels) {
            return series.clone();
        }
        drop(known);
        let series = look_up();
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((labels, series.clone()));
        series
    }
}

impl<K, S> Default for Known<K, S> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

/// What is counted of one connection's webhooks, and of its events.
pub struct ConnectionMeter {
    connection: String,
    webhooks: Counter,
    /// Not there before there is a time to show, as zero would be one.
    last_seen: OnceLock<Gauge>,
    events: Known<[&'static str; 3], Counter>,
}

impl ConnectionMeter {
    /// Of the connection of that name.
    #[must_use]
    pub fn new(connection: &str) -> Self {
        Self {
            webhooks: counter!("gateway_webhooks_total", "connection" => connection.to_owned()),
            last_seen: OnceLock::new(),
            events: Known::default(),
            connection: connection.to_owned(),
        }
    }

    /// A webhook arrived and was believed. Silence is what to alarm on.
    pub fn webhook_arrived(&self) {
        self.webhooks.increment(1);
        let last_seen = self.last_seen.get_or_init(
            || gauge!("gateway_webhook_last_seen_timestamp_seconds", "connection" => self.connection.clone()),
        );
        last_seen.set(seconds_now());
    }

    /// One subscription event is settled.
    pub fn event_settled(&self, direction: &'static str, outcome: &'static str, reason: &'static str) {
        let series = || events(&self.connection, direction, outcome, reason);
        self.events.get([direction, outcome, reason], series).increment(1);
    }
}

fn events(connection: &str, direction: &'static str, outcome: &'static str, reason: &'static str) -> Counter {
    let connection = connection.to_owned();
    counter!("gateway_events_total", "connection" => connection, "direction" => direction, "outcome" => outcome, "reason" => reason)
}

/// An opt-out, or a removal, took effect at the other side, this long after the person acted.
pub fn opt_out_took_effect(connection: &str, direction: &'static str, to: &str, age: Duration) {
    let (connection, to) = (connection.to_owned(), to.to_owned());
    histogram!(OPT_OUT_AGE, "connection" => connection, "direction" => direction, "to" => to).record(age);
}

/// What is counted of the calls to one system.
pub struct UpstreamMeter {
    system: String,
    /// How many attempts are under way.
    pub in_flight: Gauge,
    /// Not there before there is a time to show, as zero would be one.
    last_success: OnceLock<Gauge>,
    durations: Known<&'static str, Histogram>,
    calls: Known<(&'static str, &'static str), Counter>,
}

impl UpstreamMeter {
    /// Of the system that metrics call so.
    #[must_use]
    pub fn new(system: &str) -> Self {
        Self {
            in_flight: gauge!("gateway_upstream_in_flight", "system" => system.to_owned()),
            last_success: OnceLock::new(),
            durations: Known::default(),
            calls: Known::default(),
            system: system.to_owned(),
        }
    }

    /// One attempt is over.
    pub fn called(&self, operation: &'static str, result: &'static str, time: Duration) {
        let system = || self.system.clone();
        let duration = self.durations.get(
            operation,
            || histogram!("gateway_upstream_call_duration_seconds", "system" => system(), "operation" => operation),
        );
        duration.record(time);
        let calls = self.calls.get((operation, result), || {
            counter!("gateway_upstream_calls_total", "system" => system(), "operation" => operation, "result" => result)
        });
        calls.increment(1);
    }

    /// The system answered as it should.
    pub fn succeeded(&self) {
        let last_success = self
            .last_success
            .get_or_init(|| gauge!("gateway_upstream_last_success_timestamp_seconds", "system" => self.system.clone()));
        last_success.set(seconds_now());
    }
}

/// One outbound call is tried again.
pub fn upstream_retry(system: &str, operation: &'static str) {
    counter!("gateway_upstream_retries_total", "system" => system.to_owned(), "operation" => operation).increment(1);
}

/// Why an outbound attempt had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The system asked to slow down, or `max_calls_per_minute` is reached.
    Pace,
    /// `max_concurrent_calls` are under way.
    Queue,
}

/// An outbound attempt had to wait before it was made.
pub fn upstream_waited(system: &str, cause: Wait, time: Duration) {
    let cause = match cause {
        Wait::Pace => "pace",
        Wait::Queue => "queue",
    };
    histogram!("gateway_upstream_wait_seconds", "system" => system.to_owned(), "cause" => cause).record(time);
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

/// What is counted of one port's requests.
#[derive(Default)]
pub struct HttpMeter {
    durations: Known<&'static str, Histogram>,
    requests: Known<(&'static str, &'static str), Counter>,
}

impl HttpMeter {
    /// A request is answered. Both labels are ours: a route's name and a status that we give.
    pub fn answered(&self, endpoint: &'static str, status: &'static str, time: Duration) {
        let request = || counter!("gateway_http_requests_total", "endpoint" => endpoint, "status" => status);
        self.requests.get((endpoint, status), request).increment(1);
        let duration = || histogram!("gateway_http_request_duration_seconds", "endpoint" => endpoint);
        self.durations.get(endpoint, duration).record(time);
    }
}

/// Something panicked.
pub fn panicked() {
    if let Some(panics) = PANICS.get() {
        panics.increment(1);
    }
}

/// Requests turned away, as too many were in flight.
pub fn http_shed() -> Counter {
    counter!("gateway_http_shed_total")
}

/// Requests being worked on.
pub fn http_in_flight() -> Gauge {
    gauge!("gateway_http_in_flight")
}

/// Connections open on a port.
pub fn http_connections(port: &'static str) -> Gauge {
    gauge!("gateway_http_connections", "port" => port)
}

/// A journal is there. What it may count is there from now on.
pub fn journal_opened() {
    for result in ["done", "failed"] {
        counter!("gateway_journal_commits_total", "result" => result).increment(0);
    }
    journal_waiting(0, Duration::ZERO, 0);
}

/// A commit to the journal is over.
pub fn journal_committed(done: bool, time: Duration) {
    let result = if done { "done" } else { "failed" };
    counter!("gateway_journal_commits_total", "result" => result).increment(1);
    histogram!("gateway_journal_commit_duration_seconds").record(time);
}

/// How many events wait in the journal to be finished, for how long the earliest has, and how many are set aside.
#[allow(clippy::cast_precision_loss, reason = "it is shown to people")]
pub fn journal_waiting(unfinished: i64, oldest: Duration, rejected: i64) {
    gauge!("gateway_journal_unfinished").set(unfinished as f64);
    gauge!("gateway_journal_oldest_unfinished_seconds").set(oldest.as_secs_f64());
    gauge!("gateway_journal_rejected").set(rejected as f64);
    // What was read last stays there to be seen, however long ago that was.
    gauge!("gateway_journal_last_look_timestamp_seconds").set(seconds_now());
}

/// A configuration was loaded at the start.
pub fn config_loaded() {
    for result in ["applied", "refused"] {
        counter!("gateway_config_reloads_total", "result" => result).increment(0);
    }
    config_in_use();
}

/// A configuration was loaded anew, and taken or refused.
pub fn config_reloaded(applied: bool) {
    let result = if applied { "applied" } else { "refused" };
    counter!("gateway_config_reloads_total", "result" => result).increment(1);
    if applied {
        config_in_use();
    } else {
        gauge!("gateway_config_last_reload_successful").set(0.0);
    }
}

fn config_in_use() {
    gauge!("gateway_config_last_reload_successful").set(1.0);
    gauge!("gateway_config_last_success_timestamp_seconds").set(seconds_now());
}

fn seconds_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
