//! The descriptions of ESPs that come with the gateway, for `[http.NAME] provider = ".."`.

/// Each by its name, as TOML.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("braze", include_str!("shipped/braze.toml")),
    ("brevo", include_str!("shipped/brevo.toml")),
    ("klaviyo", include_str!("shipped/klaviyo.toml")),
    ("mailchimp", include_str!("shipped/mailchimp.toml")),
    ("sendgrid", include_str!("shipped/sendgrid.toml")),
];

/// The names, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    DESCRIPTIONS.iter().map(|(name, _)| *name)
}

/// The description of this name.
#[must_use]
pub fn description(name: &str) -> Option<&'static str> {
    DESCRIPTIONS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
