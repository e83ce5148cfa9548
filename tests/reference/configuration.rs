//! `configuration.md`, of `deploy/gateway.example.toml`.

use crate::{cell, hold};
use gigya_esp_gateway::config::Config;
use std::fmt::Write;
use std::path::Path;

/// One key, with others that the same words are about.
struct Key {
    name: String,
    value: String,
    standing: &'static str,
}

fn key(line: &str) -> Option<Key> {
    let (line, standing) = match line {
        line if line.starts_with("# or: ") => (&line[6..], "left out"),
        line if line.starts_with('#') => (&line[1..], "default"),
        line => (line, "example"),
    };
    let (name, value) = line.split_once(" = ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then(|| Key { name: name.to_owned(), value: value.to_owned(), standing })
}

/// The variable that overrides a key.
fn variable(table: &str, name: &str) -> String {
    let table = match table {
        "route" => "ROUTE__0".to_owned(),
        table => table.replace('.', "__").to_ascii_uppercase(),
    };
    format!("GATEWAY_{table}__{}", name.to_ascii_uppercase())
}

/// Whether the example is still taken with a line of it left out: the loader itself says what is required.
fn can_do_without(example: &str, table: &str, line: &str) -> bool {
    let secrets = [
        ("GIGYA_SECRET", "c2VjcmV0"),
        ("CM_API_KEY", "key"),
        ("MAIL_API_KEY", "mail-key"),
        ("MAIL_CALLBACK_SECRET", "mail-callback-secret"),
        ("CM_CALLBACK_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("SFMC_CLIENT_ID", "id"),
        ("SFMC_CLIENT_SECRET", "secret"),
        ("SFMC_SIGNATURE_KEY", "key"),
        ("JOURNAL_KEY", "0123456789abcdef0123456789abcdef"),
    ];
    let taken = |text: &str| Config::parse(text, Path::new("gateway.toml"), &secrets.into_iter().collect()).is_ok();
    assert!(taken(example), "the example itself");
    let header = example.find(&format!("[{table}]")).unwrap();
    let at = header + example[header..].find(&format!("\n{line}\n")).unwrap();
    taken(&format!("{}{}", &example[..at], &example[at + 1 + line.len()..]))
}

#[test]
fn the_page_of_settings_is_current() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/gateway.example.toml")).unwrap();
    let (head, tables) = example.split_once("\n\n").unwrap();
    let mut page =
        String::from("# Settings\n\nOf [deploy/gateway.example.toml](../../deploy/gateway.example.toml):\n\n```text\n");
    for line in head.lines() {
        writeln!(page, "{}", line.trim_start_matches('#').strip_prefix(' ').unwrap_or_default()).unwrap();
    }
    page.push_str("```\n");
    let (mut table, mut words) = (String::new(), String::new());
    let mut told: Vec<(String, String)> = Vec::new();
    for line in tables.lines() {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.trim_matches(['[', ']']).to_owned();
            if name == table {
                break; // a second route shows nothing new
            }
            let brackets = if line.starts_with("[[") { ("[[", "]]") } else { ("[", "]") };
            write!(page, "\n## `{}{name}{}`\n\n", brackets.0, brackets.1).unwrap();
            if !words.trim().is_empty() {
                write!(page, "{}\n\n", words.trim()).unwrap();
            }
            page.push_str("| key | default | variable | meaning |\n| --- | --- | --- | --- |\n");
            (table, words) = (name, String::new());
        } else if let Some(key) = key(line) {
            let default = match key.standing {
                "default" => format!("`{}`", key.value),
                "left out" => format!("none; for example `{}`", key.value),
                _ if can_do_without(&example, &table, line) => format!("none; for example `{}`", key.value),
                _ => format!("required; for example `{}`", key.value),
            };
            // Where several keys follow one remark, it is about all of them.
            if !words.is_empty() {
                told.push((table.clone(), std::mem::take(&mut words)));
            }
            let meaning = told.last().filter(|(of, _)| *of == table).map_or("", |(_, words)| words.trim());
            let (name, variable) = (&key.name, variable(&table, &key.name));
            writeln!(page, "| `{name}` | {} | `{variable}` | {} |", cell(&default), cell(meaning)).unwrap();
        } else {
            let remark = line.trim_start_matches('#').trim();
            words.push_str(remark);
            words.push(' ');
        }
    }
    hold("settings.md", &page);
}
