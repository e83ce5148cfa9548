//! What a run came to as metrics in a file, for the node exporter's textfile collector: a run is over before anybody could
//! scrape it.

use crate::forward::Difference;
use crate::reconcile::Tally;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Every metric of a run: its name and what it says.
pub const METRICS: &[(&str, &str)] = &[
    ("gateway_reconcile_last_run_timestamp_seconds", "When the last run ended, in Unix seconds."),
    ("gateway_reconcile_success", "1 if both sides could be compared, and nothing was held back; else 0."),
    ("gateway_reconcile_duration_seconds", "How long the run took."),
    ("gateway_reconcile_accounts", "Accounts read."),
    ("gateway_reconcile_subscribers", "Rows read of the audiences' lists."),
    ("gateway_reconcile_calls", "Calls made to read both sides."),
    ("gateway_reconcile_found", "Differences found, by route and difference."),
    ("gateway_reconcile_settled", "Differences that were settled."),
    ("gateway_reconcile_left", "Differences that were left to be done."),
    ("gateway_reconcile_removals_withheld", "1 if removals were held back, as they were too many; else 0."),
];

/// A run, as its metrics tell it.
pub struct Run<'a> {
    pub tally: &'a Tally,
    pub routes: &'a [String],
    pub began: Timestamp,
    pub ended: Timestamp,
    pub succeeded: bool,
    pub withheld: bool,
}

impl Run<'_> {
    /// Writes the file whole, so that no collector reads half of it.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, file: &Path) -> std::io::Result<()> {
        let new = file.with_extension("prom.new");
        std::fs::write(&new, self.text()).and_then(|()| std::fs::rename(&new, file))
    }

    #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
    fn text(&self) -> String {
        let tally = self.tally;
        let flag = |is: bool| if is { 1.0 } else { 0.0 };
        let values = BTreeMap::from([
            ("gateway_reconcile_last_run_timestamp_seconds", self.ended.as_second() as f64),
            ("gateway_reconcile_success", flag(self.succeeded)),
            ("gateway_reconcile_duration_seconds", self.ended.duration_since(self.began).as_secs_f64()),
            ("gateway_reconcile_accounts", tally.accounts as f64),
            ("gateway_reconcile_subscribers", tally.subscribers as f64),
            ("gateway_reconcile_calls", tally.calls as f64),
            ("gateway_reconcile_settled", tally.settled as f64),
            ("gateway_reconcile_left", tally.left as f64),
            ("gateway_reconcile_removals_withheld", flag(self.withheld)),
        ]);
        let mut text = String::new();
        for (name, help) in METRICS {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            match values.get(name) {
                Some(value) => drop(writeln!(text, "{name} {value}")),
                None => self.write_found(name, &mut text),
            }
        }
        text
    }

    /// A series for each route and difference, also for those of which there is none: a series that comes and goes can't be
    /// watched.
    fn write_found(&self, name: &str, text: &mut String) {
        for route in self.routes {
            for difference in Difference::ALL {
                let count = self.tally.found.get(&(route.clone(), difference)).copied().unwrap_or_default();
                let difference = difference.label();
                let _ = writeln!(text, "{name}{{route=\"{}\",difference=\"{difference}\"}} {count}", escaped(route));
            }
        }
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
