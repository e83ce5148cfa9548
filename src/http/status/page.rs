//! The document.

use super::words::{ago, escaped, length, number};
use crate::domain::{Change, Outcome, Reason};
use crate::forward::{ConnectionStatus, Direction, Recent, RouteStatus, Status};
use crate::reload::ReloadState;
use crate::upstream::{BreakerState, Health};
use jiff::Timestamp;
use std::fmt::Write;

/// The page, of how the gateway is doing at a time. `reasons` are why work is not welcome.
pub(super) fn of(status: &Status, reasons: &[&str], reloads: Option<&ReloadState>, now: Timestamp) -> String {
    let ready = if reasons.is_empty() { chip("go", "ready") } else { chip("wait", &reasons.join(", ")) };
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gigya-esp-gateway</title>
<link rel="stylesheet" href="status/page.css">
<script src="status/page.js" defer></script>
</head>
<body>
<main>
<header>
<h1>gigya-esp-gateway <small>{version}</small> {ready}</h1>
<p>This replica, at <time datetime="{now}">{shown}</time>. Counts begin with its start. <span id="refreshing"></span></p>
</header>
{configuration}<section>
<h2>Connections</h2>
<div class="cards">
{connections}</div>
</section>
<section>
<h2>Routes</h2>
{routes}
</section>
<section>
<h2>Last outcomes</h2>
{outcomes}
</section>
</main>
</body>
</html>
"#,
        version = env!("CARGO_PKG_VERSION"),
        shown = moment(now),
        configuration = reloads.map(configuration).unwrap_or_default(),
        connections = status.connections.iter().map(connection).collect::<String>(),
        routes = routes(&status.routes),
        outcomes = outcomes(&status.outcomes),
    )
}

fn moment(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%S UTC")
}

/// Which configuration runs, and what is wrong with the one that was refused.
fn configuration(reloads: &ReloadState) -> String {
    let mut text = format!("<p class=\"quiet\">Its configuration was loaded at {}.</p>\n", moment(reloads.loaded));
    if let Some(refused) = &reloads.refused {
        let problems: Vec<_> = refused.problems.iter().map(|line| escaped(line)).collect();
        let problems = problems.join("</li><li>");
        let _ = writeln!(
            text,
            "<div class=\"notice stop\"><strong>A newer configuration was refused at {}</strong>; this one goes on.\
             <ul><li>{problems}</li></ul></div>",
            moment(refused.at)
        );
    }
    if !reloads.waiting_for_restart.is_empty() {
        let keys = escaped(&reloads.waiting_for_restart.join(", "));
        let _ = writeln!(text, "<div class=\"notice\">Changed, and taken at the next start only: {keys}.</div>");
    }
    text
}

fn chip(kind: &str, text: &str) -> String {
    format!("<span class=\"chip {kind}\">{}</span>", escaped(text))
}

fn connection(connection: &ConnectionStatus) -> String {
    let arrivals = &connection.arrivals;
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = write!(rows, "<dt>{name}</dt><dd>{value}</dd>");
    };
    let last = arrivals.last.map_or_else(|| "none yet".to_owned(), ago);
    row("Last webhook", &format!("{last} <small>{} in all</small>", number(arrivals.believed)));
    if let Some(refused) = &arrivals.last_refused {
        let what = format!("{} <small>{} in all, answered 401</small>", ago(refused.ago), number(arrivals.refused));
        row("Last refused", &format!("<span class=\"wait\">{}</span>, {what}", escaped(&refused.reason)));
    }
    for health in &connection.systems {
        row(&escaped(&health.name), &system(health));
    }
    format!(
        "<article class=\"card\"><h3>{} <small>{}</small></h3><dl>{rows}</dl></article>\n",
        escaped(&connection.name),
        escaped(connection.kind)
    )
}

fn system(health: &Health) -> String {
    let breaker = match health.breaker {
        BreakerState::Closed => chip("go", "breaker closed"),
        BreakerState::HalfOpen => chip("wait", "breaker on trial"),
        BreakerState::Open => chip("stop", "breaker open"),
    };
    let success =
        health.last_success.map_or_else(|| "no call yet".to_owned(), |time| format!("last success {}", ago(time)));
    let error = health.last_error.as_ref().map(|error| {
        let (operation, what) = (escaped(error.operation), escaped(&error.what));
        // What is over is told without alarm.
        let kind = if health.last_success.is_some_and(|success| success < error.ago) { "quiet" } else { "stop" };
        format!("<br><span class=\"{kind}\">last error {}: {operation}, {what}</span>", ago(error.ago))
    });
    format!("{breaker} {success}{}", error.unwrap_or_default())
}

