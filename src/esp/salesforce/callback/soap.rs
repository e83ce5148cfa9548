//! Outbound Messages. A document type is refused, so there are no entities to expand.

use super::{Event, MOST, is_id};
use crate::config::salesforce::SalesforceObject;
use quick_xml::NsReader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event as Token};
use quick_xml::name::{Namespace, ResolveResult};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const OUTBOUND: &str = "http://soap.sforce.com/2005/09/outbound";
/// How deep a message's elements lie.
const DEEPEST: usize = 16;

/// An Outbound Message.
pub struct Message {
    /// Who says that they sent it.
    pub organization: String,
    /// What happened.
    pub events: Vec<Event>,
}

/// An open element.
struct Open {
    namespace: String,
    name: String,
    text: String,
}

#[derive(Default)]
struct Parsing {
    open: Vec<Open>,
    organization: Option<String>,
    events: Vec<Event>,
    notification: Option<Notification>,
    is_message: bool,
}

#[derive(Default)]
struct Notification {
    id: String,
    kind: String,
    fields: BTreeMap<String, String>,
}

/// Parses a body. What is wrong with it is said without quoting it.
pub fn parse(body: &[u8]) -> Result<Message, String> {
    let text = std::str::from_utf8(body).map_err(|_| "not UTF-8".to_owned())?;
    let mut reader = NsReader::from_str(text);
    let mut parsing = Parsing::default();
    loop {
        let at = reader.buffer_position();
        let not_xml = || format!("not well-formed XML, near byte {at}");
        let (namespace, token) = reader.read_resolved_event().map_err(|_| not_xml())?;
        let namespace = match namespace {
            ResolveResult::Bound(Namespace(name)) => name.to_owned(),
            _ => String::new(),
        };
        match token {
            Token::Start(start) => parsing.begin(namespace, &start).ok_or_else(not_xml)?,
            Token::Empty(start) => {
                parsing.begin(namespace, &start).ok_or_else(not_xml)?;
                parsing.end().ok_or_else(not_xml)?;
            }
            Token::End(_) => parsing.end().ok_or_else(not_xml)?,
            Token::Text(text) => parsing.say(&text.xml10_content()),
            Token::CData(text) => parsing.say(&text.xml10_content()),
            Token::GeneralRef(name) => {
                // The five that XML has itself, and characters by number; there can be no others.
                let known = unescape(&format!("&{};", &*name)).map_err(|_| not_xml())?.into_owned();
                parsing.say(&known);
            }
            Token::DocType(_) => return Err("has a document type".to_owned()),
            Token::Eof => break,
            Token::Decl(_) | Token::PI(_) | Token::Comment(_) => {}
        }
        if parsing.events.len() > MOST {
            return Err(format!("more than {MOST} notifications"));
        }
    }
    if !parsing.open.is_empty() || !parsing.is_message {
        return Err("not an Outbound Message".to_owned());
    }
    let organization = parsing.organization.ok_or_else(|| "names no organization".to_owned())?;
    Ok(Message { organization, events: parsing.events })
}

impl Parsing {
    fn is_in(&self, path: &[&str]) -> bool {
        let own = self.open.iter().skip_while(|open| open.name != "notifications" || open.namespace != OUTBOUND);
        own.map(|open| open.name.as_str()).eq(path.iter().copied())
    }

    /// None if it is too deep, or its attributes are no attributes.
    fn begin(&mut self, namespace: String, start: &BytesStart<'_>) -> Option<()> {
        if self.open.len() >= DEEPEST {
            return None;
        }
        let name = start.local_name().into_inner().to_owned();
        self.is_message |= name == "notifications" && namespace == OUTBOUND;
        self.open.push(Open { namespace, name, text: String::new() });
        if self.is_in(&["notifications", "Notification"]) {
            self.notification = Some(Notification::default());
        }
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            if attribute.key.local_name().into_inner() == "type"
                && self.is_in(&["notifications", "Notification", "sObject"])
            {
                let value = unescape(&attribute.value).ok()?;
                let kind = value.rsplit(':').next().unwrap_or_default().to_owned();
                self.notification.as_mut()?.kind = kind;
            }
        }
        Some(())
    }

    fn say(&mut self, text: &str) {
        if let Some(open) = self.open.last_mut() {
            open.text.push_str(text);
        }
    }

    fn end(&mut self) -> Option<()> {
        let is_organization = self.is_in(&["notifications", "OrganizationId"]);
        let is_notification = self.is_in(&["notifications", "Notification"]);
        let is_id = self.is_in(&["notifications", "Notification", "Id"]);
        let names: Vec<&str> = self.open.iter().rev().take(4).map(|open| open.name.as_str()).collect();
        let is_field = matches!(names.as_slice(), [_, "sObject", "Notification", "notifications"]);
        let open = self.open.pop()?;
        let text = open.text.trim();
        if is_organization {
            self.organization.get_or_insert_with(|| text.to_owned());
        } else if is_id {
            text.clone_into(&mut self.notification.as_mut()?.id);
        } else if is_field {
            // The first of a name counts, lest one be appended.
            self.notification.as_mut()?.fields.entry(open.name).or_insert_with(|| text.to_owned());
        } else if is_notification {
            let notification = self.notification.take()?;
            self.events.push(notification.into_event());
        }
        Some(())
    }
}

impl Notification {
    fn into_event(self) -> Event {
        let Self { id, kind, fields } = self;
        let object = SalesforceObject::named(&kind);
        let record = fields.get("Id").filter(|id| is_id(id)).cloned();
        let made = || hex::encode(&Sha256::digest(format!("{fields:?}"))[..12]);
        let id = if is_id(&id) { id } else { record.clone().unwrap_or_else(made) };
        Event { id, kind, object, record, deleted: false, fields }
    }
}
