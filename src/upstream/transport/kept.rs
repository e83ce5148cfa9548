//! Connections that are kept for the next call to the same place.
//!
//! One of HTTP/1.1 is taken out for a call and put back after its answer, so it never carries two; the last one used is the first
//! to be taken again, so that what only a burst needed falls idle. One of HTTP/2 stays, and carries many.

use super::KEPT_IDLE;
use super::connection::{Connection, Many, Single};
use super::place::Place;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// The connections that nobody waits for an answer on, or that carry more calls than one.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    /// A gateway calls a few places: looking through them is quicker than a table.
    held: Vec<(Place, Held)>,
    /// Who looks after what falls idle.
    watcher: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Held {
    /// By when they were used last.
    idle: Vec<(Single, Instant)>,
    shared: Option<(Many, Instant)>,
    news: Arc<Notify>,
}

impl Held {
    /// If it is closed, or nobody has used it for long.
    fn let_go_of_shared(&mut self, now: Instant) {
        self.shared.take_if(|(many, used)| many.is_closed() || is_old(*used, now));
    }
}

impl Kept {
    /// A connection to this place, if there is one that seems to be alive.
    pub(super) fn take(&self, place: &Place) -> Option<Connection> {
        let now = Instant::now();
        let mut places = self.lock();
        let held = &mut places.held.iter_mut().find(|(at, _)| at == place)?.1;
        held.let_go_of_shared(now);
        if let Some((many, used)) = &mut held.shared {
            *used = now;
            return Some(Connection::Many(many.clone()));
        }
        while let Some((single, used)) = held.idle.pop() {
            if is_old(used, now) {
                held.idle.clear(); // the others are older
            } else if single.is_ready() {
                return Some(Connection::Single(single));
            }
        }
        None
    }

    /// Puts a connection back on which the answer has come.
    pub(super) fn put(&self, place: Place, connection: Connection) {
        match connection {
            Connection::Many(_) => {} // it never left
            Connection::Single(single) if single.is_ready() => self.hold(place, |held| {
                held.idle.push((single, Instant::now()));
                held.news.notify_one();
            }),
            Connection::Single(single) if single.is_closed() => {}
            // The answer came before all of the call was sent, or the connection's task hasn't had its turn since.
            Connection::Single(mut single) => {
                let kept = self.clone();
                tokio::spawn(async move {
                    if let Ok(Ok(())) = timeout(KEPT_IDLE, single.ready()).await {
                        kept.put(place, Connection::Single(single));
                    }
                });
            }
        }
    }

    /// Lets others use a new connection, too; or uses theirs, if somebody else has made one meanwhile: one is enough. Whether it is
    /// the new one.
    pub(super) fn share(&self, place: Place, many: Many) -> (Many, bool) {
        self.hold(place, |held| match &held.shared {
            Some((there, _)) if !there.is_closed() => (there.clone(), false),
            _ => {
                held.news.notify_waiters();
                (held.shared.insert((many, Instant::now())).0.clone(), true)
            }
        })
    }

    /// Who says when there may be a connection to this place for somebody who found none.
    pub(super) fn news(&self, place: &Place) -> Arc<Notify> {
        self.hold(place.clone(), |held| Arc::clone(&held.news))
    }

