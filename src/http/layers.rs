//! What every request gets, on either port: an id, a span, a line in the log and in the metrics, a net under it and, on
//! the webhook port, a place in the count.

use super::answer::Problem;
use crate::esp::PROVIDERS;
use crate::in_place::boxed;
use crate::telemetry::metrics::{self as meter, HttpMeter};
use crate::telemetry::traces;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};
use http::{HeaderMap, HeaderName, StatusCode};
use std::any::Any;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::layer::layer_fn;
use tower::{Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tracing::{Instrument, Span};

/// The header that a request's id comes in with and goes out with.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id taken over from a sender.
const LONGEST_ID: usize = 64;

/// Puts the layers around a port's routes, outermost first. With `max_in_flight`, at most so many requests are worked
/// on at once, and others are turned away before any work.
///
/// They go around the routes and not around the router, as only there it is known which route it is; so axum clones
/// them for each request, and the places are shared.
pub(super) fn around(router: Router, max_in_flight: Option<usize>) -> Router {
    let places = max_in_flight.map(Places::new);
    let meter = Arc::new(HttpMeter::default());
    router.layer(
        ServiceBuilder::new()
            .map_request(drop_odd_id)
            .layer(SetRequestIdLayer::new(X_REQUEST_ID, MakeRequestUuid))
            .layer(PropagateRequestIdLayer::new(X_REQUEST_ID))
            .map_request(hide_headers)
            .layer(layer_fn(move |routes| Told { routes, meter: Arc::clone(&meter), places: places.clone() }))
            .layer(CatchPanicLayer::custom(panicked)),
    )
}

/// Drops an id that can't stand in logs, headers and URIs as it is, so that the request gets a fresh one.
fn drop_odd_id(mut request: Request) -> Request {
    let sane = |id: &str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    if request.headers().get(X_REQUEST_ID).is_some_and(|id| !id.to_str().is_ok_and(sane)) {
        request.headers_mut().remove(X_REQUEST_ID);
    }
    request
}

fn hide_headers(mut request: Request) -> Request {
    hide(request.headers_mut());
    request
}

/// Makes every header value print as "Sensitive". Which of them are secret only their verifiers know.
fn hide(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        value.set_sensitive(true);
    }
}

/// Not what it panicked with: that may quote anything.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::Internal.into_response()
}

/// Tells of a request in a span, a line of the log and the metrics, and writes out the problem if it ended in one. Where places
/// are counted, one that finds none gets no further.
#[derive(Clone)]
struct Told<S> {
    routes: S,
    meter: Arc<HttpMeter>,
    places: Option<Arc<Places>>,
}

impl<S, B> Service<Request> for Told<S>
where
    S: Service<Request, Response = Response<B>, Error = Infallible, Future: Send + 'static>,
    Response<B>: IntoResponse,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let at = Instant::now();
        let endpoint = endpoint(request.extensions());
        let id = request_id(request.extensions());
        let span = tracing::info_span!("request", endpoint, request_id = id);
        let traced = traced(&request, &id);
        let working = match self.places.as_ref().map(Places::take) {
            // Nobody waits, as the sender's redelivery is the queue.
            Some(None) => Either::Right(ready(Problem::Overloaded.into_response())),
            place => {
                let working = span.in_scope(|| traced.in_scope(|| self.routes.call(request)));
                Either::Left(working.map(move |answer| {
                    drop(place);
                    let Ok(answer) = answer;
                    answer.into_response()
                }))
            }
        };
        let about = traced.clone();
        let meter = Arc::clone(&self.meter);
        // Not in an async block, which would hold what it awaits twice.
        let work = working.map(move |mut answer| {
            if let Some(problem) = answer.extensions_mut().remove::<Problem>() {
                if problem == Problem::Internal {
                    tracing::error!("the gateway panicked; this is a bug");
                }
                answer = problem.answer(&id);
            }
            log(answer.status(), at);
            traces::answered(&about, answer.status());
            meter.answered(endpoint, label(answer.status()), at.elapsed());
            Ok(answer)
        });
        boxed(|| work.instrument(traced).instrument(span))
    }
}

/// The request's span among the traces: of a webhook only, as nobody wants one of each look at the metrics, or of whatever
/// a stranger tries.
fn traced(request: &Request, id: &str) -> Span {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    match route.filter(|route| route.starts_with("/webhooks/")) {
        Some(route) => traces::request(request.method(), route, id, request.headers()),
        None => Span::none(),
    }
}

