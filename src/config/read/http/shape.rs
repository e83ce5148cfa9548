//! What records look like: where they are in an answer, what they say of consent, and since when.

use super::call::{Stars, check_pointer, check_reached, conditions, one, pointer, pointers};
use super::{Scope, tables, template};
use crate::config::http::{
    Allowed, Call, Listing, NextPage, Place as Where, Read, Shape, Source, Standing, StateRule, Template, Time,
    TimeFormat,
};
use crate::config::reader::Reader;
use crate::domain::OptOutReason;
use jiff::tz::TimeZone;
use std::time::Duration;

/// What is known of somebody who is looked for by address.
const BY_ADDRESS: Allowed = Allowed {
    email: true,
    person: false,
    record: false,
    uid: false,
    audience: true,
    secrets: false,
    kept: false,
    page: false,
    objects: false,
};
/// And by UID.
const BY_UID: Allowed = Allowed { email: false, uid: true, ..BY_ADDRESS };
/// What is known of a whole audience.
const OF_AUDIENCE: Allowed = Allowed { email: false, page: true, ..BY_ADDRESS };

/// Every way in which somebody is read.
pub fn reads(reader: &mut Reader<'_>, scope: &Scope) -> Vec<Read> {
    let mut reads = Vec::new();
    for (name, place, table) in tables(reader, "read").unwrap_or_default() {
        let mut inner = reader.sub(&name, place, table);
        let by_uid = inner.choice("by", &[("address", false), ("uid", true)]).unwrap_or(false);
        let allowed = if by_uid { BY_UID } else { BY_ADDRESS };
        let shape = shape(&mut inner, allowed, scope);
        if shape.states.is_empty() && !inner.reported_below("states") {
            inner.report(
                "states",
                None,
                "is missing",
                "say what a record's state means: [{ equals = \"subscribed\", means = \"opted_in\" }]",
            );
        }
        if by_uid && shape.address.is_none() {
            inner.report("address", None, "is missing", "say where the address is: a read by UID doesn't know it");
        }
        let call = one(&mut inner, "GET", allowed, scope);
        let (whom, place) = if by_uid { (Source::Uid, "{uid}") } else { (Source::Email, "{email}") };
        if !inner.is_reported() && call.as_ref().is_some_and(|call| !call.names(|source| *source == whom)) {
            let remedy = format!("put {place} where the API takes it");
            inner.report("", None, "names nobody: it would be about everybody", remedy);
        }
        inner.end();
        reads.extend(call.map(|call| Read { by_uid, call, shape }));
    }
    if !reads.is_empty() && reads.iter().all(|read| read.by_uid) {
        reader.report("read", None, "has none by address", "add one with by = \"address\": it is what everybody has");
    }
    reads
}

/// How an audience is read as a whole.
pub fn lists(reader: &mut Reader<'_>, scope: &Scope, reads: &[Read]) -> Vec<Listing> {
    let mut lists = Vec::new();
    for (name, place, table) in tables(reader, "list").unwrap_or_default() {
        let mut inner = reader.sub(&name, place, table);
        let mut shape = shape(&mut inner, OF_AUDIENCE, scope);
        if shape.states.is_empty()
            && let Some(read) = reads.iter().find(|read| !read.by_uid)
        {
            shape = Shape { place: shape.place, ..read.shape.clone() };
        }
        if !matches!(shape.place, Where::Each(_)) {
            inner.report("each", None, "is missing", "say where the rows are: \"/members\"");
        }
        let limit = inner.count("limit", 100, 1, 100_000) as u64;
        let total = pointer(&mut inner, "total", OF_AUDIENCE, scope);
        let url = pointer(&mut inner, "next_url", OF_AUDIENCE, scope);
        let cursor = pointer(&mut inner, "cursor", OF_AUDIENCE, scope);
        let next = match (url, cursor) {
            (Some(url), _) => NextPage::Url(url),
            (None, Some(cursor)) => NextPage::Cursor(cursor),
            (None, None) => NextPage::Offset,
        };
        let call = one(&mut inner, "GET", OF_AUDIENCE, scope);
        let (whence, place) = match next {
            NextPage::Url(_) => (None, ""),
            NextPage::Cursor(_) => (Some(Source::Cursor), "{cursor}"),
            NextPage::Offset => (Some(Source::Offset), "{offset}"),
        };
        let goes_on = |call: &Call| whence.as_ref().is_none_or(|whence| call.names(|source| source == whence));
        if !inner.is_reported() && call.as_ref().is_some_and(|call| !goes_on(call)) {
            let remedy = format!("put {place} into its query, or say by next_url or cursor where the next page is");
            inner.report("", None, "would read its first page again and again", remedy);
        }
        inner.end();
        lists.extend(call.map(|call| Listing { call, shape, limit, total, next }));
    }
    lists
}

