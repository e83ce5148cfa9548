//! Statuses, local times and rows as Marketing Cloud spells them, and what several of them amount to.

use crate::config::{MarketingCloudAudience, StatusPlace};
use crate::domain::{ActedAt, Consent, OptOutReason};
use crate::esp::{FieldValue, Leftover};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The levels at which consent is kept, as [`crate::esp::Record::levels`] names them.
pub const SUBSCRIBER: &str = "all-subscribers";
pub const LIST: &str = "publication-list";
pub const ROW: &str = "data-extension";

/// What a status column holds, and what a status is called.
pub const ACTIVE: &str = "Active";
pub const UNSUBSCRIBED: &str = "Unsubscribed";

/// A status as consent. `Bounced` and `Held` are about delivery, and Marketing Cloud lifts them by itself: whoever
/// opts out meanwhile must be opted out all the same, so they count as opted in. A status that we don't know is out.
/// Since when somebody is active isn't told.
pub fn consent(status: &str, out_since: Option<&str>, zone: &TimeZone) -> Consent {
    let out = |reason| Consent::OptedOut { since: out_since.map_or(ActedAt::UNKNOWN, |text| time(text, zone)), reason };
    match status.trim().to_ascii_lowercase().as_str() {
        "active" | "bounced" | "held" => Consent::OptedIn { since: ActedAt::UNKNOWN },
        "unsubscribed" => out(OptOutReason::Unsubscribed),
        "deleted" => out(OptOutReason::Deleted),
        _ => out(OptOutReason::Other),
    }
}

/// What a data extension's row says: that it is there, and what its status column holds.
pub fn row_consent(status: Option<&str>) -> Consent {
    match status.map(str::trim) {
        Some(status) if !status.is_empty() && !status.eq_ignore_ascii_case(ACTIVE) => {
            Consent::OptedOut { since: ActedAt::UNKNOWN, reason: OptOutReason::Unsubscribed }
        }
        _ => Consent::OptedIn { since: ActedAt::UNKNOWN },
    }
}

/// A time with an offset, or on the platform's clock without one. Between two instants where it is ambiguous or told
/// to the second only.
pub fn time(text: &str, zone: &TimeZone) -> ActedAt {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return ActedAt::exactly(instant);
    }
    let Ok(local) = text.parse::<DateTime>() else { return ActedAt::UNKNOWN };
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let (Ok(first), Ok(last)) = (ambiguous.earlier(), ambiguous.later()) else { return ActedAt::UNKNOWN };
    let is_whole_second = local.subsec_nanosecond() == 0;
    let rest = jiff::SignedDuration::from_millis(if is_whole_second { 999 } else { 0 });
    ActedAt::between(first, last.checked_add(rest).unwrap_or(last))
}

/// What the levels amount to. An opt-out at any level that counts here is one, the later of two.
pub fn amounts_to(audience: &MarketingCloudAudience, subscriber: Consent, list: Consent, row: Consent) -> Consent {
    let is_out = |consent: &Consent| matches!(consent, Consent::OptedOut { .. });
    let own = match &audience.status {
        Some(StatusPlace::AllSubscribers) => return subscriber,
        Some(StatusPlace::PublicationList(_)) => list,
        // When a row was made to say out isn't known, and it was the gateway that made it: what Gigya says counts. Whom a
        // mail's link took out, the subscriber's status tells.
        None if is_out(&row) => Consent::Unknown,
        None => row,
    };
    match (is_out(&subscriber), is_out(&own)) {
        (true, true) => subscriber.or_later(own),
        (true, false) => subscriber,
        (false, _) => own,
    }
}

/// What would have to be taken out still of somebody who is out. `flags` is whether rows have a status column.
pub fn leftover(
    audience: &MarketingCloudAudience,
    subscriber: Consent,
    list: Consent,
    row: Consent,
    flags: bool,
) -> Leftover {
    let is_out = |consent| matches!(consent, Consent::OptedOut { .. });
    // Whoever lifts the opt-out of everything would have them mailed on the list again.
    if is_out(subscriber) && list.is_opted_in() && matches!(audience.status, Some(StatusPlace::PublicationList(_))) {
        return Leftover::Mailable;
    }
    // Nor would a send to the data extension find anything against it on a list that doesn't know them.
    let is_unlisted = list == Consent::Unknown && matches!(audience.status, Some(StatusPlace::PublicationList(_)));
    match row {
        Consent::OptedIn { .. } if is_unlisted => Leftover::Mailable,
        Consent::Unknown => Leftover::Nothing,
        Consent::OptedOut { .. } => Leftover::ForOptedOut,
        // The row alone is what mail is sent by; or says that they are in; or would make a subscriber when it is sent to.
        _ if audience.status.is_none() || flags || subscriber == Consent::Unknown => Leftover::Mailable,
        _ => Leftover::ForOptedOut,
    }
}

/// A mapped value as it is written to a column or attribute: `null` can break a call, so what is missing is empty.
pub fn text(value: &FieldValue) -> String {
    match value {
        FieldValue::Missing => String::new(),
        FieldValue::Text(text) => text.clone(),
        FieldValue::Flag(flag) => flag.to_string(),
        FieldValue::Many(texts) => texts.join(", "),
    }
}

/// Whether a value that was read is the one that would be written: booleans come back as `True`, numbers with or
/// without decimals, times in another spelling.
pub fn is_same(held: &str, written: &str) -> bool {
    let (held, written) = (held.trim(), written.trim());
    if held == written {
        return true;
    }
    let is_flag = |text: &str| text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
    if is_flag(held) && is_flag(written) {
        return held.eq_ignore_ascii_case(written);
    }
    if let (Some(held), Some(written)) = (plain_number(held), plain_number(written)) {
        return held == written;
    }
    matches!((moment(held), moment(written)), (Some(held), Some(written)) if held == written)
}

/// A decimal number without leading and trailing zeros; `None` for what isn't one, or may be a code with a leading
/// zero.
fn plain_number(text: &str) -> Option<&str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let is_number = !whole.is_empty() && digits(whole.trim_start_matches('-')) && digits(fraction);
    let is_code = whole.len() > 1 && whole.starts_with('0');
    if !is_number || is_code {
        return None;
    }
    Some(if fraction.is_empty() { whole } else { text.trim_end_matches('0').trim_end_matches('.') })
}

/// A civil time in one of the spellings in which rows are written and read.
fn moment(text: &str) -> Option<DateTime> {
    let text = text.trim_end_matches(['Z', 'z']);
    let american = ["%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y"];
    text.parse().ok().or_else(|| {
        american.iter().find_map(|format| {
            DateTime::strptime(format, text)
                .ok()
                .or_else(|| Some(jiff::civil::Date::strptime(format, text).ok()?.into()))
        })
    })
}

#[cfg(test)]
mod tests;
