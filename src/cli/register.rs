//! `register`: makes at both sides what points at the gateway. Shows a plan first.

use super::far_sides::{self, Wishes};
use super::progress::Progress;
use super::{ConfigFile, Ended, failed};
use crate::cli::out::{complain, say};
use crate::esp::setup::{Finding, SetUp, State, Step};
use clap::Args;
use comfy_table::{Table, presets};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// What to register, and whether to do it.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Does it. Without it, the plan is shown and nothing is changed.
    #[arg(long, conflicts_with = "dry_run")]
    apply: bool,
    /// Shows the plan only, as is the default.
    #[arg(long)]
    dry_run: bool,
    /// This connection only: its NAME, or with its table as in gigya.main. May be given several times.
    #[arg(long = "connection", value_name = "NAME")]
    connections: Vec<String>,
    /// Where a new callback's signature key goes, which Marketing Cloud shows only once. Never overwritten.
    #[arg(long, value_name = "FILE")]
    signature_key_file: Option<PathBuf>,
    /// Has Marketing Cloud make a new signature key where this configuration has none: the one before ends at once, also where
    /// a running gateway has it.
    #[arg(long)]
    new_signature_key: bool,
    /// The public URL that the gateway had before: what leads there is this gateway's own, and is moved. (Not so at
    /// Marketing Cloud, whose callbacks can't be changed.)
    #[arg(long, value_name = "URL")]
    moved_from: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Plans, and does if so asked.
pub fn run(args: &RegisterArgs) -> Result<ExitCode, ExitCode> {
    let config = args.file.load()?;
    if config.server.public_url.is_none() {
        complain!(
            "error: server.public_url is missing: it says where senders reach the webhook port from outside\n    \
             write public_url = \"https://gateway.example.com\" below [server]"
        );
        return Err(Ended::Refused.into());
    }
    let moved_from = args.moved_from.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    if moved_from == config.server.public_url {
        complain!("error: --moved-from is where the gateway is now: give the public_url that it had before");
        return Err(Ended::Refused.into());
    }
    let wishes = Wishes { secret_file: args.signature_key_file.clone(), moved_from, new_key: args.new_signature_key };
    let sides = far_sides::connect(&config, &args.connections, wishes)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    Ok(runtime.block_on(register(args, &sides)))
}

async fn register(args: &RegisterArgs, sides: &[Box<dyn SetUp>]) -> ExitCode {
    let before = survey(sides).await;
    if !args.apply {
        show(args, &before, None);
        return code(before.iter().map(of_plan).max().unwrap_or(Outcome::Done));
    }
    if !args.json {
        say!("{}\n", table(&before));
    }
    let steps = mend(sides, &before).await;
    let after = if steps.is_empty() { before } else { survey(sides).await };
    show(args, &after, Some(&steps));
    let is_done = steps.iter().all(|step| step.done.is_ok()) && after.iter().all(|finding| is_settled(finding.state));
    code(if is_done { Outcome::Done } else { Outcome::Failed })
}

/// How a run ends; what is later counts more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Done,
    ToDo,
    Failed,
}

fn code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Done => Ended::Well,
        Outcome::ToDo => Ended::LeftToDo,
        Outcome::Failed => Ended::Failed,
    }
    .into()
}

const fn is_settled(state: State) -> bool {
    matches!(state, State::Ok | State::Remark)
}

const fn of_plan(finding: &Finding) -> Outcome {
    match finding.state {
        state if is_settled(state) => Outcome::Done,
        State::Unknown | State::Wrong => Outcome::Failed,
        _ => Outcome::ToDo,
    }
}

/// Looks at every side at once.
async fn survey(sides: &[Box<dyn SetUp>]) -> Vec<Finding> {
    let progress = Progress::begin();
    progress.tell(&format!("looking at {}", names(sides).join(", ")));
    join_all(sides.iter().map(|side| side.survey())).await.into_iter().flatten().collect()
}

