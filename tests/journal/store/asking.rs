//! A journal that is asked stays as it is; one that isn't there isn't made.

use super::shelf::{KEY, OTHER_KEY, Shelf, link, linked, main, on_each, uid};
use gigya_esp_gateway::journal::{Database, Journal, OpenError};
use sqlx::Executor;

async fn ask(shelf: &Shelf, keys: &[&str]) -> Result<Database, OpenError> {
    Database::open_existing(&shelf.settings(keys), shelf.clock()).await
}

async fn refusal(shelf: &Shelf, keys: &[&str]) -> String {
    ask(shelf, keys).await.err().expect("it is refused").to_string()
}

#[tokio::test]
async fn what_is_no_journal_is_left_as_it_is() {
    on_each(async |shelf| {
        if shelf.is_sqlite() {
            let refused = refusal(&shelf, &[KEY]).await;
            assert!(
                refused.starts_with("journal.sqlite: there is no ") && refused.contains("when it starts"),
                "{refused}"
            );
            assert!(!shelf.file().exists());
            std::fs::write(shelf.file(), b"").unwrap();
        }
        let refused = refusal(&shelf, &[KEY]).await;
        assert!(refused.contains(": there is no journal in it: the gateway makes one when it starts"), "{refused}");
        if shelf.is_sqlite() {
            assert_eq!(std::fs::read(shelf.file()).unwrap(), b"");
        }
        // Somebody else's.
        shelf.raw().await.execute("CREATE TABLE recipe (name TEXT)").await.unwrap();
        let before = shelf.is_sqlite().then(|| std::fs::read(shelf.file()).unwrap());
        refusal(&shelf, &[KEY]).await;
        assert_eq!(before, shelf.is_sqlite().then(|| std::fs::read(shelf.file()).unwrap()));
        if !shelf.is_sqlite() {
            let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'";
            assert_eq!(shelf.number(tables).await, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn asking_with_another_key_first_wraps_nothing_anew() {
    on_each(async |shelf| {
        shelf.open().await.commit(linked(link("ann", "ann"), true)).await.unwrap();
        let asked = ask(&shelf, &[OTHER_KEY, KEY]).await.unwrap();
        assert_eq!(asked.links(&main(), &[&uid("ann")]).await.unwrap(), [link("ann", "ann")]);
        drop(asked);
        assert!(refusal(&shelf, &[OTHER_KEY]).await.contains("none of the keys opens this journal"));
        ask(&shelf, &[KEY]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn another_versions_is_refused() {
    on_each(async |shelf| {
        drop(shelf.open().await);
        shelf.raw().await.execute("UPDATE _sqlx_migrations SET version = version - 1000").await.unwrap();
        assert!(refusal(&shelf, &[KEY]).await.contains("start this version once"));
        assert!(shelf.number("SELECT MAX(version) FROM _sqlx_migrations").await < 0, "it isn't brought up to date");
        shelf.raw().await.execute("UPDATE _sqlx_migrations SET version = version + 2000").await.unwrap();
        assert!(refusal(&shelf, &[KEY]).await.contains("by a later version of the gateway"));
    })
    .await;
}
