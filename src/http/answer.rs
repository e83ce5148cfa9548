//! Everything that can be said back: a summary of what became of a request, or a problem (RFC 9457).

use crate::domain::{Outcome, Reason};
use crate::forward::{Refusal, Summary};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// Seconds after which a sender should try again, by what stands in the way.
const AFTER_DEFERRED: u32 = 30;
const AFTER_UNAVAILABLE: u32 = 10;
const AFTER_OVERLOADED: u32 = 5;

/// About as long as an answer is, in bytes; a longer one grows.
const ANSWER: usize = 512;

/// What became of a webhook request.
#[derive(Serialize, ToSchema)]
#[schema(as = Summary)]
pub(super) struct SummaryBody<'a> {
    /// Events that the body held.
    received: usize,
    /// Subscription events that changed the other side.
    applied: usize,
    /// Subscription events that found the other side as it should be.
    unchanged: usize,
    /// Subscription events that were rightly not forwarded.
    skipped: usize,
    /// Subscription events that can never be forwarded, and are recorded.
    rejected: usize,
    /// Subscription events that could not be forwarded now. Not zero: the answer is 503, send again.
    deferred: usize,
    /// One entry for each subscription event, in the body's order.
    events: Vec<EventBody<'a>>,
}

/// What became of one subscription event.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventBody<'a> {
    /// The sender's id of the event, or one made from its content.
    id: &'a str,
    /// The route as configured: `main/newsletter -> news/LIST`; null where the event concerns none.
    #[schema(required)]
    route: Option<&'a str>,
    /// What became of it.
    #[schema(schema_with = outcomes)]
    outcome: &'static str,
    /// Why, where the outcome has a reason.
    #[schema(required, schema_with = reasons)]
    reason: Option<&'static str>,
}

/// The labels of outcomes, for the API document.
fn outcomes() -> Object {
    let any = Reason::Internal;
    let outcomes =
        [Outcome::Applied, Outcome::Unchanged, Outcome::Skipped(any), Outcome::Rejected(any), Outcome::Deferred(any)];
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(outcomes.map(Outcome::label)))
        .description(Some("What became of it."))
        .build()
}

/// The labels of reasons, and null, for the API document.
fn reasons() -> Object {
    let labels = Reason::ALL.iter().map(|reason| Some(reason.label())).chain([None]);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(labels.collect::<Vec<_>>()))
        .description(Some("Why, where the outcome has a reason."))
        .build()
}

/// A problem as its reader sees it (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// Which problem, as a URN; stable.
    #[serde(rename = "type")]
    kind: String,
    /// The problem in a few words; the same for every occurrence.
    title: &'static str,
    /// The answer's status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What to do about it, or what was wrong here.
    detail: &'a str,
    /// The request's id, as in `x-request-id`. Left out of 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    instance: Option<&'a str>,
}

impl<'a> From<&'a Summary> for SummaryBody<'a> {
    fn from(summary: &'a Summary) -> Self {
        let mut body = Self {
            received: summary.received,
            applied: 0,
            unchanged: 0,
            skipped: 0,
            rejected: 0,
            deferred: 0,
            events: Vec::with_capacity(summary.events.len()),
        };
        for event in &summary.events {
            let count = match event.outcome {
                Outcome::Applied => &mut body.applied,
                Outcome::Unchanged => &mut body.unchanged,
                Outcome::Skipped(_) => &mut body.skipped,
                Outcome::Rejected(_) => &mut body.rejected,
                Outcome::Deferred(_) => &mut body.deferred,
            };
            *count += 1;
            body.events.push(EventBody {
                id: &event.id,
                route: event.route.as_deref(),
                outcome: event.outcome.label(),
                reason: event.outcome.reason().map(Reason::label),
            });
        }
        body
    }
}

