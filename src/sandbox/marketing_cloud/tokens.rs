//! Access tokens (vendor page "Access tokens for server-to-server integrations").

use super::door::Call;
use super::{MarketingCloudSim, lock};
use axum::body::Body;
use axum::http::{Response, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::HashMap;
use url::form_urlencoded;

/// The tokens that were given out.
#[derive(Default)]
pub struct Tokens(HashMap<String, Token>);

struct Token {
    expires: Timestamp,
    may_do_anything: bool,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Good {
    /// For everything.
    ForAll,
    /// For nothing: it was asked for with an empty scope.
    ForNothing,
    /// It is unknown, or too old.
    No,
}

impl Tokens {
    pub fn revoke(&mut self) {
        self.0.clear();
    }
}

/// Status, OAuth error and description.
type Refused = (u16, &'static str, &'static str);

impl MarketingCloudSim {
    /// Answers `POST /v2/token`.
    pub(super) fn give_token(&self, call: &Call) -> Response<Body> {
        let (status, body) = match self.new_token(call) {
            Ok(body) => (200, body),
            Err((status, error, description)) => {
                let help = "https://developer.salesforce.com/docs";
                (status, json!({ "error": error, "error_description": description, "error_uri": help }))
            }
        };
        super::door::json_answer(status, &body)
    }

    fn new_token(&self, call: &Call) -> Result<Value, Refused> {
        let body = parameters(call).ok_or((400, "invalid_request", "The body can't be read."))?;
        let settings = self.settings();
        let of = |name: &str| body[name].as_str().unwrap_or_default();
        if of("grant_type") != "client_credentials" {
            return Err((400, "unsupported_grant_type", "The grant type is not supported."));
        }
        if of("client_id") != settings.client_id || of("client_secret") != settings.client_secret {
            return Err((401, "invalid_client", "Invalid client ID. Use the client ID in Marketing Cloud Engagement."));
        }
        // Without it, the token is for the business unit that owns the package. What a foreign one is answered
        // with isn't documented.
        let is_ours = |id: &Value| id.as_str().map_or_else(|| id.to_string(), ToOwned::to_owned) == settings.account_id;
        if !body.get("account_id").is_none_or(is_ours) {
            return Err((400, "invalid_request", "The account ID is not one that the package may be used in."));
        }
        let token = format!("sim.{}", crate::sandbox::new_uuid());
        let lifetime = SignedDuration::try_from(settings.token_lifetime).unwrap_or(SignedDuration::MAX);
        let expires = self.inner.around.clock.now().checked_add(lifetime).unwrap_or(Timestamp::MAX);
        let may_do_anything = body.get("scope").is_none_or(|scope| scope != "");
        lock(&self.inner.tokens).0.insert(token.clone(), Token { expires, may_do_anything });
        let host = call.header(header::HOST);
        Ok(json!({
            "access_token": token, "token_type": "Bearer", "expires_in": settings.token_lifetime.as_secs(),
            "scope": if may_do_anything { settings.scopes.join(" ") } else { String::new() },
            "rest_instance_url": format!("http://{host}/"), "soap_instance_url": format!("http://{host}/"),
        }))
    }

    /// What a token is good for now.
    pub(super) fn token_is_good(&self, token: &str) -> Good {
        let now = self.inner.around.clock.now();
        match lock(&self.inner.tokens).0.get(token) {
            Some(held) if held.expires <= now => Good::No,
            Some(held) if held.may_do_anything => Good::ForAll,
            Some(_) => Good::ForNothing,
            None => Good::No,
        }
    }
}

/// The body's parameters, be it JSON or a form.
fn parameters(call: &Call) -> Option<Value> {
    if call.header(header::CONTENT_TYPE).contains("json") {
        return serde_json::from_slice(&call.body).ok().filter(Value::is_object);
    }
    let pairs = form_urlencoded::parse(&call.body);
    Some(Value::Object(pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect()))
}
