//! Whether the database was there a moment ago. While it isn't, one caller at a time tries it and the others needn't wait:
//! what they have to do at the other side must not come later because of the journal.

use super::fault::JournalFault;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long after a failure nobody tries.
const PAUSE: Duration = Duration::from_millis(250);

/// What is known of it.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<Sick>>);

#[derive(Debug)]
struct Sick {
    fault: JournalFault,
    /// From when on the next one tries.
    next: Instant,
}

impl Health {
    /// Whether the caller may try, and is to tell how it went; if not, why it failed the last time. A caller who tries is
    /// taken to be done after `trial`.
    pub fn ask(&self, trial: Duration) -> Result<(), JournalFault> {
        let mut known = self.lock();
        let Some(sick) = known.as_mut() else { return Ok(()) };
        let now = Instant::now();
        if now < sick.next {
            return Err(sick.fault.clone());
        }
        sick.next = now + trial;
        Ok(())
    }

    /// What a try came to.
    pub fn tell<T>(&self, result: &Result<T, JournalFault>) {
        let mut known = self.lock();
        match result {
            Err(fault) if !fault.is_about_content() => {
                *known = Some(Sick { fault: fault.clone(), next: Instant::now() + PAUSE });
            }
            // It answered, at least.
            _ => *known = None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sick>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn while_it_is_sick_one_tries_and_the_others_hear_why() {
        let health = Health::default();
        assert_eq!(health.ask(TRIAL), Ok(()));
        let fault = JournalFault::late();
        health.tell(&Err::<(), _>(fault.clone()));
        assert_eq!(health.ask(TRIAL), Err(fault.clone()));
        tokio::time::advance(PAUSE).await;
        assert_eq!(health.ask(TRIAL), Ok(()), "one tries");
        assert_eq!(health.ask(TRIAL), Err(fault.clone()), "the others don't");
        // That one was given up without a word.
        tokio::time::advance(TRIAL).await;
        assert_eq!(health.ask(TRIAL), Ok(()));
        health.tell(&Ok(()));
        assert_eq!((health.ask(TRIAL), health.ask(TRIAL)), (Ok(()), Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn something_unreadable_is_no_sickness() {
        let health = Health::default();
        health.tell(&Err::<(), _>(JournalFault::unreadable()));
        assert_eq!(health.ask(TRIAL), Ok(()));
    }
}