/// 200 if everything is settled, else 503: the sender's own redelivery is the queue.
pub(super) fn summary(summary: &Summary) -> Response {
    let body = SummaryBody::from(summary);
    if let Some(acknowledgement) = summary.acknowledgement.filter(|_| summary.is_settled()) {
        with_type(StatusCode::OK, acknowledgement.media_type, acknowledgement.body)
    } else if summary.is_settled() {
        json(StatusCode::OK, &body)
    } else {
        let mut answer = json(StatusCode::SERVICE_UNAVAILABLE, &body);
        answer.headers_mut().insert(RETRY_AFTER, AFTER_DEFERRED.into());
        answer
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    with_type(status, "application/json", to_json(body))
}

/// An answer of any media type.
pub(super) fn with_type(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut answer = Response::new(Body::from(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(ANSWER);
    serde_json::to_writer(&mut json, body).expect("answers hold nothing but text, numbers and lists of them");
    json
}

/// Why a request was not worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// 400: the body is not what this sender sends; says where and how.
    Malformed(String),
    /// 400: the body ended early or was framed wrongly.
    Truncated,
    /// 401: not verified. One body for every cause, so that nobody can probe for the difference.
    NotVerified,
    /// 404: nothing here.
    NotFound,
    /// 405: not with this method; says with which.
    Method(&'static str),
    /// 408: the body took too long.
    TooSlow,
    /// 413: the body is larger than this many bytes.
    TooLarge(usize),
    /// 415: not a media type that this connection takes.
    MediaType,
    /// 415: the body is compressed.
    Encoded,
    /// 503: it can't be verified now.
    Unavailable,
    /// 503: too much in flight; nothing was done.
    Overloaded,
    /// 503: a bug here. The sender must try again, as nothing says that the work was done.
    Internal,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownConnection => Self::NotFound,
            Refusal::MediaType => Self::MediaType,
            Refusal::NotVerified => Self::NotVerified,
            Refusal::Malformed(detail) => Self::Malformed(detail),
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}

impl Problem {
    /// The last part of the `type`, the status and the title.
    fn names(&self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => ("malformed", StatusCode::BAD_REQUEST, "The body can't be understood"),
            Self::Truncated => ("truncated", StatusCode::BAD_REQUEST, "The body is incomplete"),
            Self::NotVerified => ("not-verified", StatusCode::UNAUTHORIZED, "The request is not verified"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is nothing here"),
            Self::Method(_) => ("method", StatusCode::METHOD_NOT_ALLOWED, "Not with this method"),
            Self::TooSlow => ("too-slow", StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive"),
            Self::TooLarge(_) => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::MediaType => {
                ("media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not a media type that is taken here")
            }
            Self::Encoded => ("content-encoding", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is encoded"),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "The request can't be verified now"),
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "Too much to do"),
            Self::Internal => ("internal", StatusCode::SERVICE_UNAVAILABLE, "The gateway failed"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Malformed(detail) => return detail.clone(),
            Self::Truncated => "The body ended before all of it was sent.",
            Self::NotVerified => "The signature or token is missing, wrong, or too old.",
            Self::NotFound => "No such path, or no connection of that name.",
            Self::Method(allow) => return format!("Allowed here: {allow}."),
            Self::TooSlow => "Send it again, faster.",
            Self::TooLarge(limit) => return format!("At most {limit} bytes are accepted."),
            Self::MediaType => "Send the media type that this sender's webhooks have.",
            Self::Encoded => "Send the body without a content-encoding.",
            Self::Unavailable => "The key to verify it with is not to be had. Nothing was done; send it again later.",
            Self::Overloaded => "Nothing was done; send it again later.",
            Self::Internal => "This is a bug, and is logged with the request's id. Send it again later.",
        }
        .to_owned()
    }

    /// The answer in full. The request's id goes into the body, except where every body must be the same.
    pub(super) fn answer(&self, request_id: &str) -> Response {
        let (name, status, title) = self.names();
        let body = ProblemBody {
            kind: format!("urn:problem:gigya-esp-gateway:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail(),
            instance: (*self != Self::NotVerified).then_some(request_id),
        };
        let mut answer = with_type(status, "application/problem+json", to_json(&body));
        let headers = answer.headers_mut();
        match self {
            Self::NotVerified => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Signature realm=\"webhooks\""));
            }
            Self::Method(allow) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Encoded => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            // What is left of the body is not waited for.
            Self::TooSlow | Self::TooLarge(_) | Self::Truncated => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Unavailable | Self::Internal => {
                headers.insert(RETRY_AFTER, AFTER_UNAVAILABLE.into());
            }
            Self::Overloaded => {
                headers.insert(RETRY_AFTER, AFTER_OVERLOADED.into());
            }
            Self::Malformed(_) | Self::NotFound | Self::MediaType => {}
        }
        answer
    }
}

/// Only what went wrong: whoever answers with a problem needn't know the request's id. `layers` writes it out.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (_, status, _) = self.names();
        (status, Extension(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::EventOutcome;

    #[test]
    fn the_summary_has_exactly_the_shape_of_the_contract() {
        let event = |id: &str, route: Option<&str>, outcome| EventOutcome {
            id: id.to_owned(),
            route: route.map(Into::into),
            outcome,
        };
        let summary = Summary {
            received: 4,
            events: vec![
                event("a", Some("main/news -> cm/1"), Outcome::Applied),
                event("b", Some("main/news -> cm/1"), Outcome::Unchanged),
                event("c", None, Outcome::Skipped(Reason::NoRoute)),
                event("d", None, Outcome::Rejected(Reason::NoAddress)),
                event("e", None, Outcome::Deferred(Reason::RateLimited)),
            ],
            acknowledgement: None,
        };
        let text = String::from_utf8(to_json(&SummaryBody::from(&summary))).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"received":4,"applied":1,"unchanged":1,"skipped":1,"rejected":1,"deferred":1,"events":["#,
                r#"{"id":"a","route":"main/news -> cm/1","outcome":"applied","reason":null},"#,
                r#"{"id":"b","route":"main/news -> cm/1","outcome":"unchanged","reason":null},"#,
                r#"{"id":"c","route":null,"outcome":"skipped","reason":"no_route"},"#,
                r#"{"id":"d","route":null,"outcome":"rejected","reason":"no_address"},"#,
                r#"{"id":"e","route":null,"outcome":"deferred","reason":"rate_limited"}]}"#,
            )
        );
    }

    #[test]
    fn whatever_must_be_sent_again_says_when() {
        for problem in [Problem::Unavailable, Problem::Overloaded, Problem::Internal] {
            let answer = problem.answer("id");
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key(RETRY_AFTER), "{problem:?}");
        }
    }
}
