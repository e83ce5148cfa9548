//! The email service providers: the trait that each implements, and the list of them.

/// A provider as the edge and its documentation need to know it.
#[derive(Clone, Copy, Debug)]
pub struct ProviderInfo {
    /// Its name in paths: `/webhooks/{slug}/{connection}`.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Whether a callback's path ends in a token, because the provider can't sign.
    pub token_in_path: bool,
    /// What its callbacks look like, for the API document.
    pub callback: &'static str,
}

/// The providers that this build knows. A new one is a folder here, a table in `config`, and a line.
pub const PROVIDERS: &[ProviderInfo] = &[ProviderInfo {
    slug: "campaign-monitor",
    title: "Campaign Monitor",
    token_in_path: true,
    callback: "Subscribe, Update and Deactivate events of one list, up to 1,000, as JSON or XML.",
}];
