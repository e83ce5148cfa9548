//! In what the two databases differ.

/// Which of the two databases it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Flavour {
    /// Whether who brings its tables up to date keeps others from doing so.
    pub const fn locks_migrations(self) -> bool {
        matches!(self, Self::Postgres)
    }

    /// How a transaction begins that only reads, and sees one state from its first statement to its last.
    pub const fn look(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// Lets the statements of a transaction take as long as they need.
    pub const fn without_hurry(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SET LOCAL statement_timeout = 0"),
        }
    }

    /// Makes who joins receipts to the chain wait, first thing in a transaction, until others that asked for the same are
    /// done. Of no table: who notes in one how far the chain has come holds its receipts by then, and they would wait for
    /// each other. SQLite has one writer at a time anyway.
    pub const fn take_turns(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(7306364)::text"),
        }
    }

    /// Counts the tables that every journal has, of [`super::existing::TABLES`].
    pub const fn tables(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' \
                 AND name IN ('_sqlx_migrations', 'journal_key', 'journal_chain')"
            }
            Self::Postgres => {
                "SELECT COUNT(to_regclass(name)) \
                 FROM (VALUES ('_sqlx_migrations'), ('journal_key'), ('journal_chain')) AS wanted (name)"
            }
        }
    }

    /// Asks for the bytes that the journal takes.
    pub const fn size(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            Self::Postgres => {
                "SELECT pg_total_relation_size('journal_receipt') + pg_total_relation_size('journal_link') \
                 + pg_total_relation_size('journal_rejected') + pg_total_relation_size('journal_pending')"
            }
        }
    }

    /// Has what was erased leave the log of writes, too; PostgreSQL sees to its own.
    pub const fn after_erasing(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("PRAGMA wal_checkpoint(TRUNCATE)"),
            Self::Postgres => None,
        }
    }
}
