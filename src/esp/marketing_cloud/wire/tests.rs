use super::*;
use Consent::{OptedIn, OptedOut, Unknown};
use Leftover::{ForOptedOut, Mailable, Nothing};

fn zone() -> TimeZone {
    TimeZone::get("Etc/GMT+6").unwrap()
}

const IN: Consent = OptedIn { since: ActedAt::UNKNOWN };

fn out_at(text: &str) -> Consent {
    OptedOut { since: time(text, &zone()), reason: OptOutReason::Unsubscribed }
}

fn audience(text: &str) -> MarketingCloudAudience {
    MarketingCloudAudience::parse(text).unwrap()
}

#[test]
fn who_may_be_mailed_or_may_be_again_by_itself_is_in() {
    for status in ["Active", "active", "Bounced", "Held", " HELD "] {
        assert_eq!(consent(status, Some("2025-11-24T10:00:00.123"), &zone()), IN, "{status}");
    }
}

#[test]
fn who_is_out_is_out_since_the_platform_s_local_time() {
    let at = "2025-11-24T16:00:00.123Z".parse().unwrap();
    let since = ActedAt::exactly(at);
    for (status, reason) in [
        ("Unsubscribed", OptOutReason::Unsubscribed),
        ("Deleted", OptOutReason::Deleted),
        ("", OptOutReason::Other),
        ("Frozen", OptOutReason::Other),
    ] {
        assert_eq!(consent(status, Some("2025-11-24T10:00:00.123"), &zone()), OptedOut { since, reason }, "{status}");
    }
    let unknown = OptedOut { since: ActedAt::UNKNOWN, reason: OptOutReason::Unsubscribed };
    assert_eq!(consent("Unsubscribed", None, &zone()), unknown, "which counts as just now");
}

#[test]
fn times_are_read_as_precisely_as_they_are_told() {
    let instant = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(time("2025-11-24T10:00:00.5Z", &zone()), ActedAt::exactly(instant("2025-11-24T10:00:00.5Z")));
    assert_eq!(time("2025-11-24T10:00:00-05:00", &zone()), ActedAt::exactly(instant("2025-11-24T15:00:00Z")));
    let second = ActedAt::between(instant("2025-11-24T16:00:00Z"), instant("2025-11-24T16:00:00.999Z"));
    assert_eq!(time("2025-11-24T10:00:00", &zone()), second);
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let twice = time("2025-10-26T02:30:00.1", &berlin);
    assert_eq!(twice, ActedAt::between(instant("2025-10-26T00:30:00.1Z"), instant("2025-10-26T01:30:00.1Z")));
    for text in ["", "yesterday", "2025-13-01T00:00:00"] {
        assert_eq!(time(text, &zone()), ActedAt::UNKNOWN, "{text}");
    }
}

/// Every combination of what the levels can say, for every kind of audience.
#[test]
fn an_opt_out_at_any_level_that_counts_is_one() {
    let (early, late) = (out_at("2025-01-01T00:00:00.1"), out_at("2025-06-01T00:00:00.1"));
    let all = [Unknown, IN, early, late];
    let is_out = |consent: Consent| matches!(consent, OptedOut { .. });
    for subscriber in all {
        for list in all {
            for row in [Unknown, IN, row_consent(Some("Unsubscribed"))] {
                let whole = amounts_to(&audience("all-subscribers+data-extension:K"), subscriber, list, row);
                assert_eq!(whole, subscriber, "the status alone");

                let on_list = amounts_to(&audience("publication-list:1+data-extension:K"), subscriber, list, row);
                assert_eq!(is_out(on_list), is_out(subscriber) || is_out(list));
                if is_out(subscriber) && is_out(list) {
                    assert_eq!(on_list, subscriber.or_later(list));
                }
                assert_eq!(on_list.is_opted_in(), list.is_opted_in() && !is_out(subscriber));

                let by_row = amounts_to(&audience("data-extension:K"), subscriber, list, row);
                assert_eq!(is_out(by_row), is_out(subscriber), "a row says out without a time");
                assert_eq!(by_row.is_opted_in(), row.is_opted_in() && !is_out(subscriber));
            }
        }
    }
}

