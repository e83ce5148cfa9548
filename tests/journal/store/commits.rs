//! What is handed in at once is written together, all of it, once, in one chain.

use super::shelf::{email, found_out, key, main, on_each, opted_out, receipt, uid};
use futures_util::future::join_all;
use gigya_esp_gateway::domain::Change;
use gigya_esp_gateway::journal::{Entries, Journal, Kind, Receipt};
use sqlx::Executor;

#[tokio::test]
async fn two_thousand_commits_by_four_replicas_are_all_there_once() {
    on_each(async |shelf| {
        let replicas = [shelf.open().await, shelf.open().await, shelf.open().await, shelf.open().await];
        let commits = (0..2000).map(|n| {
            let replica = &replicas[n % replicas.len()];
            async move { replica.commit(opted_out(&format!("p{n}"), &format!("e{n}"))).await }
        });
        for committed in join_all(commits).await {
            committed.unwrap();
        }
        let verified = replicas[0].verify(&[]).await.unwrap();
        assert_eq!((verified.receipts, verified.last, verified.broken), (2000, 2000, vec![]));
        for n in [0, 1, 999, 1999] {
            let found = replicas[1].receipts_at(&email(&format!("p{n}"))).await.unwrap();
            assert_eq!((found.len(), &found[0].event), (1, &format!("e{n}")));
        }
        let distinct = shelf.number("SELECT COUNT(DISTINCT event_key) FROM journal_receipt").await;
        assert_eq!(distinct, 2000);
    })
    .await;
}

#[tokio::test]
async fn a_dozen_replicas_that_write_all_the_time_all_come_through() {
    on_each(async |shelf| {
        let replicas = join_all((0..12).map(|_| shelf.open())).await;
        let writers = replicas.iter().enumerate().map(async |(n, replica)| {
            for commit in 0..20 {
                // Two statements, so that it takes a transaction, too.
                let mut entries = opted_out(&format!("p{n}"), &format!("e{n}-{commit}"));
                entries.append(super::shelf::linked(super::shelf::link(&format!("p{n}"), &format!("a{commit}")), true));
                replica.commit(entries).await.unwrap();
            }
        });
        join_all(writers).await;
        let verified = replicas[0].verify(&[]).await.unwrap();
        assert_eq!((verified.receipts, verified.broken), (240, vec![]));
    })
    .await;
}

#[tokio::test]
async fn what_the_database_does_not_take_fails_alone() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        let refuse = if shelf.is_sqlite() {
            "CREATE TRIGGER refuse BEFORE INSERT ON journal_receipt WHEN NEW.event = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        } else {
            "ALTER TABLE journal_receipt ADD CONSTRAINT refuse CHECK (event <> 'bad')"
        };
        shelf.raw().await.execute(refuse).await.unwrap();
        let commits = (0..200).map(|n| {
            let event = if n == 77 { "bad".to_owned() } else { format!("e{n}") };
            journal.commit(opted_out(&format!("p{n}"), &event))
        });
        let done = join_all(commits).await;
        let failed: Vec<_> = done.iter().enumerate().filter(|(_, done)| done.is_err()).map(|(n, _)| n).collect();
        assert_eq!(failed, [77]);
        assert_eq!(done[77].as_ref().unwrap_err().cause, "it doesn't take what was to be written");
        let verified = journal.verify(&[]).await.unwrap();
        assert_eq!((verified.receipts, verified.broken), (199, vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_commit_is_all_or_nothing() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        shelf.raw().await.execute("DROP TABLE journal_pending").await.unwrap();
        let mut entries = opted_out("ann", "e1");
        entries.append(super::shelf::unfinished("ann", "later"));
        let fault = journal.commit(entries).await.unwrap_err();
        assert!(fault.to_string().starts_with("the journal can't be used: the database "), "{fault}");
        assert_eq!(journal.verify(&[]).await.unwrap().receipts, 0);
        assert_eq!(journal.receipts_of(&main(), &uid("ann")).await.unwrap().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_event_that_comes_again_is_counted_and_not_written_again() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        journal.commit(opted_out("ann", "e1")).await.unwrap();
        for _ in 0..3 {
            journal.commit(found_out("ann", "e1")).await.unwrap();
        }
        let found = journal.receipts_at(&email("ann")).await.unwrap();
        assert_eq!((found.len(), found[0].redeliveries, found[0].was_found), (1, 3, false));
        assert_eq!(journal.verify(&[]).await.unwrap().broken, []);
    })
    .await;
}

