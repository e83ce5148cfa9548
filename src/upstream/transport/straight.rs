//! Calls by the client that is inside of reqwest (hyper-util's), without what reqwest does around it: it parses the address of
//! every call three times and copies its head twice, which is as much work as the call itself.

use super::{KEPT_IDLE, MAX_ANSWER, NoTls, TO_CONNECT, TransportError, USER_AGENT, innermost, not_connected};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::error::Error as StdError;
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
        Self::by(&builder())
    }

    fn by(builder: &Builder) -> Result<Self, NoTls> {
        let mut tcp = HttpConnector::new();
        set_up(&mut tcp);
        let https = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|error| NoTls(innermost(&error)))?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        Ok(Self(builder.build(Connector(https))))
    }

    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut request = request.map(Full::new);
        let headers = request.headers_mut();
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
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
    if error.is_connect() {
        not_connected(error)
    } else if was_not_taken_up(error) {
        TransportError::NotTakenUp
    } else {
        TransportError::Broken
    }
}

fn builder() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_idle_timeout(KEPT_IDLE).pool_timer(TokioTimer::new()).timer(TokioTimer::new());
    builder
}

/// Whether the other side has said, as only HTTP/2 can, that it did nothing about the request: it is closing the connection, which it
/// may do at any time, or refuses one stream more (RFC 9113, 8.7).
fn was_not_taken_up(error: &Error) -> bool {
    let cause = error.source().and_then(StdError::source).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|error| {
        let is_closing = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (is_closing || is_refused)
    })
}

/// Sets up how connections are made, as reqwest does.
fn set_up<R>(tcp: &mut HttpConnector<R>) {
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Of a host's addresses, each gets its share of the time: one that is silent leaves some to the next.
    tcp.set_connect_timeout(Some(TO_CONNECT));
    // A peer that is gone without a word is noticed.
    tcp.set_keepalive(Some(Duration::from_secs(15)));
    tcp.set_keepalive_interval(Some(Duration::from_secs(15)));
    tcp.set_keepalive_retries(Some(3));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(Duration::from_secs(30)));
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::{HttpTransport, Way};
    use super::*;
    use crate::upstream::tests::common;
    use crate::upstream::{Attempts, Deadline, Fault, Upstream, Verdict};
    use http::StatusCode;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::Instant;

    /// An address of this machine at which nobody answers, not even by a refusal; and what keeps it so.
    async fn silent() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(0).expect("listening");
        let address = listener.local_addr().expect("bound");
        let mut waiting = Vec::new();
        while let Ok(one) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            waiting.push(one.expect("a place in the queue"));
        }
        (address, (listener, waiting))
    }

    #[tokio::test]
    async fn a_silent_address_of_a_host_leaves_time_for_its_next() {
        let (nobody, _kept) = silent().await;
        let somebody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addresses = [nobody, somebody.local_addr().expect("bound")];
        let mut tcp = HttpConnector::new_with_resolver(tower::service_fn(move |_| async move {
            Ok::<_, io::Error>(addresses.into_iter())
        }));
        set_up(&mut tcp);
        let connecting = tcp.call(Uri::from_static("http://of-two-addresses.example"));
        let connected = tokio::time::timeout(TO_CONNECT, connecting).await.expect("in time").expect("connected");
        assert_eq!(connected.inner().peer_addr().expect("connected"), addresses[1]);
    }

    /// What becomes of a write that may be tried once.
    async fn written(place: String) -> Result<StatusCode, Fault> {
        let straight = Straight::by(builder().http2_only(true)).expect("this machine has TLS");
        let transport = HttpTransport(Way::Straight(Box::new(straight)));
        let upstream = Upstream::new("test".into(), Arc::new(transport), &common());
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(20));
        let build = || Request::post(&place).body("an opt-in".into()).expect("a request");
        upstream.call("test", Attempts::Once, deadline, build, |answer| Verdict::Answer(answer.status())).await
    }

    /// What becomes of a request whose first attempts are refused so, and how often it was heard.
    async fn refused(times: usize, reason: h2::Reason) -> (Result<StatusCode, Fault>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let place = format!("http://{}/", listener.local_addr().expect("bound"));
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let other_side = tokio::spawn(async move {
            let (connection, _) = listener.accept().await.expect("a connection");
            let mut connection = h2::server::handshake(connection).await.expect("HTTP/2");
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                if count.fetch_add(1, Ordering::Relaxed) < times {
                    answer.send_reset(reason);
                } else {
                    answer.send_response(Response::new(()), true).expect("told");
                }
            }
        });
        let answer = written(place).await;
        other_side.abort();
        (answer, heard.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_the_other_side_did_not_take_up_is_asked_again_and_nothing_else() {
        let refused_stream = h2::Reason::REFUSED_STREAM;
        let in_vain = Err(Fault::Unavailable { cause: "connection" });
        assert_eq!(refused(0, refused_stream).await, (Ok(StatusCode::OK), 1));
        assert_eq!(refused(2, refused_stream).await, (Ok(StatusCode::OK), 3));
        assert_eq!(refused(9, refused_stream).await, (in_vain, 3));
        assert_eq!(refused(1, h2::Reason::INTERNAL_ERROR).await, (in_vain, 1));
        assert_eq!(refused(1, h2::Reason::CANCEL).await, (in_vain, 1));
    }

    #[tokio::test]
    async fn what_is_asked_while_the_other_side_closes_the_connection_is_asked_on_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let place = format!("http://{}/", listener.local_addr().expect("bound"));
        let other_side = tokio::spawn(async move {
            let (connection, _) = listener.accept().await.expect("a connection");
            let mut closing = h2::server::handshake(connection).await.expect("HTTP/2");
            // Closed without having taken up a stream.
            closing.abrupt_shutdown(h2::Reason::NO_ERROR);
            while closing.accept().await.is_some() {}
            let (connection, _) = listener.accept().await.expect("another connection");
            let mut connection = h2::server::handshake(connection).await.expect("HTTP/2");
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                answer.send_response(Response::new(()), true).expect("told");
            }
        });
        assert_eq!(written(place).await, Ok(StatusCode::OK));
        other_side.abort();
    }
}
