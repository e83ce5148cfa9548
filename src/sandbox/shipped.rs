//! The simulated systems whose descriptions are shipped, each as a gateway is connected to it.

use super::braze::{BrazeSettings, BrazeSim};
use super::brevo::{BrevoSettings, BrevoSim};
use super::further::{FurtherEsp, Started};
use super::klaviyo::{KlaviyoSettings, KlaviyoSim};
use super::mailchimp::{MailchimpSettings, MailchimpSim};
use super::sendgrid::{SendgridSettings, SendgridSim};
use super::{Courier, SimulatedEsp, Surroundings};
use async_trait::async_trait;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What ends the URL of webhooks that nobody signs.
const TOKEN: &str = "simulated-token-at-the-end-of-an-url";

/// Which system, and what kind.
#[derive(Clone, Debug)]
pub enum System {
    /// A Braze workspace.
    Braze(BrazeSettings),
    /// A Brevo account.
    Brevo(BrevoSettings),
    /// A Klaviyo account.
    Klaviyo(KlaviyoSettings),
    /// A Mailchimp account.
    Mailchimp(MailchimpSettings),
    /// A SendGrid account.
    Sendgrid(SendgridSettings),
}

/// The system, once it runs.
#[derive(Clone)]
pub enum Running {
    /// A Braze workspace.
    Braze(BrazeSim),
    /// A Brevo account.
    Brevo(BrevoSim),
    /// A Klaviyo account.
    Klaviyo(KlaviyoSim),
    /// A Mailchimp account.
    Mailchimp(MailchimpSim),
    /// A SendGrid account.
    Sendgrid(SendgridSim),
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

/// A system that takes part. Clones are the same.
#[derive(Clone, Debug)]
pub struct Shipped {
    system: System,
    route: String,
    callback_secret: Option<String>,
    running: Arc<OnceLock<Running>>,
}

/// How a gateway is connected to it.
struct Connection {
    provider: &'static str,
    base_url: String,
    lines: String,
    api_key: String,
    callback_secret: String,
    /// What ends the callback's URL.
    token: &'static str,
    audience: String,
    /// The field that the first name goes to.
    first_name: &'static str,
}

impl Shipped {
    /// An ordinary connection to it.
    #[must_use]
    pub fn new(system: System) -> Self {
        Self { system, route: String::new(), callback_secret: None, running: Arc::default() }
    }

    /// With these lines for the route.
    #[must_use]
    pub fn routed(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.route);
        self
    }

    /// With a gateway that knows another secret than the one that callbacks are made with.
    #[must_use]
    pub fn with_callback_secret(mut self, secret: &str) -> Self {
        self.callback_secret = Some(secret.to_owned());
        self
    }

    /// The system, once it runs.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        self.running.get()
    }
}

impl Running {
    fn esp(&self) -> Arc<dyn SimulatedEsp> {
        match self.clone() {
            Self::Braze(sim) => Arc::new(sim),
            Self::Brevo(sim) => Arc::new(sim),
            Self::Klaviyo(sim) => Arc::new(sim),
            Self::Mailchimp(sim) => Arc::new(sim),
            Self::Sendgrid(sim) => Arc::new(sim),
        }
    }

    fn courier(&self) -> Courier {
        match self {
            Self::Braze(sim) => sim.courier().clone(),
            Self::Brevo(sim) => sim.courier().clone(),
            Self::Klaviyo(sim) => sim.courier().clone(),
            Self::Mailchimp(sim) => sim.courier().clone(),
            Self::Sendgrid(sim) => sim.courier().clone(),
        }
    }