fn shape(reader: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> Shape {
    let each = pointer(reader, "each", allowed, scope);
    let at = pointer(reader, "at", allowed, scope);
    if each.is_some() && at.is_some() {
        reader.report("each", None, "is there beside at", "keep one of the two: a list of records, or one");
    }
    let place = each.map_or_else(|| Where::At(at.unwrap_or_else(|| Template::literal(""))), Where::Each);
    let mut fields = Vec::new();
    if let Some((texts, place)) = reader.texts_or_empty("fields") {
        for text in texts {
            check_pointer(reader, "fields", &place, &text, Stars::No);
            fields.extend(template(reader, "fields", (&place, &text), allowed, scope));
        }
    }
    let state = pointer(reader, "state", allowed, scope);
    Shape {
        place,
        key: pointer(reader, "key", allowed, scope),
        address: pointer(reader, "address", allowed, scope),
        uid: pointer(reader, "uid", allowed, scope),
        fields,
        needs: pointers(reader, "needs", Stars::No, allowed, scope),
        states: states(reader, state.as_ref(), allowed, scope),
        times: times(reader, allowed, scope),
    }
}

fn states(reader: &mut Reader<'_>, usual: Option<&Template>, allowed: Allowed, scope: &Scope) -> Vec<StateRule> {
    let standings = [
        ("opted_in", Standing::OptedIn),
        ("pending", Standing::Pending),
        ("opted_out", Standing::OptedOut(OptOutReason::Other)),
        ("unknown", Standing::Unknown),
        ("absent", Standing::Absent),
    ];
    let (mut rules, mut seen) = (Vec::new(), Vec::new());
    for (name, place, table) in tables(reader, "states").unwrap_or_default() {
        let mut rule = reader.sub(&name, place, table);
        let conditions = conditions(&mut rule, usual, allowed, scope);
        let times = times(&mut rule, allowed, scope);
        let reason = reason(&mut rule);
        let means = rule.choice("means", &standings);
        if means.is_none() && !rule.reported("means") {
            rule.missing("means", "write \"opted_in\", \"pending\", \"opted_out\", \"unknown\" or \"absent\"");
        }
        let means = match (means, reason) {
            (Some(Standing::OptedOut(_)), Some(reason)) => Some(Standing::OptedOut(reason)),
            (means, Some(_)) => {
                rule.report("reason", None, "is there without an opt-out", "leave it out");
                means
            }
            (means, None) => means,
        };
        let fits_all = conditions.is_empty() && !rule.is_reported();
        if fits_all && means == Some(Standing::OptedIn) {
            let remedy = "say by equals, contains, any or exists what an opt-in is";
            rule.report("", None, "takes whatever is said for an opt-in, an opt-out too", remedy);
        }
        seen.push((name, fits_all));
        rule.end();
        rules.extend(means.map(|means| StateRule { conditions, means, times }));
    }
    check_reached(reader, &seen);
    rules
}

/// How an opt-out came about.
pub fn reason(rule: &mut Reader<'_>) -> Option<OptOutReason> {
    let reasons = [
        OptOutReason::Unsubscribed,
        OptOutReason::Complained,
        OptOutReason::Bounced,
        OptOutReason::Deleted,
        OptOutReason::Suppressed,
        OptOutReason::Other,
    ];
    rule.choice("reason", &reasons.map(|reason| (reason.label(), reason)))
}

/// When something was said: one place or several, of which the first that is there counts.
pub fn times(reader: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> Vec<Time> {
    let mut times = Vec::new();
    for (name, place, table) in tables(reader, "time").unwrap_or_default() {
        let mut inner = reader.sub(&name, place, table);
        let pointers = pointers(&mut inner, "pointer", Stars::Yes, allowed, scope);
        if pointers.is_empty() && !inner.reported("pointer") {
            inner.missing("pointer", "say where the time is: \"/last_changed\"");
        }
        let zone = zone(&mut inner);
        let format = match inner.required_text("format", "write \"rfc3339\", \"unix\", \"unix_ms\" or a pattern") {
            None => None,
            Some((text, place)) => match text.as_str() {
                "rfc3339" => Some(TimeFormat::Rfc3339),
                "unix" => Some(TimeFormat::UnixSeconds),
                "unix_ms" => Some(TimeFormat::UnixMillis),
                pattern if pattern.contains("%d") || pattern.contains("%F") => {
                    Some(TimeFormat::Pattern(text.clone(), zone.unwrap_or(TimeZone::UTC)))
                }
                _ => {
                    let remedy = "write \"rfc3339\", \"unix\", \"unix_ms\" or a pattern such as \"%Y-%m-%d %H:%M:%S\"";
                    inner.report("format", Some(&place), "is no way to write a time", remedy);
                    None
                }
            },
        };
        let of_state = inner.choice("of", &[("record", false), ("state", true)]).unwrap_or(false);
        let doubt = inner.time("doubt", Duration::ZERO, Duration::ZERO, Duration::from_hours(48));
        inner.end();
        times.extend(format.map(|format| Time { pointers, format, of_state, doubt }));
    }
    times
}

fn zone(reader: &mut Reader<'_>) -> Option<TimeZone> {
    let (text, place) = reader.text("zone")?;
    let zone = TimeZone::get(&text).ok();
    if zone.is_none() {
        reader.report(
            "zone",
            Some(&place),
            "is not a time zone",
            "write an IANA name such as \"Europe/Berlin\" or \"UTC\"",
        );
    }
    zone
}