#[test]
fn what_is_left_of_somebody_who_is_out() {
    let out = out_at("2025-01-01T00:00:00.1");
    let flagged_out = row_consent(Some("Unsubscribed"));
    for (place, subscriber, row, flags, expected) in [
        ("all-subscribers", out, Unknown, false, Nothing),
        ("all-subscribers+data-extension:K", out, Unknown, true, Nothing),
        ("all-subscribers+data-extension:K", out, IN, false, ForOptedOut),
        ("all-subscribers+data-extension:K", out, IN, true, Mailable),
        ("all-subscribers+data-extension:K", out, flagged_out, true, ForOptedOut),
        // The next send to the data extension would make an active subscriber of it.
        ("all-subscribers+data-extension:K", Unknown, IN, false, Mailable),
        ("publication-list:1+data-extension:K", out, IN, false, ForOptedOut),
        ("data-extension:K", out, IN, false, Mailable),
        ("data-extension:K", out, flagged_out, true, ForOptedOut),
    ] {
        let list = if place.contains("list") { out } else { Unknown };
        assert_eq!(leftover(&audience(place), subscriber, list, row, flags), expected, "{place} {row:?} {flags}");
    }
}

#[test]
fn a_list_that_would_be_mailed_once_an_opt_out_of_everything_is_lifted_is_left_over() {
    let out = out_at("2025-01-01T00:00:00.1");
    assert_eq!(leftover(&audience("publication-list:1"), out, IN, Unknown, false), Mailable);
    assert_eq!(leftover(&audience("publication-list:1"), out, out, Unknown, false), Nothing);
    assert_eq!(leftover(&audience("publication-list:1"), IN, out, Unknown, false), Nothing);
    assert_eq!(leftover(&audience("all-subscribers"), out, IN, Unknown, false), Nothing);
    assert_eq!(leftover(&audience("publication-list:1+data-extension:K"), IN, Unknown, IN, false), Mailable);
}

#[test]
fn a_row_says_in_unless_its_status_says_otherwise() {
    for status in [None, Some(""), Some("Active"), Some(" active ")] {
        assert_eq!(row_consent(status), IN, "{status:?}");
    }
    for status in ["Unsubscribed", "Inactive", "0"] {
        assert!(matches!(row_consent(Some(status)), OptedOut { .. }), "{status}");
    }
}

#[test]
fn values_are_the_same_however_they_are_spelled() {
    for (held, written) in [
        ("True", "true"),
        ("FALSE", "false"),
        ("3.0", "3"),
        ("3.50", "3.5"),
        ("100", "100"),
        (" Ann ", "Ann"),
        ("", ""),
        ("1/2/2026 3:04:05 AM", "2026-01-02T03:04:05Z"),
        ("11/24/2025 4:00:00 PM", "2025-11-24T16:00:00"),
        ("1/2/2026 12:00:00 AM", "2026-01-02"),
    ] {
        assert!(is_same(held, written), "{held} {written}");
    }
    for (held, written) in [
        ("True", "false"),
        ("ann", "Ann"),
        ("007", "7"),
        ("10115", "1011"),
        ("1", "true"),
        ("", "x"),
        ("30", "3"),
        ("1/2/2026 3:04:05 AM", "2026-01-02T03:04:06Z"),
    ] {
        assert!(!is_same(held, written), "{held} {written}");
    }
}

#[test]
fn nothing_is_written_as_null() {
    assert_eq!(text(&FieldValue::Missing), "");
    assert_eq!(text(&FieldValue::Flag(true)), "true");
    assert_eq!(text(&FieldValue::Many(vec!["a".into(), "b".into()])), "a, b");
}
