//! A journal is made, brought up to date, and opened by whoever has its key.

use super::shelf::{KEY, OTHER_KEY, Shelf, link, linked, main, on_each, uid};
use super::silence::Proxy;
use gigya_esp_gateway::config::JournalStore;
use gigya_esp_gateway::journal::{Journal, open};
use sqlx::Executor;
use std::time::{Duration, Instant};

/// An address where nobody listens.
fn nowhere() -> JournalStore {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    JournalStore::Postgres(format!("postgres://nobody@127.0.0.1:{port}/nothing").into())
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for_while_the_rest_goes_on() {
    let shelf = Shelf::sqlite().elsewhere(nowhere());
    let journal = open(&shelf.settings(&[KEY]), shelf.clock()).await.unwrap();
    journal.commit(linked(link("ann", "ann"), true)).await.unwrap_err();
    journal.waiting().await.unwrap_err();
}

#[tokio::test]
async fn what_waiting_will_not_mend_is_refused_at_once() {
    let shelf = Shelf::sqlite();
    let missing = shelf.elsewhere(JournalStore::Sqlite(shelf.file().join("no folder").join("journal.db")));
    assert!(open(&missing.settings(&[KEY]), missing.clock()).await.is_err());
    drop(shelf.open().await);
    assert!(open(&shelf.settings(&[OTHER_KEY]), shelf.clock()).await.is_err());
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let Some(shelf) = Shelf::postgres().await else { return };
    let proxy = Proxy::before(&shelf).await;
    proxy.fall_silent();
    let journal = open(&proxy.shelf().settings(&[KEY]), proxy.shelf().clock()).await.unwrap();
    journal.commit(linked(link("ann", "ann"), true)).await.unwrap_err();
    proxy.speak();
    let begun = Instant::now();
    while journal.commit(linked(link("ann", "ann"), true)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it is never found");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap(), [link("ann", "ann")]);
}

#[tokio::test]
async fn replicas_that_begin_together_make_one_journal() {
    on_each(async |shelf| {
        let (one, other, third, fourth) = tokio::join!(shelf.open(), shelf.open(), shelf.open(), shelf.open());
        one.commit(linked(link("ann", "ann"), true)).await.unwrap();
        for database in [one, other, third, fourth] {
            assert_eq!(database.links(&main(), &[&uid("ann")]).await.unwrap(), [link("ann", "ann")]);
        }
        assert_eq!(shelf.number("SELECT COUNT(*) FROM journal_key").await, 2);
        assert_eq!(shelf.number("SELECT COUNT(*) FROM _sqlx_migrations").await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    on_each(async |shelf| {
        shelf.open().await.commit(linked(link("ann", "ann"), true)).await.unwrap();
        assert_eq!(shelf.open().await.links(&main(), &[&uid("ann")]).await.unwrap(), [link("ann", "ann")]);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_replaced_while_the_old_one_is_still_given() {
    on_each(async |shelf| {
        let before = shelf.open().await;
        before.commit(linked(link("ann", "ann"), true)).await.unwrap();
        // Both replicas get the new key, one after the other, and the old one isn't needed from then on.
        for keys in [&[OTHER_KEY, KEY][..], &[OTHER_KEY, KEY], &[OTHER_KEY]] {
            let opened = shelf.open_with(keys).await.unwrap();
            assert_eq!(opened.links(&main(), &[&uid("ann")]).await.unwrap(), [link("ann", "ann")]);
        }
        // Who had it open all the while goes on.
        before.commit(linked(link("ben", "ben"), true)).await.unwrap();
        let after = shelf.open_with(&[OTHER_KEY]).await.unwrap();
        assert_eq!(after.links(&main(), &[&uid("ben")]).await.unwrap(), [link("ben", "ben")]);
        assert!(shelf.open_with(&[KEY]).await.is_err(), "the old key opens nothing anymore");
    })
    .await;
}

#[tokio::test]
async fn another_key_is_refused_and_changes_nothing() {
    on_each(async |shelf| {
        drop(shelf.open().await);
        let refused = shelf.open_with(&[OTHER_KEY]).await.err().unwrap().to_string();
        assert_eq!(
            refused,
            "journal.keys: none of the keys opens this journal; add the key that it was made with, after the one that is to be used"
        );
        shelf.open().await;
    })
    .await;
}

#[tokio::test]
async fn a_journal_without_the_keys_that_it_was_written_with_is_refused() {
    on_each(async |shelf| {
        shelf.open().await.commit(linked(link("ann", "ann"), true)).await.unwrap();
        for gone in ["DELETE FROM journal_key WHERE name = 'data'", "DELETE FROM journal_key"] {
            shelf.raw().await.execute(gone).await.unwrap();
            let refused = shelf.open_with(&[KEY]).await.err().unwrap().to_string();
            assert!(refused.contains("restore journal_key from the same backup"), "{refused}");
        }
        assert_eq!(shelf.number("SELECT COUNT(*) FROM journal_key").await, 0, "none are made in their place");
        shelf.raw().await.execute("DELETE FROM journal_link").await.unwrap();
        shelf.open().await;
    })
    .await;
}

#[tokio::test]
async fn a_journal_of_a_later_version_is_refused() {
    on_each(async |shelf| {
        drop(shelf.open().await);
        let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 9999, description, success, checksum, execution_time FROM _sqlx_migrations";
        shelf.raw().await.execute(later).await.unwrap();
        let refused = shelf.open_with(&[KEY]).await.err().unwrap().to_string();
        assert_eq!(refused, "the journal was brought up to date by a later version of the gateway; run that one");
    })
    .await;
}
