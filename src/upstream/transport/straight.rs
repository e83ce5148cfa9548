//! Calls on connections of our own, kept by place. reqwest, and the client inside of it, parse the address of every call three times,
//! copy its head again and again, and start a task for each answer, which together is more work than the call itself.

use super::connection::{Connection, Unanswered, many, single};
use super::kept::Kept;
use super::place::Place;
use super::{MAX_ANSWER, NoTls, TO_CONNECT, TransportError, USER_AGENT, innermost, not_connected};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::{BoxError, Service};

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A client that connects to the host that it calls.
#[derive(Clone, Debug)]
pub(super) struct Straight {
    kept: Kept,
    connector: HttpsConnector<HttpConnector>,
    /// Whether a new connection speaks HTTP/2.
    is_http2: fn(&Stream) -> bool,
}

impl Straight {
    pub(super) fn new() -> Result<Self, NoTls> {
        Self::by(|stream| stream.connected().is_negotiated_h2())
    }

    fn by(is_http2: fn(&Stream) -> bool) -> Result<Self, NoTls> {
        let mut tcp = HttpConnector::new();
        set_up(&mut tcp);
        let connector = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|error| NoTls(innermost(&error)))?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        Ok(Self { kept: Kept::default(), connector, is_http2 })
    }

    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        time: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        // Where it stays: else `timeout` would take it from where it was made, and move all of its room.
        let answered = pin!(self.answered(request));
        timeout(time, answered).await.unwrap_or(Err(TransportError::TimedOut))
    }

    async fn answered(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut call = request.map(Full::new);
        let headers = call.headers_mut();
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let place = Place::taken_from(call.uri_mut())
            .ok_or_else(|| TransportError::NotConnected("the address names no host".into()))?;
        // Whether the call would do anything if only its head arrived.
        let is_whole_without_body = call.body().is_end_stream() && !call.method().is_safe();
        loop {
            let (mut connection, is_new) = match self.kept.take(&place) {
                Some(connection) => (connection, false),
                // In a box, as it is by far the larger one, and the rarer.
                None => Box::pin(self.new_or_free(&place)).await?,
            };
            match connection.send(&place, call).await {
                Ok(answer) => {
                    let answer = whole(answer).await?;
                    self.kept.put(place, connection);
                    return Ok(answer);
                }
                // One that was kept was closed just then: there may be more such, and in the end a new one.
                Err(Unanswered { unsent: Some(unsent), .. }) if !is_new => call = *unsent,
                // So soon, HTTP/2 closes for reasons of its own, and what speaks HTTP/1.1 says by it that it wants nothing of us.
                Err(Unanswered { unsent: Some(_), error }) => {
                    return Err(match connection {
                        Connection::Many(_) => TransportError::NotTakenUp,
                        Connection::Single(_) => not_connected(&error),
                    });
                }
                Err(Unanswered { unsent: None, error }) if was_not_taken_up(&error, is_whole_without_body) => {
                    return Err(TransportError::NotTakenUp);
                }
                Err(Unanswered { unsent: None, .. }) => return Err(TransportError::Broken),
            }
        }
    }

    /// A new connection, or one that somebody is done with meanwhile; and whether it is new. One that nobody waits for any more is
    /// finished all the same, and kept: whoever needed it may be back soon.
    async fn new_or_free(&self, place: &Place) -> Result<(Connection, bool), TransportError> {
        let news = self.kept.news(place);
        let (made, mut coming) = oneshot::channel();
        let (straight, at) = (self.clone(), place.clone());
        tokio::spawn(async move {
            if let Err(Ok((unwanted, _))) = made.send(straight.connected(&at).await) {
                straight.kept.put(at, unwanted);
            }
        });
        loop {
            tokio::select! {
                biased;
                made = &mut coming => {
                    let made = made.unwrap_or_else(|_| Err(TransportError::NotConnected("given up".into())));
                    return made.or_else(|failed| self.kept.take(place).map(|free| (free, false)).ok_or(failed));
                }
                () = news.notified() => if let Some(free) = self.kept.take(place) {
                    return Ok((free, false));
                },
            }
        }
    }

    /// Connects in [`TO_CONNECT`], or not at all. Tells whether nobody else had the connection before.
    async fn connected(&self, place: &Place) -> Result<(Connection, bool), TransportError> {
        let connecting = self.connector.clone().call(place.address(Uri::default()));
        let stream = match timeout(TO_CONNECT, connecting).await {
            Ok(stream) => stream.map_err(|error: BoxError| not_connected(&*error))?,
            Err(_) => return Err(TransportError::NotConnected(format!("not within {TO_CONNECT:?}"))),
        };
        if (self.is_http2)(&stream) {
            let new = many(stream).await.map_err(|error| not_connected(&error))?;
            let (many, is_new) = self.kept.share(place.clone(), new);
            return Ok((Connection::Many(many), is_new));
        }
        let new = single(stream).await.map_err(|error| not_connected(&error))?;
        Ok((Connection::Single(new), true))
    }
}

