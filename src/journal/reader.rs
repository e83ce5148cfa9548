//! The one who looks links up, for whoever asks at about the same time: every event of Gigya's needs the links of its account,
//! and a trip to the database costs more than what is found there.

use super::entries::Link;
use super::fault::JournalFault;
use super::gather::Gather;
use super::keys::{Hash, Keys};
use super::lending::{Lending, timely};
use super::links;
use futures_util::FutureExt;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The most questions that are asked together.
const TOGETHER: usize = 64;
/// The most that may wait; more wait to hand theirs in.
const WAITING: usize = 1024;

/// Hands questions to the task that looks up.
pub struct Reader(mpsc::Sender<Question>);

struct Question {
    accounts: Vec<Hash>,
    answer: oneshot::Sender<Result<Vec<Link>, JournalFault>>,
}

impl Reader {
    /// Starts the task; it ends with the `Reader`.
    pub fn start(lending: Arc<Lending>, keys: Arc<Keys>) -> Self {
        let (ask, mut asked) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut gather = Gather::default();
            loop {
                let together = gather.next(&mut asked, TOGETHER).await;
                if together.is_empty() {
                    return;
                }
                // A bug fails those who asked, and nobody after them; its message is in the log.
                let _ = AssertUnwindSafe(answer(&lending, &keys, together)).catch_unwind().await;
                gather.done();
            }
        });
        Self(ask)
    }

    /// The links of some accounts, the latest first.
    pub async fn links(&self, accounts: Vec<Hash>) -> Result<Vec<Link>, JournalFault> {
        let closed = || JournalFault::new("it is closed");
        let (answer, answered) = oneshot::channel();
        self.0.send(Question { accounts, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn answer(lending: &Lending, keys: &Keys, mut questions: Vec<Question>) {
    questions.retain(|question| !question.answer.is_closed());
    let mut accounts: Vec<_> = questions.iter().flat_map(|question| &question.accounts).copied().collect();
    accounts.sort_unstable();
    accounts.dedup();
    let found = match lending.lend().await {
        Ok(mut lent) => {
            let found = timely(links::of(lent.connection(), &accounts)).await;
            lent.back(found)
        }
        Err(fault) => Err(fault),
    };
    let mut by_account: HashMap<Hash, Vec<links::Stored>> = HashMap::new();
    let fault = found
        .map(|found| found.into_iter().for_each(|(account, link)| by_account.entry(account).or_default().push(link)));
    for Question { accounts, answer } in questions {
        let theirs = || accounts.iter().filter_map(|account| by_account.get(account)).flatten();
        // One that can't be read is the fault of its account alone.
        let links = fault.clone().and_then(|()| theirs().map(|link| link.open(keys)).collect());
        let _ = answer.send(links);
    }
}
