//! The database goes away, is held by another process, or says nothing: it is told in time, and comes back by itself.

use super::shelf::{Shelf, email, found_out, link, linked, main, opted_out, uid};
use super::silence::Proxy;
use futures_util::StreamExt;
use gigya_esp_gateway::domain::ConnectionName;
use gigya_esp_gateway::journal::{Journal, JournalFault, Link};
use sqlx::Executor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A request's time at the most hurried of all senders.
const DEADLINE: Duration = Duration::from_millis(2500);
/// Nothing waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = tokio::time::timeout(PATIENCE, what).await.expect("it hangs");
    assert!(begun.elapsed() < DEADLINE, "it took {:?}", begun.elapsed());
    done
}

/// Asks again until it works.
async fn again_until_it_works<T>(what: impl AsyncFn() -> Result<T, JournalFault>) -> T {
    let begun = Instant::now();
    loop {
        match what().await {
            Ok(done) => return done,
            Err(fault) => assert!(begun.elapsed() < PATIENCE, "never: {fault}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_told_in_time_and_can_be_read() {
    let shelf = Shelf::sqlite();
    let journal = shelf.open().await;
    journal.commit(linked(link("ann", "ann"), true)).await.unwrap();
    let mut other = shelf.raw().await;
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    let many = (0..100).map(|n| journal.commit(opted_out(&format!("p{n}"), &format!("e{n}"))));
    for done in in_time(futures_util::future::join_all(many)).await {
        assert_eq!(done.unwrap_err().cause, "another process has it locked");
    }
    assert_eq!(in_time(journal.links(&main(), &[&uid("ann")])).await.unwrap().len(), 1);
    other.execute("ROLLBACK").await.unwrap();
    again_until_it_works(async || journal.commit(found_out("p1", "e1")).await).await;
    assert_eq!(journal.verify(&[]).await.unwrap().receipts, 1);
}

#[tokio::test]
async fn whoever_no_longer_waits_has_nothing_written() {
    let shelf = Shelf::sqlite();
    let journal = shelf.open().await;
    let mut other = shelf.raw().await;
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    // The first is being written, as far as that goes; the next one's request is over before its turn comes.
    let mut first = Box::pin(journal.commit(opted_out("ann", "e1")));
    let soon = Duration::from_millis(100);
    assert!(tokio::time::timeout(soon, &mut first).await.is_err());
    assert!(tokio::time::timeout(soon, journal.commit(opted_out("gone", "e2"))).await.is_err());
    other.execute("ROLLBACK").await.unwrap();
    first.await.unwrap();
    journal.commit(opted_out("last", "e3")).await.unwrap();
    assert_eq!(journal.receipts_at(&email("gone")).await.unwrap().len(), 0);
    assert_eq!(journal.verify(&[]).await.unwrap().receipts, 2);
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused() {
    let shelf = Shelf::sqlite();
    std::fs::write(shelf.file(), "something else, and much of it".repeat(1000)).unwrap();
    let refused = shelf.open_with(&[super::shelf::KEY]).await.err().unwrap().to_string();
    assert_eq!(
        refused,
        "journal.sqlite: the journal can't be used: the file is damaged, or no journal (code 26); see that the file is a \
         journal, that this user may write it and its folder, and that the disk has room"
    );
}

#[tokio::test]
async fn a_damaged_file_is_told_and_once_it_is_mended_all_goes_on() {
    let shelf = Shelf::sqlite();
    let journal = shelf.open().await;
    // More than is kept in memory of it.
    for batch in 0..40 {
        let many = (0..200).map(|n| journal.commit(opted_out(&format!("p{batch}-{n}"), &format!("e{batch}-{n}"))));
        futures_util::future::join_all(many).await.into_iter().for_each(|done| done.unwrap());
    }
    shelf.raw().await.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    let good = std::fs::read(shelf.file()).unwrap();
    let bad: Vec<u8> = good.iter().enumerate().map(|(at, byte)| if at < 100 { *byte } else { !*byte }).collect();
    write_over(&shelf, &bad);
    let mut failed = None;
    for n in 0..200 {
        if let Err(fault) = in_time(journal.commit(found_out(&format!("p{}-{n}", n % 40), "another"))).await {
            failed = Some(fault.cause);
            break;
        }
    }
    assert_eq!(failed, Some("the file is damaged, or no journal"));
    write_over(&shelf, &good);
    again_until_it_works(async || journal.commit(opted_out("after", "after")).await).await;
    assert_eq!(journal.receipts_at(&email("after")).await.unwrap().len(), 1);
}

/// The same file with other bytes: not another file.
fn write_over(shelf: &Shelf, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    std::fs::OpenOptions::new().write(true).open(shelf.file()).unwrap().write_all_at(bytes, 0).unwrap();
}

#[tokio::test]
async fn connections_that_are_cut_in_the_midst_of_commits_lose_nothing() {
    let Some(shelf) = Shelf::postgres().await else { return };
    let replicas = [shelf.open().await, shelf.open().await];
    let stop = AtomicBool::new(false);
    let cutting = async {
        let mut raw = shelf.raw().await;
        let mut cuts = 0;
        while !stop.load(Ordering::Relaxed) {
            let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            raw.execute(cut).await.unwrap();
            cuts += 1;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        cuts
    };
    let writing = async {
        let all = futures_util::stream::iter((0..1000).map(|n| (n, &replicas[n % 2])));
        all.for_each_concurrent(50, async |(n, replica)| {
            let (name, event) = (format!("p{n}"), format!("e{n}"));
            if replica.commit(opted_out(&name, &event)).await.is_err() {
                // As a redelivery does.
                again_until_it_works(async || replica.commit(found_out(&name, &event)).await).await;
            }
        })
        .await;
        stop.store(true, Ordering::Relaxed);
    };
    let (cuts, ()) = tokio::join!(cutting, writing);
    assert!(cuts > 3, "only {cuts} cuts");
    let verified = again_until_it_works(async || replicas[0].verify(&[]).await).await;
    assert_eq!((verified.receipts, verified.broken), (1000, vec![]), "each once, though some commits' end was unknown");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time_and_comes_back() {
    let Some(shelf) = Shelf::postgres().await else { return };
    let proxy = Proxy::before(&shelf).await;
    let journal = proxy.shelf().open().await;
    journal.commit(opted_out("ann", "e1")).await.unwrap();
    proxy.fall_silent();
    let ann = uid("ann");
    let (main, of_ann) = (main(), [&ann]);
    let reads = (0..20).map(|_| journal.links(&main, &of_ann));
    for read in in_time(futures_util::future::join_all(reads)).await {
        read.unwrap_err();
    }
    let begun = Instant::now();
    journal.commit(opted_out("ben", "e2")).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    in_time(journal.commit(opted_out("ben", "e2"))).await.unwrap_err();
    proxy.speak();
    again_until_it_works(async || journal.commit(found_out("ben", "e2")).await).await;
    again_until_it_works(async || journal.links(&main, &of_ann).await).await;
    assert_eq!(journal.verify(&[]).await.unwrap().receipts, 2);
}

#[tokio::test]
async fn what_is_committed_is_on_the_disk_whatever_the_database_is_set_to() {
    let Some(shelf) = Shelf::postgres().await else { return };
    drop(shelf.open().await);
    let mut raw = shelf.raw().await;
    let checked = "ALTER TABLE journal_link ADD CONSTRAINT durable CHECK (current_setting('synchronous_commit') = esp)";
    raw.execute(checked).await.unwrap();
    for (set, must_be) in [("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")] {
        let set = format!("ALTER DATABASE {} SET synchronous_commit = {set}", shelf.database());
        raw.execute(sqlx::AssertSqlSafe(set)).await.unwrap();
        let link = Link { esp: ConnectionName::new(must_be), ..link("ann", "ann") };
        shelf.open().await.commit(linked(link, true)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_person_asks_for_may_take_its_time() {
    let Some(shelf) = Shelf::postgres().await else { return };
    let journal = shelf.open().await;
    journal.commit(opted_out("ann", "e1")).await.unwrap();
    // A table that takes longer to read than a webhook may wait.
    let mut raw = shelf.raw().await;
    for slow in [
        "ALTER TABLE journal_receipt RENAME TO stored",
        "CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT pg_sleep(2.2) IS NOT NULL'",
        "CREATE VIEW journal_receipt AS SELECT * FROM stored WHERE slow()",
    ] {
        raw.execute(slow).await.unwrap();
    }
    journal.commit(found_out("ann", "e1")).await.unwrap_err();
    let now = shelf.now();
    assert_eq!(journal.older_than(now, now).await.unwrap().receipts, 0);
    assert_eq!(journal.verify(&[]).await.unwrap().receipts, 1);
}
