//! How much memory the command takes, however many people there are:
//! `RECONCILE_PEOPLE=5000000 cargo test --release --locked --test reconcile memory -- --ignored --nocapture`.

use crate::drift::{Crowd, differing};
use crate::town::Town;
use gigya_esp_gateway::sandbox::Setup;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The most that it may take, in KiB.
const MOST: u64 = 256 << 10;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a million people take minutes to compare in a debug build"]
async fn memory_stays_flat() {
    let people = std::env::var("RECONCILE_PEOPLE").map_or(1_000_000, |people| people.parse().unwrap());
    let setup = Setup { more: "\n[reconcile]\ncalls_per_minute = 10000000\n".to_owned(), ..Setup::default() };
    let town = Town::without_gateway(setup).await;
    let crowd = Crowd::new(people, 7, town.sandbox.clock.now());
    crowd.stock(&town);
    let folder = tempfile::tempdir().unwrap();
    let outfit = town.sandbox.outfit().clone();
    std::fs::write(folder.path().join("gateway.toml"), &outfit.configuration).unwrap();
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway"))
        .args(["reconcile", "--json"])
        .env_clear()
        .envs(outfit.environment)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The kernel keeps the peak; it is read until the process is gone.
    let mut peak = 0;
    let mut ticks = 0;
    while child.try_wait().unwrap().is_none() {
        peak = read_peak(child.id()).unwrap_or(peak).max(peak);
        ticks = read_ticks(child.id()).unwrap_or(ticks);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (accounts, subscribers) = (told["accounts"].as_u64().unwrap(), told["subscribers"].as_u64().unwrap());
    let calls = told["calls"].as_u64().unwrap();
    eprintln!(
        "{accounts} accounts, {subscribers} subscribers, {calls} calls: {:.1} s, {:.1} s of processor time, at most {} MiB",
        began.elapsed().as_secs_f64(),
        f64::from(u32::try_from(ticks).unwrap()) / 100.0,
        peak >> 10
    );
    assert!(peak < MOST, "{} MiB", peak >> 10);
    assert!(calls <= (accounts + subscribers).div_ceil(1000) + 10, "{calls} calls");
    let found: Vec<(String, u64)> = told["found"].as_array().unwrap().iter().map(of_finding).collect();
    let mut expected = differing(&crowd);
    let mut found = found;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

fn of_finding(finding: &Value) -> (String, u64) {
    (finding["difference"].as_str().unwrap().to_owned(), finding["count"].as_u64().unwrap())
}

fn read_peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}

fn read_ticks(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    Some(after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}
