//! The whole thing in one process: the simulators, and the real gateway between them.
//!
//! With `setup` the one room of the sandbox that knows the gateway: it starts it as `serve` does, from a
//! configuration text.

use super::campaign_monitor::CampaignMonitorSim;
use super::further::Register;
use super::gigya::GigyaSim;
use super::marketing_cloud::MarketingCloudSim;
use super::setup::{Addresses, CALLBACK_TOKEN, Setup};
use super::{Attempt, Clock, Courier, Faults, SimulatedEsp, Surroundings, Temper, Witness};
use crate::config::Config;
use crate::forward::{Gateway, Live, finish_all};
use crate::http::Bound;
use crate::journal::{Database, Journal};
use crate::telemetry::metrics;
use crate::upstream::{HttpTransport, Transport, WallClock};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The simulators and the gateway, running.
pub struct Sandbox {
    /// The simulated Gigya site.
    pub gigya: GigyaSim,
    /// Every ESP that takes part, as the audience that the newsletter goes to.
    pub esps: Vec<Arc<dyn SimulatedEsp>>,
    /// The simulated Campaign Monitor client, whether it takes part or not.
    pub campaign_monitor: CampaignMonitorSim,
    /// The list there that the newsletter goes to.
    pub list: String,
    /// The simulated Marketing Cloud account, whether it takes part or not.
    pub marketing_cloud: MarketingCloudSim,
    /// The clock of all simulators.
    pub clock: Clock,
    /// Every webhook request, as it is answered.
    pub attempts: broadcast::Sender<Attempt>,
    /// Where the gateway's replicas receive webhooks.
    pub gateways: Vec<SocketAddr>,
    /// Where their operations are.
    pub operations: Vec<SocketAddr>,
    /// Their journals, if they have one.
    pub journals: Vec<Arc<Database>>,
    /// What the gateway was started with.
    pub(super) outfit: Outfit,
    /// Have the further ESPs' callbacks go somewhere.
    registers: Vec<Register>,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
    witness: Arc<dyn Witness>,
}

/// What a gateway needs to stand between the simulators.
#[derive(Clone, Debug)]
pub struct Outfit {
    /// The configuration file's text; its ports are any that are free.
    pub configuration: String,
    /// The environment variables that its secrets stand in.
    pub environment: Vec<(&'static str, String)>,
}

/// Why the sandbox can't start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotStarted(String);

impl Sandbox {
    /// Starts everything, and points every system's webhooks at the gateway. The witness sees what it answers them.
    pub async fn start(setup: Setup, witness: impl Witness) -> Result<Self, NotStarted> {
        let replicas = setup.replicas.max(1);
        let (mut sandbox, outfit) = Self::simulators(setup, witness).await?;
        let environment = outfit.environment.into_iter().collect();
        let config = Config::parse(&outfit.configuration, Path::new("sandbox.toml"), &environment);
        let config = config.map_err(not_started)?;
        for _ in 0..replicas {
            sandbox.start_gateway(&config).await?;
        }
        sandbox.deliver_to(0);
        Ok(sandbox)
    }

    /// Starts the simulators alone, and tells what a gateway needs to stand between them. Webhooks wait until whoever
    /// starts one adds where it, or what is in front of it, receives them to `gateways`, and calls
    /// [`deliver_to`](Self::deliver_to).
    pub async fn simulators(setup: Setup, witness: impl Witness) -> Result<(Self, Outfit), NotStarted> {
        let witness: Arc<dyn Witness> = Arc::new(witness);
        let clock = Clock::default();
        let (attempts, _) = broadcast::channel(10_000);
        let list = setup.list();
        let around = Surroundings::real(clock.clone(), attempts.clone());
        let gigya = GigyaSim::start(setup.gigya.clone(), around.seeded(11));
        let campaign_monitor = CampaignMonitorSim::start(setup.campaign_monitor.clone(), around.seeded(13));
        let marketing_cloud = MarketingCloudSim::start(setup.marketing_cloud.clone(), around.seeded(17));
        for courier in [gigya.courier(), campaign_monitor.courier(), marketing_cloud.courier()] {
            courier.show_to(Arc::clone(&witness));
        }
        let at = Addresses {
            gigya: gigya.serve().await.map_err(not_started)?,
            campaign_monitor: campaign_monitor.serve().await.map_err(not_started)?,
            marketing_cloud: marketing_cloud.serve().await.map_err(not_started)?,
        };
        let mut esps = setup.audiences(&campaign_monitor, &marketing_cloud);
        let mut outfit = Outfit { configuration: setup.configuration(at), environment: setup.secrets() };
        let mut registers = Vec::new();
        for (further, seed) in setup.further.iter().zip(19..) {
            let started = further.start(around.seeded(seed)).await.map_err(not_started)?;
            started.esp.courier().show_to(Arc::clone(&witness));
            outfit.configuration.push_str(&started.tables);
            outfit.configuration.push_str(&setup.every_route);
            outfit.environment.extend(started.secrets);
            esps.push(started.esp);
            registers.push(started.register);
        }
        let sandbox = Self {
            gigya,
            esps,
            campaign_monitor,
            list,
            marketing_cloud,
            clock,
            attempts,
            gateways: Vec::new(),
            operations: Vec::new(),
            journals: Vec::new(),
            outfit: outfit.clone(),
            registers,
            stop: CancellationToken::new(),
            running: Vec::new(),
            witness,
        };
        Ok((sandbox, outfit))
    }

