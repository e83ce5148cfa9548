//! The journal itself, on SQLite, and on PostgreSQL where `JOURNAL_TEST_POSTGRES` has the URL of a server: its user may
//! make databases and end others' sessions.

mod asking;
mod commits;
mod erasing;
mod faults;
mod keeping;
mod opening;
mod queue;
pub mod shelf;
mod silence;
