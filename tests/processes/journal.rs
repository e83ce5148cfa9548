//! Replicas that share a journal, or have one of their own, are killed at any moment while they acknowledge what they
//! can't do yet. And a disk without room.

use crate::place::{Folder, free_port, until};
use crate::replica::Replica;
use gigya_esp_gateway::config::Config;
use gigya_esp_gateway::domain::Email;
use gigya_esp_gateway::journal::{Database, Journal};
use gigya_esp_gateway::sandbox::{Esps, Nobody, Outfit, Sandbox, Setup, Temper, Weather};
use gigya_esp_gateway::upstream::WallClock;
use sqlx::any::AnyConnectOptions;
use sqlx::{ConnectOptions, Executor};
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

const NEWSLETTER: &str = "newsletter";
const PEOPLE: usize = 120;
const KILLS: usize = 12;
/// A lease of one that was killed, and the pauses of what failed, must have ended by then.
const PATIENCE: Duration = Duration::from_mins(4);

/// Systems in a storm: slow, failing before and after, hanging longer than senders wait.
const STORM: Weather = Weather {
    latency: Duration::from_millis(20),
    jitter: Duration::from_millis(300),
    error: 0.2,
    error_after: 0.1,
    too_fast: 0.05,
    hang: 0.1,
    reset: 0.05,
    reset_after: 0.05,
    down: false,
};

struct House {
    sandbox: Sandbox,
    replicas: Vec<Replica>,
    journal: Database,
    chance: fastrand::Rng,
    _folder: Folder,
}

