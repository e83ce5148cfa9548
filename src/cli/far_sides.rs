//! The far side of every connection that is configured, as `register` and `check --online` see it.

use super::{Ended, failed};
use crate::cli::out::complain;
use crate::config::Config;
use crate::esp::setup::{self, SetUp, Site};
use crate::gigya::GigyaSetUp;
use crate::upstream::{HttpTransport, Transport, WallClock};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What somebody at the terminal wants of it.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Where a secret goes that is shown only once.
    pub secret_file: Option<PathBuf>,
    /// The gateway's former `public_url`.
    pub moved_from: Option<String>,
    /// Whether a secret that isn't known here may be ended for a new one.
    pub new_key: bool,
}

/// Connects to all of them, or to those that are named, as `NAME` or as `TABLE.NAME`. Makes no call.
pub fn connect(config: &Config, only: &[String], wishes: Wishes) -> Result<Vec<Box<dyn SetUp>>, ExitCode> {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(|error| failed(&error))?);
    let public_url = config.server.public_url.clone();
    let Wishes { secret_file, moved_from, new_key } = wishes;
    let site = Site { public_url, moved_from, routes: config.routes.clone(), secret_file, new_key };
    let mut all: Vec<Box<dyn SetUp>> = Vec::new();
    for (name, connection) in &config.gigya {
        let gigya = GigyaSetUp::new(connection, &site, Arc::clone(&transport), WallClock::system());
        all.push(Box::new(gigya.map_err(|problem| failed(&format!("[gigya.{name}]: {problem}")))?));
    }
    all.extend(config.esps.values().map(|esp| setup::connect(esp, &site, Arc::clone(&transport))));
    if let Some(name) = only.iter().find(|name| !all.iter().any(|side| is_named(side.as_ref(), name))) {
        let known: Vec<_> = all.iter().map(|side| side.connection().to_owned()).collect();
        complain!("error: there is no connection {name}; configured are {}", known.join(", "));
        return Err(Ended::Refused.into());
    }
    all.retain(|side| only.is_empty() || only.iter().any(|name| is_named(side.as_ref(), name)));
    Ok(all)
}

fn is_named(side: &dyn SetUp, name: &str) -> bool {
    let connection = side.connection();
    connection == name || connection.split_once('.').is_some_and(|(_, own)| own == name)
}
