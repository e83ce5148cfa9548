//! The webhook port: three paths, one handler.

use super::answer::{self, Answer, Problem};
use super::body::{self, BodyError};
use super::guard::{Arrival, Port};
use crate::config;
use crate::esp::PROVIDERS;
use crate::forward::{Endpoint, Inbound, Intake};
use http::{Method, Request};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// Takes webhooks of every sender.
pub(super) struct Webhooks {
    intake: Arc<dyn Intake>,
    max_body_bytes: usize,
    body_timeout: Duration,
}

impl Webhooks {
    pub(super) fn new(intake: Arc<dyn Intake>, settings: &config::Server) -> Self {
        Self { intake, max_body_bytes: settings.max_body_bytes, body_timeout: settings.body_timeout }
    }

    async fn receive(
        &self,
        endpoint: Option<Endpoint>,
        request: Request<Incoming>,
        arrival: Arrival<'_>,
    ) -> Result<Answer, Problem> {
        let endpoint = endpoint.ok_or(Problem::NotFound)?;
        if request.method() != Method::POST {
            return Err(Problem::Method("POST"));
        }
        let (head, body) = request.into_parts();
        if !body::is_plain(&head.headers) {
            return Err(Problem::Encoded);
        }
        let body = body::read(body, self.max_body_bytes, self.body_timeout).await.map_err(|error| match error {
            BodyError::TooLarge => Problem::TooLarge(self.max_body_bytes),
            BodyError::TooSlow => Problem::TooSlow,
            BodyError::Broken => Problem::Truncated,
        })?;
        let inbound =
            Inbound { endpoint, headers: head.headers, body, received: arrival.at, request_id: arrival.id.to_owned() };
        Ok(answer::summary(&self.intake.receive(inbound).await?))
    }
}

impl Port for Webhooks {
    type Place = Option<Endpoint>;

    fn find(&self, path: &str) -> (Self::Place, &'static str) {
        match find(path) {
            Some((endpoint, name)) => (Some(endpoint), name),
            None => (None, "unknown"),
        }
    }

    async fn answer(&self, place: Self::Place, request: Request<Incoming>, arrival: Arrival<'_>) -> Answer {
        self.receive(place, request, arrival).await.unwrap_or_else(|problem| problem.answer(arrival.id))
    }
}

/// Where a path leads, and the endpoint's name. Whether there is such a connection, the intake knows.
fn find(path: &str) -> Option<(Endpoint, &'static str)> {
    let mut segments = path.strip_prefix("/webhooks/")?.split('/').map(decode);
    let sender = segments.next()??;
    let connection = segments.next()??;
    let token = match segments.next() {
        None => None,
        Some(token) => Some(SecretString::from(token?)),
    };
    if segments.next().is_some() {
        return None;
    }
    if sender == "gigya" {
        return token.is_none().then_some((Endpoint::Gigya { connection }, "gigya"));
    }
    let provider = PROVIDERS.iter().find(|provider| provider.slug == sender)?;
    Some((Endpoint::Esp { provider: sender, connection, token }, provider.slug))
}

/// One segment of a path, which mustn't be empty.
fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn gigya_has_a_connection_and_no_token() {
        let (endpoint, name) = find("/webhooks/gigya/main").unwrap();
        assert_eq!(name, "gigya");
        assert!(matches!(endpoint, Endpoint::Gigya { connection } if connection == "main"));
        assert!(find("/webhooks/gigya/main/token").is_none());
    }

    #[test]
    fn every_provider_has_a_connection_and_perhaps_a_token() {
        for provider in PROVIDERS {
            let slug = provider.slug;
            let (endpoint, name) = find(&format!("/webhooks/{slug}/news/to%2Fk%65n")).unwrap();
            assert_eq!(name, slug);
            let Endpoint::Esp { provider, connection, token } = endpoint else { panic!("{endpoint:?}") };
            assert_eq!((provider.as_str(), connection.as_str()), (slug, "news"));
            assert_eq!(token.unwrap().expose_secret(), "to/ken");
            let (endpoint, _) = find(&format!("/webhooks/{slug}/news")).unwrap();
            assert!(matches!(endpoint, Endpoint::Esp { token: None, .. }));
        }
    }

    #[test]
    fn there_is_nothing_else() {
        for path in [
            "/",
            "*",
            "",
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
            assert!(find(path).is_none(), "{path}");
        }
    }
}
