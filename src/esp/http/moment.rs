//! Times, as precisely as they are told: a second is somewhere within that second, a day the whole day.

use super::document::Document;
use super::fill::as_text;
use crate::config::http::{Time, TimeFormat};
use crate::domain::ActedAt;
use jiff::civil::{DateTime, Time as Clock};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// When consent was said: the first place where there is a time. Where that is the time of any change, it is only known that
/// it was no later.
pub fn of_consent(times: &[Time], document: &Document<'_, '_>) -> ActedAt {
    let Some((at, time)) = first(times, document) else { return ActedAt::UNKNOWN };
    match at.latest() {
        Some(latest) if !time.of_state => ActedAt::no_later_than(latest),
        _ => at,
    }
}

/// When an event happened.
pub fn of_event(times: &[Time], document: &Document<'_, '_>) -> ActedAt {
    first(times, document).map_or(ActedAt::UNKNOWN, |(at, _)| at)
}

fn first<'t>(times: &'t [Time], document: &Document<'_, '_>) -> Option<(ActedAt, &'t Time)> {
    times.iter().find_map(|time| {
        let told = time.pointers.iter().flat_map(|pointer| document.all(pointer));
        // What is there and can't be read may be the latest of all: nothing else may stand in for it.
        let told = told.filter(|value| as_text(value).is_none_or(|text| !text.trim().is_empty()));
        let told = told.map(|value| read(value, &time.format).unwrap_or(ActedAt::UNKNOWN));
        let latest = told.max_by_key(|at| (at.latest().is_none(), at.latest()))?;
        let doubt = SignedDuration::try_from(time.doubt).unwrap_or_default();
        Some((latest.or_earlier_by(doubt), time))
    })
}

/// A time before this one isn't anybody's: seconds were taken for milliseconds, or a zero for a time.
const NOT_BEFORE: Timestamp = Timestamp::constant(946_684_800, 0);

fn read(value: &Value, format: &TimeFormat) -> Option<ActedAt> {
    let text = as_text(value)?;
    let at = spelled(text.trim(), format)?;
    at.earliest().is_some_and(|at| at >= NOT_BEFORE).then_some(at)
}

fn spelled(text: &str, format: &TimeFormat) -> Option<ActedAt> {
    match format {
        TimeFormat::Rfc3339 => text.parse().ok().map(exact_but_for_zeros),
        TimeFormat::UnixSeconds => match text.parse::<i64>() {
            Ok(seconds) => Timestamp::from_second(seconds).ok().map(|at| within_a_second(at, at)),
            Err(_) => {
                let (seconds, _) = text.split_once('.')?;
                let at = Timestamp::from_second(seconds.parse().ok()?).ok()?;
                Some(within_a_second(at, at))
            }
        },
        TimeFormat::UnixMillis => Timestamp::from_millisecond(text.parse().ok()?).ok().map(exact_but_for_zeros),
        TimeFormat::Pattern(pattern, zone) => by_pattern(text, pattern, zone),
    }
}

fn by_pattern(text: &str, pattern: &str, zone: &TimeZone) -> Option<ActedAt> {
    let parsed = BrokenDownTime::parse(pattern, text).ok()?;
    if parsed.offset().is_some()
        && let Ok(at) = parsed.to_timestamp()
    {
        return Some(within_a_second(at, at));
    }
    let day = parsed.to_date().ok()?;
    let (from, to) = match parsed.to_time() {
        Ok(time) if parsed.hour().is_some() => (day.to_datetime(time), day.to_datetime(time)),
        _ => (day.to_datetime(Clock::midnight()), day.to_datetime(Clock::constant(23, 59, 59, 0))),
    };
    let to = if parsed.hour().is_some() && parsed.second().is_none() { to.with().second(59).build().ok()? } else { to };
    Some(within_a_second(earlier(from, zone)?, later(to, zone)?))
}

/// An hour that the clocks repeat is both.
fn earlier(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(local).earlier().ok()
}

fn later(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let resolved = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous.compatible(),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => ambiguous.later(),
    };
    resolved.ok()
}

