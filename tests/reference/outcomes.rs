//! `outcomes.md` is written by hand: it says what to do. Here it is held against the code.

use crate::page;
use gigya_esp_gateway::domain::{Outcome, Reason};

#[test]
fn every_outcome_and_reason_is_told_once_where_it_belongs() {
    let text = std::fs::read_to_string(page("outcomes.md")).unwrap();
    let mut told = Vec::new();
    let mut outcome = String::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if !cells[0].is_empty() {
            cells[0].clone_into(&mut outcome);
        }
        if let Some(reason) = cells[1].strip_prefix('`') {
            told.push((outcome.clone(), reason.trim_end_matches('`').to_owned()));
        }
    }
    let is_failure = |reason: Reason| Outcome::FAILURES.iter().find(|failure| failure.reason() == Some(reason));
    let expected: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| {
            // Nobody is alarmed by one that is written down.
            let waits = (*reason == Reason::Journaled).then_some("deferred");
            let outcome = is_failure(*reason).map(|failure| failure.label()).or(waits).unwrap_or("skipped");
            (outcome.to_owned(), reason.label().to_owned())
        })
        .collect();
    assert_eq!(told, expected, "the table of docs/reference/outcomes.md, in the code's order");
    for outcome in ["applied", "unchanged"] {
        assert!(text.contains(&format!("**{outcome}**")), "{outcome}");
    }
}
