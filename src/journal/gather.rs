//! Takes up what is asked for at about the same time, to be done together. While little is asked for nobody waits; under load
//! everybody waits for three milliseconds, and one trip to the database serves many.

use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How soon after the last the next one must come for more to be waited for.
const BUSY: Duration = Duration::from_millis(5);
/// How long more is waited for.
const WHILE: Duration = Duration::from_millis(3);

/// Gathers.
#[derive(Default)]
pub struct Gather {
    last: Option<Instant>,
}

impl Gather {
    /// The next that are to be done together, at most so many; none once nobody can ask anymore.
    pub async fn next<T>(&mut self, asked: &mut mpsc::Receiver<T>, most: usize) -> Vec<T> {
        let mut together = Vec::new();
        if asked.recv_many(&mut together, most).await > 0 && self.last.is_some_and(|last| last.elapsed() < BUSY) {
            tokio::time::sleep(WHILE).await;
            while together.len() < most
                && let Ok(more) = asked.try_recv()
            {
                together.push(more);
            }
        }
        together
    }

    /// These are done.
    pub fn done(&mut self) {
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_but_under_load() {
        let (ask, mut asked) = mpsc::channel(10);
        let mut gather = Gather::default();
        let begun = Instant::now();
        ask.send(1).await.unwrap();
        assert_eq!(gather.next(&mut asked, 10).await, [1]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        gather.done();
        ask.send(2).await.unwrap();
        let late = tokio::spawn({
            let ask = ask.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                ask.send(3).await
            }
        });
        assert_eq!(gather.next(&mut asked, 10).await, [2, 3], "under load, it is waited for more");
        late.await.unwrap().unwrap();
        gather.done();
        tokio::time::advance(BUSY).await;
        let begun = Instant::now();
        ask.send(4).await.unwrap();
        assert_eq!(gather.next(&mut asked, 10).await, [4]);
        assert_eq!(begun.elapsed(), Duration::ZERO, "it is quiet again");
        drop(ask);
        assert!(gather.next(&mut asked, 10).await.is_empty());
    }
}
