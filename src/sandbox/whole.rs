//! The whole thing in one process: both simulators, and the real gateway between them.
//!
//! The one room of the sandbox that knows the gateway: it starts it as `serve` does, from a configuration text.

use super::campaign_monitor::{CampaignMonitorSettings, CampaignMonitorSim};
use super::gigya::{GigyaSettings, GigyaSim, WebhookVersion};
use super::{Attempt, Clock};
use crate::config::{Config, Environment};
use crate::forward::Gateway;
use crate::http::Bound;
use crate::telemetry::metrics;
use crate::upstream::{HttpTransport, Transport};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The callback token of the sandbox's Campaign Monitor connection.
const CALLBACK_TOKEN: &str = "sandbox-callback-token-0123456789";

/// How to set everything up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The simulated Gigya site.
    pub gigya: GigyaSettings,
    /// The simulated Campaign Monitor client.
    pub campaign_monitor: CampaignMonitorSettings,
    /// Lines for `[server]`.
    pub server: String,
    /// The list of secrets that sign webhooks of versions 1.0 and 1.1, in TOML.
    pub webhook_secrets: String,
    /// Lines for `[gigya.main]`.
    pub gigya_lines: String,
    /// Lines for `[campaign_monitor.news]`.
    pub campaign_monitor_lines: String,
    /// Lines for the `[[route]]` of `newsletter`.
    pub route: String,
    /// Further tables, further routes.
    pub more: String,
    /// How many replicas of the gateway.
    pub replicas: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            gigya: GigyaSettings::default(),
            campaign_monitor: CampaignMonitorSettings::default(),
            server: String::new(),
            webhook_secrets: "[{ env = \"WEBHOOK_SECRET\" }]".to_owned(),
            gigya_lines: String::new(),
            campaign_monitor_lines: String::new(),
            route: "fields = { \"First Name\" = \"profile.firstName\" }".to_owned(),
            more: String::new(),
            replicas: 1,
        }
    }
}

/// Both simulators and the gateway, running.
pub struct Sandbox {
    /// The simulated Gigya site.
    pub gigya: GigyaSim,
    /// The simulated Campaign Monitor client.
    pub campaign_monitor: CampaignMonitorSim,
    /// The list that the newsletter goes to.
    pub list: String,
    /// The clock of both simulators.
    pub clock: Clock,
    /// Every webhook request, as it is answered.
    pub attempts: broadcast::Sender<Attempt>,
    /// Where the gateway's replicas receive webhooks.
    pub gateways: Vec<SocketAddr>,
    /// Where their operations are.
    pub operations: Vec<SocketAddr>,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

/// Why the sandbox can't start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotStarted(String);

impl Sandbox {
    /// Starts everything, and points both systems' webhooks at the gateway.
    pub async fn start(setup: Setup) -> Result<Self, NotStarted> {
        let clock = Clock::default();
        let (attempts, _) = broadcast::channel(10_000);
        let list = setup.campaign_monitor.lists.first().map(|list| list.id.clone()).unwrap_or_default();
        let gigya = GigyaSim::start(setup.gigya.clone(), clock.clone(), attempts.clone());
        let campaign_monitor =
            CampaignMonitorSim::start(setup.campaign_monitor.clone(), clock.clone(), attempts.clone());
        let gigya_at = gigya.serve().await.map_err(not_started)?;
        let campaign_monitor_at = campaign_monitor.serve().await.map_err(not_started)?;
        let text = configuration(&setup, gigya_at, campaign_monitor_at, &list);
        let config = Config::parse(&text, Path::new("sandbox.toml"), &secrets(&setup)).map_err(not_started)?;
        let mut sandbox = Self {
            gigya,
            campaign_monitor,
            list,
            clock,
            attempts,
            gateways: Vec::new(),
            operations: Vec::new(),
            stop: CancellationToken::new(),
            running: Vec::new(),
        };
        for _ in 0..setup.replicas.max(1) {
            sandbox.start_gateway(&config).await?;
        }
        sandbox.gigya.courier().deliver_to(&sandbox.gigya_url(0));
        sandbox.campaign_monitor.courier().deliver_to(&sandbox.callback_url(0));
        Ok(sandbox)
    }

