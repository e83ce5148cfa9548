//! A report as a document that stands by itself: nothing is loaded, nothing runs, and whoever reads it needs to know nothing
//! of the gateway.

use super::report::{Entry, Report, change_words};
use super::words::{instant, moment, times};
use crate::domain::Change;
use crate::http::words::{escaped, length, number};
use crate::journal::Whom;
use jiff::Timestamp;
use std::fmt::Write;

const CSS: &str = include_str!("page.css");

/// The document.
pub fn of(report: &Report) -> String {
    let (by, value) = match &report.whom {
        Whom::Address(address) => ("Address", address.expose().to_owned()),
        Whom::Account(gigya, uid) => ("Account", format!("{} ({gigya})", uid.expose())),
    };
    let changes: String = report.changes.iter().map(|entry| change(report, entry)).collect();
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>Record of consent changes</title>
<style>
{CSS}</style>
</head>
<body>
<main>
<h1>Record of consent changes</h1>
<p>When this person opted in or out, and when each system that may send them mail had accepted it.</p>
<dl class="facts">
<dt>{by}</dt><dd><strong>{value}</strong></dd>
<dt>Made</dt><dd><time datetime="{made}">{made_text}</time></dd>
<dt>Changes on record</dt><dd>{count}</dd>
<dt>Integrity</dt><dd>{holds}</dd>
</dl>
{answer}{broken}<h2>What keeps this record</h2>
<p>A gateway stands between the place where people keep their account (SAP Customer Data Cloud, also called Gigya) and the systems
that send mail. Whenever somebody opts in or out in one of them, it carries the change to the other, and writes down a receipt once
the other side has accepted it. It tells the sender of a notice that all is well only after the receipt is written. All times are in UTC.</p>
<h2>Changes, the earliest first</h2>
{changes}{nothing}{words}<h2>How to tell that this record wasn't changed</h2>
{chain}
<footer>Made by {name} {version}. The record is kept under keyed hashes, and the name above was looked up by its hash; a copy of this
document is personal data.</footer>
</main>
</body>
</html>"#,
        value = escaped(&value),
        made = report.made,
        made_text = moment(report.made),
        count = number(u64::try_from(report.changes.len()).unwrap_or(u64::MAX)),
        holds = if report.chain.broken.is_empty() {
            "verified: unchanged since it was written"
        } else {
            "NOT verified, see below"
        },
        answer = answer(report),
        broken = broken(report),
        nothing = if report.changes.is_empty() { "<p>There is none on record.</p>\n" } else { "" },
        words = words(report),
        chain = chain(report),
        name = env!("CARGO_PKG_NAME"),
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// The last opt-out, in a sentence.
fn answer(report: &Report) -> String {
    let Some(last) = report.changes.iter().rev().find(|entry| entry.change.ends_mail()) else { return String::new() };
    let Some(accepted) = last.accepted else { return String::new() };
    let (_, to) = ends(report, last);
    let took = last.after_act().filter(|_| !last.was_found);
    let took = took.map(|took| format!(", {} after the person acted at most", length(took))).unwrap_or_default();
    let verb = if last.was_found { "was found to be in effect" } else { "took effect" };
    format!(
        "<p class=\"answer\">The last opt-out on record {verb} in {} at {}{took}.</p>\n",
        escaped(&to),
        time(accepted)
    )
}

fn broken(report: &Report) -> String {
    if report.chain.broken.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<div class=\"broken\"><strong>Something in the journal is not as it was written.</strong> What is shown here may have been \
         changed.<ul>",
    );
    for broken in report.chain.broken.iter().take(20) {
        let _ = write!(text, "<li>place {}: {}</li>", broken.seq, escaped(broken.what));
    }
    if let Some(more) = report.chain.broken.len().checked_sub(20).filter(|more| *more > 0) {
        let _ = write!(text, "<li>and {more} more</li>");
    }
    text.push_str("</ul></div>\n");
    text
}

/// Where a change came from and where it went, in words.
fn ends(report: &Report, entry: &Entry) -> (String, String) {
    let name = |end: &str| {
        let connection = end.split('/').next().unwrap_or_default();
        match report.systems.get(connection) {
            Some(system) => format!("{system} ({connection})"),
            None => connection.to_owned(),
        }
    };
    let (gigya, esp) = entry.route.split_once(" -> ").unwrap_or((&entry.route, ""));
    let (gigya, esp) = (name(gigya), name(esp));
    if entry.direction == "esp_to_gigya" { (esp, gigya) } else { (gigya, esp) }
}

