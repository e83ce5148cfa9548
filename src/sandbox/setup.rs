//! How to set the sandbox up, and the gateway's configuration that follows from it.

use super::campaign_monitor::CampaignMonitorSettings;
use super::gigya::{GigyaSettings, WebhookVersion};
use crate::config::Environment;
use std::net::SocketAddr;

/// The callback token of the sandbox's Campaign Monitor connection.
pub(super) const CALLBACK_TOKEN: &str = "sandbox-callback-token-0123456789";

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

impl Setup {
    /// With these lines for every connection.
    #[must_use]
    pub fn with_lines(mut self, lines: &str) -> Self {
        for of_connection in [&mut self.gigya_lines, &mut self.campaign_monitor_lines] {
            of_connection.push_str(lines);
            of_connection.push('\n');
        }
        self
    }

    /// The list that the newsletter goes to.
    pub(super) fn list(&self) -> String {
        self.campaign_monitor.lists.first().map(|list| list.id.clone()).unwrap_or_default()
    }

    /// The gateway's configuration, with the simulators at these addresses.
    pub(super) fn configuration(&self, gigya: SocketAddr, campaign_monitor: SocketAddr) -> String {
        let webhook_auth = match self.gigya.webhooks {
            WebhookVersion::V2_0 => "webhook_auth = \"jwt\"".to_owned(),
            WebhookVersion::V1_0 | WebhookVersion::V1_1 => {
                format!("webhook_auth = \"hmac-sha1\"\nwebhook_secrets = {}", self.webhook_secrets)
            }
        };
        let has_credentials = self.gigya_lines.contains("secret =") || self.gigya_lines.contains("private_key");
        let secret = if has_credentials { "" } else { "secret = { env = \"GIGYA_SECRET\" }" };
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
{secret}
{webhook_auth}
{gigya_lines}
{campaign_monitor}
{more}
"#,
            server = self.server,
            api_key = self.gigya.api_key,
            user_key = self.gigya.credentials.user_key,
            gigya_lines = self.gigya_lines,
            campaign_monitor = self.campaign_monitor_tables(campaign_monitor),
            more = self.more,
        )
    }

    fn campaign_monitor_tables(&self, at: SocketAddr) -> String {
        format!(
            r#"
[campaign_monitor.news]
api_key = {{ env = "CM_API_KEY" }}
client_id = "{client_id}"
callback_tokens = [{{ env = "CM_CALLBACK_TOKEN" }}]
time_zone = "{zone}"
base_url = "http://{at}/api/v3.3"
{lines}

[[route]]
subscription = "main/newsletter"
audience = "news/{list}"
{route}
"#,
            client_id = self.campaign_monitor.client_id,
            zone = self.campaign_monitor.time_zone.iana_name().unwrap_or("UTC"),
            lines = self.campaign_monitor_lines,
            list = self.list(),
            route = self.route,
        )
    }

    /// What the configuration's `{ env = .. }` stand for.
    pub(super) fn secrets(&self) -> Environment {
        [
            ("GIGYA_SECRET", self.gigya.credentials.secret.as_str()),
            ("WEBHOOK_SECRET", self.gigya.webhook_secret.as_str()),
            ("CM_API_KEY", self.campaign_monitor.api_key.as_str()),
            ("CM_CALLBACK_TOKEN", CALLBACK_TOKEN),
        ]
        .into_iter()
        .collect()
    }
}
