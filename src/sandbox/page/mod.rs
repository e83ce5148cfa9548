//! The sandbox's one page: act as a person on any side, and watch each event travel.
//!
//! A document with a section for each ESP, two static files, a snapshot of all sides as JSON, actions as JSON posts, and a stream of what happens
//! (server-sent events). Nothing is loaded from elsewhere, and nobody but this machine is served.

mod actions;
mod document;
mod snapshot;

use super::{Attempt, Sandbox};
use axum::extract::{Json, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::Stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Nothing but what this page itself serves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The page's icon: two arrows.
const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#20558a"/>
<path d="M6 12h18l-5-5M26 20H8l5 5" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>"##;
/// How often all sides are looked at for the page.
const LOOK: Duration = Duration::from_millis(200);

/// The page of a sandbox.
pub fn router(sandbox: Arc<Sandbox>) -> axum::Router {
    axum::Router::new()
        .route("/", get(document))
        .route("/page.css", get(|| file("text/css; charset=utf-8", include_str!("page.css"))))
        .route("/page.js", get(|| file("text/javascript; charset=utf-8", include_str!("page.js"))))
        .route("/icon.svg", get(|| file("image/svg+xml", ICON)))
        .route("/state", get(state))
        .route("/live", get(live))
        .route("/act", post(act))
        .layer(middleware::from_fn(close))
        .with_state(sandbox)
}

/// Lets in only whoever calls this machine by its own name, so that no other site's page can act here (DNS
/// rebinding), and tells browsers to be strict.
async fn close(request: Request, next: Next) -> Response {
    if !is_of_this_machine(request.headers()) {
        return (StatusCode::FORBIDDEN, "The sandbox is for this machine only.\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.and_then(|host| host.parse::<Authority>().ok()).is_some_and(|host| {
        let host = host.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn file(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn document(State(sandbox): State<Arc<Sandbox>>) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], document::of(&sandbox)).into_response()
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

/// What happens from now on: every webhook request as it is answered, and all sides whenever they change.
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
