//! The metrics: what there is is told in one table, has the labels that it says, and counts what it says.
//!
//! All gateways of a process count in one place, so these tests look at what grew, and take turns.

use crate::{LONG_AGO, both, get, quiet, sandbox, subscriber};
use gigya_esp_gateway::sandbox::{Sandbox, Setup, Weather};
use gigya_esp_gateway::telemetry::metrics::{FAMILIES, Family, Kind};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;

const AGE: &str = "gateway_opt_out_age_seconds";

static TURNS: Mutex<()> = Mutex::const_new(());

/// The series of a page, by name and labels as they stand there.
struct Page(BTreeMap<String, f64>);

impl Page {
    async fn of(sandbox: &Sandbox) -> Self {
        let text = get(sandbox, "/metrics").await.body;
        let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            series
                .map(|line| line.rsplit_once(' ').unwrap())
                .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
                .collect(),
        )
    }

    /// The sum of a metric's series that have all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let is_it =
            |series: &str| series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label));
        self.0.iter().filter(|(series, _)| is_it(series)).map(|(_, value)| value).sum()
    }
}

/// How much a metric grew.
fn grew(before: &Page, after: &Page, name: &str, labels: &[&str]) -> f64 {
    after.sum(name, labels) - before.sum(name, labels)
}

fn names_of_labels(series: &str) -> Vec<&str> {
    let Some((_, labels)) = series.split_once('{') else { return Vec::new() };
    let names =
        labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
    let mut names: Vec<_> = names.filter(|name| *name != "le").collect();
    names.sort_unstable();
    names
}

fn family_of(series: &str) -> Option<&'static Family> {
    let name = series.split('{').next().unwrap();
    let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    FAMILIES
        .iter()
        .find(|family| if family.kind == Kind::Histogram { family.name == stem } else { family.name == name })
}

#[tokio::test]
async fn what_is_exported_is_what_is_told_and_the_other_way_round() {
    let _turn = TURNS.lock().await;
    let lines = "max_concurrent_calls = 1";
    let sandbox = sandbox(Setup { campaign_monitor_lines: lines.to_owned(), ..Setup::default() }).await;
    sandbox.campaign_monitor.faults().set(Weather { error: 0.2, ..Weather::default() });
    for name in ["ann", "ben", "cleo", "dora", "ed", "fay", "gus", "hal"] {
        let uid = sandbox.gigya.sign_up(&crate::address(name), name);
        sandbox.gigya.subscribe(&uid, crate::NEWSLETTER);
    }
    quiet(&sandbox).await;
    sandbox.gigya.set_active(&sandbox.gigya.accounts()[0].uid, false);
    quiet(&sandbox).await;
    let unsigned =
        reqwest::Client::new().post(sandbox.gigya_url(0)).header("content-type", "application/json").body("{}");
    crate::ask(crate::Port::Webhooks, unsigned).await;

    let page = Page::of(&sandbox).await;
    for series in page.0.keys() {
        let family = family_of(series).unwrap_or_else(|| panic!("{series} is exported, and in no table"));
        let mut told = family.labels.to_vec();
        told.sort_unstable();
        assert_eq!(names_of_labels(series), told, "{series}");
    }
    // A sandbox's gateway has no collector of traces; `tests/traces` has.
    let told_here = || FAMILIES.iter().filter(|family| !family.name.starts_with("gateway_trace_"));
    for family in told_here() {
        let is_there = page.0.keys().any(|series| family_of(series).is_some_and(|found| found.name == family.name));
        assert!(is_there, "{} is told, and not exported", family.name);
    }
    let text = get(&sandbox, "/metrics").await.body;
    for family in told_here() {
        assert!(text.contains(&format!("# HELP {} ", family.name)), "{} has no help", family.name);
        assert!(text.contains(&format!("# TYPE {} {}\n", family.name, family.kind.label())), "{}", family.name);
    }
}

