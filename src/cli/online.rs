//! `check --online`: proves what webhooks will need, without changing anything.

use super::far_sides::{self, Wishes};
use super::progress::Progress;
use super::{Ended, failed, stored};
use crate::cli::out::say;
use crate::config::Config;
use crate::esp::setup::{Finding, SetUp, State};
use futures_util::future::{join, join_all};
use std::process::ExitCode;

/// Proves it, a line each.
pub fn run(config: &Config) -> Result<ExitCode, ExitCode> {
    let sides = far_sides::connect(config, &[], Wishes::default())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    let findings = runtime.block_on(async {
        let mut findings = prove(&sides).await;
        if let Some(journal) = &config.journal {
            findings.push(stored::prove(journal).await);
        }
        findings
    });
    for finding in &findings {
        say!("{}", line(finding));
    }
    let problems = findings.iter().filter(|finding| verdict(finding.state) == "problem").count();
    let unknown = findings.iter().filter(|finding| verdict(finding.state) == "unknown").count();
    if problems + unknown == 0 {
        say!("Everything that can be proved is proved.");
        return Ok(Ended::Well.into());
    }
    let plural = if problems == 1 { "" } else { "s" };
    say!("{problems} problem{plural}, {unknown} unknown.");
    Ok(Ended::Failed.into())
}

async fn prove(sides: &[Box<dyn SetUp>]) -> Vec<Finding> {
    let progress = Progress::begin();
    let names: Vec<_> = sides.iter().map(|side| side.connection()).collect();
    progress.tell(&format!("asking {}", names.join(", ")));
    let asked = sides.iter().map(|side| async {
        let (mut proofs, survey) = join(side.prove(), side.survey()).await;
        proofs.extend(survey);
        proofs
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// One of four words.
const fn verdict(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Missing | State::Differs | State::Deactivated | State::Wrong => "problem",
        // One too many does no harm.
        State::Remark | State::Extra => "remark",
        State::Unknown => "unknown",
    }
}

fn line(finding: &Finding) -> String {
    let state = match finding.state {
        State::Missing | State::Deactivated | State::Extra => finding.state.label(),
        _ => "",
    };
    let told: Vec<_> = [state, &finding.detail].into_iter().filter(|text| !text.is_empty()).collect();
    let told: String = told.into_iter().flat_map(|text| [": ", text]).collect();
    let fix = finding.fix.as_ref().map_or_else(String::new, |fix| {
        let by = if fix.by_register { " (register --apply does it)" } else { "" };
        format!("\n         {}{by}", fix.what)
    });
    let verdict = verdict(finding.state);
    format!("{verdict:<8} {}: {}{told}{fix}", finding.connection, finding.subject)
}
