//! Salesforce (CRM): Contacts, Leads and Person Accounts, by the REST API; Outbound Messages and JSON callbacks in.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `body` | what a callback may say, for the API document |
//! | `callback` | which records a callback is about: SOAP or JSON |
//! | `signature` | whether to believe it |
//! | `inbound` | from records to what their people said |
//! | `find` | what an audience holds of somebody |
//! | `listing` | an audience as a whole, page by page |
//! | `load` | filling an audience |
//! | `provider` | the `impl Esp`: how it is changed |
//! | `setup` | what is proved over there, and what an operator enters there |
//! | `client` | the calls, each with a token |
//! | `rest` | what the API's answers mean |
//! | `token` | `OAuth2`: client credentials, or a JWT |
//! | `soql` | queries |
//! | `wire` | records, times, values |
//!
//! Sources: the vendor's REST API Developer Guide (sObject Rows, sObject Collections, Query, Conditional Request Headers) and
//! SOAP API Developer Guide (Outbound Messaging). What these leave open is a setting, or taken both ways.

mod body;
mod callback;
mod client;
mod find;
mod inbound;
mod listing;
mod load;
mod provider;
mod rest;
mod setup;
mod signature;
mod soql;
mod token;
mod wire;

pub use provider::Salesforce;
pub use setup::SalesforceSetUp;

use super::{Acknowledgement, Offer, ProviderInfo, SignatureInfo, TokenInPath};

/// Salesforce, for the edge and the API document.
pub const INFO: ProviderInfo = ProviderInfo {
    slug: "salesforce",
    title: "Salesforce",
    token: TokenInPath::Maybe,
    signature: Some(SignatureInfo {
        header: "X-Gateway-Signature",
        how: "Base64 of the body's HMAC-SHA256 under one of `callback_secrets`, for JSON callbacks. Outbound Messages have \
              none: their token is in the path. With `callback_auth = \"bearer\"`, the secret is in `Authorization`.",
        may_be_missing: true,
    }),
    acknowledgement: Some(Acknowledgement { media_type: "text/xml; charset=utf-8", body: callback::ACK }),
    callback: "With a token: an Outbound Message, up to 100 notifications; answered with its Ack only once Gigya has what \
               they tell. Without: one record or a list of them, as JSON. Each record is read back.",
    bodies: body::all,
};

/// What it can do.
pub fn offer() -> Offer {
    Offer {
        title: "Salesforce (CRM)".to_owned(),
        table: "[salesforce.NAME]".to_owned(),
        writes: vec!["subscribe", "unsubscribe", "update"],
        removal: vec!["delete", "unsubscribe"],
        tells: vec!["opt-outs", "opt-ins", "changes"],
        verified_by: "token in the URL, HMAC-SHA256, or bearer token".to_owned(),
        reconcile: true,
        limits: "knows the day of an opt-out only, unless a field has its time".to_owned(),
    }
}
