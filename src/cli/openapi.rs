//! `openapi`: prints the description of the HTTP interface.

use std::process::ExitCode;

/// Prints it.
pub fn run() -> Result<ExitCode, ExitCode> {
    print!("{}", crate::http::openapi::text());
    Ok(ExitCode::SUCCESS)
}
