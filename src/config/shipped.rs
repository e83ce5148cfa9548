//! The descriptions of ESPs that come with the gateway, for `[http.NAME] provider = ".."`.

use super::http::Http;
use super::tree::{self, Value};
use super::{Config, Esp};
use std::path::Path;

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

/// What the descriptions say, as connections that give all that they ask for. For what is told of them only: what they give
/// is made up.
#[must_use]
pub fn all() -> Vec<(&'static str, Http)> {
    names().filter_map(|name| Some((name, as_connection(name)?))).collect()
}

fn as_connection(name: &str) -> Option<Http> {
    let mut problems = Vec::new();
    let table = tree::parse(description(name)?, &mut problems)?;
    let declared = |kind: &str| match table.get("declare").map(|node| &node.value) {
        Some(Value::Table(declare)) => match declare.get(kind).map(|node| &node.value) {
            Some(Value::Table(names)) => names.keys().cloned().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let given = |kind: &str, value: &str| {
        let given: Vec<_> = declared(kind).iter().map(|name| format!("{name:?} = {value}")).collect();
        format!("{kind} = {{ {} }}", given.join(", "))
    };
    let (settings, secrets) = (given("settings", "\"1\""), given("secrets", "{ env = \"A\" }"));
    let text = format!(
        "[gigya.main]\napi_keys = [\"1\"]\ndata_center = \"1.example.com\"\nuser_key = \"1\"\nsecret = {{ env = \"A\" }}\n\
         [http.it]\nprovider = {name:?}\n{settings}\n{secrets}\ncallback_secrets = [{{ env = \"B\" }}]\n\
         [[route]]\nsubscription = \"main/1\"\naudience = \"it/1\"\n"
    );
    // One of them is what the scheme takes: a token, a key in base64 or hexadecimal digits; or user and password; or a point
    // on the curve P-256, its generator.
    [
        "0123456789abcdef",
        "gateway:0123456789abcdef",
        "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=",
    ]
    .into_iter()
    .find_map(|secret| {
        let environment = [("A", "0123456789abcdef"), ("B", secret)].into_iter().collect();
        let config = Config::parse(&text, Path::new("shipped.toml"), &environment).ok()?;
        config.esps.into_values().find_map(|esp| match esp {
            Esp::Http(connection) => Some(*connection),
            _ => None,
        })
    })
}
