//! How to set the sandbox up, and the gateway's configuration that follows from it.

use super::campaign_monitor::{CampaignMonitorSettings, CampaignMonitorSim};
use super::esp::{CampaignMonitorList, MarketingCloudAudience};
use super::gigya::{GigyaSettings, WebhookVersion};
use super::marketing_cloud::{MarketingCloudSettings, MarketingCloudSim};
use super::{FurtherEsp, SimulatedEsp};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// The callback token of the sandbox's Campaign Monitor connection.
pub const CALLBACK_TOKEN: &str = "sandbox-callback-token-0123456789";
/// The key of the sandbox's journal, if it has one.
pub const JOURNAL_KEY: &str = "sandbox-journal-key-0123456789abcdef";

/// Where the simulators' APIs are.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Gigya's.
    pub gigya: SocketAddr,
    /// Campaign Monitor's.
    pub campaign_monitor: SocketAddr,
    /// Marketing Cloud's.
    pub marketing_cloud: SocketAddr,
}

/// Which ESPs take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Esps {
    /// Campaign Monitor alone.
    #[default]
    CampaignMonitor,
    /// Marketing Cloud alone.
    MarketingCloud,
    /// Both of them, each with a route of its own from the same subscription.
    Both,
    /// Neither: only those that are further ones.
    Neither,
}

impl Esps {
    /// Whether Campaign Monitor takes part.
    #[must_use]
    pub fn has_campaign_monitor(self) -> bool {
        matches!(self, Self::CampaignMonitor | Self::Both)
    }

    /// Whether Marketing Cloud takes part.
    #[must_use]
    pub fn has_marketing_cloud(self) -> bool {
        matches!(self, Self::MarketingCloud | Self::Both)
    }
}

/// How to set everything up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which ESPs take part.
    pub esps: Esps,
    /// The simulated Gigya site.
    pub gigya: GigyaSettings,
    /// The simulated Campaign Monitor client.
    pub campaign_monitor: CampaignMonitorSettings,
    /// The simulated Marketing Cloud account.
    pub marketing_cloud: MarketingCloudSettings,
    /// Lines for `[server]`.
    pub server: String,
    /// The list of secrets that sign webhooks of versions 1.0 and 1.1, in TOML.
    pub webhook_secrets: String,
    /// Lines for `[gigya.main]`.
    pub gigya_lines: String,
    /// Lines for `[campaign_monitor.news]`.
    pub campaign_monitor_lines: String,
    /// Lines for the `[[route]]` of `newsletter` to Campaign Monitor.
    pub route: String,
    /// Lines for `[marketing_cloud.crm]`.
    pub marketing_cloud_lines: String,
    /// The audience there that the newsletter goes to, as a route spells it after the connection.
    pub marketing_cloud_audience: String,
    /// Lines for the `[[route]]` of `newsletter` to Marketing Cloud.
    pub marketing_cloud_route: String,
    /// Lines for every one of these routes, and for those of the further ESPs.
    pub every_route: String,
    /// ESPs besides, each with a route of its own from the same subscription.
    pub further: Vec<Arc<dyn FurtherEsp>>,
    /// Further tables, further routes.
    pub more: String,
    /// Where a journal's PostgreSQL server is.
    pub journal_url: String,
    /// How many replicas of the gateway.
    pub replicas: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            esps: Esps::default(),
            gigya: GigyaSettings::default(),
            campaign_monitor: CampaignMonitorSettings::default(),
            marketing_cloud: MarketingCloudSettings::default(),
            server: String::new(),
            webhook_secrets: "[{ env = \"WEBHOOK_SECRET\" }]".to_owned(),
            gigya_lines: String::new(),
            campaign_monitor_lines: String::new(),
            route: "fields = { \"First Name\" = \"profile.firstName\" }".to_owned(),
            marketing_cloud_lines: String::new(),
            marketing_cloud_audience: "all-subscribers+data-extension:GIGYA_PROFILES".to_owned(),
            marketing_cloud_route: "fields = { FirstName = \"profile.firstName\" }".to_owned(),
            every_route: String::new(),
            further: Vec::new(),
            more: String::new(),
            journal_url: String::new(),
            replicas: 1,
        }
    }
}

impl Setup {
    /// An ordinary one with these ESPs.
    #[must_use]
    pub fn with_esps(esps: Esps) -> Self {
        Self { esps, ..Self::default() }
    }

    /// One with this ESP alone.
    #[must_use]
    pub fn with_further(esp: impl FurtherEsp + 'static) -> Self {
        Self { esps: Esps::Neither, further: vec![Arc::new(esp)], ..Self::default() }
    }

    /// With a journal in this file.
    #[must_use]
    pub fn with_journal(mut self, file: &Path) -> Self {
        let file = file.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
        let table = format!("\n[journal]\nsqlite = \"{file}\"\nkeys = [{{ env = \"JOURNAL_KEY\" }}]\n");
        self.more.push_str(&table);
        self
    }