    async fn start_gateway(&mut self, config: &Config) -> Result<(), NotStarted> {
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(not_started)?);
        let gateway = Gateway::new(config, &transport).map_err(not_started)?;
        let bound = Bound::bind(&config.server).await.map_err(not_started)?;
        self.gateways.push(bound.webhook_addr());
        self.operations.push(bound.admin_addr());
        let metrics = metrics::install();
        let (stop, render) = (self.stop.clone(), Arc::new(move || metrics.render()));
        self.running.push(tokio::spawn(bound.serve(Arc::new(gateway), render, stop)));
        Ok(())
    }

    /// Where Gigya's webhooks go, at one replica.
    #[must_use]
    pub fn gigya_url(&self, replica: usize) -> String {
        format!("http://{}/webhooks/gigya/main", self.gateways[replica])
    }

    /// Where Campaign Monitor's callbacks go, at one replica.
    #[must_use]
    pub fn callback_url(&self, replica: usize) -> String {
        format!("http://{}/webhooks/campaign-monitor/news/{CALLBACK_TOKEN}", self.gateways[replica])
    }

    /// Waits until every webhook of both sides, echoes too, was answered 2xx; returns whether they were in time.
    pub async fn settled(&self, within: Duration) -> bool {
        let settle = async {
            loop {
                let (here, there) = (self.gigya.courier(), self.campaign_monitor.courier());
                here.settled(within).await;
                there.settled(within).await;
                if here.pending() == 0 && there.pending() == 0 {
                    return;
                }
            }
        };
        tokio::time::timeout(within, settle).await.is_ok()
    }

    /// Stops the gateway, letting it finish.
    pub async fn stop(self) {
        self.stop.cancel();
        for gateway in self.running {
            let _ = gateway.await;
        }
    }
}

fn not_started(error: impl std::fmt::Display) -> NotStarted {
    NotStarted(error.to_string())
}

fn configuration(setup: &Setup, gigya: SocketAddr, campaign_monitor: SocketAddr, list: &str) -> String {
    let webhook_auth = match setup.gigya.webhooks {
        WebhookVersion::V2_0 => "webhook_auth = \"jwt\"".to_owned(),
        WebhookVersion::V1_0 | WebhookVersion::V1_1 => {
            format!("webhook_auth = \"hmac-sha1\"\nwebhook_secrets = {}", setup.webhook_secrets)
        }
    };
    let zone = setup.campaign_monitor.time_zone.iana_name().unwrap_or("UTC");
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
{server}

[gigya.main]
api_keys = ["{api_key}"]
base_url = "http://{gigya}"
user_key = "{user_key}"
{webhook_auth}
{gigya_lines}

[campaign_monitor.news]
api_key = {{ env = "CM_API_KEY" }}
client_id = "{client_id}"
callback_tokens = [{{ env = "CM_CALLBACK_TOKEN" }}]
time_zone = "{zone}"
base_url = "http://{campaign_monitor}/api/v3.3"
{campaign_monitor_lines}

[[route]]
subscription = "main/newsletter"
audience = "news/{list}"
{route}
{more}
"#,
        server = setup.server,
        api_key = setup.gigya.api_key,
        user_key = setup.gigya.credentials.user_key,
        gigya_lines = if setup.gigya_lines.contains("secret =") || setup.gigya_lines.contains("private_key") {
            setup.gigya_lines.clone()
        } else {
            format!("secret = {{ env = \"GIGYA_SECRET\" }}\n{}", setup.gigya_lines)
        },
        client_id = setup.campaign_monitor.client_id,
        campaign_monitor_lines = setup.campaign_monitor_lines,
        route = setup.route,
        more = setup.more,
    )
}

fn secrets(setup: &Setup) -> Environment {
    [
        ("GIGYA_SECRET", setup.gigya.credentials.secret.as_str()),
        ("WEBHOOK_SECRET", setup.gigya.webhook_secret.as_str()),
        ("CM_API_KEY", setup.campaign_monitor.api_key.as_str()),
        ("CM_CALLBACK_TOKEN", CALLBACK_TOKEN),
    ]
    .into_iter()
    .collect()
}
