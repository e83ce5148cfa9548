//! What comes into a template's places, and calls made of it.
//!
//! Values never become part of a structure: in a path and a query they are percent-encoded, in JSON they are put into the
//! tree that was parsed at start, in forms they are encoded, in pointers escaped.

use crate::config::http::{Call, CallBody, Filter, Hole, Http, Json, Missing, Piece, Source, Template};
use crate::domain::{Audience, Email, Uid};
use crate::esp::{Field, FieldValue, Person, Record};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::borrow::Cow;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// What may stand in a path as it is (RFC 3986, unreserved).
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What is known when a template is filled in.
#[derive(Clone, Copy, Default)]
pub struct Known<'a> {
    /// The connection.
    pub settings: Option<&'a Http>,
    /// The audience.
    pub audience: Option<&'a Audience>,
    /// The person to be written.
    pub person: Option<&'a Person>,
    /// The record that is there.
    pub record: Option<&'a Record>,
    /// Whom to look for.
    pub address: Option<&'a Email>,
    /// Whom to look for.
    pub uid: Option<&'a Uid>,
    /// What calls before this one kept.
    pub kept: Option<&'a BTreeMap<String, Value>>,
    /// Which page of a list.
    pub page: Option<&'a Page>,
}

/// Which page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// How many rows it is to have.
    pub limit: u64,
    /// How many were before it.
    pub offset: u64,
    /// Where the page before said that it begins.
    pub cursor: Option<String>,
}

