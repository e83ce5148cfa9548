//! What the REST API's answers mean: `errorCode` first, HTTP status second.
//!
//! Source: vendor pages "Status Codes and Error Responses" (an array of `{message, errorCode, fields}`), "sObject Collections"
//! (a result for each record, with `statusCode` for `errorCode`), "Conditional Request Headers" (412).

use crate::upstream::{Again, Fault, Verdict};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use std::time::Duration;

/// How long to leave the API alone once the organization has used up its calls, which are counted by the day.
const USED_UP: Duration = Duration::from_mins(2);

/// How an answer was understood.
#[derive(Debug)]
pub enum Answer {
    /// A success's body.
    Done(Bytes),
    /// The token was refused.
    TokenRefused,
    /// It can't be done, as things are not as they were.
    No(Refusal),
}

/// Why one record wasn't written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such record.
    Gone,
    /// Another one has the UID, or it was changed since it was read.
    Moved,
    /// It passes: another one is writing it.
    Busy,
    /// What is written is refused, and always will be.
    Data,
    /// A person must act: permissions, fields, automations over there.
    Configuration,
}

impl Refusal {
    /// The fault that it is, if nothing else is made of it.
    pub const fn fault(self) -> Fault {
        match self {
            Self::Gone => Fault::Failing { code: 404 },
            Self::Moved => Fault::Failing { code: 412 },
            Self::Busy => Fault::Failing { code: 400 },
            Self::Data => Fault::Refused { code: 400 },
            Self::Configuration => Fault::Configuration { code: 400 },
        }
    }
}

/// One of the errors of an answer, or of a record of a collection.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireError {
    #[serde(default, rename = "errorCode", alias = "statusCode")]
    code: String,
}

impl WireError {
    /// The code, if it looks like one; its message may quote what was sent.
    pub fn code(&self) -> &str {
        let is_code = self.code.len() <= 80 && self.code.bytes().all(|c| c.is_ascii_uppercase() || c == b'_');
        if is_code { &self.code } else { "UNKNOWN" }
    }
}

/// Judges an answer.
pub fn judge(upstream: &str, operation: &str, response: &Response<Bytes>) -> Verdict<Answer> {
    let status = response.status();
    if status.is_success() {
        return Verdict::Answer(Answer::Done(response.body().clone()));
    }
    let errors: Vec<WireError> = serde_json::from_slice(response.body()).unwrap_or_default();
    let code = errors.first().map_or("", WireError::code);
    match (status, code) {
        (_, "INVALID_SESSION_ID") | (StatusCode::UNAUTHORIZED, _) => return Verdict::Answer(Answer::TokenRefused),
        (_, "REQUEST_LIMIT_EXCEEDED") => {
            tracing::error!(upstream, operation, "the organization has used up its API calls");
            return Verdict::Again(Again::SlowDown { wait: Some(USED_UP) });
        }
        (_, "SERVER_UNAVAILABLE") => return Verdict::Again(Again::Failing { code: 503 }),
        (StatusCode::PRECONDITION_FAILED, _) => return Verdict::Answer(Answer::No(Refusal::Moved)),
        _ => {}
    }
    if let Some(verdict) = Verdict::of_status(response) {
        return verdict;
    }
    let refusal = match (status, code) {
        (StatusCode::NOT_FOUND, "" | "NOT_FOUND") => Refusal::Gone,
        // Several records have this UID: the field isn't unique.
        (StatusCode::MULTIPLE_CHOICES, _) => Refusal::Configuration,
        (_, code) => meaning(code),
    };
    match refusal {
        Refusal::Busy => Verdict::Again(Again::Busy { code: 400 }),
        Refusal::Gone | Refusal::Moved => Verdict::Answer(Answer::No(refusal)),
        Refusal::Data => {
            tracing::warn!(upstream, operation, code, "Salesforce refused the data");
            Verdict::Answer(Answer::No(refusal))
        }
        Refusal::Configuration => {
            tracing::error!(upstream, operation, code, "Salesforce refused the call");
            let code = i64::from(status.as_u16());
            Verdict::Fail(Fault::Configuration { code })
        }
    }
}

/// What a code means for the record that it is about.
pub fn meaning(code: &str) -> Refusal {
    match code {
        "ENTITY_IS_DELETED" | "INVALID_CROSS_REFERENCE_KEY" => Refusal::Gone,
        "DUPLICATE_VALUE" | "DUPLICATE_EXTERNAL_ID" => Refusal::Moved,
        "UNABLE_TO_LOCK_ROW" | "SERVER_UNAVAILABLE" | "REQUEST_RUNNING_TOO_LONG" | "ROW_LOCKED" => Refusal::Busy,
        "DUPLICATES_DETECTED"
        | "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        | "FIELD_FILTER_VALIDATION_EXCEPTION"
        | "INVALID_EMAIL_ADDRESS"
        | "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
        | "INVALID_TYPE_ON_FIELD_IN_RECORD"
        | "JSON_PARSER_ERROR"
        | "NUMBER_OUTSIDE_VALID_RANGE"
        | "REQUIRED_FIELD_MISSING"
        | "STRING_TOO_LONG" => Refusal::Data,
        _ => Refusal::Configuration,
    }
}
