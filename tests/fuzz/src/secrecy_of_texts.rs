//! What must never be said: in messages anything of a body, in logs an address.

use serde_json::Value;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that a message about a body may consist of, without the numbers in it.
const SAYINGS: &[&str] = &[
    "not JSON, at line  column ",
    "not a Gigya notification, at line  column ",
    "not a Campaign Monitor callback, at line  column ",
    "not UTF-", // 8
    "not a Campaign Monitor callback in XML",
    "neither events nor a verification",
    "not an array of events",
    "the list belongs to no route of this connection",
    "not a Gigya notification: none of its events has the shape of one",
    "none of its events has the shape of one",
    "no event is where the description has it",
    "neither a record nor a list of them",
    "more than  records",
    "more than  notifications",
    "not an Outbound Message",
    "not well-formed XML, near byte ",
    "names no organization",
    "has a document type",
    "not a Campaign Monitor callback: none of its events has the shape of one",
];

/// Whether a message says where something is wrong and nothing of what stands there.
pub fn says_only_where(message: &str) -> bool {
    let fixed: String = message.chars().filter(|c| !c.is_ascii_digit()).collect();
    SAYINGS.contains(&fixed.as_str())
}

/// All texts under one of these keys, however deep.
pub fn texts_under(value: &Value, keys: &[&str]) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let here = members.iter().filter(|(key, _)| keys.contains(&key.as_str()));
            let here = here.filter_map(|(_, value)| value.as_str().map(str::to_owned));
            here.chain(members.values().flat_map(|value| texts_under(value, keys))).collect()
        }
        Value::Array(items) => items.iter().flat_map(|value| texts_under(value, keys)).collect(),
        _ => Vec::new(),
    }
}

/// The log since it was last taken.
pub struct Logs;

static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Logs {
    /// Begins anew; the first time, starts to listen.
    pub fn clear() {
        static LISTENING: OnceLock<()> = OnceLock::new();
        LISTENING.get_or_init(|| tracing_subscriber::fmt().with_ansi(false).with_writer(Self).init());
        written().clear();
    }

    /// What was logged.
    pub fn text() -> String {
        String::from_utf8_lossy(&written()).into_owned()
    }
}

fn written() -> MutexGuard<'static, Vec<u8>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        written().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
