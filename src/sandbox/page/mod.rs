//! The sandbox's one page: act as a person on either side, and watch each event travel.
//!
//! Server-rendered nothing: three static files, a snapshot of both sides as JSON, actions as JSON posts, and a
//! stream of what happens (server-sent events). Loopback only, nothing loaded from elsewhere.

mod actions;
mod snapshot;

use super::{Attempt, Sandbox};
use axum::extract::{Json, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::Stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Nothing but what this page itself serves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// How often both sides are looked at for the page.
const LOOK: Duration = Duration::from_millis(200);

/// The page of a sandbox.
pub fn router(sandbox: Arc<Sandbox>) -> axum::Router {
    axum::Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("page.html"))))
        .route("/page.css", get(|| file("text/css; charset=utf-8", include_str!("page.css"))))
        .route("/page.js", get(|| file("text/javascript; charset=utf-8", include_str!("page.js"))))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .route("/state", get(state))
        .route("/live", get(live))
        .route("/act", post(act))
        .with_state(sandbox)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn file(content_type: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn state(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    Json(snapshot::of(&sandbox))
}

async fn act(State(sandbox): State<Arc<Sandbox>>, Json(action): Json<actions::Action>) -> Response {
    match actions::perform(&sandbox, action) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response(),
    }
}

/// What happens from now on: every webhook request as it is answered, and both sides whenever they change.
async fn live(State(sandbox): State<Arc<Sandbox>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let attempts = sandbox.attempts.subscribe();
    let start = (sandbox, attempts, Value::Null);
    let stream = futures_util::stream::unfold(start, |(sandbox, mut attempts, shown)| async move {
        loop {
            let now = snapshot::of(&sandbox);
            if now != shown {
                let event = Event::default().event("state").data(now.to_string());
                return Some((Ok(event), (sandbox, attempts, now)));
            }
            match tokio::time::timeout(LOOK, attempts.recv()).await {
                Ok(Ok(attempt)) => {
                    let event = Event::default().event("attempt").data(told(&attempt).to_string());
                    return Some((Ok(event), (sandbox, attempts, shown)));
                }
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(_))) | Err(_) => {}
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

fn told(attempt: &Attempt) -> Value {
    let answer: Value = serde_json::from_str(&attempt.answer).unwrap_or(Value::Null);
    json!({
        "sender": attempt.sender, "types": attempt.types, "number": attempt.number, "status": attempt.status,
        "milliseconds": u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX), "events": answer["events"],
    })
}
