//! Which records a callback is about: an Outbound Message in SOAP, or JSON of a shape of the gateway's own.
//!
//! Source: vendor page "Understanding the Outbound Messaging WSDL" (`notifications` in
//! `http://soap.sforce.com/2005/09/outbound`: `OrganizationId`, `ActionId`, and up to 100 `Notification`s, each with an
//! `Id` and an `sObject` that has an `xsi:type`), and a captured message. A message says what was so when it was sent, and
//! may be late, so it only says where to look; what it tells counts if the record isn't there anymore.

mod json;
mod soap;

pub use json::parse as parse_json;
pub use soap::parse as parse_soap;

use crate::config::salesforce::SalesforceObject;
use serde_json::json;
use std::collections::BTreeMap;

/// What an Outbound Message is answered.
pub const ACK: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    r#"<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>"#,
    r#"<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>"#,
    r#"</soapenv:Body></soapenv:Envelope>"#
);

/// The most records that one callback may name. Outbound Messages have up to 100.
const MOST: usize = 1_000;

/// One record that something happened to.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The notice's id; one of the record and what is said where it has none.
    pub id: String,
    /// The kind of record, as it is named.
    pub kind: String,
    /// Which of those that can be an audience it is; none if it is another one.
    pub object: Option<SalesforceObject>,
    /// The record's id; none if it is malformed.
    pub record: Option<String>,
    /// Whether the record was deleted.
    pub deleted: bool,
    /// What is said of it.
    pub fields: BTreeMap<String, String>,
}

impl Event {
    /// What was told, for a person to look at.
    pub fn said(&self) -> String {
        json!({ "object": self.kind, "id": self.record, "deleted": self.deleted, "fields": self.fields }).to_string()
    }
}

/// Whether a text is a record's id, and so may stand in a query.
pub fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
