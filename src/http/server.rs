//! Connections: accepting, limiting, draining.
//!
//! An accept loop of its own over hyper's HTTP/1.1 connection, because ready-made ones leave a half-sent head open for
//! ever, have no cap on connections, and no bound on draining. Behind a load balancer HTTP/1.1 is all there is.

use super::socket::{Phase, Socket};
use crate::config;
use crate::telemetry::metrics as meter;
use axum::response::Response;
use http::Request;
use http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

/// Header fields in one request's head; hyper answers 431 to more.
const MAX_HEADERS: usize = 100;
/// Bytes of one request's head; hyper answers 431 to more.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Connections that may wait to be accepted, as far as the system allows (`net.core.somaxconn`). With the library's 128,
/// what comes in a burst is turned away by silence, and tried again a second later.
const MAX_WAITING: u32 = 4096;
/// The pause after an accept that failed for want of something (file descriptors, memory), and its upper bound.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where connections come from: a TCP port, or whatever a simulation puts in its place.
pub trait Listener: Send + 'static {
    /// One connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection. Must lose none when the future is dropped.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

impl Listener for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<Self::Io> {
        let (stream, _) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Answers requests; whatever goes wrong is an answer too. A port is a [`Server`] with one of these.
pub(super) trait Handler:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Handler for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A port can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; {advice}")]
pub struct BindError {
    address: SocketAddr,
    advice: String,
    source: io::Error,
}

/// Binds one port; `setting` is the key that a person would change.
pub(super) async fn bind(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let bound = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?; // else a restart had to wait until the system has forgotten the old connections
        socket.bind(address)?;
        let listener = socket.listen(MAX_WAITING)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    bound.await.map_err(|source: io::Error| {
        let advice = match source.kind() {
            io::ErrorKind::AddrInUse => format!("change {setting} or stop the other process"),
            io::ErrorKind::AddrNotAvailable => {
                format!("no interface of this machine has it: change {setting} (0.0.0.0 means all)")
            }
            io::ErrorKind::PermissionDenied => {
                format!("change {setting} to a port above 1023 or grant CAP_NET_BIND_SERVICE")
            }
            _ => format!("change {setting}"),
        };
        BindError { address, advice, source }
    })
}

/// One port being served.
pub(super) struct Server<L, H> {
    port: &'static str,
    listener: L,
    handler: H,
    http: http1::Builder,
    header_timeout: Duration,
    max_connections: usize,
    drain_timeout: Duration,
}

impl<L: Listener, H: Handler> Server<L, H> {
    /// Puts a handler behind a listener. `port` names it in logs and metrics.
    pub(super) fn new(port: &'static str, listener: L, handler: H, settings: &config::Server) -> Self {
        let mut http = http1::Builder::new();
        http.header_read_timeout(None) // `Socket` has the time
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            // A sender that closes its half after the request still gets its answer, and work that was begun is
            // ended by its deadline and not by a dropped future.
            .half_close(true);
        Self {
            port,
            listener,
            handler,
            http,
            header_timeout: settings.header_timeout,
            max_connections: settings.max_connections,
            drain_timeout: settings.drain_timeout,
        }
    }

    /// Accepts until `stop`, then lets requests in flight finish, at most for the drain timeout, then cuts.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < self.max_connections => match accepted {
                    Ok(io) => {
                        pause = FIRST_PAUSE;
                        connections.spawn(self.connection(io, stop.clone()));
                    }
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(port = self.port, %error, "cannot accept connections; will try again");
                        tokio::select! {
                            () = stop.cancelled() => break,
                            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                        }
                    }
                },
            }
        }
        drop(self.listener); // from here on, new connections are refused
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.drain_timeout, drained).await.is_err() {
            tracing::warn!(
                port = self.port,
                connections = connections.len(),
                "still busy after server.drain_timeout; cutting"
            );
            connections.shutdown().await;
        }
    }

    /// One connection, to its end. Owns what it needs, so that it may outlive the loop.
    fn connection(&self, io: L::Io, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<L, H> {
        let open = Open::new(self.port);
        let handler = self.handler.clone();
        let phase = Arc::new(Phase::default());
        let socket = Socket::new(io, Arc::clone(&phase), self.header_timeout);
        let service = service_fn(move |request| {
            phase.work();
            let answer = handler.clone().oneshot(request);
            let phase = Arc::clone(&phase);
            async move {
                let answer = answer.await;
                phase.answered(answer.as_ref().is_ok_and(|answer| answer.headers().contains_key(CONNECTION)));
                answer
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(socket), service);
        async move {
            let _open = open;
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown(); // the answer in the making will say `connection: close`
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended badly");
            }
        }
    }
}

/// Whether an accept failed for reasons of the one connection only, so that the next may be tried at once.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Interrupted
    )
}

/// Counts a connection as open for as long as it lives.
struct Open(metrics::Gauge);

impl Open {
    fn new(port: &'static str) -> Self {
        let gauge = meter::http_connections(port);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests;