    /// Serves its API, and says how one connects to it.
    async fn connection(&self) -> std::io::Result<Connection> {
        Ok(match self {
            Self::Braze(sim) => Connection {
                provider: "braze",
                base_url: format!("http://{}", sim.serve().await?),
                lines: "settings = { endpoint = \"rest.example\" }".to_owned(),
                api_key: sim.settings().api_key.clone(),
                callback_secret: sim.settings().callback_token.clone(),
                token: "",
                audience: sim.group(),
                first_name: "first_name",
            },
            Self::Brevo(sim) => Connection {
                provider: "brevo",
                base_url: format!("http://{}/v3", sim.serve().await?),
                lines: String::new(),
                api_key: sim.settings().api_key.clone(),
                callback_secret: sim.settings().callback_token.clone(),
                token: "",
                audience: sim.list().to_string(),
                first_name: "FIRSTNAME",
            },
            Self::Klaviyo(sim) => Connection {
                provider: "klaviyo",
                base_url: format!("http://{}/api", sim.serve().await?),
                lines: String::new(),
                api_key: sim.settings().api_key.clone(),
                callback_secret: sim.settings().secret_key.clone(),
                token: "",
                audience: sim.list(),
                first_name: "first_name",
            },
            Self::Mailchimp(sim) => {
                let secret = sim.settings().signing_secret.clone();
                let choice = if secret.is_some() { "" } else { "\ncallback_verify = \"token\"" };
                Connection {
                    provider: "mailchimp",
                    base_url: format!("http://{}/3.0", sim.serve().await?),
                    lines: format!("settings = {{ data_center = \"us6\" }}{choice}"),
                    api_key: sim.settings().api_key.clone(),
                    token: if secret.is_some() { "" } else { TOKEN },
                    callback_secret: secret.unwrap_or_else(|| TOKEN.to_owned()),
                    audience: sim.list(),
                    first_name: "FNAME",
                }
            }
            Self::Sendgrid(sim) => Connection {
                provider: "sendgrid",
                base_url: format!("http://{}/v3", sim.serve().await?),
                lines: format!("settings = {{ group = \"{}\" }}", sim.group()),
                api_key: sim.settings().api_key.clone(),
                callback_secret: sim.verification_key().to_owned(),
                token: "",
                audience: sim.settings().list.clone(),
                first_name: "first_name",
            },
        })
    }
}

#[async_trait]
impl FurtherEsp for Shipped {
    async fn start(&self, around: Surroundings) -> std::io::Result<Started> {
        let running = self.running.get_or_init(|| match self.system.clone() {
            System::Braze(settings) => Running::Braze(BrazeSim::start(settings, around)),
            System::Brevo(settings) => Running::Brevo(BrevoSim::start(settings, around)),
            System::Klaviyo(settings) => Running::Klaviyo(KlaviyoSim::start(settings, around)),
            System::Mailchimp(settings) => Running::Mailchimp(MailchimpSim::start(settings, around)),
            System::Sendgrid(settings) => Running::Sendgrid(SendgridSim::start(settings, around)),
        });
        let connection = running.connection().await?;
        let Connection { provider, base_url, lines, audience, first_name, .. } = &connection;
        let tables = format!(
            r#"
[http.shipped]
provider = "{provider}"
base_url = "{base_url}"
secrets = {{ api_key = {{ env = "SHIPPED_API_KEY" }} }}
callback_secrets = [{{ env = "SHIPPED_CALLBACK_SECRET" }}]
{lines}

[[route]]
subscription = "main/newsletter"
audience = "shipped/{audience}"
fields = {{ {first_name} = "profile.firstName" }}
{route}
"#,
            route = self.route,
        );
        let callback_secret = self.callback_secret.clone().unwrap_or(connection.callback_secret);
        let (courier, token) = (running.courier(), connection.token);
        let register = move |gateway: &str| {
            let token = if token.is_empty() { String::new() } else { format!("/{token}") };
            courier.deliver_to(&format!("{gateway}/webhooks/http/shipped{token}"));
        };
        Ok(Started {
            esp: running.esp(),
            tables,
            secrets: vec![("SHIPPED_API_KEY", connection.api_key), ("SHIPPED_CALLBACK_SECRET", callback_secret)],
            register: Box::new(register),
        })
    }
}