#[tokio::test]
async fn somebody_found_to_be_out_gets_a_receipt_unless_there_is_one() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        // The change was made, and the answer got lost before it was written down: other events find it.
        join_all(["e1", "e2", "e1"].map(|event| journal.commit(found_out("ann", event)))).await;
        let found = journal.receipts_at(&email("ann")).await.unwrap();
        assert_eq!((found.len(), found[0].was_found, found[0].kind), (1, true, Kind::Change(Change::OptOut)));
        // Opted in since, and found to be out again: that is another opt-out.
        let mut opted_in = receipt("ann", "e3");
        opted_in.change = Change::OptIn;
        journal.commit(Entries { receipts: vec![opted_in], ..Entries::default() }).await.unwrap();
        journal.commit(found_out("ann", "e4")).await.unwrap();
        assert_eq!(journal.receipts_at(&email("ann")).await.unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn many_events_that_come_again_at_once_are_each_judged_for_themselves() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        let name = |n: usize| format!("p{n}");
        let mut before = Entries::default();
        for n in 0..100 {
            // Everybody opted out once; then every third one in again; and profiles say nothing of either.
            before.append(opted_out(&name(n), &format!("out{n}")));
            for (change, is_one) in [(Change::OptIn, n % 3 == 0), (Change::Profile, n % 2 == 0)] {
                let change = Receipt { change, ..receipt(&name(n), &format!("{change:?}{n}")) };
                before.receipts.extend(is_one.then_some(change));
            }
        }
        journal.commit(before).await.unwrap();
        let mut again = Entries::default();
        for n in 0..100 {
            for _ in 0..=n % 3 {
                again.append(found_out(&name(n), &format!("out{n}")));
            }
            let mut by_address = found_out(&name(n), &format!("new{n}"));
            by_address.seen[0].receipt.person.account = None;
            again.append(by_address);
            let mut elsewhere = found_out(&name(n), &format!("elsewhere{n}"));
            elsewhere.seen[0].receipt.event.route = "another".to_owned();
            elsewhere.seen[0].is_out = n == 7;
            again.append(elsewhere);
        }
        journal.commit(again).await.unwrap();
        for n in 0..100 {
            let found = journal.receipts_at(&email(&name(n))).await.unwrap();
            let times = i64::try_from(n % 3).unwrap() + 1;
            assert_eq!((found[0].redeliveries, found[0].redelivered), (times, Some(shelf.now())), "{n}");
            let new: Vec<_> = found.iter().filter(|receipt| receipt.was_found).map(|one| one.route.as_str()).collect();
            let expected = match n {
                7 => vec!["another"],
                n if n % 3 == 0 => vec!["main/newsletter -> news/a"],
                _ => vec![],
            };
            assert_eq!(new, expected, "{n}");
        }
        assert_eq!(journal.verify(&[]).await.unwrap().broken, []);
    })
    .await;
}

#[tokio::test]
async fn any_text_can_be_written() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        let odd = "a\0b\u{1F600}'\"\\";
        let mut entries = opted_out("ann", odd);
        entries.receipts[0].request = odd.to_owned();
        entries.receipts[0].call_id = Some(odd.to_owned());
        entries.append(super::shelf::set_aside("ann", odd, gigya_esp_gateway::domain::Reason::Malformed));
        journal.commit(entries).await.unwrap();
        journal.commit(found_out("ann", odd)).await.unwrap();
        let found = journal.receipts_at(&email("ann")).await.unwrap();
        assert_eq!((found.len(), found[0].redeliveries), (1, 1), "it is found again");
        assert_eq!(found[0].event, odd.replace('\0', "\u{fffd}"));
        assert_eq!(journal.verify(&[]).await.unwrap().broken, []);
        assert_eq!(key(odd).event, odd);
    })
    .await;
}
