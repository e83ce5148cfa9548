//! The simulated systems, each as the gateway is connected to it.

use gigya_esp_gateway::sandbox::braze::{BrazeSettings, BrazeSim};
use gigya_esp_gateway::sandbox::brevo::{BrevoSettings, BrevoSim};
use gigya_esp_gateway::sandbox::klaviyo::{KlaviyoSettings, KlaviyoSim};
use gigya_esp_gateway::sandbox::mailchimp::{MailchimpSettings, MailchimpSim};
use gigya_esp_gateway::sandbox::sendgrid::{SendgridSettings, SendgridSim};
use gigya_esp_gateway::sandbox::{SimulatedEsp, Surroundings};
use std::net::SocketAddr;
use std::sync::Arc;

/// A system that joins a town.
#[derive(Clone)]
pub struct Guest {
    pub esp: Arc<dyn SimulatedEsp>,
    /// The connection's lines, without its secrets.
    pub lines: String,
    /// What the API key is.
    pub api_key: String,
    /// What verifies callbacks.
    pub callback_secret: String,
    /// What ends the callback's URL.
    pub token: Option<String>,
    /// The audience, as the ESP calls it.
    pub audience: String,
    /// The field in which the first name is kept.
    pub first_name: &'static str,
}

/// What is true of a system, and isn't of all.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Who left by a link comes back by a newer opt-in at Gigya.
    pub comes_back_after_link: bool,
    /// Who opted out at Gigya comes back by a newer opt-in there.
    pub comes_back: bool,
    /// Somebody who is deleted there is told of.
    pub tells_deletions: bool,
    /// An opt-in by a form there is told of.
    pub tells_opt_ins: bool,
    /// An opt-in of an address that was never opted out is told of, as one.
    pub tells_bounces: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Brevo,
    Mailchimp,
    Sendgrid,
    Klaviyo,
    Braze,
}

impl Provider {
    pub const ALL: [Self; 5] = [Self::Brevo, Self::Mailchimp, Self::Sendgrid, Self::Klaviyo, Self::Braze];

    pub const fn traits(self) -> Traits {
        let all = Traits {
            comes_back_after_link: true,
            comes_back: true,
            tells_deletions: true,
            tells_opt_ins: true,
            tells_bounces: true,
        };
        match self {
            Self::Brevo => all,
            Self::Mailchimp => Traits { comes_back_after_link: false, ..all },
            Self::Sendgrid => {
                Traits { comes_back_after_link: false, tells_deletions: false, tells_opt_ins: false, ..all }
            }
            Self::Klaviyo => Traits { tells_deletions: false, tells_opt_ins: false, tells_bounces: false, ..all },
            Self::Braze => Traits { comes_back_after_link: false, comes_back: false, tells_deletions: false, ..all },
        }
    }

    pub async fn join(self, around: Surroundings) -> Guest {
        match self {
            Self::Brevo => brevo(&BrevoSim::start(BrevoSettings::default(), around)).await,
            Self::Mailchimp => mailchimp(&MailchimpSim::start(MailchimpSettings::default(), around)).await,
            Self::Sendgrid => sendgrid(&SendgridSim::start(SendgridSettings::default(), around)).await,
            Self::Klaviyo => klaviyo(&KlaviyoSim::start(KlaviyoSettings::default(), around)).await,
            Self::Braze => braze(&BrazeSim::start(BrazeSettings::default(), around)).await,
        }
    }
}

fn lines(provider: &str, at: SocketAddr, path: &str, settings: &str) -> String {
    format!("provider = \"{provider}\"\nbase_url = \"http://{at}{path}\"\n{settings}")
}

pub async fn brevo(sim: &BrevoSim) -> Guest {
    let at = sim.serve().await.unwrap();
    Guest {
        esp: Arc::new(sim.clone()),
        lines: lines("brevo", at, "/v3", ""),
        api_key: sim.settings().api_key.clone(),
        callback_secret: sim.settings().callback_token.clone(),
        token: None,
        audience: sim.list().to_string(),
        first_name: "FIRSTNAME",
    }
}

pub async fn mailchimp(sim: &MailchimpSim) -> Guest {
    const TOKEN: &str = "a-token-for-webhooks-without-signatures";
    let at = sim.serve().await.unwrap();
    let secret = sim.settings().signing_secret.clone();
    let is_signed = secret.is_some();
    let choice = if is_signed { "" } else { "callback_verify = \"token\"" };
    Guest {
        esp: Arc::new(sim.clone()),
        lines: lines("mailchimp", at, "/3.0", &format!("settings = {{ data_center = \"us6\" }}\n{choice}")),
        api_key: sim.settings().api_key.clone(),
        callback_secret: secret.unwrap_or_else(|| TOKEN.to_owned()),
        token: (!is_signed).then(|| TOKEN.to_owned()),
        audience: sim.list(),
        first_name: "FNAME",
    }
}

pub async fn sendgrid(sim: &SendgridSim) -> Guest {
    let at = sim.serve().await.unwrap();
    Guest {
        esp: Arc::new(sim.clone()),
        lines: lines("sendgrid", at, "/v3", &format!("settings = {{ group = \"{}\" }}", sim.group())),
        api_key: sim.settings().api_key.clone(),
        callback_secret: sim.verification_key().to_owned(),
        token: None,
        audience: sim.settings().list.clone(),
        first_name: "first_name",
    }
}

pub async fn klaviyo(sim: &KlaviyoSim) -> Guest {
    let at = sim.serve().await.unwrap();
    Guest {
        esp: Arc::new(sim.clone()),
        lines: lines("klaviyo", at, "/api", ""),
        api_key: sim.settings().api_key.clone(),
        callback_secret: sim.settings().secret_key.clone(),
        token: None,
        audience: sim.list(),
        first_name: "first_name",
    }
}

pub async fn braze(sim: &BrazeSim) -> Guest {
    let at = sim.serve().await.unwrap();
    Guest {
        esp: Arc::new(sim.clone()),
        lines: lines("braze", at, "", "settings = { endpoint = \"rest.example\" }"),
        api_key: sim.settings().api_key.clone(),
        callback_secret: sim.settings().callback_token.clone(),
        token: None,
        audience: sim.group(),
        first_name: "first_name",
    }
}
