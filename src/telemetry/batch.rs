//! Log lines on their way out: the runtime's threads write theirs together, as soon as they have nothing else to do.
//!
//! To write each line by itself is a twentieth of what an event costs a busy gateway. So a thread that works for the
//! runtime keeps its lines while there is more to do, and gives them out before it waits ([`give_out`], by
//! `on_thread_park`). At once go out: a warning or an error, with all that was said before it on that thread; that an
//! opt-out took effect ([`give_out_now`]); what is said on a thread that never waits so (a file's, a journal's); and
//! everything once the end has begun ([`keep_no_more`]). Threads' lines may so come out in another order than their times.

use std::cell::OnceCell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How much a thread keeps at most: some twenty lines.
const MOST: usize = 8 * 1024;

/// Standard output, for log lines. It is locked only while they are written, so that nobody waits who keeps theirs.
#[derive(Clone, Copy, Debug)]
pub struct Batched;

/// Takes one line.
#[derive(Debug)]
pub struct Line {
    is_urgent: bool,
}

/// What threads have kept, and whether they still may.
struct Kept {
    threads: Mutex<Vec<Own>>,
    has_ended: AtomicBool,
}

/// One thread's; others seldom get at it.
type Own = Arc<Mutex<Lines>>;

#[derive(Debug, Default)]
struct Lines(Vec<u8>);

static KEPT: Kept = Kept { threads: Mutex::new(Vec::new()), has_ended: AtomicBool::new(false) };

thread_local! {
    /// There from the first time that this thread was about to wait: only then it is known that it will again.
    static OWN: OnceCell<Own> = const { OnceCell::new() };
}

impl<'a> MakeWriter<'a> for Batched {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { is_urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { is_urgent: *metadata.level() <= Level::WARN }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let kept = OWN.try_with(|own| {
            let mut lines = lock(own.get()?);
            // Asked with the lines in hand: whoever has set it takes them in hand after that, and finds this one.
            let may_wait = !self.is_urgent && !KEPT.has_ended.load(Ordering::SeqCst);
            Some(lines.take(line, may_wait, &mut io::stdout()))
        });
        match kept {
            Ok(Some(written)) => written?,
            // A thread that isn't the runtime's, or that is ending.
            Ok(None) | Err(_) => io::stdout().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes out what this thread has kept; it is about to wait.
pub fn give_out() {
    // Where this thread is ending, it has given out all. Where a line can't be written, nobody is left to be told.
    let _ = OWN.try_with(|own| {
        let lines = own.get_or_init(|| {
            let lines = Own::default();
            lock(&KEPT.threads).push(Arc::clone(&lines));
            lines
        });
        lock(lines).give_out(&mut io::stdout())
    });
}

/// Writes out what this thread has kept: what it said last must be there whatever happens to the process.
pub fn give_out_now() {
    let _ = OWN.try_with(|own| own.get().map(|lines| lock(lines).give_out(&mut io::stdout())));
}

/// Writes out what any thread has kept: one that is busy all the time may have said it a while ago.
pub fn give_all_out() {
    for lines in &*lock(&KEPT.threads) {
        let _ = lock(lines).give_out(&mut io::stdout());
    }
}

/// The process is about to end: all goes out, and from now on at once.
pub fn keep_no_more() {
    KEPT.has_ended.store(true, Ordering::SeqCst);
    give_all_out();
}

impl Lines {
    fn take(&mut self, line: &[u8], may_wait: bool, out: &mut impl Write) -> io::Result<()> {
        self.0.extend_from_slice(line);
        if may_wait && self.0.len() < MOST { Ok(()) } else { self.give_out(out) }
    }

    fn give_out(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let written = out.write_all(&self.0);
        self.0.clear(); // said once, or not at all: what can't be written must not pile up
        written
    }
}

/// A panic while it was held leaves whole lines.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_for_the_next_that_may_not() {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        lines.take(b"one\n", true, &mut out).unwrap();
        lines.take(b"two\n", true, &mut out).unwrap();
        assert_eq!(out, b"");
        lines.take(b"three\n", false, &mut out).unwrap();
        assert_eq!(out, b"one\ntwo\nthree\n");
        lines.take(b"four\n", true, &mut out).unwrap();
        lines.give_out(&mut out).unwrap();
        lines.give_out(&mut out).unwrap();
        assert_eq!(out, b"one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for _ in 0..MOST - 1 {
            lines.take(b"x", true, &mut out).unwrap();
        }
        assert!(out.is_empty());
        lines.take(b"x", true, &mut out).unwrap();
        assert_eq!(out.len(), MOST);
    }

    #[test]
    fn what_cannot_be_written_does_not_pile_up() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lines = Lines::default();
        lines.take(b"lost\n", true, &mut Full).unwrap();
        assert!(lines.give_out(&mut Full).is_err());
        let mut out = Vec::new();
        lines.take(b"said\n", false, &mut out).unwrap();
        assert_eq!(out, b"said\n");
    }
}
