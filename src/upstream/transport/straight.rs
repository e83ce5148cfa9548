//! Calls by the client that is inside of reqwest (hyper-util's), without what reqwest does around it: it parses the address of
//! every call three times and copies its head twice, which is as much work as the call itself.

use super::{KEPT_IDLE, MAX_ANSWER, NoTls, TO_CONNECT, TransportError, USER_AGENT, not_connected};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

/// A client that connects to the host that it calls.
#[derive(Clone, Debug)]
pub(super) struct Straight(Client<Connector, Full<Bytes>>);

impl Straight {
    pub(super) fn new() -> Result<Self, NoTls> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A peer that is gone without a word is noticed, as by reqwest.
        tcp.set_keepalive(Some(Duration::from_secs(15)));
        tcp.set_keepalive_interval(Some(Duration::from_secs(15)));
        tcp.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(Duration::from_secs(30)));
        let https = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|error| NoTls(error.into()))?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(KEPT_IDLE).pool_timer(TokioTimer::new()).timer(TokioTimer::new());
        Ok(Self(builder.build(Connector(https))))
    }

    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut request = request.map(Full::new);
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let answered = async {
            let answer = self.0.request(request).await.map_err(|error| sorted(&error))?;
            whole(answer).await
        };
        tokio::time::timeout(timeout, answered).await.unwrap_or(Err(TransportError::TimedOut))
    }
}

async fn whole(answer: Response<Incoming>) -> Result<Response<Bytes>, TransportError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { TransportError::TooLarge } else { TransportError::Broken }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn sorted(error: &Error) -> TransportError {
    if error.is_connect() { not_connected(error) } else { TransportError::Broken }
}

/// Connects in [`TO_CONNECT`], or not at all.
#[derive(Clone, Debug)]
struct Connector(HttpsConnector<HttpConnector>);

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, place: Uri) -> Self::Future {
        let connecting = self.0.call(place);
        Box::pin(async {
            let too_late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("not within {TO_CONNECT:?}"));
            tokio::time::timeout(TO_CONNECT, connecting).await.map_err(too_late)?
        })
    }
}