async fn whole(answer: Response<Incoming>) -> Result<Response<Bytes>, TransportError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { TransportError::TooLarge } else { TransportError::Broken }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Whether the other side has said, as only HTTP/2 can, that it did nothing about the request: it is closing the connection, which it
/// may do at any time, or refuses one stream more (RFC 9113, 8.7). Of a connection that is closing, hyper doesn't tell whether the other
/// side has left out this very request, whose head may be on its way: so it counts only where a head alone does nothing.
fn was_not_taken_up(error: &hyper::Error, is_whole_without_body: bool) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|error| {
        let is_closing = !is_whole_without_body && error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::{HttpTransport, Way};
    use super::*;
    use crate::upstream::tests::common;
    use crate::upstream::{Attempts, Deadline, Fault, Upstream, Verdict};
    use http::StatusCode;
    use std::io;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

    #[tokio::test]
    async fn who_waits_for_a_connection_takes_one_that_falls_free() {
        let (address, _kept) = silent().await;
        let straight = Straight::new().expect("this machine has TLS");
        let request = Request::get(format!("http://{address}/")).body(Bytes::new()).expect("a request");
        let place = Place::taken_from(&mut request.uri().clone()).expect("a place");
        let (here, mut there) = tokio::io::duplex(1024);
        let mut free = single(TokioIo::new(here)).await.expect("a connection");
        free.ready().await.expect("ready");
        let call = async {
            let (mut connection, is_new) = straight.new_or_free(&place).await.expect("one falls free");
            assert!(!is_new);
            connection.send(&place, request.map(Full::new)).await.map(|answer| answer.status()).ok()
        };
        let frees = async {
            straight.kept.put(place.clone(), Connection::Single(free));
            there.read_exact(&mut [0; 5]).await.expect("a request");
            there.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("written");
        };
        assert_eq!(tokio::join!(call, frees).0, Some(StatusCode::OK));
    }

    #[tokio::test]
    async fn whose_own_connection_can_not_be_made_takes_one_that_is_there() {
        let refusing = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut address = format!("http://{}/", refusing.local_addr().expect("bound")).parse().expect("an address");
        drop(refusing);
        let place = Place::taken_from(&mut address).expect("a place");
        let straight = Straight::new().expect("this machine has TLS");
        let failed = straight.new_or_free(&place).await.expect_err("nobody listens");
        assert!(matches!(failed, TransportError::NotConnected(_)), "{failed:?}");
        let (here, _there) = tokio::io::duplex(1024);
        // Nobody is told of it who comes later: it is found by looking.
        straight.kept.share(place.clone(), many(TokioIo::new(here)).await.expect("a connection"));
        let found = straight.new_or_free(&place).await.expect("one is there");
        assert!(matches!(found, (Connection::Many(_), false)), "{found:?}");
    }

    /// What becomes of a request that may be tried once.
    async fn written(place: String) -> Result<StatusCode, Fault> {
        tried(|| Request::post(&place).body("an opt-in".into()).expect("a request")).await
    }

    async fn tried(build: impl Fn() -> Request<Bytes> + Send + Sync) -> Result<StatusCode, Fault> {
        let straight = Straight::by(|_| true).expect("this machine has TLS");
        let transport = HttpTransport(Way::Straight(Box::new(straight)));
        let upstream = Upstream::new("test".into(), Arc::new(transport), &common());
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(20));
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

    /// A peer whose first connection closes without having taken up a stream, before it was asked for one or after; its address.
    async fn closes_the_first(once_asked: bool) -> (String, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let place = format!("http://{}/", listener.local_addr().expect("bound"));
        let other_side = tokio::spawn(async move {
            let (connection, _) = listener.accept().await.expect("a connection");
            if once_asked {
                let mut bytes = connection;
                let mut heard = vec![0; 24 + 9]; // the preface, and the head of the first frame
                bytes.read_exact(&mut heard).await.expect("HTTP/2");
                let settings = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0"; // none, and yours are seen
                bytes.write_all(settings).await.expect("told");
                while !heard.ends_with(b"\0\0\0\x01") || heard[heard.len() - 6] != 1 {
                    heard.push(bytes.read_u8().await.expect("a request's head"));
                }
                // GOAWAY without an error: nothing was taken up.
                bytes.write_all(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0").await.expect("told");
                tokio::spawn(async move { bytes.read_to_end(&mut Vec::new()).await });
            } else {
                let mut closing = h2::server::handshake(connection).await.expect("HTTP/2");
                closing.abrupt_shutdown(h2::Reason::NO_ERROR);
                while closing.accept().await.is_some() {}
            }
            let (connection, _) = listener.accept().await.expect("another connection");
            let mut connection = h2::server::handshake(connection).await.expect("HTTP/2");
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                answer.send_response(Response::new(()), true).expect("told");
            }
        });
        (place, other_side)
    }

    #[tokio::test]
    async fn what_is_asked_while_the_other_side_closes_the_connection_is_asked_on_another() {
        for once_asked in [false, true] {
            let (place, other_side) = closes_the_first(once_asked).await;
            assert_eq!(written(place).await, Ok(StatusCode::OK), "{once_asked}");
            other_side.abort();
            let (place, other_side) = closes_the_first(once_asked).await;
            let read = || Request::get(&place).body(Bytes::new()).expect("a request");
            assert_eq!(tried(read).await, Ok(StatusCode::OK), "{once_asked}");
            other_side.abort();
        }
    }

    /// Its head is all of it, and hyper doesn't tell whether the other side has left it out.
    #[tokio::test]
    async fn a_write_without_a_body_is_not_asked_again_once_it_may_have_arrived() {
        let (place, other_side) = closes_the_first(true).await;
        let delete = || Request::delete(&place).body(Bytes::new()).expect("a request");
        assert_eq!(tried(delete).await, Err(Fault::Unavailable { cause: "connection" }));
        other_side.abort();
        let (place, other_side) = closes_the_first(false).await;
        let delete = || Request::delete(&place).body(Bytes::new()).expect("a request");
        assert_eq!(tried(delete).await, Ok(StatusCode::OK), "nothing of it was sent");
        other_side.abort();
    }

    #[tokio::test]
    async fn a_connection_of_http_2_serves_calls_side_by_side_until_it_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let place = format!("http://{}/", listener.local_addr().expect("bound"));
        let other_side = tokio::spawn(async move {
            for _ in 0..2 {
                let (connection, _) = listener.accept().await.expect("a connection");
                let mut connection = h2::server::handshake(connection).await.expect("HTTP/2");
                let mut answers = Vec::new();
                while let Some(Ok((_, answer))) = connection.accept().await {
                    answers.push(answer);
                    // Three are alone, then three side by side, then it closes.
                    let count = answers.len();
                    if count <= 3 {
                        answers[count - 1].send_response(Response::new(()), true).expect("told");
                    } else if count == 6 {
                        for answer in &mut answers[3..] {
                            answer.send_response(Response::new(()), true).expect("told");
                        }
                        connection.graceful_shutdown();
                    }
                }
            }
        });
        let straight = Straight::by(|_| true).expect("this machine has TLS");
        let call = || async {
            let request = Request::post(&place).body("an opt-in".into()).expect("a request");
            straight.send(request, Duration::from_secs(20)).await.map(|answer| answer.status())
        };
        for _ in 0..2 {
            for _ in 0..3 {
                assert_eq!(call().await, Ok(StatusCode::OK));
            }
            assert_eq!(
                tokio::join!(call(), call(), call()),
                (Ok(StatusCode::OK), Ok(StatusCode::OK), Ok(StatusCode::OK))
            );
        }
        other_side.await.expect("twelve calls on two connections");
    }
}
