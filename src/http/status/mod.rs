//! The status page: how this replica is doing, for a person on call. On the operations port.
//!
//! One document, rendered here, which is complete without JavaScript; a style sheet; and a script that fetches the document
//! again every few seconds. `page` makes the document of [`Status`](crate::forward::Status), `words` puts times and numbers
//! into words. Nothing is loaded from elsewhere, nothing can be done here, and nobody's address is in it.

mod page;
pub(crate) mod words;

use super::answer;
use super::operations::Readiness;
use crate::forward::Intake;
use crate::reload::Reloads;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use std::sync::Arc;

/// What a browser may do with the page: load its two files, and fetch it again.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");

/// What the page tells about.
#[derive(Clone)]
struct Told {
    intake: Arc<dyn Intake>,
    readiness: Readiness,
    reloads: Option<Reloads>,
}

/// The page and its files.
pub(super) fn router(intake: Arc<dyn Intake>, readiness: Readiness, reloads: Option<Reloads>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/status/page.css", get(async || strictly("text/css; charset=utf-8", CSS)))
        .route("/status/page.js", get(async || strictly("text/javascript; charset=utf-8", JS)))
        .with_state(Told { intake, readiness, reloads })
}

async fn page(State(told): State<Told>) -> Response {
    let reloads = told.reloads.map(|reloads| reloads.now());
    let page = page::of(&told.intake.status(), told.readiness.reasons(), reloads.as_deref(), Timestamp::now());
    strictly("text/html; charset=utf-8", page)
}

fn strictly(media_type: &'static str, body: impl Into<axum::body::Bytes>) -> Response {
    let mut answer = answer::with_type(StatusCode::OK, media_type, body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}
