//! What the REST API's errors mean: `errorcode` first, HTTP status second.
//!
//! Source: vendor page "REST API Error Handling", and public integrations for the oddities.

use crate::upstream::{Again, Fault, Verdict};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use std::time::Duration;

/// How long to leave the API alone after "temporarily blocked", for which no time is told.
const BLOCKED: Duration = Duration::from_mins(1);

/// How an answer was understood.
#[derive(Debug)]
pub enum Answer {
    /// A success's body.
    Done(Bytes),
    /// The token was refused.
    TokenRefused,
    /// There is no such thing.
    NotFound,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireError {
    message: String,
    errorcode: Option<i64>,
    retry_after: Option<f64>,
    additional_errors: Vec<WireError>,
}

/// Judges an answer.
pub fn judge(upstream: &str, operation: &str, response: &Response<Bytes>) -> Verdict<Answer> {
    if response.status().is_success() {
        return Verdict::Answer(Answer::Done(response.body().clone()));
    }
    if let Some(verdict) = pace(response) {
        return verdict;
    }
    let status = i64::from(response.status().as_u16());
    let error = error(response);
    let code = error.errorcode.unwrap_or(status);
    let verdict = match (response.status(), code) {
        (StatusCode::UNAUTHORIZED, _) | (_, 40004) => return Verdict::Answer(Answer::TokenRefused),
        (StatusCode::NOT_FOUND, _) | (_, 30003) => return Verdict::Answer(Answer::NotFound),
        (StatusCode::CONFLICT, _) | (_, 30002 | 30004) => Verdict::Again(Again::Busy { code }),
        // The real cause stands inside; without one, it passes.
        (_, 10006) if error.additional_errors.is_empty() && error.message.starts_with("Unable to save rows") => {
            Verdict::Again(Again::Busy { code })
        }
        // Not the row is wrong, but what it is written to.
        (_, 10000..=10006) if error.is_about_the_key() => Verdict::Fail(Fault::Configuration { code }),
        (_, 10000..=10006) => Verdict::Fail(Fault::Refused { code }),
        // Permissions, wrong stack, wrong route.
        _ => Verdict::Fail(Fault::Configuration { code }),
    };
    // Its text may quote what was sent.
    match &verdict {
        Verdict::Fail(Fault::Refused { .. }) => {
            tracing::warn!(upstream, operation, code, "Marketing Cloud refused the data");
        }
        Verdict::Fail(_) => tracing::error!(upstream, operation, code, "Marketing Cloud refused the call"),
        _ => {}
    }
    verdict
}

/// What is to be tried again for reasons of pace or health; `None` if it is about the call itself.
pub fn pace<T>(response: &Response<Bytes>) -> Option<Verdict<T>> {
    let error = error(response);
    if error.errorcode == Some(50200) {
        tracing::error!("Marketing Cloud has blocked the package for calling too much; ask its support");
        return Some(Verdict::Again(Again::SlowDown { wait: Some(BLOCKED) }));
    }
    let told = error.retry_after.filter(|seconds| (0.0..=300.0).contains(seconds)).map(Duration::from_secs_f64);
    match Verdict::of_status(response)? {
        Verdict::Again(Again::SlowDown { wait: None }) => {
            Some(Verdict::Again(told.map_or(Again::TooFast, |told| Again::SlowDown { wait: Some(told) })))
        }
        verdict => Some(verdict),
    }
}

fn error(response: &Response<Bytes>) -> WireError {
    serde_json::from_slice(response.body()).unwrap_or_default()
}

impl WireError {
    fn is_about_the_key(&self) -> bool {
        let is = |error: &Self| error.message.starts_with("Primary key");
        is(self) || self.additional_errors.iter().any(is)
    }
}

#[cfg(test)]
mod tests;