/// The name in metrics, logs and spans of the route that a request took: one of few, never the path itself, which may
/// end in a token.
pub(super) fn endpoint(extensions: &http::Extensions) -> &'static str {
    let route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let name = match route {
        "/" => Some("status"),
        route => route.strip_prefix("/webhooks").unwrap_or(route).split('/').nth(1),
    };
    let names = ["gigya", "livez", "readyz", "metrics", "status"]
        .into_iter()
        .chain(PROVIDERS.iter().map(|provider| provider.slug));
    names.into_iter().find(|known| name == Some(known)).unwrap_or("unknown")
}

/// The id of a request that has come through the layers.
pub(super) fn request_id(extensions: &http::Extensions) -> String {
    let id = extensions.get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    id.unwrap_or_default().to_owned()
}

/// Which request it was, and to where, its span says.
fn log(status: StatusCode, at: Instant) {
    let milliseconds = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status.is_success() {
        tracing::debug!(status = status.as_u16(), milliseconds, "answered");
    } else {
        tracing::info!(status = status.as_u16(), milliseconds, "answered");
    }
}

/// A status as a label that costs no allocation. Every status that `answer` makes is here.
fn label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        400 => "400",
        401 => "401",
        404 => "404",
        405 => "405",
        408 => "408",
        413 => "413",
        415 => "415",
        503 => "503",
        _ => "other",
    }
}

/// How many requests may be worked on at once, and how many are.
struct Places {
    free: Arc<Semaphore>,
    taken: metrics::Gauge,
    shed: metrics::Counter,
}

impl Places {
    fn new(limit: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, taken: meter::http_in_flight(), shed: meter::http_shed() })
    }

    /// A place, if one is free.
    fn take(self: &Arc<Self>) -> Option<Place> {
        let Ok(free) = Arc::clone(&self.free).try_acquire_owned() else {
            self.shed.increment(1);
            return None;
        };
        self.taken.increment(1.0);
        Some(Place { _taken: free, among: Arc::clone(self) })
    }
}

/// One request's place among those in flight.
struct Place {
    _taken: OwnedSemaphorePermit,
    among: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.among.taken.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::routing::post;
    use http::HeaderValue;
    use tower::ServiceExt;
    use uuid::Uuid;

    async fn id_for(sent: &str) -> String {
        id(Request::builder().header(X_REQUEST_ID, sent.as_bytes())).await
    }

    /// The id that a request's answer comes with.
    async fn id(request: http::request::Builder) -> String {
        let answer = around(Router::new(), None).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        answer.headers()[X_REQUEST_ID].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_sane_id_is_taken_over() {
        for sane in ["a", "0f1e-AB_c.9", &"x".repeat(LONGEST_ID)] {
            assert_eq!(id_for(sane).await, sane);
        }
    }

    #[tokio::test]
    async fn any_other_is_replaced() {
        for odd in ["", "a b", "a\"b", "a%0d", "ann@example.com", "ü", &"x".repeat(LONGEST_ID + 1)] {
            let id = id_for(odd).await;
            assert!(Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 4), "{odd:?} -> {id:?}");
        }
        assert_ne!(id(Request::builder()).await, id(Request::builder()).await);
    }

    /// The endpoint's name for a request that took this route.
    async fn name(route: &'static str, path: &str) -> &'static str {
        let router = Router::new().route(route, post(async |request: Request| endpoint(request.extensions())));
        let answer = router.oneshot(Request::post(path).body(Body::empty()).unwrap()).await.unwrap();
        let name = to_bytes(answer.into_body(), 100).await.unwrap();
        ["gigya", "campaign-monitor", "livez", "unknown"].into_iter().find(|known| *known == name).unwrap()
    }

    #[tokio::test]
    async fn an_endpoint_is_named_by_its_route_and_not_by_its_path() {
        assert_eq!(name("/webhooks/gigya/{connection}", "/webhooks/gigya/livez").await, "gigya");
        let route = "/webhooks/campaign-monitor/{connection}/{token}";
        assert_eq!(name(route, "/webhooks/campaign-monitor/news/gigya").await, "campaign-monitor");
        assert_eq!(name("/livez", "/livez").await, "livez");
        assert_eq!(name("/{any}", "/gigya").await, "unknown");
        assert_eq!(endpoint(&http::Extensions::new()), "unknown");
    }

    #[test]
    fn headers_do_not_print() {
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", HeaderValue::from_static("canary"));
        hide(&mut headers);
        assert!(!format!("{headers:?}").contains("canary"));
    }
}
