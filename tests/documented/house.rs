//! A folder with a configuration, a shell, the gateway's binary in its path, and the simulations where the internet would be.

use crate::contract::Held;
use gigya_esp_gateway::sandbox::{CALLBACK_TOKEN, Esps, Outfit, Sandbox, Setup};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);
const BINARY: &str = env!("CARGO_BIN_EXE_gigya-esp-gateway");
const NEWSLETTER: &str = "newsletter";

pub struct House {
    sandbox: Sandbox,
    outfit: Outfit,
    folder: PathBuf,
    webhooks: SocketAddr,
    operations: SocketAddr,
    has_marketing_cloud: bool,
    gateway: Option<Child>,
}

/// What a shell said.
#[derive(Debug)]
#[allow(dead_code, reason = "what it said on standard error is shown where a test fails")]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl House {
    /// With Campaign Monitor alone; or, with lines for its table, Marketing Cloud alone.
    pub async fn new(marketing_cloud_lines: &str) -> Self {
        let esps = if marketing_cloud_lines.is_empty() { Esps::CampaignMonitor } else { Esps::MarketingCloud };
        Self::of(Setup { marketing_cloud_lines: marketing_cloud_lines.to_owned(), ..Setup::with_esps(esps) }).await
    }

    async fn of(setup: Setup) -> Self {
        let has_marketing_cloud = setup.esps == Esps::MarketingCloud;
        let (sandbox, outfit) = Sandbox::simulators(setup, Held::default()).await.unwrap();
        let (webhooks, operations) = (free_port(), free_port());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("documented-{}", webhooks.port()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("deploy")).unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gateway.example.toml");
        std::fs::copy(example, folder.join("deploy/gateway.example.toml")).unwrap();
        Self { sandbox, outfit, folder, webhooks, operations, has_marketing_cloud, gateway: None }
    }

    /// The configuration that a reader would have written.
    pub fn configure(&self) {
        let mut configuration = self.outfit.configuration.clone();
        if self.has_marketing_cloud {
            let key = configuration.lines().find(|line| line.starts_with("signature_keys")).unwrap().to_owned();
            configuration = configuration.replace(&key, "signature_keys = [{ file = \"sfmc-signature-key\" }]");
        }
        std::fs::write(self.folder.join("gateway.toml"), configuration).unwrap();
    }

    /// The same, with some lines more at its end.
    pub fn configure_with(&self, lines: &str) {
        self.configure();
        let path = self.folder.join("gateway.toml");
        let configuration = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{configuration}\n{lines}")).unwrap();
    }

    /// What a file has that a command wrote.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// What is in the way of nobody but a reader elsewhere: the hosts, and the ids of what is theirs.
    fn here(&self, text: &str) -> String {
        let base = |name: &str| {
            let line = self.outfit.configuration.lines().find(|line| line.contains(name));
            line.and_then(|line| line.split('"').nth(1)).unwrap_or_default().trim_end_matches('/').to_owned()
        };
        let first_base = |table: &str| {
            let from = self.outfit.configuration.find(table).unwrap_or(0);
            let rest = &self.outfit.configuration[from..];
            let line = rest.lines().find(|line| line.starts_with("base_url"));
            line.and_then(|line| line.split('"').nth(1)).unwrap_or_default().trim_end_matches('/').to_owned()
        };
        text.replace("https://accounts.eu1.gigya.com", &first_base("[gigya."))
            .replace("https://api.createsend.com/api/v3.3", &first_base("[campaign_monitor."))
            .replace("https://$SFMC_SUBDOMAIN.auth.marketingcloudapis.com", &base("auth_base_url"))
            .replace("https://$SFMC_SUBDOMAIN.rest.marketingcloudapis.com", &base("rest_base_url"))
            .replace("OPS/", &format!("http://{}/", self.operations))
            .replace("/etc/gigya-esp-gateway/", "")
            .replace("https://YOUR-HOST", &format!("http://{}", self.webhooks))
    }

    fn with_everything(&self, mut command: Command) -> Command {
        let binary = Path::new(BINARY).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        command.env_clear().current_dir(&self.folder).env("PATH", path).env("HOME", &self.folder);
        // What the example's configuration names, and what the outfit's does.
        let examples = [
            ("GIGYA_SECRET", "c2VjcmV0"),
            ("CM_API_KEY", "key"),
            ("CM_CALLBACK_TOKEN", CALLBACK_TOKEN),
            ("MAIL_API_KEY", "key"),
            ("MAIL_CALLBACK_SECRET", CALLBACK_TOKEN),
            ("SFMC_CLIENT_ID", "id"),
            ("SFMC_CLIENT_SECRET", "secret"),
            ("SFMC_SIGNATURE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("ADDRESS_HASH_KEY", "key"),
        ];
        command.envs(examples);
        command.envs(self.outfit.environment.iter().map(|(name, secret)| (name, secret)));
        let gigya = self.sandbox.gigya.settings();
        let cloud = self.sandbox.marketing_cloud.settings();
        command.env("GIGYA_API_KEY", &gigya.api_key).env("GIGYA_USER_KEY", &gigya.credentials.user_key);
        command.env("LIST", &self.sandbox.list).env("SFMC_CLIENT_ID", &cloud.client_id);
        command.env("SFMC_CLIENT_SECRET", &cloud.client_secret);
        command.env("GATEWAY_SERVER__LISTEN", self.webhooks.to_string());
        command.env("GATEWAY_SERVER__ADMIN_LISTEN", self.operations.to_string());
        command.env("GATEWAY_SERVER__PUBLIC_URL", format!("http://{}", self.webhooks));
        command.env("GATEWAY_SERVER__WATCH_SECRETS", "100ms");
        command
    }

    /// Runs commands as they stand, but for the hosts; ends at the first that fails.
    pub async fn shell(&self, text: &str) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-e", "-c", &self.here(text)]);
        let mut command = self.with_everything(command);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts the gateway, which goes on until the test ends.
    pub fn serve(&mut self) {
        let mut command = Command::new(BINARY);
        command.arg("serve").stdout(std::fs::File::create(self.folder.join("log")).unwrap());
        self.gateway = Some(self.with_everything(command).spawn().unwrap());
        let started = Instant::now();
        while TcpStream::connect(self.webhooks).is_err() {
            assert!(started.elapsed() < PATIENCE, "the gateway never listens");
            std::thread::yield_now();
        }
    }

    /// Campaign Monitor's list has no field for the UID, as a new one hasn't.
    pub fn lacks_the_uids_field(&self) {
        self.sandbox.campaign_monitor.delete_field(&self.sandbox.list, "GigyaUID");
    }

    /// An opt-in and an opt-out reach Campaign Monitor, an unsubscribe there reaches Gigya: by what was registered.
    pub async fn carries_both_ways(&self) {
        let (gigya, news) = (&self.sandbox.gigya, &self.sandbox.campaign_monitor);
        let uid = gigya.sign_up("ann@example.org", "Ann");
        gigya.subscribe(&uid, NEWSLETTER);
        self.until("Ann is mailed", || self.sandbox.esps[0].mails("ann@example.org")).await;
        // Nobody opts out before the answer that they are in; the receipts would be in another order.
        assert!(self.sandbox.settled(PATIENCE).await, "an answer is awaited in vain");
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
        assert!(news.unsubscribe_link(&self.sandbox.list, "ann@example.org"));
        self.until("Gigya knows", || gigya.is_subscribed(&uid, NEWSLETTER) == Some(false)).await;
        // A receipt is written after that, and before the answer.
        assert!(self.sandbox.settled(PATIENCE).await, "an answer is awaited in vain");
    }

    /// The configuration no longer expects a callback: asks the running gateway to read it.
    pub async fn no_longer_registering(&self) {
        let path = self.folder.join("gateway.toml");
        let configuration = std::fs::read_to_string(&path).unwrap().replace("registering = true", "");
        std::fs::write(path, configuration).unwrap();
        let before = self.log().matches("configuration reloaded").count();
        let ran = self.shell(&format!("kill -HUP {}", self.gateway.as_ref().unwrap().id())).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        self.until("it is read", || self.log().matches("configuration reloaded").count() > before).await;
    }

    /// An unsubscribe at Marketing Cloud reaches Gigya, signed with the key that was written to the file.
    pub async fn hears_marketing_cloud(&self) {
        let (gigya, cloud) = (&self.sandbox.gigya, &self.sandbox.marketing_cloud);
        let uid = gigya.sign_up("ann@example.org", "Ann");
        gigya.subscribe(&uid, NEWSLETTER);
        cloud.import(&uid, "ann@example.org", None, gigya_esp_gateway::sandbox::marketing_cloud::Status::Active);
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
        assert!(cloud.unsubscribe_link("ann@example.org", None));
        self.until("Gigya knows", || gigya.is_subscribed(&uid, NEWSLETTER) == Some(false)).await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}; the gateway says:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            let _ = gateway.kill();
            let _ = gateway.wait();
        }
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