/// Who writes no fraction, or always zeros, knows the second only.
fn exact_but_for_zeros(at: Timestamp) -> ActedAt {
    if at.subsec_nanosecond() == 0 { within_a_second(at, at) } else { ActedAt::exactly(at) }
}

fn within_a_second(from: Timestamp, to: Timestamp) -> ActedAt {
    ActedAt::between(from, to.checked_add(SignedDuration::from_millis(999)).unwrap_or(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounds(value: Value, format: &TimeFormat) -> Option<(String, String)> {
        let at = read(&value, format)?;
        Some((at.earliest()?.to_string(), at.latest()?.to_string()))
    }

    fn told(value: Value, format: &TimeFormat, from: &str, to: &str) {
        assert_eq!(bounds(value, format), Some((from.to_owned(), to.to_owned())));
    }

    fn pattern(pattern: &str, zone: &str) -> TimeFormat {
        TimeFormat::Pattern(pattern.to_owned(), TimeZone::get(zone).unwrap())
    }

    #[test]
    fn a_second_is_somewhere_within_it_and_a_fraction_that_is_not_zero_is_exact() {
        let (from, to) = ("2026-01-14T10:32:00Z", "2026-01-14T10:32:00.999Z");
        told(json!("2026-01-14T11:32:00+01:00"), &TimeFormat::Rfc3339, from, to);
        told(json!("2026-01-14T11:32:00.000+01:00"), &TimeFormat::Rfc3339, from, to);
        let exact = "2026-01-14T10:32:00.25Z";
        told(json!("2026-01-14T11:32:00.25+01:00"), &TimeFormat::Rfc3339, exact, exact);
        told(json!(1_768_386_720_250_i64), &TimeFormat::UnixMillis, exact, exact);
        told(json!(1_768_386_720), &TimeFormat::UnixSeconds, from, to);
        told(json!("1768386720"), &TimeFormat::UnixSeconds, from, to);
        told(json!(1_768_386_720_000_i64), &TimeFormat::UnixMillis, from, to);
        told(json!("2026-01-14 11:32:00"), &pattern("%Y-%m-%d %H:%M:%S", "Europe/Berlin"), from, to);
    }

    #[test]
    fn minutes_days_and_repeated_hours_are_as_long_as_they_are() {
        let (berlin, minute) = ("Europe/Berlin", pattern("%Y-%m-%d %H:%M", "UTC"));
        told(json!("2026-01-14 10:32"), &minute, "2026-01-14T10:32:00Z", "2026-01-14T10:32:59.999Z");
        told(json!("14.01.2026"), &pattern("%d.%m.%Y", berlin), "2026-01-13T23:00:00Z", "2026-01-14T22:59:59.999Z");
        let seconds = pattern("%Y-%m-%d %H:%M:%S", berlin);
        told(json!("2026-10-25 02:30:00"), &seconds, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00.999Z");
    }

    #[test]
    fn of_several_places_the_latest_counts() {
        let document = json!({ "changed": 1_000_000_005, "left": [{ "at": 1_000_000_009 }, { "at": 1_000_000_007 }, { "at": null }] });
        let pointers = ["/changed", "/left/*/at", "/elsewhere"].map(crate::config::http::Template::literal).into();
        let time =
            Time { pointers, format: TimeFormat::UnixSeconds, of_state: false, doubt: std::time::Duration::ZERO };
        let known = crate::esp::http::fill::Known::default();
        let at = of_consent(&[time], &Document { value: &document, known: &known });
        assert_eq!(at.latest().map(Timestamp::as_second), Some(1_000_000_009));
        assert_eq!(at.earliest(), None, "it is no time of consent");
    }

    #[test]
    fn seconds_that_are_taken_for_milliseconds_are_no_time() {
        assert_eq!(bounds(json!(1_768_386_720), &TimeFormat::UnixMillis), None);
        assert_eq!(bounds(json!(0), &TimeFormat::UnixSeconds), None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for value in [json!(""), json!("soon"), json!({}), json!(true)] {
            for format in
                [TimeFormat::Rfc3339, TimeFormat::UnixSeconds, TimeFormat::UnixMillis, pattern("%Y-%m-%d", "UTC")]
            {
                assert_eq!(bounds(value.clone(), &format), None, "{value}");
            }
        }
    }
}
