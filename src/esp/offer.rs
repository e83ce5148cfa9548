//! What each provider can do, for people who choose one: the command `providers`, and the README's table.

use super::{campaign_monitor, http, marketing_cloud};

/// What a provider can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What people call it.
    pub title: String,
    /// How a connection to it begins in the configuration.
    pub table: String,
    /// What the gateway does there.
    pub writes: Vec<&'static str>,
    /// What `on_inactive` may be.
    pub removal: Vec<&'static str>,
    /// What it tells the gateway.
    pub tells: Vec<&'static str>,
    /// How what it tells is verified.
    pub verified_by: String,
    /// Whether `reconcile` can read an audience as a whole.
    pub reconcile: bool,
    /// What one should know.
    pub limits: String,
}

/// All of them: those with a folder of their own, the shipped descriptions, and what one describes oneself.
#[must_use]
pub fn offers() -> Vec<Offer> {
    let mut offers = vec![campaign_monitor::offer(), marketing_cloud::offer()];
    offers.extend(http::offers());
    offers
}
