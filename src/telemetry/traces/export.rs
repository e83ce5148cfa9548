//! Sends spans to a collector: OTLP over HTTP, in batches, from a thread of its own.
//!
//! Whatever the collector does, requests don't notice: a span is put into a queue of bounded length, or counted as dropped.

use crate::config::Traces;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanExporter as ExportSpans,
    SpanProcessor,
};
use secrecy::ExposeSecret;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Spans that may wait to be sent; those of some hundred requests, a kilobyte or so each.
const MOST_WAITING: usize = 4096;
const BATCH: usize = 512;
/// How long a span waits for others to fill a batch.
const BATCH_EVERY: Duration = Duration::from_secs(2);
/// How long one batch may take, tries again included.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// The log says at most so often that spans are lost; the metric counts each.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The exporter, at work.
pub struct Exporting {
    provider: SdkTracerProvider,
}

impl Exporting {
    /// Starts it. Makes no call yet.
    ///
    /// # Errors
    /// What is wrong with this machine's TLS set-up, or with the endpoint.
    pub fn start(traces: &Traces) -> Result<Self, String> {
        let endpoint = format!("{}/v1/traces", traces.endpoint.as_str().trim_end_matches('/'));
        let headers = traces.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client()?)
            .with_endpoint(endpoint)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(SEND_WITHIN)
            .with_headers(headers.collect())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self::with(exporter, traces))
    }

    fn with(exporter: impl ExportSpans + 'static, traces: &Traces) -> Self {
        let queue = Arc::new(Queue::default());
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(BATCH_EVERY);
        let batches = BatchSpanProcessor::builder(Counted { inner: exporter, queue: Arc::clone(&queue) })
            .with_batch_config(config.build())
            .build();
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", traces.service_name.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded { inner: batches, queue })
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(traces.ratio))))
            .with_resource(resource.build())
            .build();
        Self { provider }
    }

    /// What makes spans.
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Sends what is waiting, for at most this long, and ends.
    pub fn end(&self, within: Duration) {
        let before = Instant::now();
        if self.provider.shutdown_with_timeout(within).is_err() && before.elapsed() >= within {
            tracing::warn!("the collector did not take the last traces in time; they are lost");
        }
    }
}

/// A client of its own, blocking, as the exporter's thread has no runtime; made in a thread, as it must not be made where
/// there is one. No redirects: the headers are for one host.
fn client() -> Result<reqwest::blocking::Client, String> {
    let make = || {
        reqwest::blocking::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SEND_WITHIN)
            .build()
            .map_err(|error| error.to_string())
    };
    let client = std::thread::spawn(make).join();
    client.unwrap_or_else(|_| Err("the HTTP client can't be made".to_owned()))
}

/// How many spans are on their way, and how many never arrived.
#[derive(Default)]
struct Queue {
    waiting: AtomicUsize,
    last_told: Mutex<Option<Instant>>,
}

impl Queue {
    fn dropped(&self, spans: usize, why: &'static str) {
        metrics::counter!("gateway_trace_spans_dropped_total").increment(spans as u64);
        let mut last = self.last_told.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
            *last = Some(Instant::now());
            drop(last);
            tracing::warn!(why, "traces are being lost; see telemetry.otlp_endpoint, and the collector");
        }
    }
}

/// Lets no more spans wait than the queue behind it holds, so that none is dropped there uncounted.
struct Bounded {
    inner: BatchSpanProcessor,
    queue: Arc<Queue>,
}

impl std::fmt::Debug for Bounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bounded")
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let has_room = |waiting| (waiting < MOST_WAITING).then_some(waiting + 1);
        match self.queue.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, has_room) {
            Ok(_) => self.inner.on_end(span),
            Err(_) => self.queue.dropped(1, "the collector is too slow"),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Takes spans off the count once they are sent, or lost.
struct Counted<E> {
    inner: E,
    queue: Arc<Queue>,
}

impl<E> std::fmt::Debug for Counted<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

impl<E: ExportSpans> ExportSpans for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.inner.export(batch).await;
        self.queue.waiting.fetch_sub(spans, Ordering::Relaxed);
        if exported.is_err() {
            // Not the error's text, which is a library's.
            self.queue.dropped(spans, "the collector did not take them");
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use std::collections::BTreeMap;

    /// Takes nothing until it is let go.
    #[derive(Debug)]
    struct Stuck(Arc<Mutex<()>>, Arc<AtomicUsize>);

    impl ExportSpans for Stuck {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            drop(self.0.lock().unwrap());
            self.1.fetch_add(batch.len(), Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn a_collector_that_is_stuck_costs_a_bounded_number_of_spans_and_each_other_is_counted() {
        let (stuck, taken) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
        let settings = Traces {
            endpoint: "http://127.0.0.1:9".parse().unwrap(),
            headers: BTreeMap::new(),
            ratio: 1.0,
            service_name: String::new(),
        };
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let exporting = Exporting::with(Stuck(Arc::clone(&stuck), Arc::clone(&taken)), &settings);
            let tracer = exporting.provider().tracer("test");
            let held = stuck.lock().unwrap();
            for _ in 0..MOST_WAITING + 100 {
                drop(tracer.start("span"));
            }
            drop(held);
            exporting.end(Duration::from_mins(1));
        });
        assert_eq!(taken.load(Ordering::Relaxed), MOST_WAITING);
        let told = recorder.handle().render();
        assert!(told.contains("gateway_trace_spans_dropped_total 100"), "{told}");
    }
}
