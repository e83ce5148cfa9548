//! The REST calls: a form comes in, an envelope goes out, with HTTP status 200 even for errors.

use super::GigyaSim;
use super::people::call_id;
use super::world::World;
use crate::sandbox::faults::meet;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, header};
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::form_urlencoded;

pub(super) type Form = BTreeMap<String, String>;
pub(super) type Answer = Result<Value, (i64, String)>;

impl GigyaSim {
    /// The REST API.
    pub fn router(&self) -> axum::Router {
        axum::Router::new().route("/{method}", post(handle)).with_state(self.clone())
    }
}

async fn handle(
    State(sim): State<GigyaSim>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let fate = sim.faults().draw(&method);
    let work = {
        let sim = sim.clone();
        move || {
            let form: Form = form_urlencoded::parse(&body).into_owned().collect();
            let answer = sim.answer(&method, &headers, &form);
            envelope(&sim, answer)
        }
    };
    let too_fast = || envelope(&sim, Err((403_048, "Api rate limit exceeded".to_owned())));
    meet(fate, work, too_fast).await
}

fn envelope(sim: &GigyaSim, answer: Answer) -> Response<Body> {
    let now = sim.clock().now();
    let (code, mut json) = match answer {
        Ok(json) => (0, json),
        Err((code, message)) => (code, json!({ "errorMessage": message, "errorDetails": message })),
    };
    let status = if code == 0 { 200 } else { code / 1000 };
    json["errorCode"] = code.into();
    json["statusCode"] = status.into();
    json["statusReason"] = if code == 0 { "OK" } else { "Error" }.into();
    json["callId"] = call_id().into();
    json["apiVersion"] = 2.into();
    json["time"] = now.to_string().into();
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let response =
        Response::builder().header(header::CONTENT_TYPE, "application/json; charset=utf-8").header(header::DATE, date);
    response.body(Body::from(json.to_string())).expect("constant headers and a date are valid")
}

fn missing(name: &str) -> (i64, String) {
    (400_002, format!("Missing required parameter: {name}"))
}

pub(super) fn required<'a>(form: &'a Form, name: &str) -> Result<&'a String, (i64, String)> {
    form.get(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
}

fn parsed(form: &Form, name: &str) -> Result<Option<Value>, (i64, String)> {
    let Some(text) = form.get(name) else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|_| (400_004, format!("Invalid parameter format: {name}")))
}

