//! Unfinished events are taken by one replica at a time, in order, and by another one if it doesn't come back.

use super::shelf::{Shelf, on_each, opted_out, unfinished, waiting};
use futures_util::future::join_all;
use gigya_esp_gateway::domain::Reason;
use gigya_esp_gateway::journal::{Claimed, Database, Entries, Journal};
use sqlx::Executor;
use std::collections::HashSet;
use std::time::Duration;

const LEASE: Duration = Duration::from_mins(1);

async fn claim(journal: &Database, owner: &str) -> Vec<Claimed> {
    journal.claim(owner, LEASE, 16).await.unwrap()
}

fn payloads(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|claimed| String::from_utf8(claimed.payload.clone()).unwrap()).collect()
}

async fn finish(journal: &Database, claimed: &Claimed, receipts: Entries) {
    let entries = Entries { finished: vec![claimed.id.clone()], ..receipts };
    journal.commit(entries).await.unwrap();
}

#[tokio::test]
async fn nobody_gets_what_another_one_has() {
    on_each(async |shelf| {
        let replicas = [shelf.open().await, shelf.open().await, shelf.open().await, shelf.open().await];
        let all = (0..300).map(|n| replicas[0].commit(unfinished(&format!("p{n}"), &format!("{n}"))));
        join_all(all).await.into_iter().for_each(|done| done.unwrap());
        let takings = replicas.iter().enumerate().map(|(n, replica)| async move {
            let mut got = Vec::new();
            // As long as there is something: who comes second finds less, or nothing.
            while replica.waiting().await.unwrap().unfinished > 0 {
                let claimed = claim(replica, &format!("owner {n}")).await;
                if claimed.is_empty() {
                    break;
                }
                got.extend(payloads(&claimed));
            }
            got
        });
        let mut taken: Vec<String> = join_all(takings).await.concat();
        // What two asked for at once, and neither had the luck to get all of.
        for replica in &replicas {
            loop {
                let more = claim(replica, "late").await;
                if more.is_empty() {
                    break;
                }
                taken.extend(payloads(&more));
            }
        }
        let distinct: HashSet<_> = taken.iter().collect();
        assert_eq!((taken.len(), distinct.len()), (300, 300));
        assert_eq!(replicas[0].waiting().await.unwrap().unfinished, 300, "taken isn't finished");
    })
    .await;
}

#[tokio::test]
async fn one_persons_events_come_one_after_the_other() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        for payload in ["first", "second", "third"] {
            journal.commit(unfinished("ann", payload)).await.unwrap();
        }
        journal.commit(unfinished("ben", "ben's")).await.unwrap();
        let claimed = claim(&journal, "one").await;
        assert_eq!(payloads(&claimed), ["first", "ben's"]);
        assert!(claim(&journal, "other").await.is_empty(), "the second waits for the first");
        journal.put_off(&claimed[0], Reason::Unavailable, Duration::from_secs(10)).await.unwrap();
        assert!(claim(&journal, "other").await.is_empty(), "while the first is put off, too");
        shelf.after(Duration::from_secs(10));
        let again = claim(&journal, "other").await;
        assert_eq!((payloads(&again), again[0].attempts), (vec!["first".to_owned()], 1));
        finish(&journal, &again[0], opted_out("ann", "e1")).await;
        assert_eq!(payloads(&claim(&journal, "other").await), ["second"]);
    })
    .await;
}

#[tokio::test]
async fn what_comes_from_another_connection_need_not_wait() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        let both = vec![waiting("ann", "main", "stuck"), waiting("ann", "news", "free")];
        journal.commit(Entries { unfinished: both, ..Entries::default() }).await.unwrap();
        assert_eq!(claim(&journal, "one").await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn whose_lease_has_ended_has_nothing_to_give_back() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        journal.commit(unfinished("ann", "it")).await.unwrap();
        let first = claim(&journal, "killed").await;
        shelf.after(LEASE.saturating_sub(Duration::from_secs(1)));
        assert!(claim(&journal, "other").await.is_empty());
        shelf.after(Duration::from_secs(1));
        let second = claim(&journal, "other").await;
        assert_eq!(payloads(&second), ["it"]);
        // The first comes back after all: that must not free what the other one works on.
        journal.put_off(&first[0], Reason::Unavailable, Duration::ZERO).await.unwrap();
        assert!(claim(&journal, "third").await.is_empty());
        // Both finish it: it is done once, and gone.
        finish(&journal, &second[0], opted_out("ann", "e1")).await;
        finish(&journal, &first[0], super::shelf::found_out("ann", "e1")).await;
        assert_eq!(journal.waiting().await.unwrap().unfinished, 0);
        assert_eq!(journal.verify(&[]).await.unwrap().receipts, 1);
    })
    .await;
}

#[tokio::test]
async fn one_that_cannot_be_read_stays_and_does_not_hold_up_the_others() {
    on_each(async |shelf: Shelf| {
        let journal = shelf.open().await;
        journal.commit(unfinished("ann", "good")).await.unwrap();
        journal.commit(unfinished("ben", "unreadable")).await.unwrap();
        let mut raw = shelf.raw().await;
        let kept = "CREATE TABLE kept AS SELECT id, sealed FROM journal_pending ORDER BY id DESC LIMIT 1";
        raw.execute(kept).await.unwrap();
        let zeros = if shelf.is_sqlite() { "x'0011'" } else { "'\\x0011'::bytea" };
        let damage = format!("UPDATE journal_pending SET sealed = {zeros} WHERE id = (SELECT id FROM kept)");
        raw.execute(sqlx::AssertSqlSafe(damage)).await.unwrap();
        let claimed = claim(&journal, "one").await;
        assert_eq!(payloads(&claimed), ["good"]);
        finish(&journal, &claimed[0], Entries::default()).await;
        let left = journal.unfinished(16).await.unwrap();
        assert_eq!((left.len(), left[0].reason.as_str(), left[0].attempts), (1, "journal_unavailable", 1));
        assert_eq!(left[0].next.duration_since(shelf.now()).as_mins(), 60);
        shelf.after(Duration::from_mins(59));
        assert!(claim(&journal, "one").await.is_empty());
        // Somebody sets it right.
        let mended = "UPDATE journal_pending SET sealed = (SELECT sealed FROM kept) WHERE id = (SELECT id FROM kept)";
        raw.execute(mended).await.unwrap();
        shelf.after(Duration::from_mins(1));
        assert_eq!(payloads(&claim(&journal, "one").await), ["unreadable"]);
    })
    .await;
}
