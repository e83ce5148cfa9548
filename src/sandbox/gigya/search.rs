//! `accounts.search`: `SELECT list FROM accounts WHERE condition [AND condition ...] [ORDER BY key] [LIMIT n]`
//! (SAP, "accounts.search"). Strings stand in double quotes, numbers don't.

use super::account::Row;
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// A query that was understood.
#[derive(Debug)]
pub struct Query {
    select: Vec<String>,
    conditions: Vec<Condition>,
    order_by: Option<String>,
    pub limit: usize,
    pub start: usize,
}

#[derive(Debug)]
struct Condition {
    path: String,
    operator: String,
    value: Value,
}

/// Why a query wasn't understood.
#[derive(Debug)]
pub struct NotUnderstood(String);

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invalid query: near {}", self.0)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

impl Query {
    /// Parses a query.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let tokens = tokens(text)?;
        let mut tokens = tokens.into_iter().peekable();
        let keyword = |expected: &str, tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>| {
            let found =
                tokens.next_if(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(expected)));
            found.is_some()
        };
        let bad = |near: &str| NotUnderstood(near.to_owned());
        let word = |token: Option<Token>| match token {
            Some(Token::Word(word)) => Ok(word),
            other => Err(NotUnderstood(format!("{other:?}"))),
        };
        if !keyword("SELECT", &mut tokens) {
            return Err(bad("SELECT"));
        }
        let mut select = Vec::new();
        loop {
            match tokens.next() {
                Some(Token::Word(word)) => select.push(word),
                Some(Token::Sign(sign)) if sign == "*" => select.push(sign),
                other => return Err(NotUnderstood(format!("{other:?}"))),
            }
            if tokens.next_if_eq(&Token::Sign(",".into())).is_none() {
                break;
            }
        }
        if !keyword("FROM", &mut tokens) || word(tokens.next())? != "accounts" {
            return Err(bad("FROM"));
        }
        let mut query = Self { select, conditions: Vec::new(), order_by: None, limit: 100, start: 0 };
        if keyword("WHERE", &mut tokens) {
            loop {
                let path = word(tokens.next())?;
                let Some(Token::Sign(operator)) = tokens.next() else { return Err(bad("WHERE")) };
                let value = match tokens.next() {
                    Some(Token::Text(text)) => Value::String(text),
                    Some(Token::Word(word)) => serde_json::from_str(&word).map_err(|_| bad("WHERE"))?,
                    _ => return Err(bad("WHERE")),
                };
                query.conditions.push(Condition { path, operator, value });
                if !keyword("AND", &mut tokens) {
                    break;
                }
            }
        }
        if keyword("ORDER", &mut tokens) {
            if !keyword("BY", &mut tokens) {
                return Err(bad("ORDER"));
            }
            query.order_by = Some(word(tokens.next())?);
        }
        let number = |token| word(token)?.parse().map_err(|_| bad("LIMIT"));
        if keyword("START", &mut tokens) {
            query.start = number(tokens.next())?;
        }
        if keyword("LIMIT", &mut tokens) {
            query.limit = number(tokens.next())?;
        }
        match tokens.next() {
            None => Ok(query),
            Some(token) => Err(NotUnderstood(format!("{token:?}"))),
        }
    }

    /// The value that a path must have, if the query says so outright.
    pub fn only(&self, path: &str) -> Option<&str> {
        let condition = self.conditions.iter().find(|condition| condition.path == path && condition.operator == "=");
        condition?.value.as_str()
    }

    /// The rows that fit, in order; all of them, whatever the limit.
    pub fn run(&self, rows: impl Iterator<Item = Row>, nested: bool) -> Vec<Row> {
        let found = rows.filter(|row| self.conditions.iter().all(|condition| condition.holds(row, nested)));
        let Some(key) = &self.order_by else { return found.collect() };
        let mut found: Vec<_> = found.map(|row| (row.at(key, nested), row)).collect();
        found.sort_by(|(one, _), (other, _)| compare(one, other));
        found.into_iter().map(|(_, row)| row).collect()
    }

    /// What was selected of a row. (Of what isn't the profile, everything below a top-level key.)
    pub fn selected(&self, row: &Row, nested: bool) -> Value {
        let is_all = self.select.iter().any(|name| name == "*");
        let top = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let mut told = row.told(nested, &|key| is_all || self.select.iter().any(|name| top(name) == key));
        if !is_all && !self.select.iter().any(|name| name == "profile") {
            let is_selected =
                |field: &String| self.select.iter().any(|name| name.strip_prefix("profile.") == Some(field.as_str()));
            if let Some(profile) = told.get_mut("profile").and_then(Value::as_object_mut) {
                profile.retain(|field, _| is_selected(field));
            }
        }
        Value::Object(told)
    }
}

impl Condition {
    fn holds(&self, row: &Row, nested: bool) -> bool {
        let order = compare(&row.at(&self.path, nested), &self.value);
        match self.operator.as_str() {
            "=" => order == Ordering::Equal,
            "!=" => order != Ordering::Equal,
            ">" => order == Ordering::Greater,
            ">=" => order != Ordering::Less,
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            _ => false,
        }
    }
}

/// Texts compare without case, as in Gigya's index.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ if a == b => Ordering::Equal,
        _ => a.to_string().cmp(&b.to_string()),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, NotUnderstood> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        if c == '"' {
            let mut string = String::new();
            loop {
                match chars.next() {
                    Some('\\') => string.extend(chars.next()),
                    Some('"') => break,
                    Some(c) => string.push(c),
                    None => return Err(NotUnderstood("a text that doesn't end".to_owned())),
                }
            }
            tokens.push(Token::Text(string));
        } else if matches!(c, ',' | '*') {
            tokens.push(Token::Sign(c.to_string()));
        } else if matches!(c, '=' | '!' | '<' | '>') {
            let mut sign = c.to_string();
            sign.extend(chars.next_if_eq(&'='));
            tokens.push(Token::Sign(sign));
        } else {
            let mut word = c.to_string();
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-')) {
                word.push(c);
            }
            tokens.push(Token::Word(word));
        }
    }
    Ok(tokens)
}
