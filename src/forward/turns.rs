//! Bursts about one account: one of them works, those who come meanwhile wait, and one more work does for all of these.
//!
//! A webhook says only that an account changed, and what is read once it was received is as new as it asks for. So what a work
//! comes to holds for everybody who had come by the time that it began; who comes later needs another.

use crate::mutation::{self, Mutation};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Who is at work on what, and who waits for it.
pub struct Turns<K, T> {
    lanes: Mutex<HashMap<K, Arc<Lane<T>>, RandomState>>,
}

/// Those who are about one thing.
struct Lane<T> {
    /// Held by whoever works.
    turn: tokio::sync::Mutex<()>,
    /// Where the next work will say what it came to; none unless somebody waits to begin with it.
    next: Mutex<Option<watch::Receiver<Option<T>>>>,
}

/// Whose work it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One's own.
    Own,
    /// That of somebody who waited, too, and began.
    Shared,
}

impl<K, T> Default for Turns<K, T> {
    fn default() -> Self {
        Self { lanes: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Turns<K, T> {
    /// Does the work when nobody else does the same, or takes over what somebody's came to that began after this was called,
    /// if it is good `enough`. Whoever has waited for `patience` works beside the others.
    pub async fn take(
        &self,
        key: &K,
        patience: Duration,
        enough: impl Fn(&T) -> bool,
        work: impl Future<Output = T>,
    ) -> (T, Whose) {
        let stay = self.enter(key);
        let lane = &stay.lane;
        match lane.join() {
            Place::Leads(tell) => {
                let turn = lane.wait(patience).await;
                // Whoever comes from here on may bring news of what was read already.
                if !mutation::is(Mutation::ShareWhatBeganBefore) {
                    *lock(&lane.next) = None;
                }
                let came_to = work.await;
                if tell.receiver_count() > 0 {
                    tell.send_replace(Some(came_to.clone()));
                }
                if mutation::is(Mutation::ShareWhatBeganBefore) {
                    *lock(&lane.next) = None;
                }
                drop(turn);
                (came_to, Whose::Own)
            }
            Place::Follows(mut told) => {
                let told = timeout(patience, told.wait_for(Option::is_some)).await;
                // Whoever led may be gone.
                let told = told.ok().and_then(|told| told.ok()?.clone());
                match told.filter(enough) {
                    Some(told) => (told, Whose::Shared),
                    None => (work.await, Whose::Own),
                }
            }
        }
    }

    /// Does the work when nobody else is about the same; beside them once it has waited for `patience`.
    pub async fn alone<W>(&self, key: &K, patience: Duration, work: impl Future<Output = W>) -> W {
        let stay = self.enter(key);
        let _turn = stay.lane.wait(patience).await;
        work.await
    }

    fn enter<'a>(&'a self, key: &'a K) -> Stay<'a, K, T> {
        let mut lanes = lock(&self.lanes);
        let lane = match lanes.get(key) {
            Some(lane) => Arc::clone(lane),
            None => {
                let lane = Arc::new(Lane { turn: tokio::sync::Mutex::new(()), next: Mutex::new(None) });
                lanes.insert(key.clone(), Arc::clone(&lane));
                lane
            }
        };
        Stay { turns: self, key, lane }
    }
}

enum Place<T> {
    Leads(watch::Sender<Option<T>>),
    Follows(watch::Receiver<Option<T>>),
}

impl<T> Lane<T> {
    /// Waits for the turn, at most for so long; none then.
    async fn wait(&self, patience: Duration) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(_) => Box::pin(timeout(patience, self.turn.lock())).await.ok(),
        }
    }

    fn join(&self) -> Place<T> {
        let mut next = lock(&self.next);
        // A leader that was given up leaves what nobody will say anything to.
        if let Some(told) = next.as_ref().filter(|told| told.has_changed().is_ok()) {
            return Place::Follows(told.clone());
        }
        let (tell, told) = watch::channel(None);
        *next = Some(told);
        Place::Leads(tell)
    }
}

/// Somebody in a lane, which ends with the last of them.
struct Stay<'a, K: Eq + Hash, T> {
    turns: &'a Turns<K, T>,
    key: &'a K,
    lane: Arc<Lane<T>>,
}

