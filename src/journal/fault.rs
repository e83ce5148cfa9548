//! Why the journal couldn't be used. Carries fixed words and codes only: a database's own message may quote values.

use std::fmt;

/// Why the journal couldn't be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal can't be used: {cause}{code}")]
pub struct JournalFault {
    /// Which kind of failure, as a label.
    pub cause: &'static str,
    /// The database's own code, where it gave one.
    pub code: Code,
}

/// A database's own code for an error: an SQLSTATE, or SQLite's result code. Empty if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code(Option<Box<str>>);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |code| write!(f, " (code {code})"))
    }
}

impl JournalFault {
    /// Without a code.
    #[must_use]
    pub const fn new(cause: &'static str) -> Self {
        Self { cause, code: Code(None) }
    }

    /// Something in it is not what was written.
    pub(super) const fn unreadable() -> Self {
        Self::new("something in it can't be read: it was changed, or written with another key")
    }
}

impl From<sqlx::Error> for JournalFault {
    fn from(error: sqlx::Error) -> Self {
        let (cause, code) = match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                (meaning(&code), Some(code.into_owned().into_boxed_str()))
            }
            sqlx::Error::PoolTimedOut => ("no connection became free in time", None),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => ("it is closed", None),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => ("the connection failed", None),
            sqlx::Error::Configuration(_) => ("its address can't be used", None),
            _ => ("it answered something unexpected", None),
        };
        Self { cause, code: Code(code) }
    }
}

/// What codes mean for whoever has to act. SQLite's are numbers (extended ones have the kind in their last byte),
/// PostgreSQL's have five characters, the first two of which are the class.
fn meaning(code: &str) -> &'static str {
    if code.len() != 5
        && let Ok(number) = code.parse::<u32>()
    {
        return match number & 0xff {
            5 | 6 => "another process has it locked",
            8 => "it can't be written: the file or its folder is read-only",
            10 => "the disk failed",
            11 | 26 => "the file is damaged, or no journal",
            13 => "the disk is full",
            14 => "the file can't be opened",
            _ => "the database refused",
        };
    }
    match code.get(..2) {
        Some("08" | "57") => "the database went away",
        Some("28") => "the database refuses the user",
        Some("3D") => "there is no such database",
        Some("40") => "two writers met",
        Some("53") => "the database has no room",
        Some("55") => "another process has it locked",
        Some("25") => "the database takes no writes: it is a standby",
        Some("42") => "the database lacks a table, or the permission for it",
        _ => "the database refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_have_a_meaning() {
        for (code, cause) in [
            ("5", "another process has it locked"),
            ("517", "another process has it locked"),
            ("13", "the disk is full"),
            ("11", "the file is damaged, or no journal"),
            ("08006", "the database went away"),
            ("57P01", "the database went away"),
            ("40P01", "two writers met"),
            ("25006", "the database takes no writes: it is a standby"),
            ("53100", "the database has no room"),
            ("XX000", "the database refused"),
        ] {
            assert_eq!(meaning(code), cause, "{code}");
        }
    }
}
