//! Salesforce Marketing Cloud Engagement: the Event Notification Service in, SOAP and REST out.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `body` | what a callback may say, for the API document |
//! | `callback` | what an event notification says |
//! | `signature` | whether to believe it: HMAC-SHA256 over the body |
//! | `handshake` | the verification of a new callback |
//! | `inbound` | from an event to whom it is about, and what they left |
//! | `find` | what an audience holds of somebody |
//! | `listing` | an audience as a whole, page by page |
//! | `provider` | the `impl Esp`: how it is changed |
//! | `levels` | the places where consent is kept, and how each is written |
//! | `setup` | what is made and proved over there before callbacks come |
//! | `client` | the calls, each with a token |
//! | `token` | `OAuth2` client credentials: fetched once for everybody, early |
//! | `soap` | envelopes, answers, and what their codes mean |
//! | `rest` | what the REST API's errors mean |
//! | `wire` | statuses, local times, rows |
//!
//! Sources: the vendor's developer documentation (SOAP and REST API, Event Notification Service), and recorded answers
//! in public SDKs. What these leave open is a setting, or taken both ways.

mod body;
mod callback;
mod client;
mod find;
mod handshake;
mod inbound;
mod levels;
mod listing;
mod load;
mod provider;
mod rest;
mod setup;
mod signature;
mod soap;
#[cfg(test)]
mod testing;
mod token;
mod wire;

pub use provider::MarketingCloud;
pub use setup::MarketingCloudSetUp;

use super::{Offer, ProviderInfo, SignatureInfo, TokenInPath};

/// Marketing Cloud, for the edge and the API document.
pub const INFO: ProviderInfo = ProviderInfo {
    slug: "marketing-cloud",
    title: "Marketing Cloud",
    token: TokenInPath::Never,
    signature: Some(SignatureInfo {
        header: signature::HEADER,
        how: "Base64 of the body's HMAC-SHA256 under a signature key. The verification of a new callback has none.",
        may_be_missing: true,
    }),
    callback: "Events of the Event Notification Service, up to 1,000, signed in x-sfmc-ens-signature; or the unsigned \
               verification of a new callback.",
    bodies: body::all,
};

/// What it can do.
pub fn offer() -> Offer {
    Offer {
        title: INFO.title.to_owned(),
        table: "[marketing_cloud.NAME]".to_owned(),
        writes: vec!["subscribe", "unsubscribe", "update"],
        removal: vec!["delete", "unsubscribe"],
        tells: vec!["opt-outs"],
        verified_by: "HMAC-SHA256".to_owned(),
        reconcile: true,
        limits: "waits 3 s for a callback's answer; tells of no opt-ins and no bounces".to_owned(),
    }
}