/// One side after the other; what fails at one keeps none of the others.
async fn mend(sides: &[Box<dyn SetUp>], plan: &[Finding]) -> Vec<Step> {
    let progress = Progress::begin();
    let mut steps = Vec::new();
    for side in sides {
        let connection = side.connection();
        let ours = |finding: &&Finding| finding.fix.as_ref().is_some_and(|fix| fix.by_register);
        if plan.iter().filter(ours).any(|finding| finding.connection == connection) {
            steps.extend(side.mend(&|line| progress.tell(&format!("{connection}: {line}"))).await);
        }
    }
    steps
}

fn names(sides: &[Box<dyn SetUp>]) -> Vec<&str> {
    sides.iter().map(|side| side.connection()).collect()
}

fn show(args: &RegisterArgs, findings: &[Finding], steps: Option<&[Step]>) {
    if args.json {
        say!("{:#}", as_json(findings, steps));
        return;
    }
    for step in steps.unwrap_or_default() {
        match &step.done {
            Ok(done) => say!("{}: {}: {done}", step.connection, step.subject),
            Err(trouble) => {
                say!("{}: {}: FAILED: {}\n    {}", step.connection, step.subject, trouble.what, trouble.fix);
            }
        }
    }
    if steps.is_none_or(|steps| !steps.is_empty()) {
        if steps.is_some() {
            say!("\nAs it is now:");
        }
        say!("{}", table(findings));
    }
    say!("{}", conclusion(findings, steps));
}

fn conclusion(findings: &[Finding], steps: Option<&[Step]>) -> String {
    let left = findings.iter().filter(|finding| !is_settled(finding.state)).count();
    let ours = findings.iter().filter_map(|finding| finding.fix.as_ref()).filter(|fix| fix.by_register).count();
    let failed = steps.unwrap_or_default().iter().filter(|step| step.done.is_err()).count();
    if failed > 0 {
        // What a look finds afterwards may be well all the same, as something that is there and doesn't work.
        let failed = format!("{failed} {} failed", if failed == 1 { "step" } else { "steps" });
        let left = if left == 0 { String::new() } else { format!(" and {left} left") };
        return format!("{failed}{left}; see above what to do.");
    }
    match (steps, left) {
        (None | Some([]), 0) => "There is nothing to do.".to_owned(),
        (Some(_), 0) => "All of it is done.".to_owned(),
        (None, _) if ours == 0 => format!("{left} to be seen to by you."),
        (None, _) => format!("{left} to be done, {ours} of them by: register --apply"),
        (Some(_), _) => format!("{left} left; see above what to do."),
    }
}

/// Columns that are aligned, without lines: to be read, and to be searched.
pub fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["CONNECTION", "WHAT", "STATE", "DETAIL", "TO DO"]);
    for finding in findings {
        let fix = finding.fix.as_ref().map_or_else(String::new, |fix| {
            if fix.by_register { fix.what.clone() } else { format!("you: {}", fix.what) }
        });
        table.add_row([&finding.connection, &finding.subject, finding.state.label(), &finding.detail, &fix]);
    }
    table.trim_fmt()
}

fn as_json(findings: &[Finding], steps: Option<&[Step]>) -> Value {
    let step = |step: &Step| {
        let (done, trouble) = (step.done.as_ref().ok(), step.done.as_ref().err());
        json!({
            "connection": step.connection, "subject": step.subject, "done": done,
            "failed": trouble.map(|trouble| json!({ "what": trouble.what, "fix": trouble.fix })),
        })
    };
    json!({
        "findings": findings.iter().map(finding_json).collect::<Vec<_>>(),
        "steps": steps.map(|steps| steps.iter().map(step).collect::<Vec<_>>()),
    })
}

/// A finding as JSON has it.
pub fn finding_json(finding: &Finding) -> Value {
    let fix = finding.fix.as_ref();
    json!({
        "connection": finding.connection, "subject": finding.subject, "state": finding.state.label(),
        "detail": finding.detail,
        "fix": fix.map(|fix| json!({ "by": if fix.by_register { "register" } else { "you" }, "what": fix.what })),
    })
}
