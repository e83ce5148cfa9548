use super::*;
use crate::config::Traces;
use crate::domain::{Outcome, Reason};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing::{debug, dispatcher::with_default, info, info_span, warn};

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

/// One subscriber at a time: whether a span is made at all is decided for all that there are together.
static ALONE: Mutex<()> = Mutex::new(());

/// What is logged while something happens.
pub fn heard(telemetry: &Telemetry, happens: impl FnOnce(&Installed)) -> String {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = Heard::default();
    let writer = heard.clone();
    let (dispatch, installed) = assemble(telemetry, move || writer.clone()).unwrap();
    with_default(&dispatch, || happens(&installed));
    let text = heard.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

fn json(telemetry: &Telemetry, happens: impl FnOnce(&Installed)) -> Vec<serde_json::Value> {
    heard(telemetry, happens).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn with_traces() -> Telemetry {
    let traces = Traces {
        endpoint: "http://127.0.0.1:9".parse().unwrap(),
        headers: std::collections::BTreeMap::default(),
        ratio: 0.0,
        service_name: "gateway".to_owned(),
    };
    Telemetry { traces: Some(traces), ..Telemetry::default() }
}

/// A request, as the edge and the lines make it.
fn request(say: impl FnOnce()) {
    let span = info_span!("request", endpoint = "gigya", request_id = "r-1");
    let headers = http::HeaderMap::new();
    let traced = traces::request(&http::Method::POST, "/webhooks/gigya/{connection}", "r-1", &headers);
    span.in_scope(|| traced.in_scope(|| traces::station("parse").in_scope(say)));
}

#[test]
fn while_tracing_is_off_no_span_is_made_whatever_the_filter() {
    for log_filter in ["info", "trace", "gigya_esp_gateway::trace=trace"] {
        let telemetry = Telemetry { log_filter: log_filter.parse().unwrap(), ..Telemetry::default() };
        heard(&telemetry, |_| {
            let uri = "https://example.org/".parse().unwrap();
            let spans = [
                traces::request(&http::Method::POST, "/", "r-1", &http::HeaderMap::new()),
                traces::station("verify"),
                traces::subscriber(0),
                traces::forward("a -> b"),
                traces::attempt("gigya/main", "read", 1, &http::Method::POST, &uri),
            ];
            for span in spans {
                assert!(span.is_disabled(), "{span:?}");
                traces::settled(&span, Outcome::Deferred(Reason::Internal));
                let mut headers = http::HeaderMap::new();
                traces::pass_on(&span, &mut headers);
                assert!(headers.is_empty());
            }
        });
    }
    heard(&with_traces(), |_| assert!(!traces::station("verify").is_disabled()));
}

#[test]
fn a_line_has_its_request_and_its_trace_beside_its_own_fields() {
    let lines = json(&with_traces(), |_| {
        request(|| info!(outcome = "applied", quoted = "a\"}{", "settled"));
        info!("outside");
    });
    let [inside, outside] = lines.as_slice() else { panic!("{lines:?}") };
    for (key, value) in [
        ("message", "settled"),
        ("level", "INFO"),
        ("outcome", "applied"),
        ("quoted", "a\"}{"),
        ("request_id", "r-1"),
        ("endpoint", "gigya"),
    ] {
        assert_eq!(inside[key], value);
    }
    assert_eq!(inside["trace_id"].as_str().unwrap().len(), 32);
    assert_eq!(inside["span_id"].as_str().unwrap().len(), 16);
    assert_eq!(outside["message"], "outside");
    assert!(outside.get("trace_id").is_none() && outside.get("request_id").is_none());
}

#[test]
fn without_traces_a_line_has_its_request_alone() {
    let lines = json(&Telemetry::default(), |_| request(|| info!("settled")));
    assert_eq!(lines[0]["request_id"], "r-1");
    assert!(lines[0].get("trace_id").is_none());
}

#[test]
fn lines_for_people_tell_the_same_once() {
    let telemetry = Telemetry { log_format: LogFormat::Text, ..with_traces() };
    let text = heard(&telemetry, |_| request(|| info!(outcome = "applied", "settled")));
    for expected in ["INFO", "settled", "outcome", "request_id", "r-1", "trace_id=", "span_id="] {
        assert_eq!(text.matches(expected).count(), 1, "{expected} in {text}");
    }
}

#[test]
fn a_request_is_told_whatever_the_filter_and_a_library_from_warnings_up() {
    let telemetry = Telemetry { log_filter: LevelFilter::WARN.into(), ..Telemetry::default() };
    let lines = json(&telemetry, |_| {
        request(|| {
            info!("not told");
            warn!(target: "hyper", "told");
        });
    });
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0]["message"].as_str(), lines[0]["request_id"].as_str()), (Some("told"), Some("r-1")));
    let telemetry = Telemetry { log_filter: LevelFilter::TRACE.into(), ..Telemetry::default() };
    assert!(heard(&telemetry, |_| info!(target: "hyper", "not told")).is_empty());
}

#[test]
fn the_filter_can_be_changed() {
    let text = heard(&Telemetry::default(), |installed| {
        let say = |what: &str| debug!(what, "said");
        say("before");
        installed.set_filter(&"gigya_esp_gateway=debug".parse().unwrap());
        say("after");
        installed.set_filter(&LevelFilter::WARN.into());
        say("later");
    });
    let told: Vec<_> = ["before", "after", "later"].into_iter().filter(|what| text.contains(what)).collect();
    assert_eq!(told, ["after"]);
}
