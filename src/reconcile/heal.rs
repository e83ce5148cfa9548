//! Carries a plan out: what ends mail first, several people at once, and where an audience is filled, many by one call.

use super::limits::{Limits, Withheld};
use super::plan::{Finding, Plan, PlanError};
use super::tally::Tally;
use crate::forward::{Case, Difference, Gateway, Healed, Line};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

/// People worked on at once.
const AT_ONCE: usize = 16;
/// Findings taken up together; how far the plan has come is kept after each.
const PIECE: usize = 64;

/// How carrying a plan out ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stopped {
    /// It was asked to stop before all was done; it can be gone on with.
    pub before_the_end: bool,
    /// Nobody was removed, and why.
    pub withheld: Option<Withheld>,
}

/// Carries a plan out, from where it was left.
///
/// # Errors
/// If the plan can't be read, or how far it has come not be kept.
pub async fn heal(
    gateway: &Gateway,
    plan: Plan,
    limits: &Limits,
    tally: &mut Tally,
    run: &str,
    stop: &CancellationToken,
    tell: &(dyn Fn(u64) + Sync),
) -> Result<Stopped, PlanError> {
    let withheld = limits.check(tally).err();
    let lines = gateway.lines();
    let largest = lines.iter().map(|line| line.esp().load_size(&line.route().audience)).max().unwrap_or(1);
    // One that is stopped ends what is under way, so that must not be much.
    let bulks = largest * PIECE.div_ceil(largest);
    let piece = |difference| if difference == Difference::Missing { bulks } else { PIECE };
    let mut reading = plan.read()?;
    // What an earlier run left is still left.
    tally.left += reading.left();
    let mut number = 0_u64;
    loop {
        if stop.is_cancelled() {
            reading.keep_place()?;
            return Ok(Stopped { before_the_end: true, withheld });
        }
        let Some((difference, findings)) = reading.next(&piece)? else { break };
        let line = lines.iter().find(|line| findings.first().is_some_and(|first| first.route == line.label()));
        let cases: Vec<Case> = findings
            .iter()
            .map(|finding: &Finding| {
                number += 1;
                finding.to_case(difference, format!("reconcile-{run}-{number}"))
            })
            .collect();
        let before = tally.left;
        match line {
            Some(line) if withheld.is_none() || !difference.is_removal() => {
                for (difference, healed) in work(line, difference, &cases).await {
                    tally.healed(line.label(), difference, healed);
                }
            }
            // Held back, or of a route that is no longer configured.
            _ => tally.left += cases.len() as u64,
        }
        reading.leave(tally.left - before);
        tell(cases.len() as u64);
        reading.keep_place()?;
    }
    // What was held back is found again by the next run.
    reading.end()?;
    Ok(Stopped { before_the_end: false, withheld })
}

async fn work(line: &Line<'_>, difference: Difference, cases: &[Case]) -> Vec<(Difference, Healed)> {
    let size = line.esp().load_size(&line.route().audience);
    if difference == Difference::Missing && size > 1 {
        let mut all = Vec::new();
        for some in cases.chunks(size) {
            all.extend(line.load(some).await.into_iter().map(|healed| (difference, healed)));
        }
        return all;
    }
    let each = futures_util::stream::iter(cases).map(|case| line.heal(case)).buffered(AT_ONCE);
    each.map(|healed| (difference, healed)).collect().await
}
