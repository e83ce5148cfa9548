//! What is shipped in `deploy/` and written of it fits the gateway: configurations are accepted by the binary, supervisors
//! wait long enough, alerts and dashboard ask for metrics that there are, and each alert has its runbook.

#![allow(clippy::unwrap_used)] // helpers are tests too

use gigya_esp_gateway::cli::RECONCILE_METRICS as OF_A_RUN;
use gigya_esp_gateway::config::{Config, JournalStore};
use gigya_esp_gateway::journal::Database;
use gigya_esp_gateway::telemetry::metrics::{FAMILIES, Kind};
use gigya_esp_gateway::upstream::WallClock;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ALERTS: &str = include_str!("../deploy/observability/alerts.yml");
const CASES: &str = concat!(
    include_str!("../deploy/observability/alerts_test.yml"),
    include_str!("../deploy/observability/alerts_day_test.yml")
);
const DASHBOARD: &str = include_str!("../deploy/observability/grafana-dashboard.json");
const RUNBOOKS: &str = include_str!("../docs/runbooks.md");
const README: &str = include_str!("../deploy/README.md");
const PRUNE: &str = include_str!("../deploy/gigya-esp-gateway-prune.service");
const UNIT: &str = include_str!("../deploy/gigya-esp-gateway.service");
const KUBERNETES: &str = include_str!("../deploy/kubernetes/overlays/example/gateway.toml");
const DEPLOYMENT: &str = include_str!("../deploy/kubernetes/base/deployment.yaml");

/// Where systemd and Kubernetes put secrets.
const CREDENTIALS: &str = "/run/credentials/gigya-esp-gateway.service";
const MOUNTED: &str = "/run/secrets/gigya-esp-gateway";

/// Labels that Prometheus gives every series.
const OF_TARGETS: &[&str] = &["job", "instance", "namespace"];

/// The labels of a series of this name, as it is asked for; `None` if there is no such series.
fn labels_of(name: &str) -> Option<Vec<&'static str>> {
    // What a run writes into a file, which a node exporter tells.
    if OF_A_RUN.iter().any(|(of_a_run, _)| *of_a_run == name) {
        return Some([&["route", "difference"], OF_TARGETS].concat());
    }
    FAMILIES.iter().find_map(|family| {
        let part = name.strip_prefix(family.name)?;
        let own: &[&str] = match (family.kind == Kind::Histogram, part) {
            (false, "") | (true, "_sum" | "_count") => &[],
            (true, "_bucket") => &["le"],
            _ => return None,
        };
        Some([family.labels, own, OF_TARGETS].concat())
    })
}

/// The metrics of ours that a text names, each with what follows: the labels that it asks for.
fn named(text: &str) -> Vec<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        rest = &rest[start..];
        let (word, after) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        if (word.starts_with("gateway_") || word.starts_with("process_")) && !word.contains(':') {
            found.push((word, after));
        }
        rest = after;
    }
    found
}

/// The names in `{name="..", other=~".."}`, as they stand in YAML or, with `\"`, in JSON.
fn asked_labels(after: &str) -> Vec<&str> {
    let Some(inside) = after.strip_prefix('{').and_then(|after| after.split('}').next()) else { return Vec::new() };
    inside.split(", ").filter_map(|one| one.split(['=', '!']).next()).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_what_is_measured() {
    for (file, text) in
        [("alerts.yml", ALERTS), ("the cases", CASES), ("the dashboard", DASHBOARD), ("runbooks.md", RUNBOOKS)]
    {
        let mut asked = 0;
        for (name, after) in named(text) {
            // In prose a histogram has no series.
            let is_prose = file == "runbooks.md" && !after.starts_with(['{', '[']);
            let is_family = FAMILIES.iter().any(|family| family.name == name);
            let labels = labels_of(name).or_else(|| (is_prose && is_family).then(Vec::new));
            let labels = labels.unwrap_or_else(|| panic!("{file} asks for {name}, which isn't measured"));
            for label in asked_labels(after) {
                assert!(labels.contains(&label), "{file} asks for {name} by {label}, which it doesn't have");
            }
            asked += 1;
        }
        assert!(asked > 20, "{file} asks for {asked} metrics only");
    }
    assert_eq!(labels_of("gateway_opt_out_age_seconds"), None, "a histogram by itself is no series");
    assert_eq!(labels_of("gateway_upstream_calls_total_"), None);
}

#[test]
fn what_is_measured_is_shown() {
    let shown: BTreeSet<_> = named(DASHBOARD).into_iter().map(|(name, _)| name).collect();
    let of_no_interest = ["process_threads", "process_virtual_memory_bytes", "process_virtual_memory_max_bytes"];
    for family in FAMILIES.iter().map(|family| family.name).filter(|name| !of_no_interest.contains(name)) {
        let is_shown = ["", "_bucket", "_sum"].iter().any(|part| shown.contains(format!("{family}{part}").as_str()));
        assert!(is_shown, "no panel or variable of the dashboard has {family}");
    }
}

#[test]
fn what_is_recorded_is_used_and_what_is_used_is_recorded() {
    let recorded: BTreeSet<_> = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let texts = [ALERTS, DASHBOARD, RUNBOOKS];
    let words = texts.iter().flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c))));
    let mut used: HashMap<&str, usize> = HashMap::new();
    for word in words.filter(|word| word.starts_with("gateway:")) {
        assert!(recorded.contains(word), "{word} isn't recorded");
        *used.entry(word).or_default() += 1;
    }
    for name in recorded.iter().filter(|name| !name.ends_with(":p50_1h")) {
        assert!(used[name] > 1, "{name} is recorded for nobody");
    }
}