impl<K: Eq + Hash, T> Drop for Stay<'_, K, T> {
    fn drop(&mut self) {
        let mut lanes = lock(&self.turns.lanes);
        // The map's and this one: nobody can enter meanwhile.
        if Arc::strong_count(&self.lane) == 2 {
            lanes.remove(self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, join_all};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    const LONG: Duration = Duration::from_secs(10);

    /// Works that begin when they are polled first, and end when they are let.
    struct Shop {
        turns: Turns<u8, usize>,
        begun: AtomicUsize,
        gate: Semaphore,
    }

    impl Shop {
        fn new() -> Self {
            Self { turns: Turns::default(), begun: AtomicUsize::new(0), gate: Semaphore::new(0) }
        }

        async fn work(&self) -> usize {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            self.gate.acquire().await.unwrap().forget();
            number
        }

        fn come(&self, key: u8) -> BoxFuture<'_, (usize, Whose)> {
            async move { self.turns.take(&key, LONG, |_| true, self.work()).await }.boxed()
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    fn is_waiting(future: &mut BoxFuture<'_, (usize, Whose)>) -> bool {
        future.as_mut().now_or_never().is_none()
    }

    #[tokio::test]
    async fn whoever_comes_while_it_is_done_shares_one_more() {
        let shop = Shop::new();
        let mut first = shop.come(1);
        assert!(is_waiting(&mut first));
        let mut others: Vec<_> = (0..9).map(|_| shop.come(1)).collect();
        assert!(others.iter_mut().all(is_waiting));
        assert_eq!(shop.begun(), 1, "nobody takes over what began before they came");
        shop.gate.add_permits(2);
        assert_eq!(first.await, (1, Whose::Own));
        let came_to = join_all(others).await;
        assert_eq!(shop.begun(), 2);
        assert!(came_to.iter().all(|(number, _)| *number == 2), "{came_to:?}");
        assert_eq!(came_to.iter().filter(|(_, whose)| *whose == Whose::Own).count(), 1);
        assert!(lock(&shop.turns.lanes).is_empty());
    }

    #[tokio::test]
    async fn whoever_comes_once_the_next_has_begun_waits_for_another() {
        let shop = Shop::new();
        let (mut first, mut second) = (shop.come(1), shop.come(1));
        assert!(is_waiting(&mut first) && is_waiting(&mut second));
        shop.gate.add_permits(1);
        assert_eq!(first.await, (1, Whose::Own));
        assert!(is_waiting(&mut second));
        assert_eq!(shop.begun(), 2);
        let mut third = shop.come(1);
        assert!(is_waiting(&mut third));
        shop.gate.add_permits(2);
        assert_eq!(second.await, (2, Whose::Own));
        assert_eq!(third.await, (3, Whose::Own));
    }

    #[tokio::test]
    async fn what_is_about_another_thing_waits_for_nobody() {
        let shop = Shop::new();
        let (mut one, mut other) = (shop.come(1), shop.come(2));
        assert!(is_waiting(&mut one) && is_waiting(&mut other));
        assert_eq!(shop.begun(), 2);
    }

    #[tokio::test]
    async fn whoever_followed_one_that_is_gone_works_themselves() {
        let shop = Shop::new();
        let mut first = shop.come(1);
        assert!(is_waiting(&mut first));
        let (mut leader, mut follower) = (shop.come(1), shop.come(1));
        assert!(is_waiting(&mut leader) && is_waiting(&mut follower));
        drop(leader);
        assert!(is_waiting(&mut follower));
        assert_eq!(shop.begun(), 2);
        let mut later = shop.come(1);
        assert!(is_waiting(&mut later), "it leads, and waits for the first");
        shop.gate.add_permits(3);
        assert_eq!((first.await.1, follower.await.1, later.await.1), (Whose::Own, Whose::Own, Whose::Own));
        assert!(lock(&shop.turns.lanes).is_empty());
    }

    #[tokio::test]
    async fn what_is_not_good_enough_is_done_again() {
        let shop = Shop::new();
        let mut first = shop.come(1);
        assert!(is_waiting(&mut first));
        let picky = || async { shop.turns.take(&1, LONG, |number| *number != 2, shop.work()).await }.boxed();
        let (mut leader, mut follower) = (picky(), picky());
        assert!(is_waiting(&mut leader) && is_waiting(&mut follower));
        shop.gate.add_permits(3);
        assert_eq!((first.await.0, leader.await.0, follower.await), (1, 2, (3, Whose::Own)));
    }

    #[tokio::test]
    async fn whoever_works_alone_waits_for_who_is_at_it() {
        let shop = Shop::new();
        let alone = || async { (shop.turns.alone(&1, LONG, shop.work()).await, Whose::Own) }.boxed();
        let (mut first, mut second) = (alone(), alone());
        assert!(is_waiting(&mut first) && is_waiting(&mut second));
        assert_eq!(shop.begun(), 1);
        shop.gate.add_permits(2);
        assert_eq!((first.await.0, second.await.0), (1, 2));
        assert!(lock(&shop.turns.lanes).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let shop = Shop::new();
        let mut stuck = shop.come(1);
        assert!(is_waiting(&mut stuck));
        let (mut leader, mut follower) = (shop.come(1), shop.come(1));
        assert!(is_waiting(&mut leader) && is_waiting(&mut follower));
        tokio::time::advance(LONG).await;
        assert!(is_waiting(&mut leader) && is_waiting(&mut follower));
        assert_eq!(shop.begun(), 3, "each is at work beside the one that is stuck");
        shop.gate.add_permits(3);
        let _ = (stuck.await, leader.await, follower.await);
        assert!(lock(&shop.turns.lanes).is_empty());
    }
}
