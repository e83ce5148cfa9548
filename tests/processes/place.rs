//! Where a test's processes may listen and write, and how it waits for them.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Nothing that is waited for takes this long; it only keeps a failing test from hanging.
const PATIENCE: Duration = Duration::from_mins(1);

/// A port that nobody has. It is below those that the system gives to outgoing connections, so that it is still free
/// when a process that had it starts again.
pub fn free_port() -> SocketAddr {
    const FIRST: u16 = 15_000;
    const PORTS: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_process = std::process::id() % u32::from(PORTS);
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from((of_process + next) % u32::from(PORTS)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Where a replica receives webhooks, and where its operations are.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub webhooks: SocketAddr,
    pub operations: SocketAddr,
}

/// A folder that is gone with the test, unless it fails.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", free_port().port()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what was written is in {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Sees to it that processes may open so many files, as sockets are.
pub fn descriptors(needed: u64) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let limit: u64 = line.split_whitespace().next().unwrap().parse().unwrap_or(u64::MAX);
    assert!(limit >= needed, "only {limit} open files are allowed: ulimit -n {needed}");
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
