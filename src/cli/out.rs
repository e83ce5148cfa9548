//! What a command says on standard output. Whoever reads it may stop before its end (`| head`): that is no failure, and what
//! the command does goes on. If it can't be written for another reason, a full disk say, the command goes on, too, and
//! ends as failed: what it should have said isn't there.

use super::failed;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

/// What kept standard output from being written first; nothing is written after that. There is one standard output.
static HINDRANCE: OnceLock<io::Error> = OnceLock::new();

/// Says a line on standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::out::write(format_args!("{}\n", format_args!($($words)*))) };
}

/// Says on standard error what goes wrong; that nobody hears it changes nothing.
macro_rules! complain {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

pub(crate) use {complain, say};

/// Says something, at once.
pub fn write(words: fmt::Arguments<'_>) {
    if HINDRANCE.get().is_none()
        && let Err(error) = write_to(&mut io::stdout().lock(), words)
    {
        let _ = HINDRANCE.set(error);
    }
}

fn write_to(out: &mut impl Write, words: fmt::Arguments<'_>) -> io::Result<()> {
    out.write_fmt(words)?;
    out.flush()
}

/// How a command ends that has said all.
pub fn end(code: ExitCode) -> ExitCode {
    match HINDRANCE.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            failed(&format!("standard output can't be written: {error}; what the command said isn't all there"))
        }
        _ => code,
    }
}
