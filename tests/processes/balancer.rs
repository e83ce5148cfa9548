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
    Envoy,
}

/// What is changed of the configuration besides, as its comments say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes {
    /// This machine is the proxy before it.
    pub trusts_this_machine: bool,
    /// The lines for TLS are uncommented; the certificate is `webhooks.pem` in the folder, its key `webhooks.key`.
    pub with_tls: bool,
}

/// One, running. It dies with the test.
pub struct Balancer {
    pub at: SocketAddr,
    kind: Kind,
    log: PathBuf,
    child: Child,
}

/// Beside others, and with an access log that doesn't wait.
const QUIET_ENVOY: [&str; 7] =
    ["--use-dynamic-base-id", "--concurrency", "2", "--log-level", "warning", "--file-flush-interval-msec", "20"];

impl Kind {
    /// The shipped configuration with other addresses, written to a folder.
    fn configuration(self, folder: &Path, at: SocketAddr, replicas: [Ports; 2], changes: Changes) -> PathBuf {
        let is_root = folder.metadata().unwrap().uid() == 0;
        let (name, mut text) = match self {
            Self::HaProxy => ("haproxy.cfg", include_str!("../../deploy/haproxy.cfg").to_owned()),
            Self::Nginx => ("nginx.conf", include_str!("../../deploy/nginx.conf").to_owned()),
            Self::Envoy => ("envoy.yaml", include_str!("../../deploy/envoy.yaml").to_owned()),
        };
        let mut replace = |from: &str, to: &str| {
            assert!(text.contains(from), "{name} has no {from:?}");
            text = text.replace(from, to);
        };
        let here = folder.to_str().unwrap();
        if changes.trusts_this_machine {
            let mark =
                |before: &str, after: &str| (format!("{before}10.0.0.2{after}"), format!("{before}127.0.0.1{after}"));
            let marks = match self {
                Self::HaProxy => vec![mark("src ", " ")],
                Self::Nginx => vec![mark("set_real_ip_from ", ";"), mark("", " 1;")],
                Self::Envoy => vec![mark("address_prefix: ", ",")],
            };
            for (from, to) in marks {
                replace(&from, &to);
            }
        }
        if changes.with_tls {
            match self {
                Self::HaProxy => {
                    replace("    bind *:80\n", "");
                    replace("#bind *:443 ssl crt /etc/haproxy/certs/", &format!("bind *:80 ssl crt {here}/certs/"));
                }
                Self::Nginx => {
                    replace("        listen 80;\n", "");
                    replace("#listen 443 ssl", "listen 80; listen 443 ssl");
                    replace("listen 80; listen 443 ssl http2;", &format!("listen {at} ssl http2;"));
                    replace("#ssl_", "ssl_");
                    replace("/etc/nginx/certs", here);
                }
                Self::Envoy => {
                    replace("\n        - filters:\n", "\n");
                    replace("        # - transport_socket:", "        - transport_socket:");
                    replace(
                        "\n        #   filters:    # and take the next line's \"- filters:\" away",
                        "\n          filters:",
                    );
                    replace("\n        #   ", "\n          ");
                    replace("/etc/envoy/certs", here);
                }
            }
        }
        let shipped = ["10.0.0.11", "10.0.0.12"].into_iter().zip(replicas);
        match self {
            Self::HaProxy => {
                if changes.with_tls {
                    let both = std::fs::read_to_string(folder.join("webhooks.pem")).unwrap()
                        + &std::fs::read_to_string(folder.join("webhooks.key")).unwrap();
                    std::fs::create_dir(folder.join("certs")).unwrap();
                    std::fs::write(folder.join("certs/webhooks.pem"), both).unwrap();
                }
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
                if !changes.with_tls {
                    replace("listen 80;", &format!("listen {at};"));
                }
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
            Self::Envoy => {
                let socket = |at: SocketAddr| format!("{{address: {}, port_value: {}}}", at.ip(), at.port());
                replace("{address: 0.0.0.0, port_value: 80}", &socket(at));
                for (host, replica) in shipped {
                    let check = |port: u16| format!("\n                  health_check_config: {{port_value: {port}}}");
                    let from = format!("{{address: {host}, port_value: 8080}}{}", check(9090));
                    replace(&from, &format!("{}{}", socket(replica.webhooks), check(replica.operations.port())));
                }
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
            Self::Envoy => Command::new(std::env::var("ENVOY").unwrap_or("envoy".to_owned())),
        };
        match self {
            Self::HaProxy => command.args(["-db", "-f"]).arg(file),
            Self::Nginx => command.args(["-g", "daemon off;", "-e", "stderr", "-c"]).arg(file),
            Self::Envoy => command.args(QUIET_ENVOY).arg("-c").arg(file),
        };
        // Debian has both where only root's PATH leads to.
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        command
    }
}

impl Balancer {
    /// Starts one, having it check its configuration first, and waits until it takes connections.
    pub async fn start(kind: Kind, folder: &Folder, replicas: [Ports; 2]) -> Self {
        Self::start_with(kind, folder, replicas, Changes::default()).await
    }

    /// The same, of a configuration with changes.
    pub async fn start_with(kind: Kind, folder: &Folder, replicas: [Ports; 2], changes: Changes) -> Self {
        let at = free_port();
        let file = kind.configuration(folder.path(), at, replicas, changes);
        let flags: &[&str] = match kind {
            Kind::HaProxy => &["-c"],
            Kind::Nginx => &["-t"],
            Kind::Envoy => &["--mode", "validate"],
        };
        let checked = kind.command(&file).args(flags).output().unwrap();
        let said = [checked.stdout, checked.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(checked.status.success(), "{said}");
        assert!(!said.to_lowercase().contains("warn"), "{said}");

        // nginx has a log of its own; this one is for what it says besides.
        let log = folder.path().join("access.log");
        let mut command = kind.command(&file);
        match kind {
            Kind::HaProxy | Kind::Envoy => command.stdout(File::create(&log).unwrap()),
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
            Kind::Envoy => " attempts=2 ",
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
