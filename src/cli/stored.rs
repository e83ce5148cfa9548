//! Whether the gateway will find its journal, as `check --online` sees it: opened as a command opens it, which changes nothing.

use crate::config::{Journal as Settings, JournalStore};
use crate::esp::setup::{Finding, Fix, State};
use crate::journal::{Database, OpenError};
use crate::upstream::WallClock;
use std::path::Path;

/// Opens it, if it is there; else looks whether it can be made.
pub async fn prove(settings: &Settings) -> Finding {
    let opened = Database::open_existing(settings, WallClock::system()).await;
    let (state, detail) = match (opened, &settings.store) {
        (Ok(_), _) => (State::Ok, "these keys open it".to_owned()),
        (Err(OpenError::NoFile { .. }), JournalStore::Sqlite(path)) => folder(path),
        (Err(OpenError::NotMade { .. }), JournalStore::Sqlite(path)) if !is_empty(path) => {
            (State::Wrong, format!("{} is somebody else's database, and no journal; name another file", path.display()))
        }
        (Err(OpenError::NotMade { .. }), _) => {
            (State::Remark, "there is no journal in it yet: the gateway makes it when it starts".to_owned())
        }
        (Err(OpenError::TooOld), _) => {
            (State::Remark, "of a former version: the gateway brings it up to date when it starts".to_owned())
        }
        (Err(error), _) => (State::Wrong, error.to_string()),
    };
    let subject = match settings.store {
        JournalStore::Sqlite(_) => "SQLite",
        JournalStore::Postgres(_) => "PostgreSQL",
    };
    let fix = (state == State::Wrong).then(|| Fix {
        by_register: false,
        what: "put it right before the gateway starts: with it as it is, the gateway doesn't start, or answers 503"
            .to_owned(),
    });
    Finding { connection: "journal".to_owned(), subject: subject.to_owned(), state, detail, fix }
}

/// A file that isn't there can be made if its folder is.
fn folder(file: &Path) -> (State, String) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() {
        return (State::Remark, format!("there is no {} yet: the gateway makes it when it starts", file.display()));
    }
    (State::Wrong, format!("there is no folder {}; make it, and let the gateway's user write there", folder.display()))
}

fn is_empty(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.len() == 0)
}