/// The names of alerts, of which some have two rules.
fn alerts() -> BTreeSet<&'static str> {
    ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn each_alert_has_a_runbook_and_cases() {
    let sections: Vec<_> = RUNBOOKS.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(alerts(), sections.iter().copied().collect(), "alerts, and sections of runbooks.md");
    assert_eq!(alerts().len(), sections.len(), "a section stands there twice");
    let mut lines = ALERTS.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(alert) = line.strip_prefix("- alert: ") else { continue };
        let runbook = lines.by_ref().find_map(|line| line.strip_prefix("runbook_url: ")).unwrap();
        assert_eq!(runbook, format!("https://YOUR-DOCS/docs/runbooks.md#{}", alert.to_lowercase()));
    }
    for alert in alerts() {
        let (mut fires, mut is_silent) = (0, 0);
        let of = format!("alertname: {alert}\n");
        for (at, _) in CASES.match_indices(&of) {
            let rest = CASES[at + of.len()..].trim_start();
            if rest.starts_with("exp_alerts: []") { is_silent += 1 } else { fires += 1 }
        }
        assert!(fires > 0 && is_silent > 0, "{alert}: {fires} cases fire, {is_silent} don't");
    }
}

#[test]
fn the_dashboard_knows_no_data_source_by_itself() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "job", "connection"]);
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
}

/// A folder with a configuration whose secrets are in that folder, too. It is gone with the test.
struct Secrets(PathBuf);

impl Secrets {
    fn plant(name: &str, config: &str, place: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut planted = 0;
        for secret in config.split(&format!("{place}/")).skip(1) {
            let secret = secret.split('"').next().unwrap();
            let text = match secret.trim_start_matches("secrets_") {
                "cm-callback-token" => "MDEyMzQ1Njc4OWFiY2RlZg",
                "journal-key" => "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
                "journal-postgres" => "postgres://gateway:secret@postgres.postgres.svc/gateway",
                _ => "c2VjcmV0",
            };
            std::fs::write(folder.join(secret), text).unwrap();
            planted += 1;
        }
        assert!(planted >= 3, "{planted} secrets are in {place}");
        std::fs::write(folder.join("gateway.toml"), config.replace(place, folder.to_str().unwrap())).unwrap();
        Self(folder)
    }

    fn config(&self) -> Config {
        let file = self.0.join("gateway.toml");
        Config::parse(&std::fs::read_to_string(&file).unwrap(), &file, &[("PATH", "/bin")].into_iter().collect())
            .unwrap()
    }

