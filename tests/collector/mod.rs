//! A collector of traces: takes what the gateway sends it, as OTLP over HTTP, and keeps it. Or takes it badly.
#![allow(dead_code, reason = "each test program looks at something else")]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Well,
    /// 500, to everything.
    Badly,
    /// Not at all.
    Never,
}

#[derive(Clone)]
pub struct Collector {
    pub address: SocketAddr,
    manner: Manner,
    taken: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>,
}

impl Collector {
    pub async fn start(manner: Manner) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), manner, taken: Arc::default() };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was sent something.
    pub fn calls(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    /// Every header of this name that came.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let of = |(headers, _): &(HeaderMap, _)| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        taken.iter().filter_map(of).collect()
    }

    pub fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|(_, request)| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What the sender says of itself.
    pub fn resource(&self, key: &str) -> Option<String> {
        let taken = self.taken.lock().unwrap();
        let (_, request) = taken.first()?;
        value(&request.resource_spans.first()?.resource.as_ref()?.attributes, key)
    }

    /// Everything that came, readable.
    pub fn text(&self) -> String {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(_, request)| format!("{request:?}")).collect::<Vec<_>>().join("\n")
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).expect("what is sent is OTLP");
    collector.taken.lock().unwrap().push((headers, request));
    match collector.manner {
        Manner::Well => StatusCode::OK,
        Manner::Badly => StatusCode::INTERNAL_SERVER_ERROR,
        Manner::Never => std::future::pending().await,
    }
}

/// A span's attribute, as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    value(&span.attributes, key)
}

fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}
