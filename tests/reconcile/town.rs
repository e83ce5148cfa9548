//! A town whose gateway isn't there, or isn't told; and what `reconcile` makes of it.

use crate::contract::Held;
use gigya_esp_gateway::config::Config;
use gigya_esp_gateway::forward::{Difference, Gateway};
use gigya_esp_gateway::journal::Journal;
use gigya_esp_gateway::reconcile::{self, CompareError, Limits, Plan, Scope, Stopped, Tally};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Sandbox, Setup};
use gigya_esp_gateway::upstream::{HttpTransport, Transport, WallClock};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub const NEWSLETTER: &str = "newsletter";

pub struct Town {
    pub sandbox: Sandbox,
    pub config: Config,
}

/// More than any test removes.
pub const FREELY: Limits = Limits { removals: 1_000_000, removals_in_percent: 100.0 };

impl Town {
    /// Without a gateway: no webhook is ever delivered.
    pub async fn without_gateway(setup: Setup) -> Self {
        let (sandbox, outfit) = Sandbox::simulators(setup, Held::default()).await.unwrap();
        let environment = outfit.environment.into_iter().collect();
        let config = Config::parse(&outfit.configuration, Path::new("sandbox.toml"), &environment).unwrap();
        Self { sandbox, config }
    }

    /// With a gateway, to which webhooks go.
    pub async fn with_gateway(setup: Setup) -> Self {
        let sandbox = Sandbox::start(setup, Held::default()).await.unwrap();
        let outfit = sandbox.outfit().clone();
        let environment = outfit.environment.into_iter().collect();
        let config = Config::parse(&outfit.configuration, Path::new("sandbox.toml"), &environment).unwrap();
        Self { sandbox, config }
    }

    /// The one that `reconcile` connects.
    pub fn gateway(&self) -> Gateway {
        self.gateway_with(None)
    }

    pub fn gateway_with(&self, journal: Option<Arc<dyn Journal>>) -> Gateway {
        let mut config = self.config.clone();
        config.reconcile.calls_per_minute = 10_000_000;
        let clock = self.sandbox.clock.clone();
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().unwrap());
        let clock = WallClock::of(move || clock.now());
        Gateway::with_journal(&config.at_the_pace_of_reconcile(), &transport, &clock, journal).unwrap()
    }

    pub fn scope() -> Scope {
        Scope {
            routes: Vec::new(),
            since: None,
            scratch: std::env::temp_dir(),
            memory: 1 << 20,
            page: 1000,
            stop: CancellationToken::new(),
        }
    }

    /// What differs.
    pub async fn differs(&self) -> Tally {
        compared(&self.gateway(), &Self::scope()).await.unwrap().1
    }

    /// Heals what differs.
    pub async fn heal(&self) -> (Tally, Stopped) {
        self.heal_within(&FREELY).await
    }

    pub async fn heal_within(&self, limits: &Limits) -> (Tally, Stopped) {
        let gateway = self.gateway();
        let (plan, mut tally) = compared(&gateway, &Self::scope()).await.unwrap();
        let stopped = heal(&gateway, plan, limits, &mut tally).await;
        (tally, stopped)
    }

    /// Somebody who is opted in on both sides.
    pub async fn subscriber(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.heal().await;
        assert_eq!(self.esp(name), Some(State::Active), "{name} is subscribed");
        self.a_moment_passes();
        uid
    }

    pub fn esp(&self, name: &str) -> Option<State> {
        self.sandbox.campaign_monitor.state(&self.sandbox.list, &address(name))
    }

    pub fn gigya(&self, uid: &str) -> Option<bool> {
        self.sandbox.gigya.is_subscribed(uid, NEWSLETTER)
    }

    pub fn a_moment_passes(&self) {
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }

    /// What differs, once each, is this and nothing else; and is healed by one run.
    pub async fn is_healed_of(&self, difference: Difference) {
        assert_eq!(found(&self.differs().await), [(difference, 1)]);
        let (tally, _) = self.heal().await;
        assert_eq!((tally.settled, tally.left), (1, 0), "{:?}", tally.healed);
        assert_eq!(found(&self.differs().await), [], "it differs still");
    }
}

/// What a gateway finds to differ.
pub async fn compared(gateway: &Gateway, scope: &Scope) -> Result<(Plan, Tally), CompareError> {
    let (mut plan, mut tally) = (Plan::fleeting(&scope.scratch).unwrap(), Tally::default());
    reconcile::compare(gateway, scope, &mut plan, &mut tally, &|_| {}).await?;
    Ok((plan, tally))
}

/// Heals that.
pub async fn heal(gateway: &Gateway, plan: Plan, limits: &Limits, tally: &mut Tally) -> Stopped {
    let stop = CancellationToken::new();
    reconcile::heal(gateway, plan, limits, tally, "test", &stop, &|_| {}).await.unwrap()
}

pub fn found(tally: &Tally) -> Vec<(Difference, u64)> {
    let all = Difference::ALL.into_iter().map(|difference| (difference, tally.count(difference)));
    all.filter(|(_, count)| *count > 0).collect()
}

pub fn address(name: &str) -> String {
    format!("{name}@example.org")
}
