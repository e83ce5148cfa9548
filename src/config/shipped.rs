//! The descriptions of ESPs that come with the gateway, for `[http.NAME] provider = ".."`.

/// Each by its name, as TOML.
const DESCRIPTIONS: &[(&str, &str)] = &[];

/// The names, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    DESCRIPTIONS.iter().map(|(name, _)| *name)
}

/// The description of this name.
#[must_use]
pub fn description(name: &str) -> Option<&'static str> {
    DESCRIPTIONS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
