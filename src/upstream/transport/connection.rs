//! A connection that calls can be made on, whichever version of HTTP it speaks.

use super::place::Place;
use bytes::Bytes;
use futures_util::TryFutureExt;
use futures_util::future::Either;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::mem;

/// A call whose address is a path; where it goes is said by its [`Place`].
pub(super) type Call = Request<Full<Bytes>>;
/// HTTP/1.1: one call at a time.
pub(super) type Single = http1::SendRequest<Full<Bytes>>;
/// HTTP/2: many at a time.
pub(super) type Many = http2::SendRequest<Full<Bytes>>;

#[derive(Debug)]
pub(super) enum Connection {
    Single(Single),
    Many(Many),
}

/// Why no answer came on a connection; with the call, if nothing of it was sent. (No `Debug`, as that would print the call.)
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    pub(super) unsent: Option<Box<Call>>,
}

impl Connection {
    /// Makes this call at this place: at once, for its answer to be waited for.
    pub(super) fn send(
        &mut self,
        place: &Place,
        mut call: Call,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + Send + use<> {
        match self {
            Self::Single(connection) => {
                let is_told = call.headers().contains_key(header::HOST);
                if !is_told {
                    call.headers_mut().insert(header::HOST, place.host());
                }
                let answered = connection.try_send_request(call);
                Either::Left(answered.map_err(move |failed| {
                    unanswered(failed, |call| {
                        if !is_told {
                            call.headers_mut().remove(header::HOST);
                        }
                    })
                }))
            }
            Self::Many(connection) => {
                // By which it tells the place.
                *call.uri_mut() = place.address(mem::take(call.uri_mut()));
                let answered = connection.try_send_request(call);
                Either::Right(answered.map_err(|failed| {
                    unanswered(failed, |call| {
                        Place::taken_from(call.uri_mut());
                    })
                }))
            }
        }
    }
}

/// With the call as it came, for a connection that may be of the other kind.
fn unanswered(mut failed: TrySendError<Call>, undo: impl FnOnce(&mut Call)) -> Unanswered {
    let mut unsent = failed.take_message().map(Box::new);
    if let Some(call) = &mut unsent {
        undo(call);
    }
    Unanswered { error: failed.into_error(), unsent }
}

/// Begins HTTP/1.1 on a stream.
pub(super) async fn single<S: Read + Write + Unpin + Send + 'static>(stream: S) -> hyper::Result<Single> {
    let (sender, connection) = http1::handshake(stream).await?;
    // How it ends is told to whoever waits for an answer.
    tokio::spawn(async { connection.await.ok() });
    Ok(sender)
}

/// Begins HTTP/2 on a stream.
pub(super) async fn many<S: Read + Write + Unpin + Send + 'static>(stream: S) -> hyper::Result<Many> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.timer(TokioTimer::new()).handshake(stream).await?;
    tokio::spawn(async { connection.await.ok() });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;
    use http_body_util::BodyExt;
    use hyper_util::rt::TokioIo;
    use tokio::io::duplex;

    /// A connection of either kind whose other side is gone, which it doesn't know yet.
    async fn just_closed() -> [Connection; 2] {
        let ((one, of_one), (other, of_other)) = (duplex(1024), duplex(1024));
        let mut single = single(TokioIo::new(one)).await.expect("a connection");
        single.ready().await.expect("ready");
        let many = many(TokioIo::new(other)).await.expect("a connection");
        drop((of_one, of_other));
        [Connection::Single(single), Connection::Many(many)]
    }

    #[tokio::test]
    async fn what_was_not_sent_comes_back_as_it_was_given() {
        let mut address = Uri::from_static("https://a.example:8443/path?query");
        let place = Place::taken_from(&mut address).expect("a place");
        for host in [None, Some("virtual.example")] {
            for mut connection in just_closed().await {
                let mut call = Request::post(address.clone()).header("x-some", "thing");
                if let Some(host) = host {
                    call = call.header(header::HOST, host);
                }
                let call = call.body(Full::new(Bytes::from("an opt-in"))).expect("a request");
                let headers = call.headers().clone();
                let Err(Unanswered { unsent: Some(unsent), .. }) = connection.send(&place, call).await else {
                    panic!("{connection:?} was closed")
                };
                assert_eq!((unsent.uri(), unsent.headers()), (&address, &headers), "{connection:?}");
                assert!(unsent.body().clone().collect().await.is_ok_and(|body| body.to_bytes() == "an opt-in"));
            }
        }
    }
}
