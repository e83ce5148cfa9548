//! From an account to what an ESP gets to know of a person, by a route's field mapping.

use super::account::Account;
use super::tree::Part;
use crate::config::{FieldSource, Route, TemplatePart};
use crate::esp::{Field, FieldValue};
use std::borrow::Cow;

/// What a route writes of an account.
#[must_use]
pub fn fields_of(route: &Route, account: &Account) -> Vec<Field> {
    let field = |(name, source): (&String, &FieldSource)| Field { name: name.clone(), value: value(source, account) };
    route.fields.iter().map(field).collect()
}

fn value(source: &FieldSource, account: &Account) -> FieldValue {
    match source {
        FieldSource::Literal(text) => FieldValue::Text(text.clone()),
        FieldSource::Path(path) => account.at(path, |part| part.map_or(FieldValue::Missing, of_part)),
        FieldSource::Template(parts) => {
            let text = parts.iter().fold(String::new(), |text, part| text + &*part_text(part, account));
            let text = text.trim();
            if text.is_empty() { FieldValue::Missing } else { FieldValue::Text(text.to_owned()) }
        }
    }
}

fn part_text<'a>(part: &'a TemplatePart, account: &Account) -> Cow<'a, str> {
    match part {
        TemplatePart::Text(text) => text.into(),
        TemplatePart::Path(path) => {
            account.at(path, |part| part.and_then(plain).unwrap_or_default().into_owned()).into()
        }
    }
}

fn of_part(part: Part<'_>) -> FieldValue {
    if let Some(flag) = part.as_bool() {
        return FieldValue::Flag(flag);
    }
    if part.is_list() {
        let texts = part.items().filter_map(plain).filter(|text| !text.is_empty()).map(Cow::into_owned);
        let texts: Vec<_> = texts.collect();
        return if texts.is_empty() { FieldValue::Missing } else { FieldValue::Many(texts) };
    }
    match plain(part) {
        Some(text) if !text.is_empty() => FieldValue::Text(text.into_owned()),
        _ => FieldValue::Missing,
    }
}

/// The text of a single value; objects have none.
fn plain(part: Part<'_>) -> Option<Cow<'_, str>> {
    match part.as_str() {
        Some(text) => Some(text.trim().into()),
        None => part.to_text(),
    }
}
