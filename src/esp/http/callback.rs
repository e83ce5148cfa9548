//! What a described ESP calls back: verified, taken apart by pointers, told by rules. An event that no rule knows is kept for
//! a person to look at; it may be an opt-out.

use super::document::Document;
use super::fill::{Known, as_text};
use super::moment;
use crate::config::http::{Callback, Happening, Http as Settings, HttpBody};
use crate::domain::{Audience, Email, Outcome, Reason, Uid};
use crate::esp::scheme::{self, Shown};
use crate::esp::{News, NotTaken, Notice, What, media, takes_json};
use crate::telemetry::traces;
use http::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

const FORM: &str = "application/x-www-form-urlencoded";

/// Verifies and parses one callback.
pub fn receive(
    settings: &Settings,
    token: Option<&SecretString>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<Notice>, NotTaken> {
    let callback = settings.callback.as_ref().ok_or(NotTaken::NotVerified("nothing_expected"))?;
    let also = &settings.common.content_types;
    match callback.body {
        HttpBody::Json => takes_json(headers, also)?,
        HttpBody::Form => match media::essence(headers)? {
            Some(stated) if stated != FORM && !media::is_one_of(&stated, also) => return Err(NotTaken::MediaType),
            _ => {}
        },
    }
    let shown = Shown { token, headers, body, now: Timestamp::now() };
    let verify = || scheme::verify(&callback.verification, &settings.callback_secrets, &shown);
    traces::station("verify").in_scope(verify).map_err(NotTaken::NotVerified)?;
    traces::station("parse").in_scope(|| {
        let whole = parse(callback.body, body)?;
        let events = events(callback, &whole)?;
        Ok(events.into_iter().flat_map(|event| notices(settings, callback, event)).collect())
    })
}

fn parse(format: HttpBody, body: &[u8]) -> Result<Value, NotTaken> {
    match format {
        HttpBody::Json => serde_json::from_slice(body).map_err(|error| {
            NotTaken::Malformed(format!("not JSON, at line {} column {}", error.line(), error.column()))
        }),
        HttpBody::Form => {
            if std::str::from_utf8(body).is_err() || body.is_empty() {
                return Err(NotTaken::Malformed("not a form".to_owned()));
            }
            let mut members = Map::new();
            for (name, value) in form_urlencoded::parse(body) {
                // The first of a name counts, lest one be appended.
                members.entry(name).or_insert_with(|| value.into_owned().into());
            }
            Ok(members.into())
        }
    }
}

fn events<'v>(callback: &Callback, whole: &'v Value) -> Result<Vec<&'v Value>, NotTaken> {
    let known = Known::default();
    let place = match &callback.events {
        None => Some(whole),
        Some(pointer) => Document { value: whole, known: &known }.at(pointer),
    };
    match place {
        Some(Value::Array(events)) if !events.is_empty() && !events.iter().any(Value::is_object) => {
            Err(NotTaken::Malformed("none of its events has the shape of one".to_owned()))
        }
        Some(Value::Array(events)) => Ok(events.iter().collect()),
        Some(event @ Value::Object(_)) => Ok(vec![event]),
        _ => Err(NotTaken::Malformed("no event is where the description has it".to_owned())),
    }
}

/// One event; several notices if it is about several addresses.
fn notices(settings: &Settings, callback: &Callback, event: &Value) -> Vec<Notice> {
    let known = Known::default();
    let document = Document { value: event, known: &known };
    let id = id(settings, callback, &document);
    let rule = callback.kinds.iter().find(|rule| document.says(&rule.conditions));
    let set_aside = |audiences| Notice {
        id: id.clone(),
        audiences,
        news: Err(Outcome::Rejected(Reason::Malformed)),
        said: Some(event.to_string()),
    };
    let settled =
        |reason| Notice { id: id.clone(), audiences: Vec::new(), news: Err(Outcome::Skipped(reason)), said: None };
    let audiences = audiences(settings, callback, &document);
    let Some(rule) = rule else { return vec![set_aside(audiences)] };
    if rule.means == Happening::Ignored {
        return vec![settled(Reason::EventTypeIgnored)];
    }
    let audiences = if rule.is_everywhere { settings.audiences.iter().cloned().collect() } else { audiences };
    if audiences.is_empty() {
        return vec![settled(Reason::NoRoute)];
    }
    let times = if rule.times.is_empty() { &callback.times } else { &rule.times };
    let at = moment::of_event(times, &document);
    let what = match rule.means {
        Happening::OptedIn => What::OptedIn { at },
        Happening::OptedOut(reason) => What::OptedOut { at, reason },
        Happening::Changed => What::Changed { opted_in: true },
        Happening::Look | Happening::Ignored => What::Changed { opted_in: false },
    };
    let text = |pointer: &Option<_>| pointer.as_ref().and_then(|pointer| document.text(pointer));
    let uid = text(&callback.uid).and_then(|text| Uid::new(&text));
    let former = text(&callback.former_address).and_then(|text| Email::parse(&text).ok());
    let stated: Vec<&Value> = match callback.address.iter().find_map(|pointer| document.at(pointer)) {
        Some(Value::Array(several)) => several.iter().collect(),
        one => one.into_iter().collect(),
    };
    let addresses: Vec<Option<Email>> =
        stated.into_iter().map(|value| as_text(value).and_then(|text| Email::parse(&text).ok())).collect();
    if addresses.is_empty() {
        return vec![set_aside(audiences)];
    }
    let several = addresses.len() > 1;
    let notice = |(index, address): (usize, Option<Email>)| {
        let id = if several { format!("{id}-{index}") } else { id.clone() };
        match address {
            Some(address) => {
                let former_address = former.clone().filter(|former| *former != address);
                let news = News { address, former_address, uid: uid.clone(), what };
                Notice { id, audiences: audiences.clone(), news: Ok(news), said: None }
            }
            None => Notice { id, ..set_aside(audiences.clone()) },
        }
    };
    addresses.into_iter().enumerate().map(notice).collect()
}

/// Those of the connection that an event names; all if it names none, as it is about everything then.
fn audiences(settings: &Settings, callback: &Callback, document: &Document<'_, '_>) -> Vec<Audience> {
    let named = callback.audience.as_ref().and_then(|pointer| document.at(pointer));
    let named: Vec<String> = match named {
        Some(Value::Array(several)) => several.iter().filter_map(as_text).collect(),
        one => one.and_then(as_text).into_iter().collect(),
    };
    let named: Vec<_> = named.into_iter().filter(|name| !name.is_empty()).collect();
    let ours = settings.audiences.iter();
    ours.filter(|ours| named.is_empty() || named.iter().any(|name| name == ours.as_str())).cloned().collect()
}

/// The ESP's own id, or one made of the event: the same when the same event comes again, and keyed, so that nobody can find
/// the address by trying. The ESP's own must not be an address either.
fn id(settings: &Settings, callback: &Callback, document: &Document<'_, '_>) -> String {
    let stated = callback.id.as_ref().and_then(|pointer| document.text(pointer));
    if let Some(stated) = stated.filter(|id| id.len() <= 128 && !id.contains('@') && !id.contains(char::is_control)) {
        return stated;
    }
    let mut digest = Sha256::new();
    if let Some(secret) = settings.callback_secrets.first() {
        digest.update(Sha256::digest(secret.expose_secret()));
    }
    digest.update(settings.name.as_str());
    digest.update([0]);
    digest.update(document.value.to_string());
    hex::encode(&digest.finalize()[..12])
}

#[cfg(test)]
mod tests;
