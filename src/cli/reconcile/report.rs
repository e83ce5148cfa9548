//! What a run came to: a summary to be read or pasted into a ticket, JSON, and a line for each finding.

use super::ReconcileArgs;
use crate::cli::journal::words::{counted, harmless, moment};
use crate::cli::out::say;
use crate::cli::{Ended, failed};
use crate::domain::{Email, Uid};
use crate::reconcile::{Finding, Listener, Sample, Stopped, Tally};
use crate::telemetry::Pseudonyms;
use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::NamedTempFile;

/// Shows people as they may be shown, and writes a line for each finding.
pub struct Writer {
    pseudonyms: Pseudonyms,
    shows: bool,
    file: Option<(PathBuf, Arc<Mutex<Lines>>)>,
}

struct Lines {
    file: BufWriter<NamedTempFile>,
    failed: Option<std::io::Error>,
}

impl Writer {
    pub fn begin(path: Option<&Path>, pseudonyms: Pseudonyms, shows: bool) -> Result<Self, ExitCode> {
        let file = match path {
            Some(path) => {
                // Beside it until it is whole; only its owner may read it.
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let opened = NamedTempFile::new_in(folder).and_then(|file| {
                    let mut file = BufWriter::new(file);
                    writeln!(file, "difference,route,subscriber{}", if shows { ",uid,address" } else { "" })?;
                    Ok(file)
                });
                let file = opened.map_err(|error| failed(&format!("--csv {}: {error}", path.display())))?;
                Some((path.to_owned(), Arc::new(Mutex::new(Lines { file, failed: None }))))
            }
            None => None,
        };
        Ok(Self { pseudonyms, shows, file })
    }

    /// Who writes each finding down as it is made.
    pub fn listener(&self) -> Option<Listener> {
        let file = Arc::clone(&self.file.as_ref()?.1);
        let (pseudonyms, shows) = (self.pseudonyms.clone(), self.shows);
        Some(Listener(Arc::new(move |difference, finding| {
            let mut lines = file.lock().unwrap_or_else(PoisonError::into_inner);
            let mut columns =
                vec![difference.label().to_owned(), finding.route.clone(), pseudonym(&pseudonyms, finding)];
            if shows {
                columns.extend([finding.uid.clone().unwrap_or_default(), finding.at.clone().unwrap_or_default()]);
            }
            let line: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
            if let Err(error) = writeln!(lines.file, "{}", line.join(",")) {
                lines.failed.get_or_insert(error);
            }
        })))
    }

    fn who(&self, finding: &Finding) -> Value {
        let mut who = json!({ "subscriber": pseudonym(&self.pseudonyms, finding) });
        if self.shows {
            who["uid"] = json!(finding.uid);
            who["address"] = json!(finding.at);
        }
        who
    }

    /// Puts the file where it is to be, in the place of one that is there.
    pub fn end(&mut self) -> Result<(), ExitCode> {
        let Some((path, lines)) = self.file.take() else { return Ok(()) };
        let lines = Arc::into_inner(lines).map(|lines| lines.into_inner().unwrap_or_else(PoisonError::into_inner));
        let Some(Lines { file, failed: trouble }) = lines else {
            return Err(failed(&"somebody still writes findings"));
        };
        let written = trouble.map_or(Ok(()), Err).and_then(|()| {
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.persist(&path).map_err(std::io::Error::from).map(drop)
        });
        written.map_err(|error| failed(&format!("--csv {}: {error}", path.display())))
    }
}

fn pseudonym(pseudonyms: &Pseudonyms, finding: &Finding) -> String {
    let address = finding.at.as_deref().and_then(|text| Email::parse(text).ok());
    let uid = finding.uid.as_deref().and_then(Uid::new);
    match (address, uid) {
        (Some(address), _) => pseudonyms.of_email(&address).to_string(),
        (None, Some(uid)) => pseudonyms.of_uid(&uid).to_string(),
        (None, None) => String::new(),
    }
}

/// A column of a CSV file, by RFC 4180; one that a spreadsheet would take for a formula is made text.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { &format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// A run, and what it came to.
pub struct Report<'a> {
    pub args: &'a ReconcileArgs,
    pub tally: &'a Tally,
    pub stopped: Option<&'a Stopped>,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub writer: &'a Writer,
}

