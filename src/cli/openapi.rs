//! `openapi`: prints the description of the HTTP interface.

use super::{Ended, out};
use std::process::ExitCode;

/// Prints it.
#[allow(clippy::unnecessary_wraps, reason = "every command ends alike")]
pub fn run() -> Result<ExitCode, ExitCode> {
    out::write(format_args!("{}", crate::http::openapi::json()));
    Ok(Ended::Well.into())
}
