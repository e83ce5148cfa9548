//! The file and the environment's overrides, as values that know where they stand.

use super::Environment;
use super::problem::{Place, Problem};
use std::collections::{BTreeMap, BTreeSet};
use toml::de::{DeTable, DeValue};

/// How the names of overriding variables begin.
const PREFIX: &str = "GATEWAY_";
/// What separates the keys of a path in them: `GATEWAY_SERVER__LISTEN`. Names without it are nobody's overrides.
const SEPARATOR: &str = "__";

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub value: Value,
    /// The variable's text as it is, for an override: a secret or text may look like something else in TOML.
    pub text: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    Integer(i64),
    Decimal(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// A date: nothing that any key takes.
    Other,
}

impl Node {
    /// The file of a reference to a secret, `{ file = "PATH" }`, alone or alone in a list.
    pub fn only_file(&self) -> Option<&str> {
        match &self.value {
            Value::List(items) => match items.as_slice() {
                [one] => one.only_file(),
                _ => None,
            },
            Value::Table(table) if table.len() == 1 => match &table.get("file")?.value {
                Value::Text(file) => Some(file),
                _ => None,
            },
            _ => None,
        }
    }
}

pub type Table = BTreeMap<String, Node>;

/// A table's keys and values, without where they stand: the same for tables that say the same.
pub fn spelled(table: &Table) -> String {
    let entry = |(key, node): (&String, &Node)| format!("{key:?}={:?}{}", node.text, spelled_value(&node.value));
    let entries: Vec<_> = table.iter().map(entry).collect();
    format!("{{{}}}", entries.join(","))
}

fn spelled_value(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| spelled_value(&item.value)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Table(table) => spelled(table),
        Value::Other => "?".to_owned(),
    }
}

/// Parses the file. `None` if nothing of it can be used.
pub fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<Table> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut lines = BTreeSet::new();
    for error in &errors {
        let place = error.span().map_or(Place::File, |span| place(text, span.start));
        // One slip may be several errors to the parser, for which the words are the same.
        if let Place::Line(line, _) = place
            && !lines.insert(line)
        {
            continue;
        }
        // The parser's own message may quote the line, and a secret may stand on it.
        problems.push(Problem::new(
            place,
            "",
            "this is not TOML",
            "look for a missing quote, bracket or equals sign, or a key or table that is there twice",
        ));
    }
    errors.is_empty().then(|| table(text, document.get_ref()))
}

fn table(text: &str, table: &DeTable<'_>) -> Table {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        (key.to_string(), node(text, value))
    };
    table.iter().map(entry).collect()
}

fn node(text: &str, spanned: &toml::Spanned<DeValue<'_>>) -> Node {
    let value = match spanned.get_ref() {
        DeValue::String(string) => Value::Text(string.to_string()),
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Value::Other, Value::Integer)
        }
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(text, item)).collect()),
        DeValue::Table(inner) => Value::Table(table(text, inner)),
        DeValue::Float(float) => float.as_str().parse().map_or(Value::Other, Value::Decimal),
        DeValue::Datetime(_) => Value::Other,
    };
    Node { place: place(text, spanned.span().start), value, text: None }
}

fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place::Line(before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Lays `GATEWAY_...` variables over the file's values.
pub fn overlay(tree: &mut Table, environment: &Environment, problems: &mut Vec<Problem>) {
    for (name, text) in &environment.0 {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR)) else { continue };
        let keys: Vec<&str> = path.split(SEPARATOR).collect();
        let place = Place::Variable(name.clone());
        if !set(tree, &keys, &place, text) {
            problems.push(Problem::new(
                place,
                "",
                "names nothing that can be overridden",
                "write GATEWAY_TABLE__KEY, GATEWAY_TABLE__CONNECTION__KEY or GATEWAY_ROUTE__INDEX__KEY, index from 0",
            ));
        }
    }
}

fn set(table: &mut Table, keys: &[&str], place: &Place, text: &str) -> bool {
    let Some((first, rest)) = keys.split_first().filter(|(first, _)| !first.is_empty()) else { return false };
    let key = matching(table, first);
    if rest.is_empty() {
        table.insert(key, override_node(place, text));
        return true;
    }
    let empty = || Node { place: place.clone(), value: Value::Table(Table::new()), text: None };
    match &mut table.entry(key).or_insert_with(empty).value {
        Value::Table(inner) => set(inner, rest, place, text),
        Value::List(items) => {
            let item = rest[0].parse::<usize>().ok().and_then(|index| items.get_mut(index));
            match item.map(|item| &mut item.value) {
                Some(Value::Table(inner)) => set(inner, &rest[1..], place, text),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The key that a variable's part means: one that is there in any case, with `-` for `_`; else in small letters.
fn matching(table: &Table, part: &str) -> String {
    let folded = |key: &str| key.to_ascii_lowercase().replace('-', "_");
    let there = table.keys().find(|key| folded(key) == folded(part));
    there.cloned().unwrap_or_else(|| part.to_ascii_lowercase())
}

/// A variable's text is a TOML value if it reads as one, else text.
fn override_node(place: &Place, text: &str) -> Node {
    let value = DeValue::parse(text).ok().map(|parsed| node(text, &parsed).value);
    let mut parsed = Node {
        place: place.clone(),
        value: value.unwrap_or_else(|| Value::Text(text.to_owned())),
        text: Some(text.to_owned()),
    };
    move_to(&mut parsed, place);
    parsed
}

fn move_to(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| move_to(item, place)),
        Value::Table(table) => table.values_mut().for_each(|inner| move_to(inner, place)),
        Value::Text(_) | Value::Integer(_) | Value::Decimal(_) | Value::Flag(_) | Value::Other => {}
    }
}
