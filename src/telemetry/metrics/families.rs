//! Every metric that there is: the page in `docs/reference/` is made from it, and tests hold what is exported against it.

/// One metric, with all its series.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub kind: Kind,
    /// Its labels, all of which every series has.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// What a metric is to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, from zero at start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets: `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// The kind as Prometheus calls it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Family {
    /// Whether it is one of those that every process has.
    #[must_use]
    pub fn is_about_the_process(&self) -> bool {
        self.name.starts_with("process_")
    }

    /// Whether it counts seconds.
    #[must_use]
    pub fn is_in_seconds(&self) -> bool {
        self.name.ends_with("_seconds") || self.name.ends_with("_seconds_total")
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Histogram, labels, help }
}

/// Every metric that there is.
pub const FAMILIES: &[Family] = &[
    // What became of events
    counter(
        "gateway_events_total",
        &["connection", "direction", "outcome", "reason"],
        "Subscription events settled: where they came from, which way they went, what became of them and why",
    ),
    histogram(
        "gateway_opt_out_age_seconds",
        &["connection", "direction", "to"],
        "Time from the person's opt-out, or the closing of their account, until it took effect at the other side",
    ),
    // What comes in
    counter("gateway_webhooks_total", &["connection"], "Webhook requests that were believed"),
    gauge(
        "gateway_webhook_last_seen_timestamp_seconds",
        &["connection"],
        "When the connection's last believed webhook arrived; missing until one has",
    ),
    counter(
        "gateway_signature_refused_total",
        &["connection", "reason"],
        "Webhook requests that were not believed, and so answered 401",
    ),
    counter("gateway_http_requests_total", &["endpoint", "status"], "Requests answered, on both ports"),
    histogram("gateway_http_request_duration_seconds", &["endpoint"], "Time from a request's head to its answer"),
    counter("gateway_http_shed_total", &[], "Requests turned away before any work, as too many were in flight"),
    gauge("gateway_http_in_flight", &[], "Requests being worked on"),
    gauge("gateway_http_connections", &["port"], "Connections open"),
    // What goes out
    counter("gateway_upstream_calls_total", &["system", "operation", "result"], "Attempts to call out"),
    histogram("gateway_upstream_call_duration_seconds", &["system", "operation"], "Time of one attempt to call out"),
    counter("gateway_upstream_retries_total", &["system", "operation"], "Calls that were tried again"),
    histogram(
        "gateway_upstream_wait_seconds",
        &["system", "cause"],
        "Time that attempts had to wait before they were made: for the pace that is asked for or set (pace), or for others \
         to end (queue); those that needn't wait are not counted",
    ),
    gauge("gateway_upstream_in_flight", &["system"], "Attempts under way"),
    gauge(
        "gateway_upstream_last_success_timestamp_seconds",
        &["system"],
        "When the system last answered as it should; missing until it has",
    ),
    gauge(
        "gateway_breaker_state",
        &["system"],
        "0 calls are let through, 1 one is on trial, 2 they are refused at once",
    ),
    // The configuration
    counter("gateway_config_reloads_total", &["result"], "Configurations loaded anew while running: applied, refused"),
    gauge(
        "gateway_config_last_reload_successful",
        &[],
        "1 if the configuration that was last loaded is in use, 0 if it was refused and the one before goes on",
    ),
    gauge("gateway_config_last_success_timestamp_seconds", &[], "When the configuration in use was loaded"),
    // The journal
    counter("gateway_journal_commits_total", &["result"], "Commits to the journal: done, failed"),
    histogram("gateway_journal_commit_duration_seconds", &[], "Time of one commit, of one request or several together"),
    gauge("gateway_journal_unfinished", &[], "Events that were acknowledged and are not done yet"),
    gauge(
        "gateway_journal_oldest_unfinished_seconds",
        &[],
        "How long ago the earliest of these was received; 0 if there is none",
    ),
    gauge("gateway_journal_rejected", &[], "Events set aside for a person to look at"),
    gauge(
        "gateway_journal_last_look_timestamp_seconds",
        &[],
        "When the replica last read in the journal what waits there, as it does all the time",
    ),
    // Traces
    counter("gateway_trace_spans_dropped_total", &[], "Spans that the collector of traces didn't get"),
    // The process
    counter(
        "gateway_panics_total",
        &[],
        "Panics, each of them a bug: in requests, which are answered 503, and elsewhere",
    ),
    gauge("gateway_build_info", &["version"], "The version that runs; always 1"),
    gauge(
        "gateway_connection_info",
        &["connection", "kind"],
        "1 for each connection that is configured, 0 for one that was until the configuration was loaded anew",
    ),
    counter("process_cpu_seconds_total", &[], "Processor time used"),
    gauge("process_max_fds", &[], "The most file descriptors that may be open"),
    gauge("process_open_fds", &[], "File descriptors open: one a connection, in and out"),
    gauge("process_resident_memory_bytes", &[], "Memory in use"),
    gauge("process_start_time_seconds", &[], "When the process was started"),
    gauge("process_threads", &[], "Threads"),
    gauge("process_virtual_memory_bytes", &[], "Address space in use"),
    gauge("process_virtual_memory_max_bytes", &[], "The most address space that may be in use"),
];
