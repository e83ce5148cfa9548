//! A gateway as a process, the simulators, and a folder with its configuration and secrets.

use crate::contract::{Answer, Held, Port, ask};
use crate::place::{Folder, free_port, until};
use gigya_esp_gateway::sandbox::{Sandbox, Setup};
use jiff::Timestamp;
use serde_json::json;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command};

/// The callback token that is there at the start.
pub const FIRST_TOKEN: &str = "first-callback-token-0123456789";

pub struct House {
    pub sandbox: Sandbox,
    /// The configuration that it was started with.
    pub configuration: String,
    webhooks: SocketAddr,
    operations: SocketAddr,
    folder: Folder,
    child: Child,
    client: reqwest::Client,
}

impl House {
    /// Starts everything. Secret files are looked at every 100 ms.
    pub async fn start(name: &str) -> Self {
        let setup = Setup { server: "watch_secrets = \"100ms\"".to_owned(), ..Setup::default() };
        let (mut sandbox, outfit) = Sandbox::simulators(setup, Held::default()).await.unwrap();
        let folder = Folder::new(name);
        let (webhooks, operations) = (free_port(), free_port());
        let tokens = "callback_tokens = [{ file = \"token\" }, { file = \"token-before\" }]";
        let configuration = outfit
            .configuration
            .replacen("listen = \"127.0.0.1:0\"", &format!("listen = \"{webhooks}\""), 1)
            .replacen("listen = \"127.0.0.1:0\"", &format!("listen = \"{operations}\""), 1)
            .replace("callback_tokens = [{ env = \"CM_CALLBACK_TOKEN\" }]", tokens);
        assert!(configuration.contains(tokens));
        for file in ["token", "token-before"] {
            std::fs::write(folder.path().join(file), FIRST_TOKEN).unwrap();
        }
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, &configuration).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway"));
        command.args(["serve", "--config"]).arg(&file).env_clear().envs(outfit.environment);
        let child = command.stderr(log.try_clone().unwrap()).stdout(log).spawn().unwrap();
        sandbox.gateways.push(webhooks);
        let house =
            Self { sandbox, configuration, webhooks, operations, folder, child, client: reqwest::Client::new() };
        until("ready", async || {
            let listens = tokio::net::TcpStream::connect(operations).await.is_ok();
            listens && house.operations("/readyz").await.status == 200
        })
        .await;
        house
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Exchanges a file as a careful editor does.
    pub fn write(&self, file: &str, content: &str) {
        std::fs::write(self.path("new"), content).unwrap();
        std::fs::rename(self.path("new"), self.path(file)).unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// Waits until this stands in the log: what isn't a warning comes out as soon as its thread has nothing else to do.
    pub async fn has_logged(&self, words: &str) {
        until(words, async || self.log().contains(words)).await;
    }

    pub fn hang_up(&self) {
        let sent = Command::new("sh").args(["-c", "kill -HUP \"$0\"", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub fn terminate(&self) {
        let sent = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; whether it was a good one.
    pub async fn ended_well(&mut self) -> bool {
        let mut status = None;
        until("ended", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().success()
    }

    /// Changes the configuration, and asks for it with a SIGHUP.
    pub fn configure(&self, configuration: &str) {
        self.write("gateway.toml", configuration);
        self.hang_up();
    }

    pub async fn operations(&self, path: &str) -> Answer {
        ask(Port::Operations, self.client.get(format!("http://{}{path}", self.operations))).await
    }

    /// What a series of the page of metrics says.
    pub async fn metric(&self, series: &str) -> f64 {
        let page = self.operations("/metrics").await.body;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
    }

    /// How many reloads there were with this result.
    pub async fn reloads(&self, result: &str) -> f64 {
        self.metric(&format!("gateway_config_reloads_total{{result=\"{result}\"}}")).await
    }

    /// Waits until there were so many.
    pub async fn reloaded(&self, result: &str, times: f64) {
        until(result, async || self.reloads(result).await >= times).await;
        assert!((self.reloads(result).await - times).abs() < f64::EPSILON, "{}", self.log());
    }

    /// A callback about nobody that anybody knows, to a list of this connection.
    pub fn callback(&self, connection: &str, token: &str, list: &str) -> reqwest::RequestBuilder {
        self.deactivation(connection, token, list, ("nobody@example.org", "2026-01-14 11:50:00"))
    }

    /// A callback that says that somebody unsubscribed then.
    pub fn unsubscribed(&self, address: &str, at: Timestamp) -> reqwest::RequestBuilder {
        let at = at.in_tz("Europe/Berlin").unwrap().strftime("%Y-%m-%d %H:%M:%S").to_string();
        self.deactivation("news", FIRST_TOKEN, &self.sandbox.list, (address, &at))
    }

    fn deactivation(
        &self,
        connection: &str,
        token: &str,
        list: &str,
        (address, date): (&str, &str),
    ) -> reqwest::RequestBuilder {
        let body = json!({ "ListID": list, "Events": [{
            "Type": "Deactivate", "Date": date, "EmailAddress": address, "Name": "", "State": "Unsubscribed",
            "CustomFields": [],
        }] });
        let url = format!("http://{}/webhooks/campaign-monitor/{connection}/{token}", self.webhooks);
        self.client.post(url).header("content-type", "application/json").body(body.to_string())
    }

    /// What is answered to a callback with this token.
    pub async fn status_with(&self, token: &str) -> u16 {
        ask(Port::Webhooks, self.callback("news", token, &self.sandbox.list)).await.status
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