fn routes(routes: &[RouteStatus]) -> String {
    if routes.is_empty() {
        return "<p class=\"quiet\">No route is configured.</p>".to_owned();
    }
    let mut rows = String::new();
    for route in routes {
        let counts = route.counts;
        let _ = write!(rows, "<tr><th scope=\"row\">{}</th>", escaped(&route.label));
        for (name, count, kind) in [
            ("applied", counts.applied, ""),
            ("unchanged", counts.unchanged, ""),
            ("skipped", counts.skipped, ""),
            ("rejected", counts.rejected, "stop"),
            ("deferred", counts.deferred, "wait"),
        ] {
            let kind = if count == 0 { "none" } else { kind };
            let _ = write!(rows, "<td data-name=\"{name}\" class=\"count {kind}\">{}</td>", number(count));
        }
        let last = route.last.map_or_else(|| "none yet".to_owned(), ago);
        let ages = route.ages.map_or_else(
            || "<span class=\"quiet\">none yet</span>".to_owned(),
            |ages| {
                let (latest, median, worst) = (length(ages.latest), length(ages.median), length(ages.worst));
                let count = number(ages.opt_outs);
                format!("{latest} <small>median {median}, oldest {worst}, of {count}</small>")
            },
        );
        let _ =
            writeln!(rows, "<td data-name=\"last event\">{last}</td><td data-name=\"opt-out age\">{ages}</td></tr>");
    }
    format!(
        "<table>\n<thead><tr><th>Route</th><th>Applied</th><th>Unchanged</th><th>Skipped</th><th>Rejected</th>\
         <th>Deferred</th><th>Last event</th><th>Opt-out age</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         <p class=\"quiet\">Opt-out age: how long after the person acted it took effect at the other side. The last one's; the \
         median is that of the last hundred.</p>"
    )
}

fn outcomes(outcomes: &[Recent]) -> String {
    if outcomes.is_empty() {
        return "<p class=\"quiet\">None yet.</p>".to_owned();
    }
    let rows: String = outcomes.iter().map(outcome).collect();
    format!(
        "<table class=\"outcomes\">\n<thead><tr><th>When</th><th>From</th><th>Route</th><th>Outcome</th><th>Change</th>\
         <th>Subscriber</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         <p class=\"quiet\">The subscriber is the keyed hash that log lines have, too.</p>"
    )
}

fn outcome(recent: &Recent) -> String {
    let kind = match recent.outcome {
        Outcome::Applied => "go",
        Outcome::Unchanged | Outcome::Skipped(_) => "plain",
        Outcome::Deferred(_) => "wait",
        Outcome::Rejected(_) => "stop",
    };
    let reason = recent.outcome.reason().map_or("", Reason::label);
    let change = recent.change.map_or("", |change| match change {
        Change::Profile => "profile",
        Change::OptIn => "opted in",
        Change::OptOut => "opted out",
        Change::Removal => "removed",
    });
    let age = recent.opt_out_age.map(|age| format!(" <small>after {}</small>", length(age))).unwrap_or_default();
    let direction = match recent.direction {
        Direction::GigyaToEsp => "to the ESP",
        Direction::EspToGigya => "to Gigya",
    };
    let subscriber = recent.subscriber.as_ref().map(ToString::to_string).unwrap_or_default();
    format!(
        "<tr><td data-name=\"when\"><time datetime=\"{at}\" title=\"{shown}\">{ago}</time></td>\
         <td data-name=\"from\">{connection} <small>{direction}</small></td><td data-name=\"route\">{route}</td>\
         <td data-name=\"outcome\">{chip} {reason}</td><td data-name=\"change\">{change}{age}</td>\
         <td data-name=\"subscriber\"><code>{subscriber}</code></td></tr>\n",
        at = recent.at,
        shown = moment(recent.at),
        ago = ago(recent.ago),
        connection = escaped(recent.connection.as_str()),
        route = escaped(recent.route.as_deref().unwrap_or("none")),
        chip = chip(kind, recent.outcome.label()),
    )
}

#[cfg(test)]
mod tests;
