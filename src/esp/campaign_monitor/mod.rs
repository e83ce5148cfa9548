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

use super::{ProviderInfo, TokenInPath};

/// Campaign Monitor, for the edge and the API document.
pub const INFO: ProviderInfo = ProviderInfo {
    slug: "campaign-monitor",
    title: "Campaign Monitor",
    token: TokenInPath::Always,
    signature: None,
    callback: "Subscribe, Update and Deactivate events of one list, up to 1,000, as JSON or XML.",
    bodies: body::all,
};
