//! What the gateway costs, and how often it calls: `cargo bench --bench gateway`. The gateway is a process of its own; the
//! simulators and the load are in this one. Arguments choose parts (`rest`, `calls`, `deadlines`, `costs`, `growth`);
//! `--quick` has each of them work in seconds, to see that it does, and `--once` has the costs measured in one round, with all
//! its events.
//!
//! What is asserted, numbers of calls and deadlines, makes the command fail. Times are shown, never asserted: what counts
//! of them is the ratio within one run.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

mod calls;
mod costs;
mod deadlines;
mod growth;
mod plot;
mod process;
mod report;
mod rest;
mod tls;
mod world;

use report::Report;
use std::process::ExitCode;

const PARTS: [&str; 5] = ["rest", "calls", "deadlines", "costs", "growth"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // As a test would be asked: `cargo test --benches` only wants to know that it is there.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    // Cargo itself adds `--bench`.
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let quick = asked("--quick");
    let rounds = if quick || asked("--once") { 1 } else { costs::ROUNDS };
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|one| !one.starts_with("--")).collect();
    if let Some(unknown) = chosen.iter().find(|part| !PARTS.contains(part)) {
        eprintln!("no part is called {unknown}: choose of {}", PARTS.join(", "));
        return ExitCode::FAILURE;
    }
    let wanted = |part: &str| chosen.is_empty() || chosen.contains(&part);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut report = Report::default();
    runtime.block_on(async {
        if wanted("rest") {
            rest::measure(&mut report, quick).await;
        }
        if wanted("calls") {
            calls::measure(&mut report, quick).await;
        }
        if wanted("deadlines") {
            deadlines::measure(&mut report, quick).await;
        }
        if wanted("costs") {
            costs::measure(&mut report, quick, rounds).await;
        }
        if wanted("growth") {
            growth::measure(&mut report, quick).await;
        }
    });
    if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
