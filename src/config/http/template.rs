//! Texts with places in braces: `/lists/{audience}/members/{email|lower|md5}`. Parsed once, at start.

use std::collections::BTreeMap;
use std::fmt;

/// A text with places.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings that it was made with may tell more than a log should have.
        f.write_str("Template(hidden)")
    }
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// A place.
    Hole(Hole),
}

/// A place, and what is done to what comes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// What comes there.
    pub source: Source,
    /// What is done to it, in order.
    pub filters: Vec<Filter>,
}

/// What comes to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The address; of a person to be written, the one that they are to have.
    Email,
    /// The address that the record has.
    FormerEmail,
    /// The Gigya UID.
    Uid,
    /// The audience.
    Audience,
    /// By what the ESP knows the record.
    Record,
    /// A mapped field.
    Field(String),
    /// All mapped fields but the ESP's own, as an object.
    Fields,
    /// Those mapped fields that are the ESP's own.
    OwnFields,
    /// What a call before this one kept.
    Kept(String),
    /// A secret.
    Secret(String),
    /// How many rows a page is to have.
    Limit,
    /// How many rows were before this page.
    Offset,
    /// Where the page before said that this one begins.
    Cursor,
}

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// In small letters.
    Lower,
    /// In capitals.
    Upper,
    /// Its MD5, in hexadecimal digits: what some ESPs make keys of.
    Md5,
    /// Its SHA-256, in hexadecimal digits.
    Sha256,
    /// In base64.
    Base64,
    /// As a number, in JSON.
    Number,
    /// With a backslash before quotes and backslashes, for filter languages.
    Quoted,
}

/// A body in JSON, whose texts are templates.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// Whatever it is.
    Value(serde_json::Value),
    /// A text; one that is a single place is what comes there.
    Text(Template),
    /// A list.
    List(Vec<Json>),
    /// An object. The member `*` is spread into it.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The texts in it.
    pub(super) fn templates<'j>(&'j self, into: &mut Vec<&'j Template>) {
        match self {
            Self::Value(_) => {}
            Self::Text(template) => into.push(template),
            Self::List(items) => items.iter().for_each(|item| item.templates(into)),
            Self::Object(members) => members.iter().for_each(|(_, member)| member.templates(into)),
        }
    }
}

/// A piece of what a signature is made over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Text as it is.
    Text(String),
    /// The body, byte by byte.
    Body,
    /// The time, as the header has it.
    Timestamp,
    /// The id, as the header has it.
    Id,
}

/// Which places a text may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// The person's address.
    pub email: bool,
    /// The person's UID and fields.
    pub person: bool,
    /// The record that is there.
    pub record: bool,
    /// The UID.
    pub uid: bool,
    /// The audience.
    pub audience: bool,
    /// Secrets.
    pub secrets: bool,
    /// What calls before this one kept.
    pub kept: bool,
    /// A page of a list.
    pub page: bool,
    /// Whether `{fields}` and `{own_fields}` may stand alone.
    pub objects: bool,
}

impl Template {
    /// A text without places.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    /// The text, if it has no places.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The place that is all of it.
    #[must_use]
    pub fn as_hole(&self) -> Option<&Hole> {
        match self.0.as_slice() {
            [Piece::Hole(hole)] => Some(hole),
            _ => None,
        }
    }

    /// Its places.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(hole) => Some(hole),
            Piece::Text(_) => None,
        })
    }

    /// Reads a template. Settings are put in, as they are known.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, allowed: Allowed, settings: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let push_text = |pieces: &mut Vec<Piece>, text: &str| match pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => pieces.push(Piece::Text(text.to_owned())),
        };
        for part in parts(text)? {
            match part {
                Part::Text(text) => push_text(&mut pieces, text),
                Part::Place(place) => {
                    let mut words = place.split('|').map(str::trim);
                    let name = words.next().unwrap_or_default();
                    let filters = words.map(filter).collect::<Result<Vec<_>, _>>()?;
                    if let Some(name) = name.strip_prefix("setting:") {
                        let Some(value) = settings.get(name).filter(|_| filters.is_empty()) else {
                            return Err(format!(
                                "has {}, which is not declared, or has filters",
                                shown("setting:", name)
                            ));
                        };
                        push_text(&mut pieces, value);
                        continue;
                    }
                    pieces.push(Piece::Hole(Hole { source: source(name, allowed)?, filters }));
                }
            }
        }
        let template = Self(pieces);
        let is_object = |hole: &Hole| matches!(hole.source, Source::Fields | Source::OwnFields);
        if template.holes().any(is_object) && (template.as_hole().is_none_or(|hole| !hole.filters.is_empty())) {
            return Err("has all fields beside something else, or filtered; they must stand alone".to_owned());
        }
        Ok(template)
    }
}

