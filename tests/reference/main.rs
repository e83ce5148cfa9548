//! The reference pages in `docs/reference/` are made here, of the code and of `deploy/gateway.example.toml`, which another
//! test holds against the loader. After a change:
//!
//! ```sh
//! UPDATE_REFERENCE=1 cargo test --locked --test reference
//! ```
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod commands;
mod configuration;
mod messages;
mod metrics;
mod outcomes;

use std::path::{Path, PathBuf};

/// What every made page begins with.
const MADE: &str = "<!-- Made by tests/reference; don't edit. -->\n";

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name)
}

/// Holds a page against what it should be, or writes it.
fn hold(name: &str, made: &str) {
    let made = format!("{MADE}{made}");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(page(name), &made).unwrap();
    }
    let there = std::fs::read_to_string(page(name)).unwrap_or_default();
    let line = made.lines().zip(there.lines()).position(|(made, there)| made != there);
    let line = line.unwrap_or(made.lines().count().min(there.lines().count())) + 1;
    assert!(
        made == there,
        "docs/reference/{name} is not current at line {line}: see the head of tests/reference/main.rs"
    );
}

/// Text that can stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
