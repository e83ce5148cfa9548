//! The journal can't be written while people act. What needs it is put off and comes again; opt-outs take effect all the
//! same; and in the end everything has its receipt.

use crate::store::shelf::Shelf;
use crate::town::{NEWSLETTER, Town, address, outcomes};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use sqlx::Executor;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An opt-out may not wait for the journal.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What is put off in bad times: an opt-out from either side, someone new, someone closed.
const PUT_OFF: &str = "deferred:journal_unavailable";

struct People {
    ann: String,
    cleo: String,
    dora: String,
}

async fn good_times(town: &Town) -> People {
    let ann = town.subscriber("ann").await;
    town.subscriber("ben").await;
    let cleo = town.subscriber("cleo").await;
    let dora = town.sandbox.gigya.sign_up(&address("dora"), "dora");
    town.quiet().await;
    town.a_moment_passes();
    People { ann, cleo, dora }
}

/// People act while the journal is away.
async fn everybody_acts(town: &Town, people: &People) {
    let (heard, begun) = (Heard::by(town), Instant::now());
    town.sandbox.gigya.unsubscribe(&people.ann, NEWSLETTER);
    assert!(town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ben")));
    town.sandbox.gigya.set_active(&people.cleo, false);
    town.sandbox.gigya.subscribe(&people.dora, NEWSLETTER);
    let is_out = |name: &str| !matches!(town.esp(name), Some(State::Active));
    town.until("opt-outs take effect", async || is_out("ann") && is_out("cleo") && town.is_out_at_gigya("ben")).await;
    assert!(begun.elapsed() < AT_ONCE, "opt-outs took {:?}", begun.elapsed());
    town.until("it was told", async || heard.times(PUT_OFF) >= 4).await;
    // What needs no journal goes on: an opt-in at the ESP, which this route doesn't accept.
    town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address("stranger"));
    town.until("what needs no journal is settled", async || heard.times("skipped:opt_ins_not_accepted") > 0).await;
    assert_eq!(heard.times("applied"), 0, "nothing counts as done that isn't written down");
    assert_eq!(town.esp("dora"), None, "nobody is sent anywhere that can't be written down");
}

