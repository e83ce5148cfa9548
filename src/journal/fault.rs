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
    kind: Kind,
}

/// What can be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What was to be written or read is to blame, or where; the database itself answers.
    Content,
    /// The connection is gone: another one may do.
    Connection,
    /// Two writers met, and this one has to begin anew.
    Met,
    /// Another one is writing, and takes long.
    Locked,
    /// The database can't do anything now, on whatever connection.
    Database,
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
        Self { cause, code: Code(None), kind: Kind::Database }
    }

    /// It didn't answer in time.
    pub(super) const fn late() -> Self {
        Self::new("it didn't answer in time")
    }

    /// Whether something that was to be written or read is to blame, rather than the database.
    pub(super) fn is_about_content(&self) -> bool {
        self.kind == Kind::Content
    }

    /// Whether somebody else is in the midst of something.
    pub(super) fn is_locked(&self) -> bool {
        self.kind == Kind::Locked || self.kind == Kind::Met
    }

    /// Whether another writer was quicker; the connection is as good as before.
    pub(super) fn has_met(&self) -> bool {
        self.kind == Kind::Met
    }

    /// Whether the same may work at once, on another connection.
    pub(super) fn may_work_now(&self) -> bool {
        matches!(self.kind, Kind::Connection | Kind::Met)
    }

    /// Whether the database isn't there, rather than there and unwilling.
    pub(super) fn is_absence(&self) -> bool {
        self.kind == Kind::Connection || *self == Self::late()
    }

    /// Something in it is not what was written.
    pub(super) const fn unreadable() -> Self {
        let cause = "something in it can't be read: it was changed, or written with another key";
        Self { cause, code: Code(None), kind: Kind::Content }
    }
}

impl From<sqlx::Error> for JournalFault {
    fn from(error: sqlx::Error) -> Self {
        let (cause, kind) = match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let (cause, kind) = meaning(&code);
                return Self { cause, code: Code(Some(code.into_owned().into_boxed_str())), kind };
            }
            sqlx::Error::PoolTimedOut => ("no connection became free in time", Kind::Database),
            sqlx::Error::PoolClosed => ("it is closed", Kind::Database),
            sqlx::Error::WorkerCrashed => ("the connection failed", Kind::Connection),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
                ("the connection failed", Kind::Connection)
            }
            sqlx::Error::Configuration(_) => ("its address can't be used", Kind::Database),
            _ => ("it answered something unexpected", Kind::Content),
        };
        Self { cause, code: Code(None), kind }
    }
}

/// What codes mean for whoever has to act. SQLite's are numbers (extended ones have the kind in their last byte),
/// PostgreSQL's have five characters, the first two of which are the class.
fn meaning(code: &str) -> (&'static str, Kind) {
    if code.len() != 5
        && let Ok(number) = code.parse::<u32>()
    {
        return match number & 0xff {
            1 => ("the database refused", Kind::Content),
            5 | 6 => ("another process has it locked", Kind::Locked),
            8 => ("it can't be written: the file or its folder is read-only", Kind::Database),
            10 => ("the disk failed", Kind::Database),
            11 | 26 => ("the file is damaged, or no journal", Kind::Database),
            13 => ("the disk is full", Kind::Database),
            14 => ("the file can't be opened", Kind::Database),
            19 if matches!(number, 1555 | 2067) => ("two writers met", Kind::Met),
            18..=20 | 25 => ("it doesn't take what was to be written", Kind::Content),
            _ => ("the database refused", Kind::Database),
        };
    }
    match code {
        "23505" => return ("two writers met", Kind::Met),
        "57014" => return ("it didn't answer in time", Kind::Database),
        "25006" => return ("the database takes no writes: it is a standby", Kind::Connection),
        _ => {}
    }
    match code.get(..2) {
        Some("08" | "25" | "57") => ("the database went away", Kind::Connection),
        Some("22" | "23") => ("it doesn't take what was to be written", Kind::Content),
        Some("28") => ("the database refuses the user", Kind::Database),
        Some("3D") => ("there is no such database", Kind::Database),
        Some("40") => ("two writers met", Kind::Met),
        Some("53") => ("the database has no room", Kind::Database),
        Some("55") => ("another process has it locked", Kind::Locked),
        Some("42") => ("the database lacks a table, or the permission for it", Kind::Content),
        _ => ("the database refused", Kind::Database),
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
            assert_eq!(meaning(code).0, cause, "{code}");
        }
    }

    #[test]
    fn only_what_another_connection_may_mend_is_tried_at_once() {
        for (code, about_content, may_work_now) in [
            ("5", false, false),
            ("13", false, false),
            ("2067", false, true), // another replica was quicker
            ("22021", true, false),
            ("23502", true, false),
            ("23505", false, true),
            ("40P01", false, true),
            ("57P01", false, true),
            ("57014", false, false),
            ("25006", false, true), // another one may be the primary by now
            ("55P03", false, false),
        ] {
            let (cause, kind) = meaning(code);
            let fault = JournalFault { cause, code: Code(None), kind };
            assert_eq!((fault.is_about_content(), fault.may_work_now()), (about_content, may_work_now), "{code}");
        }
    }
}
