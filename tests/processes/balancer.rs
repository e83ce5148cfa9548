//! A real load balancer with the configuration that is shipped for it. Only addresses, ports and paths are others.

use crate::client::{Answer, Client};
use crate::place::{Folder, Ports, free_port, until};
use crate::replica::terminate;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    HaProxy,
    Nginx,
}

/// One, running. It dies with the test.
pub struct Balancer {
    pub at: SocketAddr,
    kind: Kind,
    log: PathBuf,
    child: Child,
}

impl Kind {
    /// The shipped configuration with other addresses, written to a folder.
    fn configuration(self, folder: &Path, at: SocketAddr, replicas: [Ports; 2]) -> PathBuf {
        let is_root = folder.metadata().unwrap().uid() == 0;
        let (name, mut text) = match self {
            Self::HaProxy => ("haproxy.cfg", include_str!("../../deploy/haproxy.cfg").to_owned()),
            Self::Nginx => ("nginx.conf", include_str!("../../deploy/nginx.conf").to_owned()),
        };
        let mut replace = |from: &str, to: &str| {
            assert!(text.contains(from), "{name} has no {from:?}");
            text = text.replace(from, to);
        };
        let shipped = ["10.0.0.11", "10.0.0.12"].into_iter().zip(replicas);
        match self {
            Self::HaProxy => {
                replace("bind *:80", &format!("bind {at}"));
                for (host, replica) in shipped {
                    let to = format!("{} check port {}", replica.webhooks, replica.operations.port());
                    replace(&format!("{host}:8080 check port 9090"), &to);
                }
                // Only root may become somebody else.
                for line in ["    chroot /var/lib/haproxy\n", "    user haproxy\n", "    group haproxy\n"] {
                    replace(line, if is_root { line } else { "" });
                }
            }
            Self::Nginx => {
                let here = folder.to_str().unwrap();
                replace("listen 80;", &format!("listen {at};"));
                replace("/run/nginx.pid", &format!("{here}/nginx.pid"));
                replace("/var/log/nginx", here);
                for (host, replica) in shipped {
                    replace(&format!("{host}:8080"), &replica.webhooks.to_string());
                }
                // Debian has them in a folder of root's.
                let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
                let folders = folders.map(|of| format!("    {of}_temp_path {here}/{of};\n"));
                replace("http {\n", &format!("http {{\n{}", folders.concat()));
            }
        }
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn command(self, file: &Path) -> Command {
        let mut command = match self {
            Self::HaProxy => Command::new("haproxy"),
            Self::Nginx => Command::new("nginx"),
        };
        match self {
            Self::HaProxy => command.args(["-db", "-f"]).arg(file),
            Self::Nginx => command.args(["-g", "daemon off;", "-e", "stderr", "-c"]).arg(file),
        };
        // Debian has both where only root's PATH leads to.
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        command
    }
}

impl Balancer {
    /// Starts one, having it check its configuration first, and waits until it takes connections.
    pub async fn start(kind: Kind, folder: &Folder, replicas: [Ports; 2]) -> Self {
        let at = free_port();
        let file = kind.configuration(folder.path(), at, replicas);
        let flag = if kind == Kind::HaProxy { "-c" } else { "-t" };
        let checked = kind.command(&file).arg(flag).output().unwrap();
        let said = [checked.stdout, checked.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(checked.status.success(), "{said}");
        assert!(!said.to_lowercase().contains("warn"), "{said}");

        // nginx has a log of its own; this one is for what it says besides.
        let log = folder.path().join("access.log");
        let mut command = kind.command(&file);
        match kind {
            Kind::HaProxy => command.stdout(File::create(&log).unwrap()),
            Kind::Nginx => command.stdout(File::create(log.with_extension("stdout")).unwrap()),
        };
        let mut balancer = Self { at, kind, log, child: command.spawn().unwrap() };
        until("the load balancer answers", async || {
            assert!(balancer.child.try_wait().unwrap().is_none(), "it ended; see above");
            Client::try_connect(at).await.is_ok()
        })
        .await;
        balancer
    }

    /// Sends one request on a connection of its own.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        Client::connect_before(self.at).await.ask(request).await
    }

    /// Whether it ever sent a request to a second replica, as the first one failed.
    pub fn has_tried_another(&self) -> bool {
        let mark = match self.kind {
            Kind::HaProxy => "retries=+",
            Kind::Nginx => " 502, 200 ",
        };
        self.log().contains(mark)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // SIGTERM, as nginx' workers would outlive a master that is killed.
        terminate(&self.child);
        let _ = self.child.wait();
    }
}
