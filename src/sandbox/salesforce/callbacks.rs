//! Outbound Messages, and what Apex sends. Both tell the latest state only.

use super::world::{TIME, UID, World};
use super::{CALLBACK_SECRET, ORGANIZATION};
use crate::sandbox::Sealed;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::fmt::Write;

/// How an organization calls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callbacks {
    /// By Outbound Messages, to a URL with a token.
    OutboundMessages,
    /// By JSON that Apex signs.
    Signed,
}

/// A request about some records.
pub(super) fn seal(callbacks: Callbacks, world: &World, events: &[Value]) -> Sealed {
    match callbacks {
        Callbacks::OutboundMessages => {
            let headers =
                vec![("content-type", "text/xml; charset=utf-8".to_owned()), ("soapaction", "\"\"".to_owned())];
            Sealed { headers, body: message(world, events).into_bytes() }
        }
        Callbacks::Signed => {
            let body = events.iter().map(|event| record(world, event)).collect::<Value>().to_string();
            let mut mac = Hmac::<Sha256>::new_from_slice(CALLBACK_SECRET.as_bytes()).expect("any length will do");
            mac.update(body.as_bytes());
            let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
            let headers = vec![("content-type", "application/json".to_owned()), ("x-gateway-signature", signature)];
            Sealed { headers, body: body.into_bytes() }
        }
    }
}

/// The fields that the rule selects.
fn fields(world: &World, event: &Value) -> Map<String, Value> {
    let (object, id) = (event["type"].as_str().unwrap_or_default(), event["id"].as_str().unwrap_or_default());
    let Some(row) = world.record(object, id) else { return Map::new() };
    let checkbox = world.settings.opt_out_field();
    let names = [world.settings.address_field(), &checkbox, UID, TIME];
    let told = names.into_iter().filter_map(|name| Some((name.to_owned(), row.get(name)?.clone())));
    told.filter(|(_, value)| !value.is_null()).collect()
}

fn record(world: &World, event: &Value) -> Value {
    json!({ "object": event["type"], "id": event["id"], "fields": fields(world, event) })
}

fn message(world: &World, events: &[Value]) -> String {
    let mut notifications = String::new();
    for event in events {
        let (kind, id) = (event["type"].as_str().unwrap_or_default(), event["id"].as_str().unwrap_or_default());
        let mut told = format!("<sf:Id>{id}</sf:Id>");
        for (name, value) in fields(world, event) {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = write!(told, "<sf:{name}>{text}</sf:{name}>");
        }
        // Its own id: the same each time that it is sent.
        let notification = format!("04l{}", &id[3..]);
        let _ = write!(
            notifications,
            "<Notification><Id>{notification}</Id><sObject xsi:type=\"sf:{kind}\" \
             xmlns:sf=\"urn:sobject.enterprise.soap.sforce.com\">{told}</sObject></Notification>"
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><notifications \
         xmlns=\"http://soap.sforce.com/2005/09/outbound\"><OrganizationId>{ORGANIZATION}</OrganizationId>\
         <ActionId>04k5e000000CaRkAAK</ActionId><SessionId xsi:nil=\"true\"/>\
         <EnterpriseUrl>https://example.my.salesforce.com/services/Soap/c/60.0/00D</EnterpriseUrl>\
         <PartnerUrl>https://example.my.salesforce.com/services/Soap/u/60.0/00D</PartnerUrl>\
         {notifications}</notifications></soapenv:Body></soapenv:Envelope>"
    )
}
