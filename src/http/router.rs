//! The webhook port: three paths, one handler.

use super::answer::{self, Problem};
use super::body::Bounds;
use crate::config;
use crate::esp::{PROVIDERS, TokenInPath};
use crate::forward::{Inbound, Intake};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use std::sync::Arc;

/// What the port's handler works with.
#[derive(Clone)]
pub(super) struct Webhooks {
    intake: Arc<dyn Intake>,
    /// What a webhook's body may be.
    pub(super) bounds: Bounds,
}

/// The webhook port's paths, for each provider its own, so that whoever isn't one gets no further than here. One that
/// is known by a token has a path without it, too: there it is told that it is missing.
pub(super) fn router(intake: Arc<dyn Intake>, settings: &config::Server) -> Router {
    let mut router = Router::new().route("/webhooks/gigya/{connection}", post(receive));
    for provider in PROVIDERS {
        let path = format!("/webhooks/{}/{{connection}}", provider.slug);
        router = router.route(&path, post(receive));
        if provider.token != TokenInPath::Never {
            router = router.route(&format!("{path}/{{token}}"), post(receive));
        }
    }
    let bounds = Bounds { size: settings.max_body_bytes, time: settings.body_timeout };
    router
        .method_not_allowed_fallback(async || Problem::Method("POST"))
        .fallback(async || Problem::NotFound)
        .with_state(Webhooks { intake, bounds })
}

/// Hands a webhook in, and says what became of it. Whether there is such a connection, the intake knows.
async fn receive(State(port): State<Webhooks>, webhook: Inbound) -> Result<Response, Problem> {
    Ok(answer::summary(&port.intake.receive(webhook).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Endpoint, Refusal, Summary};
    use async_trait::async_trait;
    use axum::body::Body;
    use axum::extract::Request;
    use http::StatusCode;
    use secrecy::ExposeSecret;
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::time::Duration;
    use tower::ServiceExt;

    #[derive(Default)]
    struct Remembers(Mutex<Option<Endpoint>>);

    #[async_trait]
    impl Intake for Remembers {
        async fn receive(&self, request: Inbound) -> Result<Summary, Refusal> {
            *self.0.lock().unwrap() = Some(request.endpoint);
            Ok(Summary::default())
        }
    }

    /// Where a path leads, if anywhere.
    async fn find(path: &str) -> Option<Endpoint> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = config::Server {
            listen: any,
            admin_listen: any,
            public_url: None,
            max_connections: 1,
            max_in_flight: 1,
            max_body_bytes: 1,
            header_timeout: Duration::MAX,
            body_timeout: Duration::from_secs(1),
            drain_timeout: Duration::MAX,
            drain_delay: Duration::ZERO,
        };
        let intake = Arc::new(Remembers::default());
        let request = Request::post(path).body(Body::empty()).unwrap();
        let status = router(intake.clone(), &settings).oneshot(request).await.unwrap().status();
        let endpoint = intake.0.lock().unwrap().take();
        assert_eq!(status, if endpoint.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND });
        endpoint
    }

    #[tokio::test]
    async fn gigya_has_a_connection_and_no_token() {
        let endpoint = find("/webhooks/gigya/main").await.unwrap();
        assert!(matches!(endpoint, Endpoint::Gigya { connection } if connection == "main"));
        assert!(find("/webhooks/gigya/main/token").await.is_none());
    }

    #[tokio::test]
    async fn every_provider_has_a_connection_and_perhaps_a_token() {
        for info in PROVIDERS {
            let slug = info.slug;
            let endpoint = find(&format!("/webhooks/{slug}/news")).await.unwrap();
            let Endpoint::Esp { provider, connection, token: None } = endpoint else { panic!("{endpoint:?}") };
            assert_eq!((provider.as_str(), connection.as_str()), (slug, "news"));
            let endpoint = find(&format!("/webhooks/{slug}/news/to%2Fk%65n")).await;
            assert_eq!(endpoint.is_some(), info.token != TokenInPath::Never, "{slug}");
            if let Some(Endpoint::Esp { token, .. }) = endpoint {
                assert_eq!(token.unwrap().expose_secret(), "to/ken");
            }
        }
    }

    #[tokio::test]
    async fn there_is_nothing_else() {
        for path in [
            "/",
            "*",
            "proxy.example:80", // what CONNECT has: no path at all
            "/webhooks",
            "/webhooks/",
            "/webhooks/gigya",
            "/webhooks/gigya/",
            "/webhooks/gigya/main/",
            "/webhooks//main",
            "/webhooks/nobody/main",
            "/webhooks/gigya/%ff",
            "/webhooks/campaign-monitor/news/a/b",
            "/Webhooks/gigya/main",
            "//webhooks/gigya/main",
        ] {
            assert!(find(path).await.is_none(), "{path}");
        }
    }
}
