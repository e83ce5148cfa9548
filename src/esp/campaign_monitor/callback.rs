//! What a list webhook says: up to 1,000 events of one list, JSON or XML.
//!
//! Source: vendor page "Webhooks" of API v3.3. XML element names are not confirmed anywhere; the natural ones,
//! the same as in JSON, are read, whatever the outermost element is called.

use super::wire::{self, WireField};
use crate::config::CampaignMonitor as Settings;
use crate::domain::{Audience, Email, Outcome, Reason};
use crate::esp::scheme::token;
use crate::esp::{News, NotTaken, Notice, What, media};
use crate::telemetry::traces;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct WireCallback<Events> {
    #[serde(rename = "ListID")]
    list_id: String,
    #[serde(rename = "Events")]
    events: Events,
}

#[derive(Default, Deserialize)]
struct XmlEvents {
    #[serde(rename = "Event", default)]
    events: Vec<WireEvent<XmlFields>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireEvent<Fields> {
    r#type: String,
    #[serde(default)]
    date: Option<String>,
    #[serde(default)]
    email_address: Option<String>,
    #[serde(default)]
    old_email_address: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default = "Option::default")]
    custom_fields: Option<Fields>,
}

#[derive(Default, Deserialize)]
struct XmlFields {
    #[serde(rename = "CustomField", default)]
    fields: Vec<WireField<'static>>,
}

type JsonEvent = WireEvent<Vec<WireField<'static>>>;

/// An event, or the text of what is none: that keeps no other from being heard.
type Read<'a> = Result<JsonEvent, &'a str>;

enum Format {
    Json,
    Xml,
}

/// Verifies and parses one callback.
pub fn receive(
    settings: &Settings,
    token: Option<&SecretString>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<Notice>, NotTaken> {
    let format = format(headers, body, &settings.common.content_types)?;
    let is_ours = || token::in_url(token, &settings.callback_tokens);
    traces::station("verify").in_scope(is_ours).map_err(NotTaken::NotVerified)?;
    let callback = traces::station("parse").in_scope(|| match format {
        Format::Json => from_json(body),
        Format::Xml => from_xml(body),
    })?;
    let audience = Audience::new(&callback.list_id);
    let notice = |event: Read<'_>| match event {
        Ok(event) => event.into_notice(&audience, settings),
        Err(text) => Notice {
            id: content_id(settings, [audience.as_str(), text]),
            audiences: vec![audience.clone()],
            news: Err(Outcome::Rejected(Reason::Malformed)),
            said: Some(text.to_owned()),
        },
    };
    Ok(callback.events.into_iter().map(notice).collect())
}

/// By content type; without one, by the body's first character, as it isn't documented which one is sent.
fn format(headers: &HeaderMap, body: &[u8], also: &[String]) -> Result<Format, NotTaken> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let by_content = if first == Some(&b'<') { Format::Xml } else { Format::Json };
    match media::essence(headers)?.as_deref() {
        None => Ok(by_content),
        Some(json) if media::is_json(json) => Ok(Format::Json),
        Some("application/xml" | "text/xml") => Ok(Format::Xml),
        Some(other) if other.ends_with("+xml") => Ok(Format::Xml),
        Some(other) if media::is_one_of(other, also) => Ok(by_content),
        Some(_) => Err(NotTaken::MediaType),
    }
}

fn from_json(body: &[u8]) -> Result<WireCallback<Vec<Read<'_>>>, NotTaken> {
    let wire: WireCallback<Vec<&RawValue>> = serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "not a Campaign Monitor callback",
            _ => "not JSON",
        };
        NotTaken::Malformed(format!("{what}, at line {} column {}", error.line(), error.column()))
    })?;
    let events: Vec<_> = wire.events.into_iter().map(read).collect();
    if !events.is_empty() && events.iter().all(Result::is_err) {
        let what = "not a Campaign Monitor callback: none of its events has the shape of one";
        return Err(NotTaken::Malformed(what.to_owned()));
    }
    Ok(WireCallback { list_id: wire.list_id, events })
}

fn read(raw: &RawValue) -> Read<'_> {
    serde_json::from_str(raw.get()).map_err(|_| raw.get())
}

fn from_xml(body: &[u8]) -> Result<WireCallback<Vec<Read<'_>>>, NotTaken> {
    let malformed = |what: &str| NotTaken::Malformed(what.to_owned());
    let text = std::str::from_utf8(body).map_err(|_| malformed("not UTF-8"))?;
    // The parser's own error text may quote the body.
    let wire: WireCallback<XmlEvents> =
        quick_xml::de::from_str(text).map_err(|_| malformed("not a Campaign Monitor callback in XML"))?;
    let events = wire.events.events.into_iter().map(|event| WireEvent {
        r#type: event.r#type,
        date: event.date,
        email_address: event.email_address,
        old_email_address: event.old_email_address,
        state: event.state,
        custom_fields: event.custom_fields.map(|inner| inner.fields),
    });
    Ok(WireCallback { list_id: wire.list_id, events: events.map(Ok).collect() })
}

impl JsonEvent {
    fn into_notice(self, audience: &Audience, settings: &Settings) -> Notice {
        let id = self.id(audience, settings);
        let address = self.email_address.as_deref().and_then(|text| Email::parse(text).ok());
        let news = address.map(|address| {
            let former_address = self.old_email_address.as_deref().and_then(|text| Email::parse(text).ok());
            News {
                former_address: former_address.filter(|former| *former != address),
                address,
                uid: wire::uid(self.custom_fields.as_deref().unwrap_or_default(), &settings.uid_field),
                what: self.what(settings),
            }
        });
        let said = news.is_none().then(|| self.said());
        Notice { id, audiences: vec![audience.clone()], news: news.ok_or(Outcome::Rejected(Reason::Malformed)), said }
    }

    /// As far as it was read.
    fn said(&self) -> String {
        let Self { r#type, date, email_address, old_email_address, state, .. } = self;
        let said = serde_json::json!({
            "Type": r#type, "Date": date, "EmailAddress": email_address, "OldEmailAddress": old_email_address, "State": state,
        });
        said.to_string()
    }

    fn what(&self, settings: &Settings) -> What {
        let at = wire::acted_at(self.date.as_deref(), &settings.time_zone);
        let state = self.state.as_deref().unwrap_or_default();
        let active = wire::consent(state, at).is_opted_in();
        match self.r#type.as_str() {
            "Subscribe" => What::OptedIn { at },
            // Any state but Active is out; a Deactivate without a state is out, too.
            "Deactivate" if !active => What::OptedOut { at, reason: wire::reason(state) },
            // An Update's date is when the record was edited, not when the person opted out.
            _ => What::Changed { opted_in: active || state.is_empty() },
        }
    }

    fn id(&self, audience: &Audience, settings: &Settings) -> String {
        let parts = [&self.date, &self.email_address, &self.old_email_address, &self.state];
        let parts = parts.map(|part| part.as_deref().unwrap_or_default());
        content_id(settings, [audience.as_str(), &self.r#type].into_iter().chain(parts))
    }
}

/// Campaign Monitor gives events no id. This one is the same when the same event comes again, and is keyed
/// with the callback token, so that nobody can find the address by trying.
fn content_id<'a>(settings: &Settings, parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    if let Some(token) = settings.callback_tokens.first() {
        digest.update(Sha256::digest(token.expose_secret()));
    }
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    hex::encode(&digest.finalize()[..12])
}

#[cfg(test)]
mod tests;