impl Signed {
    /// Reads what a signature is made over: `{timestamp}.{body}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        let pieces = parts(text)?.into_iter().map(|part| match part {
            Part::Text(text) => Ok(Self::Text(text.to_owned())),
            Part::Place("body") => Ok(Self::Body),
            Part::Place("timestamp") => Ok(Self::Timestamp),
            Part::Place("id") => Ok(Self::Id),
            Part::Place(other) => Err(format!("has {{{other}}}; there are {{body}}, {{timestamp}} and {{id}}")),
        });
        let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
        if pieces.contains(&Self::Body) { Ok(pieces) } else { Err("leaves the body out".to_owned()) }
    }
}

enum Part<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Doubled braces are braces.
fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        parts.push(Part::Text(before));
        if from.starts_with("{{") || from.starts_with("}}") {
            parts.push(Part::Text(&from[..1]));
            rest = &from[2..];
            continue;
        }
        let inner = from.strip_prefix('{').ok_or("has a closing brace without an opening one; double it")?;
        let (place, after) = inner.split_once('}').ok_or("has an opening brace without a closing one; double it")?;
        parts.push(Part::Place(place));
        rest = after;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// A place as messages show it. What looks like a secret that was pasted into braces isn't shown.
#[must_use]
pub fn shown(kind: &str, name: &str) -> String {
    let is_name = name.len() <= 32 && name.bytes().all(|c| c.is_ascii_lowercase() || matches!(c, b'_' | b':'));
    if is_name { format!("{{{kind}{name}}}") } else { format!("{{{kind}..}}") }
}

fn filter(word: &str) -> Result<Filter, String> {
    Ok(match word {
        "lower" => Filter::Lower,
        "upper" => Filter::Upper,
        "md5" => Filter::Md5,
        "sha256" => Filter::Sha256,
        "base64" => Filter::Base64,
        "number" => Filter::Number,
        "quoted" => Filter::Quoted,
        _ => return Err("has a filter that is none of lower, upper, md5, sha256, base64, number, quoted".to_owned()),
    })
}

fn source(name: &str, allowed: Allowed) -> Result<Source, String> {
    let (source, is_allowed) = match name {
        "email" => (Source::Email, allowed.email),
        "former_email" => (Source::FormerEmail, allowed.record),
        "record" => (Source::Record, allowed.record),
        "uid" => (Source::Uid, allowed.uid || allowed.person),
        "audience" => (Source::Audience, allowed.audience),
        "fields" => (Source::Fields, allowed.person && allowed.objects),
        "own_fields" => (Source::OwnFields, allowed.person && allowed.objects),
        "limit" => (Source::Limit, allowed.page),
        "offset" => (Source::Offset, allowed.page),
        "cursor" => (Source::Cursor, allowed.page),
        _ => match name.split_once(':') {
            Some(("field", field)) if !field.is_empty() => (Source::Field(field.to_owned()), allowed.person),
            Some(("kept", kept)) if !kept.is_empty() => (Source::Kept(kept.to_owned()), allowed.kept),
            Some(("secret", secret)) if !secret.is_empty() => (Source::Secret(secret.to_owned()), allowed.secrets),
            _ => return Err(format!("has the place {}, which there isn't", shown("", name))),
        },
    };
    if is_allowed { Ok(source) } else { Err(format!("has the place {}, which isn't known here", shown("", name))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Allowed = Allowed {
        email: true,
        person: true,
        record: true,
        uid: true,
        audience: true,
        secrets: true,
        kept: true,
        page: true,
        objects: true,
    };

    fn parse(text: &str) -> Result<Template, String> {
        let settings = BTreeMap::from([("dc".to_owned(), "us6".to_owned())]);
        Template::parse(text, ALL, &settings)
    }

    #[test]
    fn texts_places_filters_and_settings() {
        let email = Hole { source: Source::Email, filters: vec![Filter::Lower, Filter::Md5] };
        let pieces = vec![Piece::Text("/us6/".into()), Piece::Hole(email), Piece::Text("/{x}".into())];
        assert_eq!(parse("/{setting:dc}/{email|lower | md5}/{{x}}").unwrap(), Template(pieces));
        assert_eq!(parse("").unwrap().as_literal(), Some(""));
        assert!(parse("{fields}").unwrap().as_hole().is_some());
    }

    #[test]
    fn what_is_none() {
        for text in [
            "{",
            "}",
            "{}",
            "{mail}",
            "{email|rot13}",
            "{setting:no}",
            "x{fields}",
            "{fields|lower}",
            "{field:}",
            "{a{b}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_is_known_only_where_it_is() {
        for text in ["{email}", "{record}", "{uid}", "{audience}", "{secret:a}", "{limit}", "{fields}", "{field:a}"] {
            assert!(Template::parse(text, Allowed::default(), &BTreeMap::new()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_signed_has_the_body_in_it() {
        use Signed::{Body, Text, Timestamp};
        let pieces = vec![Text(String::new()), Timestamp, Text(".".into()), Body, Text(String::new())];
        assert_eq!(Signed::parse("{timestamp}.{body}"), Ok(pieces));
        assert!(Signed::parse("{timestamp}").is_err());
        assert!(Signed::parse("{body}{url}").is_err());
    }
}
