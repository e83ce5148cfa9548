//! The gateway as a whole: its connections, its routes, and which line a request takes.

use super::intake::{Endpoint, Inbound, Intake, Refusal, Summary};
use super::progress::Progress;
use super::{esp_to_gigya, gigya_to_esp};
use crate::config::{self, Config, Route};
use crate::domain::{Audience, ConnectionName};
use crate::esp::{self, Esp};
use crate::gigya::{Client, KeyStore, Verifier};
use crate::telemetry::Pseudonyms;
use crate::upstream::{Transport, Upstream, WallClock};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Arc;

/// Everything that was configured, connected and ready to forward.
pub struct Gateway {
    gigya: HashMap<String, Arc<GigyaSide>>,
    esps: HashMap<String, EspSide>,
    pub(super) pseudonyms: Pseudonyms,
}

/// One Gigya connection and the routes that start there.
pub(super) struct GigyaSide {
    pub config: config::Gigya,
    pub client: Arc<Client>,
    pub verifier: Verifier,
    pub clock: WallClock,
    pub routes: Vec<Arc<RouteEnds>>,
}

/// One ESP connection and the routes that end there, by audience.
pub(super) struct EspSide {
    pub esp: Arc<dyn Esp>,
    pub routes: HashMap<Audience, Vec<Incoming>>,
    pub progress: Progress,
}

/// A route seen from its end: where it comes from.
pub(super) struct Incoming {
    pub ends: Arc<RouteEnds>,
    pub gigya: Arc<GigyaSide>,
}

/// A route and the ESP at its end.
pub(super) struct RouteEnds {
    pub route: Arc<Route>,
    pub label: String,
    pub esp: Arc<dyn Esp>,
    /// Whether routes of other Gigya connections end at the same audience.
    pub is_shared: bool,
}

/// Why the gateway can't start with this configuration. Shows no secret.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A connection's credentials can't be used.
    #[error("[{table}.{connection}]: {problem}")]
    Credentials {
        /// The connection's table.
        table: &'static str,
        /// The connection's name.
        connection: ConnectionName,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A route names a connection that isn't there.
    #[error("route {0} names a connection that isn't there")]
    Route(String),
}

impl Gateway {
    /// Connects everything. Makes no call yet.
    ///
    /// # Errors
    /// What can't work, however often it is tried.
    pub fn new(config: &Config, transport: &Arc<dyn Transport>, clock: &WallClock) -> Result<Self, StartError> {
        let esps: HashMap<_, _> = config
            .esps
            .iter()
            .map(|(name, connection)| (name.clone(), esp::connect(connection, Arc::clone(transport))))
            .collect();
        let mut gigya = HashMap::new();
        for (name, connection) in &config.gigya {
            let routes = config.routes.iter().filter(|route| route.gigya == *name);
            let routes: Result<Vec<_>, _> = routes.map(|route| RouteEnds::new(route, &config.routes, &esps)).collect();
            let side = GigyaSide::new(connection, routes?, transport, clock)?;
            gigya.insert(name.as_str().to_owned(), Arc::new(side));
        }
        let esps = esps.into_iter().map(|(name, esp)| (name.as_str().to_owned(), EspSide::new(esp, &gigya))).collect();
        Ok(Self { gigya, esps, pseudonyms: Pseudonyms::from_config(config) })
    }
}

impl GigyaSide {
    fn new(
        connection: &config::Gigya,
        routes: Vec<Arc<RouteEnds>>,
        transport: &Arc<dyn Transport>,
        clock: &WallClock,
    ) -> Result<Self, StartError> {
        let unusable =
            |problem| StartError::Credentials { table: "gigya", connection: connection.name.clone(), problem };
        let upstream = Upstream::new(format!("gigya/{}", connection.name), Arc::clone(transport), &connection.common);
        let client =
            Client::new(connection, upstream, clock.clone()).map_err(|problem| unusable(problem.to_string()))?;
        let client = Arc::new(client);
        let keys = KeyStore::new(Arc::clone(&client), connection.signature_max_age);
        let verifier = Verifier::new(connection, keys).map_err(unusable)?;
        Ok(Self { config: connection.clone(), client, verifier, clock: clock.clone(), routes })
    }
}

impl EspSide {
    fn new(esp: Arc<dyn Esp>, gigya: &HashMap<String, Arc<GigyaSide>>) -> Self {
        let mut routes: HashMap<_, Vec<_>> = HashMap::new();
        for side in gigya.values() {
            for ends in side.routes.iter().filter(|ends| ends.route.esp == *esp.name()) {
                let audience = ends.route.audience.clone();
                let incoming = Incoming { ends: Arc::clone(ends), gigya: Arc::clone(side) };
                routes.entry(audience).or_default().push(incoming);
            }
        }
        Self { esp, routes, progress: Progress::default() }
    }
}

impl RouteEnds {
    fn new(
        route: &Arc<Route>,
        all: &[Arc<Route>],
        esps: &HashMap<ConnectionName, Arc<dyn Esp>>,
    ) -> Result<Arc<Self>, StartError> {
        let esp = esps.get(&route.esp).ok_or_else(|| StartError::Route(route.label()))?;
        let ends_there = |other: &&Arc<Route>| (&other.esp, &other.audience) == (&route.esp, &route.audience);
        let is_shared = all.iter().filter(ends_there).any(|other| other.gigya != route.gigya);
        Ok(Arc::new(Self { route: Arc::clone(route), label: route.label(), esp: Arc::clone(esp), is_shared }))
    }
}

#[async_trait]
impl Intake for Gateway {
    async fn receive(&self, request: Inbound) -> Result<Summary, Refusal> {
        match &request.endpoint {
            Endpoint::Gigya { connection } => {
                let side = self.gigya.get(connection).ok_or(Refusal::UnknownConnection)?;
                gigya_to_esp::receive(self, side, &request).await
            }
            Endpoint::Esp { provider, connection, token } => {
                let side = self.esps.get(connection).ok_or(Refusal::UnknownConnection)?;
                if side.esp.provider().slug != provider {
                    return Err(Refusal::UnknownConnection);
                }
                esp_to_gigya::receive(self, side, token.as_ref(), &request).await
            }
        }
    }
}
