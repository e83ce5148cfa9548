//! From the file to a checked, typed configuration.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `model` | what everybody else sees |
//! | `tree` | the file and the environment's overrides, as values that know where they stand |
//! | `reader` | takes typed values out of the tree and collects what is wrong with them |
//! | `read` | which keys there are, their defaults, and what must hold between them |
//! | `fields` | where a field's value comes from |
//! | `http` | an ESP that is described by data, as everybody else sees it |
//! | `salesforce` | `[salesforce.NAME]` as everybody else sees it |
//! | `shipped` | the descriptions that come with the gateway |
//! | `problem` | what is wrong, where, and what to do |
//! | `sources` | what it was made from, as digests: whether something changed, and what |
//!
//! Imports only `domain`. No message ever shows a line of the file or a value that may be a secret: TOML's own
//! error text shows both, and isn't used.

mod fields;
pub mod http;
mod log_filter;
mod model;
mod problem;
mod read;
mod reader;
pub mod salesforce;
pub mod shipped;
mod sources;
mod tree;

pub use log_filter::{LogFilter, NotAFilter};
pub use model::*;
pub use problem::{ConfigErrors, Place, Problem};
pub use reader::duration;
pub use sources::{Digest, Held, Sources};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The environment variables that a configuration may use: the process's own, or a test's.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's environment. Variables that aren't UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(utf8).collect())
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Config {
    /// Reads and checks a configuration file, with the environment's overrides and secrets.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path);
        let digest = text.as_ref().ok().map(|text| Digest::of(text.as_bytes()));
        let own = Held::from([(path.to_path_buf(), digest)]);
        let loaded = match text {
            Ok(text) => Self::parse(&text, path, environment),
            Err(error) => {
                let what = format!("cannot be read: {error}");
                let remedy =
                    "name the configuration file with --config or GATEWAY_CONFIG; see deploy/gateway.example.toml";
                Err(ConfigErrors::one(path, Problem::new(Place::File, "", what, remedy)))
            }
        };
        match loaded {
            Ok(mut config) => {
                config.sources.file = own;
                Ok(config)
            }
            Err(errors) => {
                let sources = Sources { file: own, ..errors.sources().clone() };
                Err(errors.of(sources))
            }
        }
    }

    /// Checks a configuration text. `origin` is where it came from: for messages, and secrets' relative paths.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn parse(text: &str, origin: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        let folder = origin.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let mut problems = Vec::new();
        let source = reader::Source::new(environment, &folder);
        let config = tree::parse(text, &mut problems).and_then(|mut tree| {
            tree::overlay(&mut tree, environment, &mut problems);
            read::config(tree, &source, &mut problems)
        });
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigErrors::new(origin, problems).of(source.noted.into_inner())),
        }
    }
}

#[cfg(test)]
mod tests;
