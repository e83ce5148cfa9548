//! Somebody at a terminal beside a running gateway that keeps a journal.

use crate::contract::Held;
use crate::town::{NEWSLETTER, address, email};
use gigya_esp_gateway::config::{Config, Environment};
use gigya_esp_gateway::domain::{Change, Reason};
use gigya_esp_gateway::journal::{Database, Entries, EventKey, Journal, Person, Receipt, Rejected, SetAside};
use gigya_esp_gateway::sandbox::{Folder, Sandbox, Setup};
use gigya_esp_gateway::upstream::WallClock;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub struct Office {
    pub sandbox: Sandbox,
    config: PathBuf,
    folder: Folder,
}

/// What a command said.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Office {
    pub async fn open() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let folder = Folder::make().unwrap();
        let setup = setup.with_journal(&folder.journal());
        let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
        let config = folder.write(&sandbox).unwrap();
        Self { sandbox, config, folder }
    }

    /// Runs `journal` to its end, with nobody at the keyboard.
    pub async fn journal(&self, arguments: &[&str]) -> Ran {
        self.journal_with(arguments, &[]).await
    }

    /// The same, with some of the configuration set otherwise.
    pub async fn journal_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Ran {
        let mut command = self.command("journal", arguments);
        command.envs(settings.iter().copied());
        run(command).await
    }

    /// The same, with standard output elsewhere.
    pub async fn journal_to(&self, arguments: &[&str], out: impl Into<Stdio>) -> Ran {
        let mut command = self.command("journal", arguments);
        command.stdout(out).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // It has the only handle to where it writes.
        drop(command);
        finished(tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap())
    }

    /// Runs `check` to its end.
    pub async fn check(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Ran {
        let mut command = self.command("check", arguments);
        command.envs(settings.iter().copied());
        run(command).await
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway"));
        command.env_clear().arg(name).arg("--config").arg(&self.config).args(arguments).stdin(Stdio::null());
        command.current_dir(self.config.parent().unwrap());
        command
    }

    /// The journal's keys, as they are wrapped.
    pub async fn keys(&self) -> Vec<Vec<u8>> {
        let pool = self.pool().await;
        let keys = sqlx::query_scalar("SELECT wrapped FROM journal_key ORDER BY name").fetch_all(&pool).await.unwrap();
        pool.close().await;
        keys
    }

    /// What `receipts` says of somebody, as JSON.
    pub async fn receipts(&self, name: &str) -> Value {
        let ran = self.journal(&["receipts", "--address", &address(name), "--format", "json"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    /// Somebody opts in, and out again.
    pub async fn leaver(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        self.sandbox.clock.advance(SignedDuration::from_secs(2));
        self.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        self.quiet().await;
        uid
    }

    /// Somebody's account loses its address: that can never be forwarded. Returns the UID and the id of what was set aside.
    pub async fn without_address(&self, name: &str) -> (String, String) {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.change_email(&uid, "nowhere");
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        let journal = &self.sandbox.journals[0];
        let mut set_aside = journal.rejected().await.unwrap();
        let is_theirs = |one: &Rejected| {
            one.reason == "no_address" && String::from_utf8_lossy(&one.payload).contains(&format!("\"uid\":\"{uid}\""))
        };
        let last = set_aside.iter().rposition(is_theirs).expect("it is set aside");
        let kept = set_aside.remove(last).id;
        // What else tells of it tells of no account.
        for other in set_aside.iter().filter(|one| one.reason != "malformed") {
            assert!(journal.drop_rejected(&other.id).await.unwrap());
        }
        (uid, kept.0)
    }

    pub async fn quiet(&self) {
        assert!(self.sandbox.settled(Duration::from_secs(30)).await, "webhooks are never done");
    }

    async fn pool(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new().filename(self.folder.journal());
        SqlitePool::connect_with(options).await.unwrap()
    }

    /// Somebody with full access to the file.
    pub async fn intruder(&self, statement: &'static str) -> u64 {
        let pool = self.pool().await;
        let done = sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
        done.rows_affected()
    }

    /// What stands for somebody in the journal: of the account, and of the address.
    pub async fn hashes_of(&self, name: &str) -> Vec<Vec<u8>> {
        let first = self.receipts(name).await["changes"][0]["seq"].as_i64().unwrap();
        let pool = self.pool().await;
        let sql = "SELECT person, address FROM journal_receipt WHERE seq = $1";
        let row: (Vec<u8>, Vec<u8>) = sqlx::query_as(sql).bind(first).fetch_one(&pool).await.unwrap();
        pool.close().await;
        vec![row.0, row.1]
    }

    /// Years ago, a gateway wrote down some opt-outs of others, and set one event aside.
    pub async fn remembers_others(&self, receipts: usize) {
        let config = Config::load(&self.config, &Environment::default()).unwrap();
        let then = Timestamp::now() - SignedDuration::from_hours(2 * 366 * 24);
        let journal = Database::open(config.journal.as_ref().unwrap(), WallClock::of(move || then)).await.unwrap();
        for number in 0..receipts {
            let event = EventKey { connection: "main".into(), event: format!("e{number}"), route: "a -> b".into() };
            let person = Person { account: None, address: Some(email(&format!("other{number}"))) };
            let (request, direction, payload) = (String::new(), "gigya_to_esp", b"{}".to_vec());
            let rejected = SetAside {
                event: event.clone(),
                direction,
                reason: Reason::Malformed,
                person: person.clone(),
                payload: payload.clone(),
            };
            let receipt = Receipt {
                event,
                request,
                direction,
                change: Change::OptOut,
                person,
                acted: None,
                received: then,
                accepted: then,
                call_id: None,
            };
            let rejected = if number == 0 { vec![rejected] } else { Vec::new() };
            journal.commit(Entries { receipts: vec![receipt], rejected, ..Entries::default() }).await.unwrap();
        }
    }

    /// All bytes of the database and of what belongs to it.
    pub fn bytes(&self) -> Vec<u8> {
        let path = self.folder.journal();
        let with = |ending: &str| {
            let mut name = path.clone().into_os_string();
            name.push(ending);
            std::fs::read(name).unwrap_or_default()
        };
        ["", "-wal", "-shm"].map(with).concat()
    }

    /// A file beside the configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.config.with_file_name(name)
    }
}

async fn run(mut command: Command) -> Ran {
    finished(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

fn finished(Output { status, stdout, stderr }: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
