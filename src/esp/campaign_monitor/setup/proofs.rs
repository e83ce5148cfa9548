//! What is proved at Campaign Monitor: the key, the lists, and the client's time zone.

use super::calls::List;
use super::{CampaignMonitorSetUp, explained};
use crate::esp::setup::{Finding, State};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

impl CampaignMonitorSetUp {
    pub(super) async fn proofs(&self) -> Vec<Finding> {
        const KEY: &str = "API key";
        if let Err(fault) = self.api.prove_key().await {
            return vec![self.scribe.trouble(KEY, fault, &explained(fault))];
        }
        let mut proofs = vec![self.scribe.ok(KEY, "is taken")];
        proofs.push(self.prove_time_zone().await);
        for list in self.lists.keys() {
            let subject = format!("list {list}");
            match self.api.list(list).await {
                Ok(held) => proofs.extend(self.of_list(&subject, &held)),
                Err(fault) => proofs.push(self.scribe.trouble(&subject, fault, &explained(fault))),
            }
        }
        proofs
    }

    fn of_list(&self, subject: &str, list: &List) -> Vec<Finding> {
        let mut proofs = vec![self.scribe.ok(subject, &list.title)];
        if list.confirmed_opt_in {
            let detail =
                "has confirmed opt-in: whom the gateway adds gets a mail, and is Unconfirmed until they answer it";
            proofs.push(self.scribe.remark(subject, detail));
        }
        if list.unsubscribe_setting.eq_ignore_ascii_case("AllClientLists") {
            let detail = "unsubscribing from it unsubscribes from all lists of the client, and suppresses the address \
                          (AllClientLists)";
            proofs.push(self.scribe.remark(subject, detail));
        }
        proofs
    }

    async fn prove_time_zone(&self) -> Finding {
        const SUBJECT: &str = "time_zone";
        let Some(client) = &self.settings.client_id else {
            return self.scribe.remark(SUBJECT, "can't be compared with the client's unless client_id is set");
        };
        let label = match self.api.time_zone_of(client).await {
            Ok(label) => label,
            Err(fault) => return self.scribe.trouble(SUBJECT, fault, &explained(fault)),
        };
        let name = self.settings.time_zone.iana_name().unwrap_or("UTC");
        match offset_of(&label) {
            None => {
                self.scribe.remark(SUBJECT, &format!("is {name}; the client's is \"{label}\": see that they agree"))
            }
            Some(theirs) if theirs == standard_offset(&self.settings.time_zone) => {
                self.scribe.ok(SUBJECT, &format!("{name} fits the client's \"{label}\""))
            }
            Some(_) => {
                let detail = format!("is {name}, but the client's is \"{label}\": every time would be hours off");
                self.scribe.yours(SUBJECT, State::Wrong, &detail, "set time_zone to the IANA name of the client's zone")
            }
        }
    }
}

/// The seconds in `(GMT+05:30) Chennai, Kolkata`, or in `(GMT) London`: the zone's offset without summer time.
fn offset_of(label: &str) -> Option<i32> {
    let inside = label.trim().strip_prefix('(')?.split(')').next()?.trim();
    let offset = inside.strip_prefix("GMT").or_else(|| inside.strip_prefix("UTC"))?.trim();
    if offset.is_empty() {
        return Some(0);
    }
    let sign = match offset.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    Some(sign * (hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60))
}

/// A zone's offset without summer time, in seconds: the least of the year's. (Ireland's winter counts as its standard here.)
fn standard_offset(zone: &TimeZone) -> i32 {
    let now = Timestamp::now();
    let offsets = (0..12).map(|month| {
        let then = now.checked_add((month * 730).hours()).unwrap_or(now);
        zone.to_offset(then).seconds()
    });
    offsets.min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_from_labels_and_zones() {
        for (label, zone, hours) in [
            ("(GMT+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Berlin", 1.0),
            ("(GMT+10:00) Canberra, Melbourne, Sydney", "Australia/Sydney", 10.0),
            ("(GMT) Dublin, Edinburgh, Lisbon, London", "Europe/Dublin", 0.0),
            ("(GMT-05:00) Eastern Time (US & Canada)", "America/New_York", -5.0),
            ("(GMT+05:30) Chennai, Kolkata, Mumbai, New Delhi", "Asia/Kolkata", 5.5),
            ("(GMT-03:30) Newfoundland", "America/St_Johns", -3.5),
        ] {
            let offset = offset_of(label).unwrap();
            assert!((f64::from(offset) / 3600.0 - hours).abs() < 1e-9, "{label}");
            assert_eq!(offset, standard_offset(&TimeZone::get(zone).unwrap()), "{label}");
        }
        for label in ["", "Berlin", "(Berlin)", "(GMT+x:00) Berlin", "(GMT 1)"] {
            assert_eq!(offset_of(label), None, "{label}");
        }
    }
}