/// And when it is back.
async fn everything_is_there(town: &Town) {
    town.quiet().await;
    assert_eq!(town.esp("dora"), Some(State::Active));
    for (name, opt_out) in [("ann", "opt_out"), ("ben", "opt_out"), ("cleo", "removal")] {
        let receipts = town.receipts(name).await;
        assert!(receipts.iter().any(|receipt| receipt.starts_with(opt_out)), "{name}: {receipts:?}");
    }
    let of_dora = town.receipts("dora").await;
    assert!(of_dora.iter().all(|receipt| receipt == "opt_in gigya_to_esp") && !of_dora.is_empty(), "{of_dora:?}");
    assert_eq!(town.journal().verify(&[]).await.unwrap().broken, []);
    // And as always from now on.
    town.a_moment_passes();
    let eve = town.subscriber("eve").await;
    town.a_moment_passes();
    town.sandbox.gigya.unsubscribe(&eve, NEWSLETTER);
    town.quiet().await;
    assert!(town.receipts("eve").await.contains(&"opt_out gigya_to_esp".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_holds_the_file() {
    let town = Town::ordinary().await;
    let people = good_times(&town).await;
    let mut other = town.shelf.raw().await;
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    everybody_acts(&town, &people).await;
    other.execute("ROLLBACK").await.unwrap();
    everything_is_there(&town).await;
}

/// While the server has this setting for the journal's database, and ended its connections to let it count.
async fn with_the_database_set(setting: &str, back: &str) {
    let Some(shelf) = Shelf::postgres().await else { return };
    let database = shelf.database();
    let town = Town::keeping(Setup::default(), shelf).await;
    let people = good_times(&town).await;
    let mut server = Shelf::server().await;
    for sql in [
        format!("ALTER DATABASE {database} {setting}"),
        format!("SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"),
    ] {
        server.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
    everybody_acts(&town, &people).await;
    server.execute(sqlx::AssertSqlSafe(format!("ALTER DATABASE {database} {back}"))).await.unwrap();
    everything_is_there(&town).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_all_connections() {
    with_the_database_set("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_becomes_a_standby() {
    with_the_database_set("SET default_transaction_read_only = on", "RESET default_transaction_read_only").await;
}

/// Takes the whole server down, for other tests, too: `.ci/postgres` runs it alone. `JOURNAL_TEST_POSTGRES_CTL` is a
/// command that takes what is to be done with the server: `stop`, `start` or `restart`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "stops the server; .ci/postgres runs it"]
async fn the_server_is_killed_and_comes_back() {
    let shelf = Shelf::postgres().await.expect("JOURNAL_TEST_POSTGRES");
    let town = Town::keeping(Setup::default(), shelf).await;
    let people = good_times(&town).await;
    control("stop");
    everybody_acts(&town, &people).await;
    control("start");
    everything_is_there(&town).await;
}

/// The same in the midst of load, again and again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "restarts the server; .ci/postgres runs it"]
async fn the_server_is_restarted_while_many_act() {
    const PEOPLE: usize = 300;
    let shelf = Shelf::postgres().await.expect("JOURNAL_TEST_POSTGRES");
    let town = Town::keeping(Setup { replicas: 2, ..Setup::default() }, shelf).await;
    town.sandbox.set_tempers(|temper| gigya_esp_gateway::sandbox::Temper { batch: 5, at_once: 16, ..temper });
    let name = |n: usize| format!("p{n}");
    let uids: Vec<_> = (0..PEOPLE).map(|n| town.sandbox.gigya.sign_up(&address(&name(n)), "name")).collect();
    for uid in &uids {
        town.sandbox.gigya.subscribe(uid, NEWSLETTER);
    }
    town.quiet().await;
    town.a_moment_passes();
    let heard = Heard::by(&town);
    for third in 0..3 {
        let restarting = tokio::task::spawn_blocking(|| control("restart"));
        for n in (0..PEOPLE).filter(|n| n % 3 == third) {
            if n % 2 == 0 {
                town.sandbox.gigya.unsubscribe(&uids[n], NEWSLETTER);
            } else {
                town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address(&name(n)));
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        restarting.await.unwrap();
    }
    town.quiet().await;
    for (n, uid) in uids.iter().enumerate() {
        assert!(!matches!(town.esp(&name(n)), Some(State::Active)), "{n} is mailed");
        assert_eq!(town.sandbox.gigya.is_subscribed(uid, NEWSLETTER), Some(false), "{n}");
        let receipts = town.receipts(&name(n)).await;
        assert!(receipts.iter().any(|receipt| receipt.starts_with("opt_out")), "{n}: {receipts:?}");
    }
    assert!(heard.times(PUT_OFF) > 0, "nothing happened");
    assert_eq!(town.journal().verify(&[]).await.unwrap().broken, []);
}

fn control(what: &str) {
    let command = std::env::var("JOURNAL_TEST_POSTGRES_CTL").expect("JOURNAL_TEST_POSTGRES_CTL");
    assert!(Command::new("sh").args(["-c", &format!("{command} {what}")]).status().unwrap().success());
}

impl Town {
    fn is_out_at_gigya(&self, name: &str) -> bool {
        let accounts = self.sandbox.gigya.accounts();
        let account = accounts.iter().find(|account| account.email == address(name)).unwrap();
        self.sandbox.gigya.is_subscribed(&account.uid, NEWSLETTER) == Some(false)
    }
}

/// The outcomes that senders hear.
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// From now on.
    fn by(town: &Town) -> Self {
        let (mut attempts, heard) = (town.sandbox.attempts.subscribe(), Arc::<Mutex<Vec<String>>>::default());
        let told = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok(attempt) = attempts.recv().await {
                told.lock().unwrap().extend(outcomes(&attempt));
            }
        });
        Self(heard)
    }

    fn times(&self, outcome: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|heard| *heard == outcome).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_moved_away() {
    let town = Town::ordinary().await;
    let people = good_times(&town).await;
    let (file, away) = (town.shelf.file(), town.shelf.file().with_extension("away"));
    std::fs::rename(&file, &away).unwrap();
    everybody_acts(&town, &people).await;
    std::fs::rename(&away, &file).unwrap();
    everything_is_there(&town).await;
}