impl GigyaSim {
    fn answer(&self, method: &str, headers: &HeaderMap, form: &Form) -> Answer {
        let api_key = required(form, "apiKey")?;
        if *api_key != self.settings().api_key {
            return Err((400_093, "Invalid ApiKey parameter".to_owned()));
        }
        if method == "accounts.getJWTPublicKey" {
            return Ok(self.signer().published(form.get("V2").is_some_and(|v2| v2 == "true")));
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let url = format!("http://{host}/{method}");
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let checked = self.settings().credentials.check(&mut self.world(), &url, form, authorization);
        checked.map_err(|(code, message)| (code, message.to_owned()))?;
        if self.settings().denied.iter().any(|denied| denied == method) {
            return Err((403_007, "Permission denied".to_owned()));
        }
        match method {
            "accounts.getAccountInfo" => self.get_account_info(form),
            "accounts.setAccountInfo" => self.set_account_info(form),
            "accounts.search" => self.search(form),
            "accounts.unsubscribe" => self.unsubscribe_address(form),
            "accounts.getLiteToken" => self.get_lite_token(form),
            "accounts.initRegistration" => Ok(json!({ "regToken": self.new_token(None) })),
            "accounts.deleteAccount" => {
                let uid = self.uid_of(form)?;
                self.delete(&uid);
                Ok(json!({}))
            }
            "accounts.getSchema" => Ok(self.schema()),
            _ => self.answer_webhooks(method, form),
        }
    }

    /// The account that a call is about, by `UID` or `regToken`.
    fn uid_of(&self, form: &Form) -> Result<String, (i64, String)> {
        let world = self.world();
        if let Some(uid) = form.get("UID") {
            let unknown = self.settings().unknown_uid_code;
            let message =
                if unknown == 403_047 { "There is no user with that username or email" } else { "Unauthorized user" };
            return world.account(uid).map(|account| account.uid.to_string()).ok_or((unknown, message.to_owned()));
        }
        let token = required(form, "regToken")?;
        let address = world.tokens.get(token).and_then(Clone::clone);
        let address = address.ok_or_else(|| (400_006, "Invalid parameter value: regToken".to_owned()))?;
        let account = world.account_of(&address).map(|account| account.uid.to_string());
        account.ok_or_else(|| (403_047, "There is no user with that username or email".to_owned()))
    }

    fn get_account_info(&self, form: &Form) -> Answer {
        let uid = self.uid_of(form)?;
        let row = self.world().row(&uid).ok_or_else(|| missing("UID"))?;
        // Naming any `include` drops the default ones.
        let include = form.get("include").map_or("profile,data,subscriptions", String::as_str);
        let optional = ["profile", "data", "subscriptions", "preferences", "emails", "loginIDs"];
        let wanted = |key: &str| !optional.contains(&key) || include.split(',').any(|named| named == key);
        Ok(Value::Object(row.told(self.settings().nested_subscriptions, &wanted)))
    }

    fn set_account_info(&self, form: &Form) -> Answer {
        let muted = form.get("muteWebhooks").is_some_and(|muted| muted == "true");
        let (profile, data, subscriptions) =
            (parsed(form, "profile")?, parsed(form, "data")?, parsed(form, "subscriptions")?);
        let uid = match self.uid_of(form) {
            Ok(uid) => uid,
            Err(refused) => self.finish_registration(form, profile.as_ref()).unwrap_or(Err(refused))?,
        };
        if let Some(active) = form.get("isActive") {
            if form.contains_key("regToken") {
                return Err((403_007, "Permission denied".to_owned()));
            }
            self.change(&uid, |account| account.is_active = active == "true");
        }
        self.change(&uid, |account| {
            for (key, value) in profile.as_ref().and_then(Value::as_object).into_iter().flatten() {
                account.profile.insert(key, value.clone());
            }
            if let Some(data) = &data {
                account.data = data.clone();
            }
        });
        let view = self.account(&uid).ok_or_else(|| missing("UID"))?;
        let call = call_id();
        let mut changed_subscription = false;
        for (id, state) in subscriptions.as_ref().map(changes).unwrap_or_default() {
            let Some(subscribed) = state.get("isSubscribed").and_then(Value::as_bool) else { continue };
            if state.get("lastUpdatedSubscriptionState").is_some() {
                return Err((400_006, "lastUpdatedSubscriptionState can't be written".to_owned()));
            }
            let tags = state.get("tags").and_then(Value::as_array);
            let tags = tags.map(|tags| tags.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect());
            let vouched_for = state.pointer("/doubleOptIn/isExternallyVerified") == Some(&json!(true));
            if self.set_subscription(&view.email, &id, subscribed, tags, vouched_for) {
                changed_subscription = true;
                if !muted {
                    self.fire_subscription(&view.email, &id, &call);
                }
            }
        }
        if !changed_subscription && !muted {
            let kind = if view.is_lite { "lite" } else { "full" };
            self.fire("accountUpdated", &call, json!({ "accountType": kind, "uid": uid }));
        }
        Ok(json!({ "UID": uid }))
    }

    /// A token from `initRegistration` becomes a lite account with the first address that is set. `None` if it is no such token.
    fn finish_registration(&self, form: &Form, profile: Option<&Value>) -> Option<Result<String, (i64, String)>> {
        let token = form.get("regToken")?;
        let address = profile?.get("email")?.as_str()?;
        if self.world().tokens.get(token) != Some(&None) {
            return None;
        }
        self.world().tokens.insert(token.clone(), Some(address.to_owned()));
        let existing = self.world().account_of(address).map(|account| account.uid.to_string());
        if existing.is_some() && self.settings().refuses_known_addresses {
            return Some(Err((400_003, "Unique identifier exists".to_owned())));
        }
        Some(Ok(existing.unwrap_or_else(|| {
            let uid = World::new_uid();
            self.add(&uid, address, "", true);
            uid
        })))
    }

    fn unsubscribe_address(&self, form: &Form) -> Answer {
        let id = required(form, "subscriptionID")?;
        let address = match (form.get("email"), form.get("channelToken")) {
            (Some(email), None) => Some(email.clone()),
            (None, Some(token)) => self.world().address_of_token(token),
            _ => return Err((400_006, "Exactly one of email and channelToken is needed".to_owned())),
        };
        let address = address.filter(|address| self.world().email(address).is_some());
        let address = address.ok_or_else(|| (400_006, "Invalid parameter value: email".to_owned()))?;
        let tags =
            form.get("tags").map(|tags| tags.split(',').filter(|tag| !tag.is_empty()).map(ToOwned::to_owned).collect());
        if self.set_subscription(&address, id, false, tags, false) {
            self.fire_subscription(&address, id, &call_id());
        }
        Ok(json!({}))
    }

    fn get_lite_token(&self, form: &Form) -> Answer {
        let address = match (form.get("email"), form.get("emailToken")) {
            (Some(email), None) => {
                self.world().account_of(email).and_then(|account| account.address().map(ToOwned::to_owned))
            }
            (None, Some(token)) => self.world().address_of_token(token),
            _ => return Err((400_006, "Exactly one of email and emailToken is needed".to_owned())),
        };
        let address = address.ok_or_else(|| (403_047, "There is no user with that username or email".to_owned()))?;
        Ok(json!({ "token": self.new_token(Some(address)) }))
    }

    fn new_token(&self, address: Option<String>) -> String {
        let token = format!("st2.{}", call_id());
        self.world().tokens.insert(token.clone(), address);
        token
    }
}

/// The subscriptions in a `subscriptions` parameter, dotted or nested: id, and what is set of its email channel.
fn changes(all: &Value) -> Vec<(String, Value)> {
    fn walk(prefix: &str, value: &Value, found: &mut Vec<(String, Value)>) {
        for (key, inner) in value.as_object().into_iter().flatten() {
            let id = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match inner.get("email").filter(|email| email.get("isSubscribed").is_some()) {
                Some(email) => found.push((id, email.clone())),
                None => walk(&id, inner, found),
            }
        }
    }
    let mut found = Vec::new();
    walk("", all, &mut found);
    found
}
