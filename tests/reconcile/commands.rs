//! The command itself, as whoever is on call starts it: what it says, writes and ends with.

use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Faults, Setup, Weather};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_gigya-esp-gateway");

struct Desk {
    town: Town,
    folder: TempDir,
}

/// Bob opted out and Eve is gone, and nobody was told; Ann is as she should be.
const BOB: &str = "bob.planted";
const EVE: &str = "eve.planted";

impl Desk {
    async fn drifted() -> Self {
        let town = Town::without_gateway(Setup::default()).await;
        town.subscriber("ann").await;
        let (bob, eve) = (town.subscriber(BOB).await, town.subscriber(EVE).await);
        town.sandbox.gigya.unsubscribe(&bob, NEWSLETTER);
        town.sandbox.gigya.delete(&eve);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gateway.toml"), &town.sandbox.outfit().configuration).unwrap();
        Self { town, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("reconcile").args(args).env_clear().current_dir(self.folder.path());
        command.envs(self.town.sandbox.outfit().environment.iter().map(|(name, secret)| (name, secret)));
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    fn plan_is_gone(&self) {
        let files = std::fs::read_dir(self.file("state")).unwrap().map(|file| file.unwrap().file_name());
        assert_eq!(files.collect::<Vec<_>>(), ["lock"], "the plan is done and gone");
    }

    fn nothing_was_changed(&self) {
        assert_eq!((self.town.esp(BOB), self.town.esp(EVE)), (Some(State::Active), Some(State::Active)));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn is_hidden(text: &str) {
    for secret in [BOB, EVE, "planted", "@example.org"] {
        assert!(!text.contains(secret), "{secret} is in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_differs_and_changes_nothing_unless_told_to() {
    let desk = Desk::drifted().await;
    let said = desk.run(&["--csv", "all.csv", "--metrics-file", "reconcile.prom"]).await;
    assert_eq!(said.status.code(), Some(3), "{}", text(&said.stderr));
    let out = text(&said.stdout);
    for part in ["late_opt_out", "orphan", "--apply", "2 accounts"] {
        assert!(out.contains(part), "no {part} in:\n{out}");
    }
    desk.nothing_was_changed();
    let csv = read(&desk.file("all.csv"));
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let metrics = read(&desk.file("reconcile.prom"));
    assert!(metrics.contains("gateway_reconcile_success 1\n"), "{metrics}");
    assert!(metrics.contains("difference=\"orphan\"} 1\n"), "{metrics}");
    for part in [&out, &text(&said.stderr), &csv, &metrics] {
        is_hidden(part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_heals_and_the_next_run_finds_nothing() {
    let desk = Desk::drifted().await;
    let said = desk.run(&["--apply", "--json", "--max-removals", "1", "--max-removal-percent", "100"]).await;
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((&told["settled"], &told["left"], &told["applied"]), (&2.into(), &0.into(), &true.into()), "{told:#}");
    is_hidden(&told.to_string());
    assert_eq!((desk.town.esp(BOB), desk.town.esp(EVE)), (Some(State::Unsubscribed), Some(State::Deleted)));
    let said = desk.run(&["--json"]).await;
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stdout));
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(told["found"], Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_shown_if_asked_for() {
    let desk = Desk::drifted().await;
    let said = desk.run(&["--show-addresses", "--csv", "all.csv"]).await;
    assert!(text(&said.stdout).contains(&address(BOB)), "{}", text(&said.stdout));
    let csv = read(&desk.file("all.csv"));
    assert!(csv.contains(&address(EVE)), "{csv}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = desk.file("all.csv").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_beyond_the_limit_are_held_back_and_said() {
    let desk = Desk::drifted().await;
    let said = desk.run(&["--apply", "--max-removals", "0", "--metrics-file", "reconcile.prom"]).await;
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said.stdout).contains("--max-removals"), "{}", text(&said.stdout));
    assert_eq!((desk.town.esp(BOB), desk.town.esp(EVE)), (Some(State::Unsubscribed), Some(State::Active)));
    assert!(read(&desk.file("reconcile.prom")).contains("gateway_reconcile_removals_withheld 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_cant_be_read_ends_it_before_anything_is_changed() {
    let desk = Desk::drifted().await;
    let mut command = desk.command(&["--apply", "--metrics-file", "reconcile.prom"]);
    command.env("GATEWAY_GIGYA__MAIN__USER_KEY", "another-key");
    let said = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said.stderr).contains("gigya/main can't be read"), "{}", text(&said.stderr));
    assert!(read(&desk.file("reconcile.prom")).contains("gateway_reconcile_success 0\n"));
    desk.nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_is_refused_before_anything_is_read() {
    let desk = Desk::drifted().await;
    let before: u64 = desk.town.sandbox.faults().map(Faults::all_calls).sum();
    for (args, what) in [
        (vec!["--route", "nowhere"], "there is no route nowhere"),
        (vec!["--since", "tomorrow"], "2026-11-25T03:00:00Z"),
        (vec!["--since", "2999-01-01T00:00:00Z"], "in the future"),
        (vec!["--max-removal-percent", "101"], "0 to 100"),
        (vec!["--apply", "--dry-run"], "cannot be used with"),
        (vec!["--csv", "nowhere/all.csv"], "nowhere/all.csv"),
        (vec!["--metrics-file", "nowhere/reconcile.prom"], "nowhere"),
        (vec!["--apply", "--state", "/proc/nowhere"], "--state"),
        (vec!["--scratch", "nowhere"], "--scratch"),
    ] {
        let said = desk.run(&args).await;
        assert!(matches!(said.status.code(), Some(1 | 2)), "{args:?}: {:?}", said.status);
        let error = text(&said.stderr);
        assert!(error.contains(what), "{args:?}: no {what} in:\n{error}");
    }
    let after: u64 = desk.town.sandbox.faults().map(Faults::all_calls).sum();
    assert_eq!(before, after, "nothing was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_never_whole_is_begun_anew() {
    let desk = Desk::drifted().await;
    // A first run that wasn't whole leaves nothing that the next one would take for its own.
    std::fs::create_dir(desk.file("state")).unwrap();
    std::fs::write(desk.file("state").join("late_opt_out.jsonl"), "{\"half\"").unwrap();
    let said = desk.run(&["--apply", "--state", "state", "--max-removal-percent", "100"]).await;
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    assert_eq!((desk.town.esp(BOB), desk.town.esp(EVE)), (Some(State::Unsubscribed), Some(State::Deleted)));
    desk.plan_is_gone();
}

/// So many who opted out in Gigya, and nobody was told; the ESP takes its time.
async fn many_late_opt_outs(many: usize) -> Desk {
    let town = Town::without_gateway(Setup::default()).await;
    let person = |person: usize| address(&format!("planted-{person}"));
    let uids: Vec<String> = (0..many).map(|one| town.sandbox.gigya.sign_up(&person(one), "Person")).collect();
    for uid in &uids {
        town.sandbox.gigya.subscribe(uid, NEWSLETTER);
    }
    town.heal().await;
    town.a_moment_passes();
    for uid in &uids {
        town.sandbox.gigya.unsubscribe(uid, NEWSLETTER);
    }
    let folder = tempfile::tempdir().unwrap();
    let text = town.sandbox.outfit().configuration.clone() + "\n[reconcile]\ncalls_per_minute = 1000000\n";
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let latency = Duration::from_millis(300);
    town.sandbox.campaign_monitor.faults().set(Weather { latency, ..Weather::default() });
    Desk { town, folder }
}

impl Desk {
    fn out(&self, many: usize) -> usize {
        let is_out = |one: &usize| self.town.esp(&format!("planted-{one}")) == Some(State::Unsubscribed);
        (0..many).filter(is_out).count()
    }
}

/// A run that is stopped, or killed, is gone on with by the next one: it doesn't read both sides again.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_is_gone_on_with() {
    const MANY: usize = 200;
    for signal in ["TERM", "KILL"] {
        let desk = many_late_opt_outs(MANY).await;
        let args = ["--apply", "--state", "state", "--csv", "all.csv"];
        let mut child = desk.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while desk.out(MANY) == 0 {
            assert_eq!(child.try_wait().unwrap(), None, "it ended too early");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let busy = desk.run(&args).await;
        assert_eq!(busy.status.code(), Some(1));
        assert!(text(&busy.stderr).contains("another run is under way"), "{}", text(&busy.stderr));
        let sent =
            Command::new("sh").args(["-c", "kill -$0 \"$1\"", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let said = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        let done = desk.out(MANY);
        assert!(done < MANY, "it was stopped before the end");
        if signal == "TERM" {
            assert_eq!(said.status.code(), Some(3), "{}", text(&said.stderr));
            assert!(text(&said.stdout).contains("before the end"), "{}", text(&said.stdout));
        }
        desk.town.sandbox.campaign_monitor.faults().set(Weather::default());
        let searched = desk.town.sandbox.gigya.faults().calls("accounts.search");
        let said = desk.run(&args).await;
        assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
        assert!(text(&said.stderr).contains("going on"), "{}", text(&said.stderr));
        assert_eq!(desk.town.sandbox.gigya.faults().calls("accounts.search"), searched, "nothing is read again");
        assert_eq!(desk.out(MANY), MANY);
        assert_eq!(read(&desk.file("all.csv")).lines().count(), 1 + MANY, "of all that was found");
        desk.plan_is_gone();
        is_hidden(&(text(&said.stdout) + &text(&said.stderr)));
    }
}

/// Where there is no terminal, lines tell how far it has come.
#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_is_doing() {
    let desk = Desk::drifted().await;
    let said = desk.run(&["--apply", "--max-removal-percent", "100"]).await;
    let lines = text(&said.stderr);
    let (read, healed) = (lines.find("reading both sides"), lines.find("healing 2 differences"));
    assert!(read.is_some() && read < healed, "{lines}");
}
