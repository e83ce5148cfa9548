//! What of the journal is shown, in words.

use crate::domain::{Outcome, Reason};
use jiff::Timestamp;

/// A time, as tables have it.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time to the millisecond.
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// Text from outside that does nothing to a terminal but appear there.
pub fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            harmless.extend(character.escape_unicode());
        } else {
            harmless.push(character);
        }
    }
    harmless
}

/// `1 receipt`, `2 receipts`.
pub fn counted(number: u64, what: &str) -> String {
    let number_text = crate::http::words::number(number);
    if number == 1 { format!("1 {what}") } else { format!("{number_text} {what}s") }
}

/// `1 time`, `2 times`.
pub fn times(number: i64) -> String {
    counted(u64::try_from(number).unwrap_or_default(), "time")
}

/// Why an event was set aside, and what to do about it.
pub fn why(reason: &str) -> (&'static str, &'static str) {
    let known = Reason::ALL.iter().find(|known| known.label() == reason);
    match known {
        Some(Reason::AddressUnknown) => (
            "the account is gone, and nothing tells under which address its subscriber is",
            "find the deletion in Gigya's audit log, remove the subscriber with that UID by hand, then drop this",
        ),
        Some(Reason::NoAddress) => (
            "an opted-in account without a usable address",
            "correct the account at Gigya; that sends a webhook of its own, or retry this; then it is done",
        ),
        Some(Reason::Malformed) => (
            "the event lacks what it must have to be understood",
            "if it came from the real sender, report it with what show prints; then drop it, as trying again doesn't help",
        ),
        Some(Reason::RefusedByOtherSide) => (
            "the other side refuses the data for good",
            "look for the refusal's code in the log (Campaign Monitor refused the data, or Marketing Cloud refused the data; with \
             upstream and operation), put it right there, then retry",
        ),
        Some(Reason::NoRoute) => (
            "the connection that it came from isn't configured anymore",
            "configure it again and retry; or drop this if the connection is gone on purpose",
        ),
        _ => ("see docs/reference/outcomes.md", "retry; if it is set aside again, report it"),
    }
}

/// An outcome with its reason: `rejected: no_address`.
pub fn outcome(outcome: Outcome) -> String {
    let reason = outcome.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{reason}", outcome.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_that_sets_aside_has_words_of_its_own() {
        let other = why("something_of_a_later_version");
        for outcome in Outcome::FAILURES {
            if let Outcome::Rejected(reason) = outcome {
                assert_ne!(why(reason.label()), other, "{reason}");
            }
        }
    }

    #[test]
    fn nothing_from_outside_commands_a_terminal() {
        assert_eq!(harmless("a\x1b[2J\u{9b}b\r\nü"), "a\\u{1b}[2J\\u{9b}b\\u{d}\nü");
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [0, 1, 1234].map(|number| counted(number, "receipt")),
            ["0 receipts", "1 receipt", "1,234 receipts"]
        );
    }
}