impl Known<'_> {
    /// What comes to a place; none if there is nothing.
    fn value(&self, hole: &Hole) -> Option<Value> {
        let value = match &hole.source {
            Source::Email => {
                let person = self.person.map(|person| &person.address);
                let address = person.or(self.address).or(self.record.map(|record| &record.address))?;
                address.expose().into()
            }
            Source::FormerEmail => {
                let record = self.record.map(|record| &record.address);
                record.or(self.person.map(|person| &person.address))?.expose().into()
            }
            Source::Uid => self.person.map(|person| &person.uid).or(self.uid)?.expose().into(),
            Source::Audience => self.audience?.as_str().into(),
            Source::Record => match (self.record, self.person) {
                (Some(record), _) => record.key.0.as_ref().into(),
                (None, person) => person?.address.expose().into(),
            },
            Source::Field(name) => {
                let field = self.person?.fields.iter().find(|field| field.name == *name)?;
                self.field(field)?
            }
            Source::Fields => self.fields(false)?,
            Source::OwnFields => self.fields(true)?,
            Source::Kept(name) => self.kept?.get(name)?.clone(),
            // Put in by `headers` alone, which never makes JSON of it.
            Source::Secret(_) => return None,
            Source::Limit => self.page?.limit.into(),
            Source::Offset => self.page?.offset.into(),
            Source::Cursor => self.page?.cursor.clone()?.into(),
        };
        Some(hole.filters.iter().fold(value, |value, filter| filtered(*filter, value)))
    }

    fn fields(&self, own: bool) -> Option<Value> {
        let (person, rules) = (self.person?, &self.settings?.rules);
        let mut object = Map::new();
        for field in person.fields.iter().filter(|field| rules.own_fields.contains(&field.name) == own) {
            object.extend(self.field(field).map(|value| (field.name.clone(), value)));
        }
        if let Some(name) = rules.uid_field.as_ref().filter(|name| rules.own_fields.contains(*name) == own) {
            object.insert(name.clone(), person.uid.expose().into());
        }
        Some(Value::Object(object))
    }

    fn field(&self, field: &Field) -> Option<Value> {
        let rules = &self.settings?.rules;
        Some(match &field.value {
            FieldValue::Missing => match rules.missing {
                Missing::Empty => "".into(),
                Missing::Null => Value::Null,
                Missing::Omit => return None,
            },
            FieldValue::Text(text) => text.as_str().into(),
            FieldValue::Flag(flag) if rules.flags_as_text => flag.to_string().into(),
            FieldValue::Flag(flag) => (*flag).into(),
            FieldValue::Many(texts) if rules.many_joined => texts.join(", ").into(),
            FieldValue::Many(texts) => texts.clone().into(),
        })
    }

    /// A template as text; none if something in it isn't known.
    pub fn text(&self, template: &Template) -> Option<String> {
        self.pieces(template, |text| text)
    }

    /// A template as a pointer into a document.
    pub fn pointer<'t>(&self, template: &'t Template) -> Option<Cow<'t, str>> {
        match template.as_literal() {
            Some(literal) => Some(Cow::Borrowed(literal)),
            None => self.pieces(template, |text| text.replace('~', "~0").replace('/', "~1")).map(Cow::Owned),
        }
    }

    fn pieces(&self, template: &Template, mut escaped: impl FnMut(String) -> String) -> Option<String> {
        let mut whole = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Hole(hole) => whole.push_str(&escaped(as_text(&self.value(hole)?)?)),
            }
        }
        Some(whole)
    }

    /// A path below the base URL. A value that would lead elsewhere is none.
    fn path(&self, template: &Template) -> Option<String> {
        let mut is_whole = true;
        let path = self.pieces(template, |text| {
            is_whole &= !text.is_empty();
            utf8_percent_encode(&text, IN_PATH).to_string()
        })?;
        let leads_elsewhere = path.split('/').any(|part| matches!(part, "." | ".."));
        (is_whole && !leads_elsewhere).then_some(path)
    }

    /// The headers of a call. Those with secrets are marked so that nothing prints them.
    pub fn headers<'t>(
        &self,
        templates: impl IntoIterator<Item = &'t (http::HeaderName, Template)>,
        secrets: &BTreeMap<String, SecretString>,
        into: &mut HeaderMap,
    ) {
        for (name, template) in templates {
            let mut text = String::new();
            let mut is_secret = false;
            for piece in &template.0 {
                match piece {
                    Piece::Text(piece) => text.push_str(piece),
                    Piece::Hole(Hole { source: Source::Secret(secret), filters }) => {
                        let secret = secrets.get(secret).map_or("", ExposeSecret::expose_secret);
                        let value = filters.iter().fold(Value::from(secret), |value, filter| filtered(*filter, value));
                        text.push_str(&as_text(&value).unwrap_or_default());
                        is_secret = true;
                    }
                    Piece::Hole(hole) => {
                        let value = self.value(hole).as_ref().and_then(as_text);
                        text.push_str(&value.unwrap_or_default());
                    }
                }
            }
            if let Ok(mut value) = HeaderValue::try_from(text) {
                value.set_sensitive(is_secret);
                into.insert(name, value);
            }
        }
    }

    /// Whether a place in a call's path or query is to have what no call before it kept.
    pub fn lacks_kept(&self, call: &Call) -> bool {
        let templates = std::iter::once(&call.path).chain(call.query.iter().map(|(_, template)| template));
        let mut holes = templates.flat_map(Template::holes);
        holes
            .any(|hole| matches!(hole.source, Source::Kept(_)) && self.value(hole).as_ref().and_then(as_text).is_none())
    }

    /// A call as a request; none if its place isn't known, as nothing is there to be called about.
    ///
    /// # Errors
    /// It can't be made, whomever it is about.
    pub fn request(&self, base: &str, call: &Call, common: &HeaderMap) -> Result<Option<Request<Bytes>>, http::Error> {
        let Some(path) = self.path(&call.path) else { return Ok(None) };
        let mut url = format!("{base}{path}");
        let pairs: Vec<_> =
            call.query.iter().filter_map(|(name, template)| Some((name.as_str(), self.text(template)?))).collect();
        if !pairs.is_empty() {
            url.push('?');
            url.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish());
        }
        self.request_to(&url, call, common).map(Some)
    }

    /// The same to a URL that is known.
    ///
    /// # Errors
    /// It can't be made.
    pub fn request_to(&self, url: &str, call: &Call, common: &HeaderMap) -> Result<Request<Bytes>, http::Error> {
        let (body, media_type) = match &call.body {
            CallBody::None => (Bytes::new(), None),
            CallBody::Json(json) => {
                let value = self.json(json).unwrap_or(Value::Null);
                (serde_json::to_vec(&value).expect("a value serializes").into(), Some("application/json"))
            }
            CallBody::Form(fields) => (self.form(fields).into(), Some("application/x-www-form-urlencoded")),
        };
        let mut request = Request::builder().method(&call.method).uri(url).body(body)?;
        if let Some(media_type) = media_type {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        request.headers_mut().extend(common.clone());
        let none = BTreeMap::new();
        let secrets = self.settings.map_or(&none, |settings| &settings.secrets);
        self.headers(&call.headers, secrets, request.headers_mut());
        Ok(request)
    }

    fn form(&self, fields: &[(String, Template)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let mut push = |name: &str, value: &Value| match value {
            Value::Array(items) => {
                for item in items {
                    form.append_pair(name, &as_text(item).unwrap_or_default());
                }
            }
            value => {
                form.append_pair(name, &as_text(value).unwrap_or_default());
            }
        };
        for (name, template) in fields {
            let value = match template.as_hole() {
                Some(hole) => self.value(hole),
                None => self.text(template).map(Value::from),
            };
            match value {
                Some(Value::Object(members)) => {
                    for (member, value) in &members {
                        push(&name.replace('*', member), value);
                    }
                }
                Some(value) => push(name, &value),
                None => {}
            }
        }
        form.finish()
    }

    /// A body; none if it is a place to which nothing comes.
    pub fn json(&self, json: &Json) -> Option<Value> {
        Some(match json {
            Json::Value(value) => value.clone(),
            Json::Text(template) => match template.as_hole() {
                Some(hole) => self.value(hole)?,
                None => self.text(template)?.into(),
            },
            Json::List(items) => items.iter().filter_map(|item| self.json(item)).collect::<Vec<_>>().into(),
            Json::Object(members) => {
                let mut object = Map::new();
                for (name, member) in members {
                    match (name.as_str(), self.json(member)) {
                        ("*", Some(Value::Object(spread))) => object.extend(spread),
                        (_, Some(value)) => {
                            object.insert(name.clone(), value);
                        }
                        (_, None) => {}
                    }
                }
                object.into()
            }
        })
    }
}

fn filtered(filter: Filter, value: Value) -> Value {
    let Some(text) = as_text(&value) else { return value };
    match filter {
        Filter::Lower => text.to_lowercase().into(),
        Filter::Upper => text.to_uppercase().into(),
        Filter::Md5 => hex::encode(Md5::digest(text)).into(),
        Filter::Sha256 => hex::encode(Sha256::digest(text)).into(),
        Filter::Base64 => BASE64_STANDARD.encode(text).into(),
        Filter::Number => text.parse::<i64>().map_or(value, Value::from),
        Filter::Quoted => text.replace('\\', "\\\\").replace('"', "\\\"").into(),
    }
}

/// A scalar as text: numbers and flags as JSON writes them.
pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
