//! Somebody at a desk with all systems, a gateway that runs, and a terminal.

use crate::contract::Held;
use gigya_esp_gateway::sandbox::{CALLBACK_TOKEN, Esps, Outfit, Sandbox, Setup};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_mins(1);
const BINARY: &str = env!("CARGO_BIN_EXE_gigya-esp-gateway");

pub struct Desk {
    pub sandbox: Sandbox,
    outfit: Outfit,
    folder: PathBuf,
    webhooks: SocketAddr,
    overrides: Vec<(String, String)>,
    gateway: Option<Child>,
}

/// What a command said.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    /// With both ESPs, the gateway running and expecting a callback; nothing points at it.
    pub async fn ordinary() -> Self {
        let lines = "registering = true".to_owned();
        Self::with(Setup { marketing_cloud_lines: lines, ..Setup::with_esps(Esps::Both) }).await
    }

    pub async fn with(setup: Setup) -> Self {
        let mut desk = Self::without_gateway(setup).await;
        desk.start();
        desk
    }

    pub async fn without_gateway(setup: Setup) -> Self {
        let (sandbox, outfit) = Sandbox::simulators(setup, Held::default()).await.unwrap();
        let (webhooks, operations) = (free_port(), free_port());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("registering-{}", webhooks.port()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gateway.toml"), &outfit.configuration).unwrap();
        let overrides = [
            ("GATEWAY_SERVER__LISTEN", webhooks.to_string()),
            ("GATEWAY_SERVER__ADMIN_LISTEN", operations.to_string()),
            ("GATEWAY_SERVER__PUBLIC_URL", format!("http://{webhooks}")),
        ];
        let overrides = overrides.map(|(name, value)| (name.to_owned(), value)).into();
        Self { sandbox, outfit, folder, webhooks, overrides, gateway: None }
    }

    /// The configuration says otherwise from now on: whoever is started then.
    pub fn set(&mut self, name: &str, value: &str) {
        self.overrides.retain(|(held, _)| held != name);
        self.overrides.push((name.to_owned(), value.to_owned()));
    }

    /// The configuration doesn't say that from now on.
    pub fn forget(&mut self, name: &str) {
        self.overrides.retain(|(held, _)| held != name);
    }

    pub fn start(&mut self) {
        let mut command = self.command();
        command.arg("serve").stdout(std::fs::File::create(self.folder.join("log")).unwrap());
        self.gateway = Some(command.spawn().unwrap());
        let started = Instant::now();
        while TcpStream::connect(self.webhooks).is_err() {
            assert!(started.elapsed() < PATIENCE, "the gateway never listens");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.kill().unwrap();
            gateway.wait().unwrap();
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.env_clear().current_dir(&self.folder).env("GATEWAY_CONFIG", self.file("gateway.toml"));
        command.envs(self.outfit.environment.iter().map(|(name, secret)| (name, secret)));
        command.envs(self.overrides.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end. What it says never shows a secret.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command();
        command.args(arguments);
        let Output { status, stdout, stderr } =
            tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let ran = Ran {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        };
        let secrets = self.outfit.environment.iter().map(|(_, secret)| secret.as_str());
        for secret in secrets.chain([CALLBACK_TOKEN, OLD_TOKEN, "sim."]) {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{secret} leaks: {ran:?}");
        }
        ran
    }

    /// What `register` says, with a new file for the key, if one comes.
    pub async fn registers(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["register", "--signature-key-file", "signature-key"], arguments].concat()).await
    }

    /// Everything is registered.
    pub async fn is_registered(&self) {
        let ran = self.registers(&["--apply"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.webhooks)
    }

    pub fn list(&self) -> &str {
        &self.sandbox.list
    }

    /// Calls that change something at any of the systems.
    pub fn writes(&self) -> u64 {
        let sandbox = &self.sandbox;
        let cloud = ["create", "update", "delete"].map(|verb| {
            let calls = |room| sandbox.marketing_cloud.faults().calls(&format!("ens.{room}.{verb}"));
            calls("callback") + calls("subscription")
        });
        let monitor = ["webhook.create", "webhook.test", "webhook.activate", "webhook.delete", "field.create"]
            .map(|call| sandbox.campaign_monitor.faults().calls(call));
        let regenerated = sandbox.marketing_cloud.faults().calls("ens.regenerate");
        let gigya = sandbox.gigya.faults().calls("accounts.webhooks.set");
        cloud.into_iter().chain(monitor).sum::<u64>() + gigya + regenerated
    }

    fn base(&self, key: &str) -> String {
        let start = format!("{key} = \"");
        let line = self.outfit.configuration.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap().trim_end_matches('"').to_owned()
    }

    /// Sets a webhook in Gigya's console.
    pub async fn gigya_sets(&self, name: &str, url: &str, more: &[(&str, &str)]) {
        let settings = self.sandbox.gigya.settings();
        let events = "accountCreated,accountRegistered,accountUpdated,accountProgressed,accountMerged,accountUidChanged,\
                      accountDeleted,subscriptionUpdated";
        let mut form = vec![
            ("apiKey", settings.api_key.as_str()),
            ("userKey", &settings.credentials.user_key),
            ("secret", &settings.credentials.secret),
            ("name", name),
            ("url", url),
        ];
        form.extend([("events", events), ("version", "2.0"), ("active", "true")]);
        form.retain(|(key, _)| !more.iter().any(|(other, _)| key == other));
        form.extend(more);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = reqwest::Client::new().post(format!("{}/accounts.webhooks.set", self.base("base_url")));
        let answer = request.body(body).send().await.unwrap().text().await.unwrap();
        assert!(answer.contains("\"errorCode\":0"), "{answer}");
    }

    /// Makes a webhook of the list in Campaign Monitor.
    pub async fn monitor_makes(&self, url: &str, events: &[&str], format: &str) {
        let simulation = &self.sandbox.campaign_monitor;
        let body = json!({ "Events": events, "Url": url, "PayloadFormat": format });
        let base = self.outfit.configuration.lines().rfind(|line| line.contains("/api/v3.3")).unwrap();
        let base = base.split('"').nth(1).unwrap();
        let request = reqwest::Client::new().post(format!("{base}/lists/{}/webhooks.json", self.list()));
        let request = request.basic_auth(&simulation.settings().api_key, Some("x")).body(body.to_string());
        assert_eq!(request.send().await.unwrap().status(), 201);
    }

    /// What the list's webhooks are: URL, events, format, status.
    pub fn monitors_webhooks(&self) -> Vec<Value> {
        self.sandbox.campaign_monitor.listed_webhooks(self.list())
    }

    /// A call of Marketing Cloud's API, by its owner: status and answer.
    pub async fn cloud(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (settings, base) = (self.sandbox.marketing_cloud.settings(), self.base("rest_base_url"));
        let client = reqwest::Client::new();
        let asked = json!({
            "grant_type": "client_credentials", "client_id": settings.client_id,
            "client_secret": settings.client_secret,
        });
        let request = client.post(format!("{base}/v2/token")).header("content-type", "application/json");
        let answer = request.body(asked.to_string()).send().await.unwrap().text().await.unwrap();
        let token: Value = serde_json::from_str(&answer).unwrap();
        let request = client.request(method.parse().unwrap(), format!("{base}/platform/v1/{path}"));
        let request = request.bearer_auth(token["access_token"].as_str().unwrap()).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// Waits until every webhook, echoes too, is delivered.
    pub async fn quiet(&self) {
        assert!(self.sandbox.settled(Duration::from_secs(30)).await, "webhooks are never done");
    }
}

/// A token that was retired.
pub const OLD_TOKEN: &str = "retired-token-0123456789";

impl Ran {
    /// The line of the table, or of the proofs, that begins with these words. Fails if there is none.
    pub fn line(&self, words: &str) -> &str {
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = self.out.lines().find(|line| squeezed(line).starts_with(words));
        found.unwrap_or_else(|| panic!("no line begins with {words:?}:\n{}\n{}", self.out, self.err))
    }

    /// The last line.
    pub fn conclusion(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("what was written is in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// A port that nobody has, below those that the system gives to outgoing connections.
fn free_port() -> SocketAddr {
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
