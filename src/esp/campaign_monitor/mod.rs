//! Campaign Monitor (createsend): API version 3.3, and its list webhooks.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `body` | what a webhook may say, for the API document |
//! | `callback` | what a webhook says |
//! | `client` | the calls |
//! | `listing` | a list as a whole: read page by page, filled by imports |
//! | `setup` | what is made and proved over there before webhooks come |
//! | `wire` | subscribers as the API spells them: states, fields, local times |

mod body;
mod callback;
mod client;
mod listing;
mod setup;
mod wire;

pub use client::CampaignMonitor;
pub use setup::CampaignMonitorSetUp;

use super::{Offer, ProviderInfo, TokenInPath};

/// Campaign Monitor, for the edge and the API document.
pub const INFO: ProviderInfo = ProviderInfo {
    slug: "campaign-monitor",
    title: "Campaign Monitor",
    token: TokenInPath::Always,
    signature: None,
    callback: "Subscribe, Update and Deactivate events of one list, up to 1,000, as JSON or XML.",
    bodies: body::all,
};

/// What it can do.
pub fn offer() -> Offer {
    Offer {
        title: INFO.title.to_owned(),
        table: "[campaign_monitor.NAME]".to_owned(),
        writes: vec!["subscribe", "unsubscribe", "update"],
        removal: vec!["delete", "unsubscribe", "suppress"],
        tells: vec!["opt-outs", "opt-ins", "bounces", "changes"],
        verified_by: "token in the URL".to_owned(),
        reconcile: true,
        limits: "can't find a UID, only an address".to_owned(),
    }
}
