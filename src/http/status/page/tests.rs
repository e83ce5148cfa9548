use super::*;
use crate::domain::ConnectionName;
use crate::forward::{AgesStatus, ArrivalsStatus, Counts, Refused as RefusedWebhook};
use crate::reload::Refused;
use crate::upstream::LastError;
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn page(status: &Status) -> String {
    of(status, &[], None, Timestamp::UNIX_EPOCH)
}

fn connection_named(name: &str, health: Health) -> ConnectionStatus {
    ConnectionStatus {
        name: name.to_owned(),
        kind: "Gigya",
        arrivals: ArrivalsStatus::default(),
        systems: vec![health],
    }
}

fn health(breaker: BreakerState, last_success: Option<Duration>, last_error: Option<Duration>) -> Health {
    let last_error =
        last_error.map(|ago| LastError { ago, operation: "accounts.search", what: "timed out".to_owned() });
    Health { name: "gigya/main".to_owned(), breaker, last_success, last_error }
}

#[test]
fn a_gateway_that_did_nothing_yet_says_so() {
    let page = of(&Status::default(), &["starting"], None, Timestamp::UNIX_EPOCH);
    assert!(page.contains("No route is configured.") && page.contains("None yet."));
    assert!(page.contains("<span class=\"chip wait\">starting</span>"));
    assert!(page.contains("1970-01-01 00:00:00 UTC"));
}

#[test]
fn a_connection_tells_its_last_webhook_the_last_refused_one_and_how_its_system_does() {
    let arrivals = ArrivalsStatus {
        believed: 12_345,
        last: Some(seconds(12)),
        refused: 2,
        last_refused: Some(RefusedWebhook { ago: seconds(300), reason: "stale".to_owned() }),
    };
    let health = health(BreakerState::Open, Some(seconds(90)), Some(seconds(3)));
    let status = Status {
        connections: vec![ConnectionStatus { arrivals, ..connection_named("main", health) }],
        ..Status::default()
    };
    let page = page(&status);
    assert!(page.contains("12 s ago <small>12,345 in all</small>"));
    assert!(page.contains("<span class=\"wait\">stale</span>, 5 min ago <small>2 in all, answered 401</small>"));
    assert!(page.contains("breaker open</span> last success 90 s ago"));
    assert!(page.contains("<span class=\"stop\">last error 3.0 s ago: accounts.search, timed out</span>"));
}

#[test]
fn an_error_that_is_over_is_told_without_alarm() {
    let over = health(BreakerState::Closed, Some(seconds(1)), Some(seconds(50)));
    let status = Status { connections: vec![connection_named("main", over)], ..Status::default() };
    assert!(page(&status).contains("<span class=\"quiet\">last error 50 s ago"));
}

#[test]
fn a_route_tells_its_counts_and_how_old_opt_outs_were() {
    let route = RouteStatus {
        label: "main/news -> cm/1".to_owned(),
        counts: Counts { applied: 1_000, unchanged: 0, skipped: 3, rejected: 1, deferred: 2 },
        last: Some(seconds(1)),
        ages: Some(AgesStatus { opt_outs: 7, latest: seconds(2), median: seconds(3), worst: seconds(4_000) }),
    };
    let page = page(&Status { routes: vec![route], ..Status::default() });
    assert!(page.contains("<th scope=\"row\">main/news -&gt; cm/1</th>"));
    assert!(page.contains("<td data-name=\"applied\" class=\"count \">1,000</td>"));
    assert!(page.contains("<td data-name=\"rejected\" class=\"count stop\">1</td>"));
    assert!(page.contains("2.0 s <small>median 3.0 s, oldest 66 min, of 7</small>"));
}

#[test]
fn a_configuration_that_was_refused_is_told_with_what_is_wrong() {
    let refused = Refused { at: Timestamp::UNIX_EPOCH, problems: vec!["gateway.toml:3:1: <b>: is wrong".to_owned()] };
    let reloads = ReloadState {
        loaded: Timestamp::UNIX_EPOCH,
        waiting_for_restart: vec!["server.listen"],
        refused: Some(refused),
    };
    let page = of(&Status::default(), &[], Some(&reloads), Timestamp::UNIX_EPOCH);
    assert!(page.contains("Its configuration was loaded at 1970-01-01 00:00:00 UTC."));
    assert!(page.contains("refused at 1970-01-01 00:00:00 UTC</strong>"));
    assert!(page.contains("<li>gateway.toml:3:1: &lt;b&gt;: is wrong</li>"));
    assert!(page.contains("taken at the next start only: server.listen."));
}

#[test]
fn nothing_that_is_told_can_be_more_than_text() {
    let recent = Recent {
        ago: seconds(1),
        at: Timestamp::UNIX_EPOCH,
        direction: Direction::EspToGigya,
        connection: ConnectionName::new("<i>"),
        route: Some("\"><script>".into()),
        outcome: Outcome::Deferred(Reason::Unavailable),
        change: None,
        subscriber: None,
        opt_out_age: None,
    };
    let named = connection_named("<b>", health(BreakerState::Closed, None, None));
    let page = page(&Status { connections: vec![named], outcomes: vec![recent], ..Status::default() });
    assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<script>"));
    assert!(page.contains("<span class=\"chip wait\">deferred</span> unavailable"));
}
