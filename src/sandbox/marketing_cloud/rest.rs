//! The REST calls: which there are, how they are refused (vendor pages "Error handling" and "Rate limiting best
//! practices").

use super::door::{Call, json_answer};
use super::tokens::Good;
use super::{MarketingCloudSim, ens};
use axum::body::Body;
use axum::http::{Method, Response, header};
use serde_json::{Value, json};
use url::form_urlencoded;

/// Status and body of a success.
pub type Answer = Result<(u16, Value), Refused>;

/// Why a call isn't done.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub code: u32,
    pub message: String,
    /// What is really wrong, where the code only sums up.
    pub additional: Vec<(u32, String)>,
}

pub fn refused(status: u16, code: u32, message: &str) -> Refused {
    Refused { status, code, message: message.to_owned(), additional: Vec::new() }
}

/// A name for a call, for counting and for scripting.
pub fn operation(call: &Call) -> &'static str {
    match (call.method.as_str(), &call.segments()[..]) {
        ("POST", ["hub", "v1", "dataevents", _, "rowset"]) => "rowset",
        ("PUT", ["hub", "v1", "dataevents", _, "rows", _]) => "row",
        ("GET", ["data", "v1", "customobjectdata", "key" | "token", _, "rowset"]) => "rows.read",
        ("PUT" | "POST", ["data", "v1", "async", "dataextensions", _, "rows"]) => "rows.later",
        ("GET", ["data", "v1", "async", _, "status" | "results"]) => "rows.later.status",
        ("POST", ["contacts", "v1", "contacts", "actions", "delete"]) => "contact.delete",
        ("GET", ["contacts", "v1", "contacts", "actions", "delete", "status"]) => "contact.delete.status",
        (_, ["platform", "v1", ..]) => ens::operation(call),
        _ => "rest.other",
    }
}

pub fn render(answer: Answer) -> Response<Body> {
    let refusal = match answer {
        Ok((status, body)) => return json_answer(status, &body),
        Err(refusal) => refusal,
    };
    if refusal.status == 304 {
        return json_answer(304, &Value::Null);
    }
    let documentation = "https://developer.salesforce.com/docs/marketing/marketing-cloud";
    let shown =
        |code: u32, message: &str| json!({ "message": message, "errorcode": code, "documentation": documentation });
    let mut body = shown(refusal.code, &refusal.message);
    if !refusal.additional.is_empty() {
        body["additionalErrors"] = refusal.additional.iter().map(|(code, message)| shown(*code, message)).collect();
    }
    json_answer(refusal.status, &body)
}

pub fn rate_limited(retry_after: u64) -> Response<Body> {
    let body = json!({
        "message": "Rate limit exceeded", "errorcode": 50100, "documentation": "", "retryAfter": retry_after,
    });
    let mut response = json_answer(429, &body);
    response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
    response
}

impl MarketingCloudSim {
    /// The body of a call that may be made, read.
    pub(super) fn admit(&self, call: &Call) -> Result<Value, Refused> {
        let token = call.header(header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
        match self.token_is_good(token) {
            Good::ForAll => {}
            Good::ForNothing => return Err(refused(403, 20000, "Insufficient privileges")),
            Good::No => return Err(refused(401, 0, "Not Authorized")),
        }
        if ens::scope(operation(call)).is_some_and(|needed| !self.settings().scopes.contains(&needed)) {
            return Err(refused(403, 20000, "Insufficient privileges"));
        }
        if call.method != Method::POST && call.method != Method::PUT {
            return Ok(Value::Null);
        }
        if !call.header(header::CONTENT_TYPE).contains("json") {
            return Err(refused(415, 0, "Unsupported media type"));
        }
        serde_json::from_slice(&call.body).map_err(|_| refused(400, 10004, "The body is not valid JSON"))
    }

    /// Answers a REST call.
    pub(super) fn rest(&self, call: &Call) -> Answer {
        let body = self.admit(call)?;
        let parameter = |name: &str| {
            let mut pairs = form_urlencoded::parse(call.query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let optional = |name: &str| Some(parameter(name)).filter(|text| !text.is_empty());
        match (operation(call), &call.segments()[..]) {
            ("rows.read", [_, _, _, "key", key, _]) => {
                let size = optional("$pagesize").or_else(|| optional("$pageSize"));
                self.world().read_rows(key, optional("$page").as_deref(), size.as_deref())
            }
            ("rows.read", [.., token, _]) => self.world().read_linked_rows(token, optional("$page").as_deref()),
            ("rows.later", [.., extension, _]) => self.world().take_rows(extension, call.method == Method::POST, &body),
            ("rows.later.status", [.., id, what]) => Ok(self.world().rows_taken(id, what)),
            ("rowset", [_, _, _, extension, _]) => self.world().write_rows(extension, &body),
            ("row", [_, _, _, extension, _, key]) => self.world().write_row(extension, key, &body),
            ("contact.delete", _) => self.world().delete_contacts(&parameter("type"), &body),
            ("contact.delete.status", _) => self.world().deletion_status(&parameter("operationID")),
            (operation, [_, _, ..]) if operation.starts_with("ens.") => self.answer_ens(call, operation, &body),
            _ => Err(refused(400, 30000, "There is no such route")),
        }
    }
}