impl Report<'_> {
    /// How the command ends.
    pub fn ended(&self) -> Ended {
        match self.stopped {
            Some(stopped) if stopped.withheld.is_some() => Ended::Failed,
            Some(stopped) if stopped.before_the_end || self.tally.left > 0 => Ended::LeftToDo,
            Some(_) => Ended::Well,
            None if self.tally.to_heal() > 0 => Ended::LeftToDo,
            None => Ended::Well,
        }
    }

    pub fn show(&self) {
        if self.args.json {
            say!("{:#}", self.as_json());
        } else {
            self.say();
        }
    }

    fn say(&self) {
        let tally = self.tally;
        let seconds = self.ended.duration_since(self.began).as_secs();
        say!(
            "reconcile, {}: {} compared with {}, {}, in {seconds} s",
            moment(self.began),
            counted(tally.accounts, "account"),
            counted(tally.subscribers, "subscriber"),
            counted(tally.calls, "call")
        );
        if tally.found.is_empty() {
            say!("Both sides are the same.");
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["ROUTE", "DIFFERENCE", "FOUND", "WHAT IT MEANS"]);
        for ((route, difference), count) in &tally.found {
            table.add_row([route, difference.label(), &count.to_string(), difference.meaning()]);
        }
        say!("\n{}", table.trim_fmt());
        self.say_sample();
        self.say_healed();
        say!("\n{}", self.conclusion());
    }

    fn say_sample(&self) {
        if self.tally.samples.is_empty() {
            return;
        }
        let mut table = Table::new();
        let mut header = vec!["FOR EXAMPLE", "SUBSCRIBER"];
        if self.args.show_addresses {
            header.extend(["UID", "ADDRESS"]);
        }
        table.load_style(presets::NOTHING).set_header(header);
        for Sample { difference, finding } in &self.tally.samples {
            let mut row = vec![difference.label().to_owned(), pseudonym(&self.writer.pseudonyms, finding)];
            if self.args.show_addresses {
                let shown = [&finding.uid, &finding.at];
                row.extend(shown.map(|text| harmless(text.as_deref().unwrap_or_default())));
            }
            table.add_row(row);
        }
        say!("\n{}", table.trim_fmt());
    }

    fn say_healed(&self) {
        if self.tally.healed.is_empty() {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["ROUTE", "DIFFERENCE", "WHAT BECAME OF IT", "PEOPLE"]);
        for ((route, difference, outcome), count) in &self.tally.healed {
            table.add_row([route, difference.label(), outcome, &count.to_string()]);
        }
        say!("\n{}", table.trim_fmt());
    }

    fn conclusion(&self) -> String {
        let tally = self.tally;
        let Some(stopped) = self.stopped else {
            return match tally.to_heal() {
                0 => "There is nothing to heal.".to_owned(),
                some => {
                    format!(
                        "{} to be healed: run the same with --apply. Nothing was changed.",
                        counted(some, "difference")
                    )
                }
            };
        };
        let mut lines = vec![format!("{} settled.", counted(tally.settled, "difference"))];
        if let Some(withheld) = &stopped.withheld {
            lines.push(format!("Nobody was removed: {withheld}."));
        }
        if stopped.before_the_end {
            lines.push(
                "Stopped before the end; run it again, with the same --state to go on where it was left.".to_owned(),
            );
        }
        if tally.left > 0 {
            let left = counted(tally.left, "difference");
            lines.push(format!("{left} left: see above why, and run it again; what passes is done then."));
        }
        lines.join("\n")
    }

    fn as_json(&self) -> Value {
        let tally = self.tally;
        let found = tally.found.iter().map(|((route, difference), count)| {
            json!({ "route": route, "difference": difference.label(), "count": count, "meaning": difference.meaning() })
        });
        let healed = tally.healed.iter().map(|((route, difference, outcome), count)| {
            json!({ "route": route, "difference": difference.label(), "outcome": outcome, "count": count })
        });
        let samples = tally.samples.iter().map(|sample| {
            let mut told = self.writer.who(&sample.finding);
            told["difference"] = json!(sample.difference.label());
            told["route"] = json!(sample.finding.route);
            told
        });
        json!({
            "began": self.began.to_string(),
            "ended": self.ended.to_string(),
            "accounts": tally.accounts,
            "subscribers": tally.subscribers,
            "calls": tally.calls,
            "found": found.collect::<Vec<_>>(),
            "sample": samples.collect::<Vec<_>>(),
            "applied": self.stopped.is_some(),
            "stopped": self.stopped.is_some_and(|stopped| stopped.before_the_end),
            "healed": healed.collect::<Vec<_>>(),
            "settled": tally.settled,
            "left": tally.left,
            "withheld": self.stopped.and_then(|stopped| stopped.withheld.as_ref()).map(ToString::to_string),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_column_is_text_whatever_is_in_it() {
        for (text, column) in [
            ("ann@example.org", "ann@example.org"),
            ("=cmd()", "'=cmd()"),
            ("+1@example.org", "'+1@example.org"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("-a,b", "\"'-a,b\""),
        ] {
            assert_eq!(quoted(text), column);
        }
    }
}
