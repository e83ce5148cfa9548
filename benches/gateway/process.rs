//! The gateway as a process of its own, so that its processor time and its memory are its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The gateway's process. It dies with this.
pub struct Gateway {
    child: Child,
    /// Where it receives webhooks.
    pub address: SocketAddr,
    /// Since when it runs.
    #[allow(dead_code, reason = "not every benchmark asks")]
    pub begun: Instant,
}

impl Gateway {
    /// Starts what `command` says, and waits until it tells where it listens.
    pub fn start(mut command: Command) -> Self {
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).ok()?;
            line.pointer("/fields/webhooks").or(line.get("webhooks"))?.as_str()?.parse().ok()
        });
        // Its log must be read on, or it would stand still.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.expect("a gateway says where it listens"), begun }
    }

    /// Time on a processor of all its threads.
    pub fn processor_nanos(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        nanos.sum()
    }

    /// Resident memory, in KiB.
    #[allow(dead_code, reason = "not every benchmark asks")]
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Gateway {
    /// It ends by itself: else what it counted for a profile (`deploy/profile`) would be lost.
    fn drop(&mut self) {
        // The shell's own `kill`, which is everywhere.
        let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
