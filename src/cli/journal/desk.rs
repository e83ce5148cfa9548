//! The journal on the desk: opened, with the configuration that names it; and whom a command is about.

use crate::cli::out::complain;
use crate::cli::{Ended, failed};
use crate::config::Config;
use crate::domain::{ConnectionName, Email, Uid};
use crate::journal::{Database, JournalFault, Whom};
use crate::upstream::WallClock;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;

/// An opened journal.
pub struct Desk {
    pub config: Config,
    pub journal: Arc<Database>,
}

impl Desk {
    /// Opens the journal that is configured. Never makes or changes one by that: an empty answer would look like an answer.
    pub async fn open(config: Config) -> Result<Self, ExitCode> {
        let Some(settings) = &config.journal else {
            complain!(
                "error: the configuration has no [journal]: nothing is written down that could be shown\n    \
                 write [journal] with sqlite = \"journal.db\" on one machine, or postgres = {{ env = \"NAME\" }} for several \
                 replicas,\n    and keys = [{{ env = \"JOURNAL_KEY\" }}], a text that openssl rand -base64 32 makes; see \
                 docs/journal.md"
            );
            return Err(Ended::Refused.into());
        };
        let journal = Database::open_existing(settings, WallClock::system()).await.map_err(|error| failed(&error))?;
        Ok(Self { journal: Arc::new(journal), config })
    }
}

/// What a journal that can't be used ends a command with.
pub fn unusable(fault: JournalFault) -> ExitCode {
    failed(&fault)
}

/// Whom a command is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "person")]
pub struct WhomArgs {
    /// An address. Its case doesn't matter.
    #[arg(long, value_name = "ADDRESS", value_parser = address, group = "person")]
    address: Option<Email>,
    /// An account at Gigya, by its UID.
    #[arg(long, value_name = "UID", value_parser = uid, group = "person")]
    uid: Option<Uid>,
}

/// Whose UID it is.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    /// The Gigya connection that the UID is of, as in [gigya.NAME]; needed where there are several.
    #[arg(long, value_name = "NAME", conflicts_with = "address")]
    connection: Option<String>,
}

fn address(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| error.to_string())
}

fn uid(text: &str) -> Result<Uid, String> {
    Uid::new(text).ok_or_else(|| "a UID isn't empty".to_owned())
}

impl WhomArgs {
    /// Whom they name, among the connections that are configured.
    pub fn whom(&self, connection: &ConnectionArgs, config: &Config) -> Result<Whom, ExitCode> {
        if let Some(address) = &self.address {
            return Ok(Whom::Address(address.clone()));
        }
        let uid = self.uid.clone().expect("clap sees to it that one of the two is given");
        Ok(Whom::Account(gigya(connection.connection.as_deref(), config)?, uid))
    }
}

fn gigya(named: Option<&str>, config: &Config) -> Result<ConnectionName, ExitCode> {
    let known: Vec<_> = config.gigya.keys().map(ConnectionName::as_str).collect();
    let refused = |what: &str| {
        complain!("error: {what}; configured are {}", known.join(", "));
        Err(Ended::Refused.into())
    };
    match (named, known.as_slice()) {
        (Some(name), _) if known.contains(&name) => Ok(ConnectionName::new(name)),
        (Some(name), _) => refused(&format!("there is no Gigya connection {name}")),
        (None, [only]) => Ok(ConnectionName::new(only)),
        (None, _) => refused("say with --connection which Gigya connection the UID is of"),
    }
}