    async fn start_gateway(&mut self, config: &Config) -> Result<(), NotStarted> {
        // First, as in `serve`: what a gateway counts from its making on would be lost.
        let metrics = metrics::install();
        metrics::config_loaded();
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(not_started)?);
        let clock = WallClock::system();
        let mut journal: Option<Arc<dyn Journal>> = None;
        if let Some(settings) = &config.journal {
            let database = Arc::new(Database::open(settings, clock.clone()).await.map_err(not_started)?);
            self.journals.push(Arc::clone(&database));
            journal = Some(database);
        }
        let gateway = Gateway::with_journal(config, &transport, &clock, journal.clone()).map_err(not_started)?;
        let live = Live::new(gateway);
        if let Some(journal) = journal {
            self.running.push(tokio::spawn(finish_all(live.clone(), journal, self.stop.clone())));
        }
        let bound = Bound::bind(&config.server).await.map_err(not_started)?;
        self.gateways.push(bound.webhook_addr());
        self.operations.push(bound.admin_addr());
        let (stop, render) = (self.stop.clone(), Arc::new(move || metrics.render()));
        self.running.push(tokio::spawn(bound.serve(Arc::new(live), render, stop)));
        Ok(())
    }

    /// What the gateway was started with.
    #[must_use]
    pub const fn outfit(&self) -> &Outfit {
        &self.outfit
    }

    /// Has every system's webhooks go to one replica from now on.
    pub fn deliver_to(&self, replica: usize) {
        self.gigya.register(&self.gigya_url(replica));
        self.campaign_monitor.register(&self.callback_url(replica));
        self.marketing_cloud.register(&self.marketing_cloud_url(replica));
        for register in &self.registers {
            register(&format!("http://{}", self.gateways[replica]));
        }
    }

    /// Changes how every system delivers its webhooks.
    pub fn set_tempers(&self, change: impl Fn(Temper) -> Temper) {
        for courier in self.couriers() {
            courier.set_temper(change(courier.temper()));
        }
    }

    fn couriers(&self) -> impl Iterator<Item = &Courier> {
        std::iter::once(self.gigya.courier()).chain(self.esps.iter().map(|esp| esp.courier()))
    }

    /// How each system's API is doing, Gigya's first.
    pub fn faults(&self) -> impl Iterator<Item = &Faults> {
        std::iter::once(self.gigya.faults()).chain(self.esps.iter().map(|esp| esp.faults()))
    }

    /// Where Gigya's webhooks go, at one replica.
    #[must_use]
    pub fn gigya_url(&self, replica: usize) -> String {
        format!("http://{}/webhooks/gigya/main", self.gateways[replica])
    }

    /// Where Campaign Monitor's callbacks go, at one replica.
    #[must_use]
    pub fn callback_url(&self, replica: usize) -> String {
        format!("http://{}/webhooks/campaign-monitor/news/{CALLBACK_TOKEN}", self.gateways[replica])
    }

    /// Where Marketing Cloud's events go, at one replica.
    #[must_use]
    pub fn marketing_cloud_url(&self, replica: usize) -> String {
        format!("http://{}/webhooks/marketing-cloud/crm", self.gateways[replica])
    }

    /// Waits until every webhook of every system, echoes too, was answered 2xx; returns whether they were in time.
    pub async fn settled(&self, within: Duration) -> bool {
        self.settled_but(None, within).await
    }

    /// The same, without the callbacks of one ESP.
    pub async fn settled_but(&self, without: Option<&dyn SimulatedEsp>, within: Duration) -> bool {
        let is_waited_for = |esp: &&Arc<dyn SimulatedEsp>| without.is_none_or(|other| other.slug() != esp.slug());
        let esps = self.esps.iter().filter(is_waited_for).map(|esp| esp.courier());
        let couriers: Vec<&Courier> = std::iter::once(self.gigya.courier()).chain(esps).collect();
        let settle = async {
            // What one courier delivers gives another one something to deliver, maybe behind this look's back: so
            // each is looked at twice.
            while couriers.iter().chain(&couriers).any(|courier| courier.pending() > 0) {
                for courier in &couriers {
                    courier.settled(within).await;
                }
            }
        };
        tokio::time::timeout(within, settle).await.is_ok()
    }

    /// Stops the gateway, letting it finish.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for gateway in std::mem::take(&mut self.running) {
            let _ = gateway.await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.witness.concludes();
    }
}

fn not_started(error: impl std::fmt::Display) -> NotStarted {
    NotStarted(error.to_string())
}
