//! Whether a callback is Salesforce's. An Outbound Message can't be signed: its URL ends in a token, and it names the
//! organization. A JSON callback is signed by Apex, or has a secret in a header, which is all that a Flow can send along.

use crate::config::salesforce::Salesforce as Settings;
use crate::esp::scheme::{self, Shown, token};
use http::HeaderMap;
use jiff::Timestamp;
use secrecy::SecretString;

/// How much of an id counts: the rest only says how the letters of these are written.
const ID: usize = 15;

/// Checks the token of an Outbound Message.
pub fn of_message(settings: &Settings, stated: &SecretString) -> Result<(), &'static str> {
    token::in_url(Some(stated), &settings.outbound_tokens)
}

/// Checks which organization sent it.
pub fn of_organization(settings: &Settings, stated: &str) -> Result<(), &'static str> {
    let ours = settings.organization_id.as_deref().and_then(|id| id.get(..ID));
    if ours.is_some() && ours == stated.get(..ID) { Ok(()) } else { Err("organization") }
}

/// Checks a JSON callback.
pub fn of_json(settings: &Settings, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    let shown = Shown { token: None, headers, body, now: Timestamp::now() };
    scheme::verify(&settings.callback_auth, &settings.callback_secrets, &shown)
}