impl House {
    async fn with(replicas: usize, setup: Setup, folder: Folder) -> Self {
        let setup = setup.with_lines("on_deadline = \"journal\"\ndeadline = \"1s\"\nattempt_timeout = \"500ms\"");
        let (mut sandbox, outfit) = Sandbox::simulators(setup, Nobody).await.unwrap();
        let mut running = Vec::new();
        for _ in 0..replicas {
            let replica = Replica::start(&outfit, &folder, &[]).await;
            sandbox.gateways.push(replica.ports.webhooks);
            running.push(replica);
        }
        sandbox.deliver_to(0);
        let interval = Duration::from_millis(300);
        sandbox.set_tempers(|temper| Temper { batch: 5, at_once: 16, longest_interval: interval, ..temper });
        let seed = std::env::var("JOURNAL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        eprintln!("JOURNAL_TEST_SEED={seed} brings the same kills, as far as processes keep time");
        let journal = open(&outfit).await;
        Self { sandbox, replicas: running, journal, chance: fastrand::Rng::with_seed(seed), _folder: folder }
    }

    /// Everybody opts in in calm, and half of them out in a storm, while replicas are killed.
    async fn nobody_is_lost(mut self) {
        let gigya = self.sandbox.gigya.clone();
        let uids: Vec<_> = (0..PEOPLE).map(|n| gigya.sign_up(&address(n), "name")).collect();
        for uid in &uids {
            gigya.subscribe(uid, NEWSLETTER);
        }
        assert!(self.sandbox.settled(PATIENCE).await);
        self.all_is_finished().await;
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
        self.weather(STORM);
        let mut leaving: Vec<_> = (0..PEOPLE / 2).collect();
        self.chance.shuffle(&mut leaving);
        for kill in 0..KILLS {
            let some = leaving.split_off(leaving.len().saturating_sub(PEOPLE / 2 / KILLS));
            for n in &some {
                self.leaves(*n, &uids[*n]);
            }
            let victim = self.chance.usize(0..self.replicas.len());
            self.sandbox.deliver_to(self.chance.usize(0..self.replicas.len()));
            tokio::time::sleep(Duration::from_millis(self.chance.u64(0..900))).await;
            self.replicas[victim].kill();
            if kill % 3 > 0 {
                tokio::time::sleep(Duration::from_millis(self.chance.u64(0..500))).await;
            }
            self.replicas[victim].start_again().await;
        }
        for n in &leaving {
            self.leaves(*n, &uids[*n]);
        }
        let written = self.journal.waiting().await.unwrap().unfinished;
        self.weather(Weather::default());
        assert!(self.sandbox.settled(PATIENCE).await, "webhooks are never done");
        self.all_is_finished().await;
        eprintln!("{written} events waited when the storm ended");
        for (n, uid) in uids.iter().enumerate() {
            let stays = n >= PEOPLE / 2;
            assert_eq!(gigya.is_subscribed(uid, NEWSLETTER), Some(stays), "Gigya of {n}");
            for esp in &self.sandbox.esps {
                assert_eq!(esp.mails(&address(n)), stays, "{} of {n}", esp.name());
            }
            let receipts = self.journal.receipts_at(&Email::parse(&address(n)).unwrap()).await.unwrap();
            let is_told = receipts.iter().any(|receipt| receipt.kind.label() == "opt_out");
            assert_eq!(is_told, !stays, "receipts of {n}");
        }
        assert_eq!(self.journal.verify(&[]).await.unwrap().broken, []);
        assert_eq!(self.journal.waiting().await.unwrap().rejected, 0);
    }

    fn leaves(&self, n: usize, uid: &str) {
        match n % 3 {
            0 => self.sandbox.gigya.unsubscribe(uid, NEWSLETTER),
            _ => {
                let esps = &self.sandbox.esps;
                assert!(esps[n % esps.len()].unsubscribe_link(&address(n)));
            }
        }
    }

    fn weather(&self, weather: Weather) {
        self.sandbox.faults().for_each(|system| system.set(weather));
    }

    /// Nothing waits, and what came of that has come, too.
    async fn all_is_finished(&self) {
        let begun = Instant::now();
        loop {
            let waiting = self.journal.waiting().await.unwrap().unfinished;
            if waiting == 0 && self.sandbox.settled(Duration::from_millis(500)).await {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{waiting} events are never finished");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn open(outfit: &Outfit) -> Database {
    let environment = outfit.environment.iter().cloned().collect();
    let config = Config::parse(&outfit.configuration, Path::new("gateway.toml"), &environment).unwrap();
    Database::open(config.journal.as_ref().unwrap(), WallClock::system()).await.unwrap()
}

fn address(n: usize) -> String {
    format!("{n}@example.org")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; .ci/postgres runs it"]
async fn journal_on_postgresql_outlives_replicas_that_are_killed() {
    let Ok(server) = std::env::var("JOURNAL_TEST_POSTGRES") else {
        eprintln!("not run: JOURNAL_TEST_POSTGRES names no server; .ci/postgres starts one");
        return;
    };
    sqlx::any::install_default_drivers();
    let name = format!("processes_{}", free_port().port());
    let mut connection = AnyConnectOptions::from_str(&server).unwrap().connect().await.unwrap();
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let setup = Setup::with_esps(Esps::Both).with_postgres_journal(&url);
    House::with(3, setup, Folder::new("journal-postgres")).await.nobody_is_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; .ci/heavy runs it"]
async fn journal_in_a_file_outlives_the_gateway_that_is_killed() {
    let folder = Folder::new("journal-sqlite");
    let setup = Setup::with_esps(Esps::Both).with_journal(&folder.path().join("journal.db"));
    House::with(1, setup, folder).await.nobody_is_lost().await;
}

/// A small file system in memory.
struct Disk(std::path::PathBuf);

impl Disk {
    fn of(folder: &Folder, size: &str) -> Self {
        let place = folder.path().join("disk");
        std::fs::create_dir(&place).unwrap();
        root(&["mount", "-t", "tmpfs", "-o", &format!("size={size},mode=777"), "none", place.to_str().unwrap()]);
        Self(place)
    }

    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("filling")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filling")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        root(&["umount", "--lazy", self.0.to_str().unwrap()]);
    }
}

fn root(command: &[&str]) {
    let run = |command: &[&str]| Command::new(command[0]).args(&command[1..]).status().is_ok_and(|done| done.success());
    assert!(run(command) || run(&[&["sudo", "-n"], command].concat()), "only root can {}", command[0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for a small disk; .ci/heavy runs it"]
async fn journal_on_a_full_disk_puts_off_what_needs_it() {
    let folder = Folder::new("journal-disk");
    let disk = Disk::of(&folder, "1m");
    let setup = Setup::default().with_journal(&disk.0.join("journal.db"));
    let (mut sandbox, outfit) = Sandbox::simulators(setup, Nobody).await.unwrap();
    let replica = Replica::start(&outfit, &folder, &[]).await;
    sandbox.gateways.push(replica.ports.webhooks);
    sandbox.deliver_to(0);
    let gigya = sandbox.gigya.clone();
    let uids: Vec<_> = (0..20).map(|n| gigya.sign_up(&address(n), "name")).collect();
    for uid in &uids {
        gigya.subscribe(uid, NEWSLETTER);
    }
    assert!(sandbox.settled(PATIENCE).await);
    sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    disk.fill();
    let mut attempts = sandbox.attempts.subscribe();
    let mut put_off = 0;
    for (n, uid) in uids.iter().enumerate() {
        if n % 2 == 0 {
            gigya.unsubscribe(uid, NEWSLETTER);
        } else {
            sandbox.campaign_monitor.unsubscribe_link(&sandbox.list, &address(n));
        }
    }
    until("opt-outs take effect without the journal", async || {
        let esp = &sandbox.esps[0];
        uids.iter()
            .enumerate()
            .all(|(n, uid)| !esp.mails(&address(n)) && gigya.is_subscribed(uid, NEWSLETTER) == Some(false))
    })
    .await;
    until("it is told", async || {
        while let Ok(attempt) = attempts.try_recv() {
            put_off += usize::from(attempt.status == 503 && attempt.answer.contains("journal_unavailable"));
        }
        put_off > 0
    })
    .await;
    assert!(replica.log().contains("the disk is full"), "nobody is told what to do");
    disk.make_room();
    assert!(sandbox.settled(PATIENCE).await, "it never came back");
    let journal = open(&outfit).await;
    for n in 0..20 {
        let receipts = journal.receipts_at(&Email::parse(&address(n)).unwrap()).await.unwrap();
        assert!(receipts.iter().any(|receipt| receipt.kind.label() == "opt_out"), "receipts of {n}");
    }
    assert_eq!(journal.verify(&[]).await.unwrap().broken, []);
}