    /// With a journal at a PostgreSQL server.
    #[must_use]
    pub fn with_postgres_journal(mut self, url: &str) -> Self {
        self.more.push_str("\n[journal]\npostgres = { env = \"JOURNAL_URL\" }\nkeys = [{ env = \"JOURNAL_KEY\" }]\n");
        url.clone_into(&mut self.journal_url);
        self
    }

    /// With these lines for every connection.
    #[must_use]
    pub fn with_lines(mut self, lines: &str) -> Self {
        for of_connection in [&mut self.gigya_lines, &mut self.campaign_monitor_lines, &mut self.marketing_cloud_lines]
        {
            of_connection.push_str(lines);
            of_connection.push('\n');
        }
        self
    }

    /// The list at Campaign Monitor that the newsletter goes to.
    #[must_use]
    pub fn list(&self) -> String {
        self.campaign_monitor.lists.first().map(|list| list.id.clone()).unwrap_or_default()
    }

    /// The audiences that the newsletter goes to, of those ESPs that take part.
    #[must_use]
    pub fn audiences(
        &self,
        campaign_monitor: &CampaignMonitorSim,
        marketing_cloud: &MarketingCloudSim,
    ) -> Vec<Arc<dyn SimulatedEsp>> {
        let mut audiences: Vec<Arc<dyn SimulatedEsp>> = Vec::new();
        if self.esps.has_campaign_monitor() {
            audiences.push(Arc::new(CampaignMonitorList::new(campaign_monitor.clone(), &self.list())));
        }
        if self.esps.has_marketing_cloud() {
            let audience = &self.marketing_cloud_audience;
            audiences.push(Arc::new(MarketingCloudAudience::new(marketing_cloud.clone(), audience)));
        }
        audiences
    }

    /// The gateway's configuration, with the simulators at these addresses.
    #[must_use]
    pub fn configuration(&self, at: Addresses) -> String {
        let webhook_auth = match self.gigya.webhooks {
            WebhookVersion::V2_0 => "webhook_auth = \"jwt\"".to_owned(),
            WebhookVersion::V1_0 | WebhookVersion::V1_1 => {
                format!("webhook_auth = \"hmac-sha1\"\nwebhook_secrets = {}", self.webhook_secrets)
            }
        };
        let has_credentials = self.gigya_lines.contains("secret =") || self.gigya_lines.contains("private_key");
        let mut esps = String::new();
        if self.esps.has_campaign_monitor() {
            esps.push_str(&self.campaign_monitor_tables(at.campaign_monitor));
        }
        if self.esps.has_marketing_cloud() {
            esps.push_str(&self.marketing_cloud_tables(at.marketing_cloud));
        }
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
{esps}
{more}
"#,
            server = self.server,
            api_key = self.gigya.api_key,
            user_key = self.gigya.credentials.user_key,
            gigya = at.gigya,
            gigya_lines = self.gigya_lines,
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
{every_route}
"#,
            client_id = self.campaign_monitor.client_id,
            zone = self.campaign_monitor.time_zone.iana_name().unwrap_or("UTC"),
            lines = self.campaign_monitor_lines,
            list = self.list(),
            route = self.route,
            every_route = self.every_route,
        )
    }

    fn marketing_cloud_tables(&self, at: SocketAddr) -> String {
        format!(
            r#"
[marketing_cloud.crm]
auth_base_url = "http://{at}"
rest_base_url = "http://{at}"
soap_base_url = "http://{at}"
account_id = "{account_id}"
client_id = {{ env = "SFMC_CLIENT_ID" }}
client_secret = {{ env = "SFMC_CLIENT_SECRET" }}
signature_keys = [{{ env = "SFMC_SIGNATURE_KEY" }}]
all_subscribers_list = "{all_subscribers_list}"
{lines}

[[route]]
subscription = "main/newsletter"
audience = "crm/{audience}"
{route}
{every_route}
"#,
            account_id = self.marketing_cloud.account_id,
            all_subscribers_list = self.marketing_cloud.all_subscribers_list,
            lines = self.marketing_cloud_lines,
            audience = self.marketing_cloud_audience,
            route = self.marketing_cloud_route,
            every_route = self.every_route,
        )
    }

    /// What the configuration's `{ env = .. }` stand for.
    #[must_use]
    pub fn secrets(&self) -> Vec<(&'static str, String)> {
        let secrets = [
            ("GIGYA_SECRET", self.gigya.credentials.secret.as_str()),
            ("WEBHOOK_SECRET", self.gigya.webhook_secret.as_str()),
            ("CM_API_KEY", self.campaign_monitor.api_key.as_str()),
            ("CM_CALLBACK_TOKEN", CALLBACK_TOKEN),
            ("SFMC_CLIENT_ID", self.marketing_cloud.client_id.as_str()),
            ("SFMC_CLIENT_SECRET", self.marketing_cloud.client_secret.as_str()),
            ("SFMC_SIGNATURE_KEY", self.marketing_cloud.signature_key.as_str()),
            ("JOURNAL_KEY", JOURNAL_KEY),
            ("JOURNAL_URL", &self.journal_url),
        ];
        // A journal in a file has no URL.
        let given = secrets.into_iter().filter(|(_, secret)| !secret.is_empty());
        given.map(|(name, secret)| (name, secret.to_owned())).collect()
    }
}