    fn is_accepted(&self) {
        let mut check = Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway"));
        let said = check.args(["check", "--config"]).arg(self.0.join("gateway.toml")).env_clear().output().unwrap();
        let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.status.success() && text.contains("The configuration is valid."), "{text}");
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn seconds(text: &str, key: &str) -> Duration {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
    Duration::from_secs(line.trim_end_matches('s').trim().parse().unwrap())
}

/// How long stopping may take: draining, and then sending what traces are left.
fn draining(config: &Config) -> Duration {
    config.server.drain_delay + config.server.drain_timeout + Duration::from_secs(3)
}

#[test]
fn under_systemd_secrets_are_credentials_and_there_is_time_to_stop() {
    let (_, section) = README.split_once("## systemd").unwrap();
    let (_, config) = section.split_once("```toml\n").unwrap();
    let config = config.split("```").next().unwrap();
    let secrets = Secrets::plant("systemd", config, CREDENTIALS);
    secrets.is_accepted();
    assert!(seconds(UNIT, "TimeoutStopSec=") > draining(&secrets.config()));
    // Nothing else is writable there.
    let state = UNIT.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    let Some(JournalStore::Sqlite(file)) = secrets.config().journal.map(|journal| journal.store) else {
        panic!("the README's configuration has no journal in a file")
    };
    assert_eq!(file.parent(), Some(Path::new("/var/lib").join(state).as_path()));
    // Of a folder, systemd makes credentials NAME_FILE.
    let (name, folder) =
        UNIT.lines().find_map(|line| line.strip_prefix("LoadCredential=")).unwrap().split_once(':').unwrap();
    for file in config.split(&format!("{CREDENTIALS}/")).skip(1) {
        let file = file.split('"').next().unwrap();
        let file = file.strip_prefix(&format!("{name}_")).unwrap();
        assert!(section.contains(&format!("{folder}/{file}")), "README.md doesn't say how {folder}/{file} is made");
    }
}

/// The README's configuration as it is, and the folder of secrets. None where the script can't do what it needs to: be root,
/// and mount.
fn beside_systemd(name: &str) -> Option<(Secrets, PathBuf)> {
    let may_mount = Command::new("unshare").args(["--mount", "true"]).output().is_ok_and(|ran| ran.status.success());
    if !may_mount {
        eprintln!("not tried: this process may not make mount namespaces");
        return None;
    }
    let (_, section) = README.split_once("## systemd").unwrap();
    let (_, config) = section.split_once("```toml\n").unwrap();
    let config = config.split("```").next().unwrap();
    let secrets = Secrets::plant(name, config, CREDENTIALS);
    std::fs::write(secrets.0.join("gateway.toml"), config).unwrap();
    let own = secrets.0.join("own");
    std::fs::create_dir_all(&own).unwrap();
    for file in std::fs::read_dir(&secrets.0).unwrap().map(|file| file.unwrap()) {
        if let Some(name) = file.file_name().to_str().unwrap().strip_prefix("secrets_") {
            std::fs::rename(file.path(), own.join(name)).unwrap();
        }
    }
    Some((secrets, own))
}

/// Runs the script; whether all was well, and what was said.
fn with_credentials(secrets: &Secrets, own: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/with-credentials"));
    command.args(arguments).env("SECRETS", own).env("GATEWAY_CONFIG", secrets.0.join("gateway.toml"));
    let ran = command.env("GATEWAY_BINARY", env!("CARGO_BIN_EXE_gigya-esp-gateway")).output().unwrap();
    assert!(!Path::new(CREDENTIALS).exists(), "nothing of it is left");
    (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

#[test]
fn a_command_beside_systemd_has_the_services_secrets() {
    let Some((secrets, own)) = beside_systemd("with-credentials") else { return };
    let (is_well, said) = with_credentials(&secrets, &own, &["check"]);
    assert!(is_well && said.contains("The configuration is valid."), "{said}");
}

/// The journal is somewhere else here, as the machine may have one.
#[tokio::test]
async fn what_prunes_under_systemd_finds_secrets_and_journal() {
    let command = PRUNE.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let (script, arguments) = command.split_once(' ').unwrap();
    assert!(README.contains(&format!("sudo install -m 0755 deploy/with-credentials {script}\n")), "{script}");
    let timer = include_str!("../deploy/gigya-esp-gateway-prune.timer");
    assert!(timer.contains("\nOnCalendar=") && timer.contains("\nWantedBy=timers.target\n"));
    let Some((secrets, own)) = beside_systemd("prune") else { return };
    let (file, journal) = (secrets.0.join("gateway.toml"), secrets.0.join("journal.db"));
    let text = std::fs::read_to_string(&file).unwrap();
    let elsewhere = text.replace("/var/lib/gigya-esp-gateway/journal.db", journal.to_str().unwrap());
    assert_ne!(text, elsewhere);
    std::fs::write(&file, elsewhere).unwrap();
    let settings = gigya_esp_gateway::config::Journal {
        store: JournalStore::Sqlite(journal.clone()),
        keys: vec![std::fs::read_to_string(own.join("journal-key")).unwrap().into()],
        keep_receipts: Duration::MAX,
        keep_rejected: Duration::MAX,
    };
    drop(Database::open(&settings, WallClock::system()).await.unwrap());
    let (is_well, said) = with_credentials(&secrets, &own, &arguments.split(' ').collect::<Vec<_>>());
    assert!(is_well && said.contains("0 receipts written before"), "{said}");
}

#[test]
fn in_kubernetes_secrets_are_mounted_and_there_is_time_to_stop() {
    let secrets = Secrets::plant("kubernetes", KUBERNETES, MOUNTED);
    secrets.is_accepted();
    assert!(seconds(DEPLOYMENT, "terminationGracePeriodSeconds:") > draining(&secrets.config()));
    assert!(DEPLOYMENT.contains(&format!("mountPath: {MOUNTED}\n")));
    // A file would be each replica's own.
    assert!(matches!(secrets.config().journal.map(|journal| journal.store), Some(JournalStore::Postgres(_))));
}
