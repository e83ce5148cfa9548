//! A connection's bytes, with a clock on them.
//!
//! hyper has one timer, for a request's head, which also runs between requests: set short enough to stop slow senders
//! it closes idle connections under a load balancer's hands, which then answers 502. Here the two times are two, and a
//! peer that never reads its answer is not waited for either.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a connection may say nothing between two requests: longer than load balancers keep theirs (60 s).
const IDLE: Duration = Duration::from_secs(75);
/// How long a peer may take none of its answer.
const STALLED: Duration = Duration::from_secs(30);
/// How long what a peer still sends is thrown away after an answer that didn't wait for it. Closing at once would
/// reset the connection, and the peer would never see the answer.
const LINGER: Duration = Duration::from_secs(1);

/// What the connection's service is doing; shared by it and the socket.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicU8);

/// A head is read, or nothing is; the socket has noticed.
const WAITING: u8 = 0;
/// A request is worked on; its limits are the layers'.
const WORKING: u8 = 1;
/// A request was answered since the socket looked last.
const ANSWERED: u8 = 2;
/// A request was answered without waiting for its body; the connection will be closed.
const LEAVING: u8 = 3;

impl Phase {
    /// A request's head is complete.
    pub(super) fn work(&self) {
        self.0.store(WORKING, Ordering::Relaxed);
    }

    /// The request is answered. `unread`: and its body was not waited for.
    pub(super) fn answered(&self, unread: bool) {
        self.0.store(if unread { LEAVING } else { ANSWERED }, Ordering::Relaxed);
    }

    fn now(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn wait(&self) {
        self.0.store(WAITING, Ordering::Relaxed);
    }
}

/// What reading waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The rest of a head.
    Head,
    /// A request, or the end.
    Request,
}

/// A connection's bytes. A peer that takes too long is treated as if it had closed its side.
pub(super) struct Socket<Io> {
    io: Io,
    phase: Arc<Phase>,
    header_timeout: Duration,
    awaited: Awaited,
    until: Instant,
    /// Fires at or, as moving it is put off until it matters, before `until`.
    timer: Pin<Box<Sleep>>,
    timed_out: bool,
    stalled: Option<Pin<Box<Sleep>>>,
    shut_down: bool,
}

impl<Io> Socket<Io> {
    /// Puts a clock on a fresh connection, which has to send its first head like any other.
    pub(super) fn new(io: Io, phase: Arc<Phase>, header_timeout: Duration) -> Self {
        let until = Instant::now() + header_timeout;
        Self {
            io,
            phase,
            header_timeout,
            awaited: Awaited::Head,
            until,
            timer: Box::pin(tokio::time::sleep_until(until)),
            timed_out: false,
            stalled: None,
            shut_down: false,
        }
    }

    fn wait_for(&mut self, awaited: Awaited, limit: Duration) {
        self.awaited = awaited;
        self.until = Instant::now() + limit;
    }

    /// Whether `until` has come; if not, the task is woken when it does.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.deadline() > self.until {
            self.timer.as_mut().reset(self.until);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.until {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.until);
        }
        Poll::Pending
    }

    /// Fails a write that has made no progress for too long.
    fn check<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Socket<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.phase.now() {
            WORKING | LEAVING => return Pin::new(&mut this.io).poll_read(cx, buf),
            ANSWERED => {
                this.phase.wait();
                this.wait_for(Awaited::Request, IDLE);
            }
            _ if this.timed_out => return Poll::Ready(Ok(())),
            _ => {}
        }
        let before = buf.filled().len();
        if Pin::new(&mut this.io).poll_read(cx, buf)?.is_ready() {
            if this.awaited == Awaited::Request && buf.filled().len() > before {
                this.wait_for(Awaited::Head, this.header_timeout);
            }
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_timeout(cx));
        tracing::debug!(idle = this.awaited == Awaited::Request, "peer took too long; closing");
        this.timed_out = true;
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.check(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.check(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.check(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.shut_down {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.shut_down = true;
            this.wait_for(Awaited::Request, LINGER);
        }
        if this.phase.now() != LEAVING {
            return Poll::Ready(Ok(()));
        }
        while this.poll_timeout(cx).is_pending() {
            let mut scrap = [0; 8 * 1024];
            let mut scrap = ReadBuf::new(&mut scrap);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut scrap))?;
            if scrap.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