fn change(report: &Report, entry: &Entry) -> String {
    let class = match entry.change {
        Change::OptOut | Change::Removal => "ends",
        Change::OptIn => "begins",
        Change::Profile => "",
    };
    let (from, to) = ends(report, entry);
    let found = if entry.was_found { " <span class=\"tag\">found in effect</span>" } else { "" };
    let dash = || "–".to_owned();
    let took = entry.after_act().or_else(|| entry.after_told()).map_or_else(dash, length);
    let took = if entry.was_found { dash() } else { took };
    let mut evidence = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(evidence, "<dt>{name}</dt><dd><code>{}</code></dd>", escaped(value));
        }
    };
    row("Route", &entry.route);
    row("Call", entry.call_id.as_deref().unwrap_or_default());
    row("Event", &entry.event);
    row("Request", &entry.request);
    row("Told again", &again(entry));
    row("Place", &entry.seq.to_string());
    row("Hash", &entry.hash);
    format!(
        "<article>\n<h3><span class=\"{class}\">{words}</span>{found} <span class=\"path\">from {from} to {to}</span></h3>\n\
         <dl class=\"times\"><div><dt>Person acted</dt><dd>{acted}</dd></div><div><dt>Gateway told</dt><dd>{received}</dd></div>\
         <div><dt>{accepted_name}</dt><dd>{accepted}</dd></div><div><dt>Took</dt><dd class=\"took\">{took}</dd></div></dl>\n\
         <dl class=\"evidence\">{evidence}</dl>\n</article>\n",
        words = change_words(entry.change),
        from = escaped(&from),
        to = escaped(&to),
        acted = escaped(&entry.acted_text()),
        received = entry.received.map_or_else(dash, time),
        accepted_name = if entry.was_found { "Seen in effect" } else { "Accepted" },
        accepted = entry.accepted.map_or_else(dash, time),
    )
}

fn again(entry: &Entry) -> String {
    match (entry.redeliveries, entry.redelivered) {
        (0, _) => String::new(),
        (times, Some(last)) => format!("{}, last at {}", self::times(times), moment(last)),
        (times, None) => self::times(times),
    }
}

fn time(at: Timestamp) -> String {
    format!("<time datetime=\"{at}\">{}</time>", instant(at))
}

fn words(report: &Report) -> String {
    let mut text = String::from("<h2>What the words mean</h2>\n<dl class=\"words\">\n");
    for (word, meaning) in [
        (
            "Opted out, opted in",
            "The person said that they don't want this mail anymore, or that they do. The later of their acts counts.",
        ),
        (
            "Taken out",
            "Their account was closed or deleted, so they were taken off the list, whatever they had said before.",
        ),
        ("Details changed", "Their name or address was brought up to date, and nothing about their consent."),
        (
            "Person acted",
            "When the person did it, as the system says where they did. Some systems tell it by the second or the day only: then it is \
             told between which times.",
        ),
        ("Gateway told", "When the notice of it reached the gateway."),
        (
            "Accepted",
            "When the other side had confirmed the change. From then on it doesn't send this mail, or does so again.",
        ),
        (
            "Took",
            "From the person's act to the acceptance, at most; from the notice where it isn't known when the person acted.",
        ),
        (
            "Found in effect",
            "When the gateway looked, the other side had the change already: by another way, or by an earlier attempt whose confirmation \
             was lost. It was in effect at the time that is given, and may have been before.",
        ),
        ("Route", "The subscription in the account, and the list at the sending system."),
        ("Call", "The other side's own number for the call that made the change, by which its operator can find it."),
        (
            "Event, Request",
            "The sender's own number of the notice, and the gateway's, by which its log can be searched.",
        ),
        (
            "Told again",
            "How often the same notice came again. Repeating it changes nothing. This count is not part of the hash.",
        ),
        ("Place, Hash", "Where the receipt is in the chain, and what joins it to the one before; see below."),
    ] {
        let _ = writeln!(text, "<div><dt>{word}</dt><dd>{meaning}</dd></div>");
    }
    text.push_str("</dl>\n");
    if report.changes.is_empty() { String::new() } else { text }
}

fn chain(report: &Report) -> String {
    let chain = &report.chain;
    let (receipts, last) = (number(chain.receipts), chain.last);
    let holds = if chain.broken.is_empty() { "holds" } else { "<strong>does not hold</strong>" };
    let holds =
        format!("All receipts of everybody ({receipts}) were read when this document was made, and the chain {holds}.");
    let pruned = match chain.first {
        1 => String::new(),
        first => format!(
            " Receipts before place {first} were removed when they were older than they are kept; a receipt says so.{}",
            if chain.pruned_broken { " <strong>The chain did not hold then.</strong>" } else { "" }
        ),
    };
    format!(
        "<p>Receipts are joined to a chain: each has a SHA-256 hash of its own content and of the hash before it. Whoever changes, removes \
         or inserts one would have to make all later hashes anew. {holds}{pruned}</p>\n\
         <p>Its last hash was, at place {last}: <br><code>{hash}</code><br>If this is compared later with the journal, or with a hash noted \
         before, it shows that nothing up to there was touched. By itself the chain doesn't show that somebody with full access made all of \
         it anew, or cut off its end.</p>",
        hash = escaped(&chain.hash),
    )
}

#[cfg(test)]
mod tests;
