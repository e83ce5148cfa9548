//! What a reload does. One after another: a trigger that comes during one makes one more.

use super::changes::{Changes, journal_waiting, waiting_for_restart};
use super::reloads::{Refused, Reloads};
use super::trigger::{Hangups, Trigger};
use super::watch::{Watched, look_at};
use crate::config::{Config, Environment, Held, Journal, Server};
use crate::forward::Live;
use crate::telemetry::metrics as meter;
use crate::upstream::{Transport, WallClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Applies what else follows a configuration while the gateway runs, such as the log filter. Returns the keys of
/// what differs and can't be applied, which wait for a restart.
pub type ApplyLive = Box<dyn Fn(&Config) -> Vec<&'static str> + Send + Sync>;

/// What runs.
pub struct Running {
    /// The configuration that it was started with.
    pub config: Config,
    /// The gateway, where it can be exchanged.
    pub live: Live,
    /// How its calls are made.
    pub transport: Arc<dyn Transport>,
    /// Its clock.
    pub clock: WallClock,
}

/// Loads the configuration anew, whenever there is cause to.
pub struct Reloader {
    path: PathBuf,
    environment: Environment,
    live: Live,
    transport: Arc<dyn Transport>,
    clock: WallClock,
    /// The sockets and limits that it runs with, whatever was loaded since.
    server: Server,
    /// The journal as it was opened.
    journal: Option<Journal>,
    config: Config,
    watched: Watched,
    apply_live: ApplyLive,
    reloads: Reloads,
}

/// Why a configuration was refused: a line each, and what was read for it.
struct Refusal {
    problems: Vec<String>,
    files: Held,
}

impl Reloader {
    /// For what runs, and was loaded from `path` with this environment.
    #[must_use]
    pub fn new(path: PathBuf, environment: Environment, running: Running, apply_live: ApplyLive) -> Self {
        let Running { config, live, transport, clock } = running;
        meter::config_loaded();
        Self {
            path,
            environment,
            live,
            reloads: Reloads::new(clock.now()),
            transport,
            clock,
            server: config.server.clone(),
            journal: config.journal.clone(),
            watched: Watched::new(config.sources.files(config.watch.configuration)),
            config,
            apply_live,
        }
    }

    /// How it goes.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Reloads at every SIGHUP, and when files that are watched changed. After `stop` it only says that it doesn't. Never
    /// ends by itself.
    pub async fn run(mut self, mut hangups: Hangups, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let trigger = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = hangups.next() => Trigger::Signal,
                () = files_changed(&mut self.watched, self.config.watch.secrets) => Trigger::Files,
            };
            self.reload(trigger).await;
        }
        loop {
            hangups.next().await;
            tracing::warn!("a SIGHUP is ignored, as the gateway is stopping");
        }
    }

    /// Reloads now.
    pub async fn reload(&mut self, trigger: Trigger) {
        match self.attempt().await {
            Ok((config, waiting)) => self.applied(trigger, config, waiting),
            Err(refusal) => self.refused(trigger, refusal),
        }
    }

    /// Loads, and exchanges what can be exchanged; or changes nothing.
    async fn attempt(&self) -> Result<(Config, Vec<&'static str>), Refusal> {
        let (path, environment) = (self.path.clone(), self.environment.clone());
        let loaded = tokio::task::spawn_blocking(move || Config::load(&path, &environment)).await;
        let config = match loaded {
            Ok(Ok(config)) => config,
            Ok(Err(errors)) => {
                let files = errors.sources().files(self.config.watch.configuration);
                return Err(Refusal { problems: errors.lines(), files });
            }
            Err(_) => {
                let problems = vec!["reading it failed; this is a bug".to_owned()];
                return Err(Refusal { problems, files: Held::new() });
            }
        };
        let refuse = |problem: String| Refusal {
            problems: vec![problem],
            files: config.sources.files(self.config.watch.configuration),
        };
        if let Some(file) = config.sources.vanished_since(&self.config.sources).first() {
            let file = file.display();
            return Err(refuse(format!(
                "the file {file} is gone, or empty: the secret that was read from it stays in use; put it back, or restart \
                 if it is to go"
            )));
        }
        let gateway = self.live.now().renewed(&config, &self.transport, &self.clock);
        let gateway = gateway.map_err(|error| refuse(error.to_string()))?;
        let more = (self.apply_live)(&config);
        let mut waiting = waiting_for_restart(&self.server, &config.server);
        waiting.extend(journal_waiting(self.journal.as_ref(), config.journal.as_ref()));
        waiting.extend(more);
        self.live.exchange(gateway);
        Ok((config, waiting))
    }

    fn applied(&mut self, trigger: Trigger, config: Config, waiting: Vec<&'static str>) {
        let changes = Changes::between(&self.config, &config);
        tracing::info!(%trigger, %changes, routes = config.routes.len(), "configuration reloaded");
        if !waiting.is_empty() {
            tracing::warn!(keys = waiting.join(", "), "these settings are taken at the next start only");
        }
        self.watched = Watched::new(config.sources.files(config.watch.configuration));
        self.config = config;
        meter::config_reloaded(true);
        self.reloads.applied(self.clock.now(), waiting);
    }

    fn refused(&mut self, trigger: Trigger, refusal: Refusal) {
        let Refusal { problems, files } = refusal;
        let running_since = self.reloads.now().loaded;
        tracing::error!(
            %trigger,
            problems = problems.len(),
            %running_since,
            "configuration refused; the one before goes on"
        );
        for problem in &problems {
            tracing::error!(problem, "this is wrong in the configuration that was refused");
        }
        self.watched.refused(files);
        meter::config_reloaded(false);
        self.reloads.refused(Refused { at: self.clock.now(), problems });
    }
}

/// Waits until files changed and are still, looking at them `every` so often; never, if that is zero.
async fn files_changed(watched: &mut Watched, every: Duration) {
    if every.is_zero() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(every).await;
        let paths: Vec<PathBuf> = watched.paths().map(ToOwned::to_owned).collect();
        let look = move || look_at(paths.iter().map(AsRef::as_ref));
        if let Ok(held) = tokio::task::spawn_blocking(look).await
            && watched.see(held)
        {
            return;
        }
    }
}
