//! One gateway, as a process of its own.

use crate::client::{Client, get};
use crate::place::{Folder, Ports, free_port, until};
use gigya_esp_gateway::sandbox::Outfit;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};

/// A gateway that can be killed and started again. It dies with the test.
pub struct Replica {
    pub ports: Ports,
    log: PathBuf,
    command: Command,
    child: Child,
}

impl Replica {
    /// Starts one with these overrides of its configuration, and waits until it is ready.
    pub async fn start(outfit: &Outfit, folder: &Folder, overrides: &[(&str, &str)]) -> Self {
        let ports = Ports { webhooks: free_port(), operations: free_port() };
        let file = folder.path().join(format!("gateway-{}.toml", ports.webhooks.port()));
        std::fs::write(&file, &outfit.configuration).unwrap();
        // Another build than the tests' own, to measure it.
        let binary = std::env::var("GATEWAY_BINARY");
        let mut command = Command::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_gigya-esp-gateway")));
        command.args(["serve", "--config"]).arg(&file).env_clear();
        command.envs(outfit.environment.iter().map(|(name, secret)| (name, secret)));
        command.env("GATEWAY_SERVER__LISTEN", ports.webhooks.to_string());
        command.env("GATEWAY_SERVER__ADMIN_LISTEN", ports.operations.to_string());
        command.envs(overrides.iter().copied());
        let log = file.with_extension("log");
        command.stdout(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        let replica = Self { ports, log, command, child };
        replica.ready().await;
        replica
    }

    /// Waits until it says that it is.
    pub async fn ready(&self) {
        until("ready", async || self.ask("/readyz").await.is_some_and(|(status, _)| status == 200)).await;
    }

    async fn ask(&self, path: &str) -> Option<(u16, String)> {
        let mut operator = Client::try_connect_admin(self.ports.operations).await.ok()?;
        operator.try_send(get(path)).await.ok()?;
        let answer = operator.try_answer().await?;
        Some((answer.status, answer.body))
    }

    /// The sum of a metric over all its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let Some((_, metrics)) = self.ask("/metrics").await else { return 0.0 };
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The memory that it has, and the most that it ever had, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kilobytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        (kilobytes("VmRSS:") * 1024, kilobytes("VmHWM:") * 1024)
    }

    /// The processor's time that it has taken, in hundredths of a second.
    pub fn processor_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, after_name) = stat.rsplit_once(") ").unwrap();
        after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; waits until it has stopped by itself.
    pub async fn stop(&mut self) {
        terminate(&self.child);
        let mut status = None;
        until("stopped", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert!(status.unwrap().success(), "{status:?}");
    }

    /// Starts it again, on the ports that it had.
    pub async fn start_again(&mut self) {
        let log = File::options().append(true).open(&self.log).unwrap();
        self.child = self.command.stdout(log).spawn().unwrap();
        self.ready().await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM.
pub fn terminate(child: &Child) {
    // The shell's own `kill`, which is everywhere.
    let sent = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}