    fn hold<T>(&self, place: Place, with: impl FnOnce(&mut Held) -> T) -> T {
        let mut places = self.lock();
        if places.watcher.as_ref().is_none_or(JoinHandle::is_finished) {
            places.watcher = Some(tokio::spawn(close_what_is_idle(Arc::downgrade(&self.0))));
        }
        if let Some((_, held)) = places.held.iter_mut().find(|(at, _)| *at == place) {
            return with(held);
        }
        places.held.push((place, Held::default()));
        with(&mut places.held.last_mut().expect("just pushed").1)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn close_what_is_idle(places: Weak<Mutex<Places>>) {
    loop {
        sleep(KEPT_IDLE).await;
        let Some(kept) = places.upgrade().map(Kept) else { return };
        let mut places = kept.lock();
        let now = Instant::now();
        for (_, held) in &mut places.held {
            held.idle.retain(|(single, used)| !single.is_closed() && !is_old(*used, now));
            held.let_go_of_shared(now);
        }
        // Somebody may be waiting for news.
        places
            .held
            .retain(|(_, held)| !held.idle.is_empty() || held.shared.is_some() || Arc::strong_count(&held.news) > 1);
        if places.held.is_empty() {
            places.watcher = None;
            return;
        }
    }
}

fn is_old(used: Instant, now: Instant) -> bool {
    now.duration_since(used) >= KEPT_IDLE
}

#[cfg(test)]
mod tests {
    use super::super::connection::{many, single};
    use super::*;
    use http::Uri;
    use hyper_util::rt::TokioIo;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    fn place(address: &'static str) -> Place {
        Place::taken_from(&mut Uri::from_static(address)).expect("a place")
    }

    /// A connection to nobody in particular, and the other side's end of it.
    async fn new() -> (Connection, DuplexStream) {
        let (here, there) = duplex(1024);
        let mut single = single(TokioIo::new(here)).await.expect("a connection");
        single.ready().await.expect("ready");
        (Connection::Single(single), there)
    }

    async fn new_many() -> (Many, DuplexStream) {
        let (here, there) = duplex(1024);
        (many(TokioIo::new(here)).await.expect("a connection"), there)
    }

    /// Whether our end of the connection is closed, once everybody has had their turn.
    async fn is_closed(there: &mut DuplexStream) -> bool {
        tokio::time::timeout(Duration::from_millis(1), there.read_to_end(&mut Vec::new())).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_out_carries_one_call_and_serves_its_place_only() {
        let kept = Kept::default();
        let (one, _other_side) = new().await;
        kept.put(place("http://a.example/x"), one);
        for elsewhere in ["https://a.example", "http://a.example:81", "http://b.example"] {
            assert!(kept.take(&place(elsewhere)).is_none(), "{elsewhere}");
        }
        let here = place("http://A.example/y?z");
        let taken = kept.take(&here).expect("kept");
        assert!(kept.take(&here).is_none(), "it is out");
        kept.put(here.clone(), taken);
        assert!(kept.take(&here).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_one_used_is_the_first_to_be_taken_and_the_others_close() {
        let kept = Kept::default();
        let here = place("http://a.example");
        let ((first, mut of_first), (second, mut of_second)) = (new().await, new().await);
        kept.put(here.clone(), first);
        kept.put(here.clone(), second);
        for _ in 0..5 {
            tokio::time::sleep(KEPT_IDLE / 2).await;
            let taken = kept.take(&here).expect("the one in use");
            kept.put(here.clone(), taken);
        }
        assert!(is_closed(&mut of_first).await, "nobody used it");
        assert!(!is_closed(&mut of_second).await, "it is in use");
        tokio::time::sleep(KEPT_IDLE * 2).await;
        assert!(is_closed(&mut of_second).await, "nobody uses it any more");
        assert!(kept.0.lock().expect("no panic").held.is_empty());
        // And the next burst's are looked after, too.
        let (third, mut of_third) = new().await;
        kept.put(here.clone(), third);
        tokio::time::sleep(KEPT_IDLE * 2).await;
        assert!(is_closed(&mut of_third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_is_not_taken_even_if_it_was_not_closed_yet() {
        let kept = Kept::default();
        let here = place("http://a.example");
        let (watched_since_then, _first) = new().await;
        kept.put(here.clone(), watched_since_then);
        tokio::time::sleep(KEPT_IDLE / 2).await;
        drop(kept.take(&here));
        let (single, _second) = new().await;
        kept.put(here.clone(), single);
        tokio::time::sleep(KEPT_IDLE).await;
        assert!(!kept.0.lock().expect("no panic").held[0].1.idle.is_empty(), "too young when somebody looked");
        assert!(kept.take(&here).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_other_side_has_closed_is_not_taken() {
        let kept = Kept::default();
        let here = place("http://a.example");
        let ((open, _other_side), (closed, other_side)) = (new().await, new().await);
        kept.put(here.clone(), open);
        kept.put(here.clone(), closed);
        drop(other_side);
        tokio::task::yield_now().await;
        assert!(kept.take(&here).is_some(), "the open one");
        assert!(kept.take(&here).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_ready_yet_is_there_once_it_is() {
        let kept = Kept::default();
        let here = place("http://a.example");
        let (one, _other_side) = duplex(1024);
        let single = single(TokioIo::new(one)).await.expect("a connection");
        assert!(!single.is_ready());
        kept.put(here.clone(), Connection::Single(single));
        assert!(kept.take(&here).is_none());
        kept.news(&here).notified().await;
        assert!(kept.take(&here).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_of_http_2_is_enough_for_all_and_is_closed_when_idle() {
        let kept = Kept::default();
        let here = place("https://a.example");
        let ((one, mut of_one), (other, mut of_other)) = (new_many().await, new_many().await);
        assert!(kept.share(here.clone(), one).1);
        assert!(!kept.share(here.clone(), other).1);
        assert!(!is_closed(&mut of_one).await && is_closed(&mut of_other).await, "the first stays");
        for _ in 0..5 {
            tokio::time::sleep(KEPT_IDLE / 2).await;
            let (taken, at_once) = (kept.take(&here).expect("shared"), kept.take(&here).expect("shared"));
            kept.put(here.clone(), taken);
            kept.put(here.clone(), at_once);
        }
        assert!(!is_closed(&mut of_one).await);
        tokio::time::sleep(KEPT_IDLE * 2).await;
        assert!(is_closed(&mut of_one).await && kept.take(&here).is_none());
    }
}