#[tokio::test]
async fn an_opt_out_is_told_with_its_age_whichever_way_it_goes() {
    let _turn = TURNS.lock().await;
    let sandbox = both().await;
    let ann = subscriber(&sandbox, "ann").await;
    subscriber(&sandbox, "ben").await;
    let cleo = subscriber(&sandbox, "cleo").await;
    let to_news = ["direction=\"gigya_to_esp\"", "connection=\"main\"", "to=\"news\""];
    let to_crm = ["direction=\"gigya_to_esp\"", "connection=\"main\"", "to=\"crm\""];
    let from_news = ["direction=\"esp_to_gigya\"", "connection=\"news\"", "to=\"main\""];
    // Gigya tells of one act by two events, which may both find somebody in, and take them out.
    let took_effect = |before: &Page, after: &Page, labels: &[&str]| {
        let times = grew(before, after, &format!("{AGE}_count"), labels);
        let age = grew(before, after, &format!("{AGE}_sum"), labels) / times;
        assert!((0.9..2.1).contains(&times), "{times} {labels:?}");
        assert!((LONG_AGO.as_secs_f64()..LONG_AGO.as_secs_f64() + 60.0).contains(&age), "{age} {labels:?}");
    };
    let took_none =
        |before: &Page, after: &Page, labels: &[&str]| grew(before, after, &format!("{AGE}_count"), labels) < 0.1;

    let before = Page::of(&sandbox).await;
    sandbox.gigya.unsubscribe(&ann, crate::NEWSLETTER);
    quiet(&sandbox).await;
    let after = Page::of(&sandbox).await;
    took_effect(&before, &after, &to_news);
    took_effect(&before, &after, &to_crm);
    assert!(took_none(&before, &after, &from_news), "the echo took no effect");

    let before = after;
    assert!(sandbox.campaign_monitor.unsubscribe_link(&sandbox.list, &crate::address("ben")));
    quiet(&sandbox).await;
    let after = Page::of(&sandbox).await;
    took_effect(&before, &after, &from_news);
    // By Gigya's webhook it reaches the other ESP.
    took_effect(&before, &after, &to_crm);
    assert!(took_none(&before, &after, &to_news), "there it was said");

    // Closing an account counts as an opt-out, from when it was closed.
    let before = after;
    sandbox.gigya.set_active(&cleo, false);
    quiet(&sandbox).await;
    let after = Page::of(&sandbox).await;
    took_effect(&before, &after, &to_news);
    took_effect(&before, &after, &to_crm);
}

#[tokio::test]
async fn what_somebody_may_be_alarmed_by_is_there_before_it_happens() {
    let _turn = TURNS.lock().await;
    let sandbox = both().await;
    let page = Page::of(&sandbox).await;
    for connection in ["main", "news", "crm"] {
        let of_it = |series: &&String| series.contains(&format!("connection=\"{connection}\""));
        for wanted in ["gateway_events_total{", "gateway_webhooks_total{", "gateway_connection_info{"] {
            assert!(page.0.keys().filter(of_it).any(|series| series.starts_with(wanted)), "{connection}: {wanted}");
        }
        let failures =
            ["outcome=\"rejected\",reason=\"address_unknown\"", "outcome=\"deferred\",reason=\"configuration\""];
        for failure in failures {
            assert!(page.0.keys().filter(of_it).any(|series| series.contains(failure)), "{connection}: {failure}");
        }
    }
}

#[tokio::test]
async fn calls_that_wait_for_a_place_or_for_the_pace_are_told() {
    let _turn = TURNS.lock().await;
    let lines = "max_concurrent_calls = 1\nmax_calls_per_minute = 600";
    let sandbox = sandbox(Setup { campaign_monitor_lines: lines.to_owned(), ..Setup::default() }).await;
    sandbox.campaign_monitor.faults().set(Weather { latency: Duration::from_millis(20), ..Weather::default() });
    let before = Page::of(&sandbox).await;
    for number in 0..20 {
        let uid = sandbox.gigya.sign_up(&format!("somebody-{number}@example.org"), "Somebody");
        sandbox.gigya.subscribe(&uid, crate::NEWSLETTER);
    }
    quiet(&sandbox).await;
    let after = Page::of(&sandbox).await;
    let system = "system=\"campaign-monitor/news\"";
    for cause in ["pace", "queue"] {
        let labels = [system, &format!("cause=\"{cause}\"")];
        assert!(grew(&before, &after, "gateway_upstream_wait_seconds_count", &labels) > 0.0, "{cause}");
    }
    assert!(after.sum("gateway_upstream_in_flight", &[system]).abs() < 0.1, "none is under way anymore");
    assert!(after.sum("gateway_upstream_last_success_timestamp_seconds", &[system]) > 1e9);
}
