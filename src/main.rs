//! The command line, nothing else.

use clap::Parser;
use gigya_esp_gateway::cli::Cli;
use std::process::ExitCode;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
