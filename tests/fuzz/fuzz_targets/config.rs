//! A configuration: the file, then variables that override it, a line `NAME=VALUE` each.

#![no_main]

use fuzzing::{Answers, parts};
use gigya_esp_gateway::config::{Config, Environment};
use gigya_esp_gateway::forward::Gateway;
use gigya_esp_gateway::upstream::WallClock;
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::Arc;
use toml::{Table, Value};

/// What a secret's variable holds, in each kind that is asked for.
const SECRETS: [(&str, &str); 4] = [
    ("TEXT", "canary-secret-in-the-environment"),
    ("BASE64", "Y2FuYXJ5LXNlY3JldC1pbi10aGUtZW52aXJvbm1lbnQ="),
    ("KEY", "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE="),
    ("LINES", "canary-secret\nin the environment"),
];
/// The keys whose values are secret. Somebody may have written the secret itself there.
const SECRET: [&str; 9] = [
    "secret",
    "private_key",
    "webhook_secrets",
    "api_key",
    "callback_tokens",
    "client_id",
    "client_secret",
    "signature_keys",
    "address_hash_key",
];

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let Ok(text) = std::str::from_utf8(parts[0]) else { return };
    let variables = String::from_utf8_lossy(parts.get(1).copied().unwrap_or_default()).into_owned();
    let tree: Option<Table> = text.parse().ok();
    // No file of this machine is to be read, a device least of all.
    if tree.as_ref().is_some_and(|tree| texts(tree, &["file"]).iter().any(|path| path.starts_with('/'))) {
        return;
    }
    let set = variables.lines().filter_map(|line| line.split_once('='));
    let environment: Environment = set.chain(SECRETS).collect();
    let read = || Config::parse(text, Path::new("/nowhere/fuzz.toml"), &environment);
    let config = read();
    let said = match &config {
        Ok(config) => {
            let transport = Arc::new(Answers::default()).transport();
            // What can't start was not refused; but it says which connection it is, and doesn't panic.
            let started = Gateway::new(config, &transport, &WallClock::system())
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            format!("{config:?} {started}")
        }
        Err(problems) => {
            assert!(!problems.problems().is_empty(), "refused, and nothing is wrong");
            format!("{problems} {problems:?}")
        }
    };
    let again = match read() {
        Ok(config) => format!("{config:?}"),
        Err(problems) => format!("{problems} {problems:?}"),
    };
    assert!(said.starts_with(&again), "read twice, it says another thing");
    for (_, secret) in SECRETS {
        assert!(!said.contains(secret), "a secret is shown");
    }
    for misplaced in tree.iter().flat_map(|tree| texts(tree, &SECRET)) {
        // What also stands elsewhere is no secret, nor is what messages give as an example.
        let is_elsewhere = text.matches(misplaced.as_str()).count() > 1 || EXAMPLES.contains(&misplaced.as_str());
        let is_long = misplaced.len() >= 8 && !is_elsewhere;
        assert!(!(is_long && config.is_err() && said.contains(&misplaced)), "{misplaced:?} is shown: {said}");
    }
});

/// What is to be written instead, as messages have it.
const EXAMPLES: [&str; 4] = ["eu1.gigya.com", "main/newsletter", "news/LIST-ID", "https://api.example.com/v1"];

/// The texts under one of these keys, also in lists.
fn texts(tree: &Table, keys: &[&str]) -> Vec<String> {
    tree.iter().flat_map(|(key, value)| all(value, keys, keys.contains(&key.as_str()))).collect()
}

fn all(value: &Value, keys: &[&str], here: bool) -> Vec<String> {
    match value {
        Value::String(text) if here => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(|item| all(item, keys, here)).collect(),
        Value::Table(table) => texts(table, keys),
        _ => Vec::new(),
    }
}
