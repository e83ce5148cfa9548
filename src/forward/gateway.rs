//! The gateway as a whole: its connections, its routes, and which line a request takes.

use super::board::Board;
use super::esp_to_gigya;
use super::gigya_to_esp::{self, AccountOutcome, Work};
use super::intake::{Endpoint, EventOutcome, Inbound, Intake, Refusal, Summary};
use super::progress::Progress;
use super::record::{self, Direction, Told};
use super::status::{ConnectionStatus, RouteStatus, Status};
use super::turns::Turns;
use crate::config::{self, Config, Digest, Route};
use crate::domain::{Audience, ConnectionName, Outcome, Reason, Uid};
use crate::esp::{self, Esp};
use crate::gigya::{Client, KeyStore, Verifier};
use crate::in_place::boxed;
use crate::journal::Journal;
use crate::telemetry::Pseudonyms;
use crate::telemetry::metrics::{self as meter, ConnectionMeter};
use crate::upstream::{Transport, Upstream, WallClock};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::time::Instant;

/// Everything that was configured, connected and ready to forward.
pub struct Gateway {
    // Few, and looked up for each event: their names are compared sooner than hashed.
    gigya: BTreeMap<String, Arc<GigyaSide>>,
    esps: BTreeMap<String, EspSide>,
    pub(super) pseudonyms: Pseudonyms,
    clock: WallClock,
    board: Arc<Board>,
    pub(super) journal: Option<Arc<dyn Journal>>,
    /// In the configuration's order.
    routes: Vec<Arc<Route>>,
    /// What is counted of each connection, by its name.
    meters: BTreeMap<String, ConnectionMeter>,
}

/// One Gigya connection and the routes that start there.
pub(super) struct GigyaSide {
    pub config: config::Gigya,
    pub client: Arc<Client>,
    pub verifier: Arc<Verifier>,
    pub clock: WallClock,
    pub routes: Vec<Arc<RouteEnds>>,
    pub journal: Option<Arc<dyn Journal>>,
    /// What is worked on.
    pub turns: Turns<Work, AccountOutcome>,
    /// Whose subscribers are.
    pub people: Turns<Uid, ()>,
    /// All that was set of the connection.
    setting: Option<Digest>,
}

/// One ESP connection and the routes that end there, by audience.
pub(super) struct EspSide {
    pub esp: Arc<dyn Esp>,
    pub routes: HashMap<Audience, Vec<Incoming>>,
    pub progress: Arc<Progress>,
    /// All that was set of the connection.
    setting: Option<Digest>,
    /// All that what becomes of a callback's event depends on: the routes, and the connections at both their ends.
    meaning: Digest,
}

/// A route seen from its end: where it comes from.
pub(super) struct Incoming {
    pub ends: Arc<RouteEnds>,
    pub gigya: Arc<GigyaSide>,
}

/// A route and the ESP at its end.
pub(super) struct RouteEnds {
    pub route: Arc<Route>,
    pub label: Arc<str>,
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
        Self::with_journal(config, transport, clock, None)
    }

    /// The same, with a journal.
    ///
    /// # Errors
    /// What can't work, however often it is tried.
    pub fn with_journal(
        config: &Config,
        transport: &Arc<dyn Transport>,
        clock: &WallClock,
        journal: Option<Arc<dyn Journal>>,
    ) -> Result<Self, StartError> {
        let gateway = Self::build(None, config, transport, clock, journal)?;
        gateway.count_from_zero();
        Ok(gateway)
    }

    /// The gateway that takes this one's place with another configuration. Connections that are set as they were stay
    /// the same, with all that they know. Of those that are set otherwise, how their systems are doing and what these
    /// asked for in pace counts on. Routes are made anew. Nothing of this one is changed.
    ///
    /// # Errors
    /// What can't work, however often it is tried.
    pub fn renewed(
        &self,
        config: &Config,
        transport: &Arc<dyn Transport>,
        clock: &WallClock,
    ) -> Result<Self, StartError> {
        Self::build(Some(self), config, transport, clock, self.journal.clone())
    }

    fn build(
        former: Option<&Self>,
        config: &Config,
        transport: &Arc<dyn Transport>,
        clock: &WallClock,
        journal: Option<Arc<dyn Journal>>,
    ) -> Result<Self, StartError> {
        let mut connected = HashMap::new();
        for (name, connection) in &config.esps {
            let former = former.and_then(|former| former.esps.get(name.as_str()));
            let setting = config.sources.connection(connection.table(), name);
            let esp = match former {
                Some(side) if side.setting.is_some() && side.setting == setting => Arc::clone(&side.esp),
                Some(side) => esp::connect_succeeding(connection, Arc::clone(transport), &*side.esp),
                None => esp::connect(connection, Arc::clone(transport)),
            };
            connected.insert(name.clone(), esp);
        }
        let mut gigya = BTreeMap::new();
        for (name, connection) in &config.gigya {
            let routes = config.routes.iter().filter(|route| route.gigya == *name);
            let routes: Result<Vec<_>, _> =
                routes.map(|route| RouteEnds::new(route, &config.routes, &connected)).collect();
            let setting = config.sources.connection("gigya", name);
            let former = former.and_then(|former| former.gigya.get(name.as_str())).map(|side| &**side);
            let side = match former {
                Some(side) if side.setting.is_some() && side.setting == setting => side.with_routes(routes?),
                former => {
                    GigyaSide::new(connection, setting, routes?, former, transport, clock)?.journaling(journal.as_ref())
                }
            };
            gigya.insert(name.as_str().to_owned(), Arc::new(side));
        }
        let mut esps = BTreeMap::new();
        for (name, connection) in &config.esps {
            let setting = config.sources.connection(connection.table(), name);
            let former = former.and_then(|former| former.esps.get(name.as_str()));
            let esp = connected.remove(name).expect("every connection was connected above");
            esps.insert(name.as_str().to_owned(), EspSide::new(esp, setting, &gigya, former));
        }
        let names = config.gigya.keys().chain(config.esps.keys()).map(ConnectionName::as_str);
        let meters = names.map(|name| (name.to_owned(), ConnectionMeter::new(name))).collect();
        Ok(Self {
            meters,
            gigya,
            esps,
            pseudonyms: Pseudonyms::from_config(config),
            clock: clock.clone(),
            journal,
            board: former.map(|former| Arc::clone(&former.board)).unwrap_or_default(),
            routes: config.routes.clone(),
        })
    }

    /// Each connection's name, what it is, and which way its webhooks go.
    fn connections(&self) -> impl Iterator<Item = (&str, &'static str, Direction)> {
        let gigya = self.gigya.keys().map(|name| (name.as_str(), "gigya", Direction::GigyaToEsp));
        let esps = self.esps.iter();
        gigya.chain(esps.map(|(name, side)| (name.as_str(), side.esp.provider().slug, Direction::EspToGigya)))
    }

    /// Counts from now on, in the place of another one.
    pub(super) fn takes_over_from(&self, former: &Self) {
        former.connections().for_each(|(name, kind, _)| meter::connection_gone(name, kind));
        self.count_from_zero();
    }

    fn count_from_zero(&self) {
        for (name, kind, direction) in self.connections() {
            let failures = Outcome::FAILURES.iter();
            let failures = failures.map(|outcome| (outcome.label(), outcome.reason().map_or("", Reason::label)));
            meter::connection_known(name, kind, direction.label(), failures);
        }
    }

    pub(super) fn gigya_side(&self, connection: &str) -> Option<&GigyaSide> {
        self.gigya.get(connection).map(|side| &**side)
    }

    pub(super) fn esp_side(&self, connection: &str) -> Option<&EspSide> {
        self.esps.get(connection)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A connection's webhook was believed.
    pub(super) fn believed(&self, connection: &ConnectionName) {
        if let Some(meter) = self.meters.get(connection.as_str()) {
            meter.webhook_arrived();
        }
        self.board.webhook_arrived(connection, Instant::now());
    }

    /// A connection's webhook was not believed; `reason` is one of few, and quotes nothing.
    pub(super) fn not_believed(&self, connection: &ConnectionName, reason: &str) {
        meter::signature_refused(connection.as_str(), reason);
        self.board.webhook_refused(connection, reason, Instant::now());
    }

    /// Every route, in the configuration's order.
    pub(super) fn all_routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// An event is settled.
    pub(super) fn tell(&self, event: &EventOutcome, told: &Told<'_>) {
        let now = self.clock.now();
        let opt_out_age = told.opt_out_age(now);
        record::settled(event, told, opt_out_age, self.meters.get(told.connection.as_str()));
        self.board.settled(event, told, opt_out_age, (Instant::now(), now));
    }
}

impl GigyaSide {
    fn new(
        connection: &config::Gigya,
        setting: Option<Digest>,
        routes: Vec<Arc<RouteEnds>>,
        former: Option<&Self>,
        transport: &Arc<dyn Transport>,
        clock: &WallClock,
    ) -> Result<Self, StartError> {
        let unusable =
            |problem| StartError::Credentials { table: "gigya", connection: connection.name.clone(), problem };
        let upstream = Upstream::new(format!("gigya/{}", connection.name), Arc::clone(transport), &connection.common);
        let mut client =
            Client::new(connection, upstream, clock.clone()).map_err(|problem| unusable(problem.to_string()))?;
        if let Some(former) = former {
            client = client.succeeding(&former.client);
        }
        let client = Arc::new(client);
        let keys = KeyStore::new(Arc::clone(&client), connection.signature_max_age);
        let verifier = Verifier::new(connection, keys).map_err(unusable)?;
        let verifier = Arc::new(match former {
            Some(former) if former.config.endpoint == connection.endpoint => verifier.succeeding(&former.verifier),
            _ => verifier,
        });
        let (turns, people) = (Turns::default(), Turns::default());
        let (clock, config) = (clock.clone(), connection.clone());
        Ok(Self { config, client, verifier, clock, routes, journal: None, turns, people, setting })
    }

    fn journaling(self, journal: Option<&Arc<dyn Journal>>) -> Self {
        Self { journal: journal.cloned(), ..self }
    }

    /// The same connection at the beginning of other routes.
    fn with_routes(&self, routes: Vec<Arc<RouteEnds>>) -> Self {
        Self {
            config: self.config.clone(),
            client: Arc::clone(&self.client),
            verifier: Arc::clone(&self.verifier),
            clock: self.clock.clone(),
            routes,
            journal: self.journal.clone(),
            turns: Turns::default(),
            people: Turns::default(),
            setting: self.setting,
        }
    }
}

impl EspSide {
    fn new(
        esp: Arc<dyn Esp>,
        setting: Option<Digest>,
        gigya: &BTreeMap<String, Arc<GigyaSide>>,
        former: Option<&Self>,
    ) -> Self {
        let mut routes: HashMap<_, Vec<_>> = HashMap::new();
        let mut meaning = Digest::of(format!("{}", setting.is_some()).as_bytes());
        for side in gigya.values() {
            for ends in side.routes.iter().filter(|ends| ends.route.esp == *esp.name()) {
                meaning = meaning.and(format!("{:?} {}", ends.route, ends.is_shared).as_bytes());
                meaning = side.setting.map_or(meaning, |setting| meaning.with(setting));
                let audience = ends.route.audience.clone();
                let incoming = Incoming { ends: Arc::clone(ends), gigya: Arc::clone(side) };
                routes.entry(audience).or_default().push(incoming);
            }
        }
        meaning = setting.map_or(meaning, |setting| meaning.with(setting));
        // What was settled of a callback was settled for these routes: with another one, its events are to be worked on
        // again, or that one would miss them.
        let progress = match former {
            Some(former) if setting.is_some() && former.meaning == meaning => Arc::clone(&former.progress),
            _ => Arc::default(),
        };
        Self { esp, routes, progress, setting, meaning }
    }

    /// Whether any route ends at one of these audiences.
    pub fn has_route(&self, audiences: &[String]) -> bool {
        audiences.iter().any(|audience| self.routes.contains_key(&Audience::new(audience)))
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
        Ok(Arc::new(Self { route: Arc::clone(route), label: route.label().into(), esp: Arc::clone(esp), is_shared }))
    }
}

#[async_trait]
impl Intake for Gateway {
    async fn receive(&self, request: Inbound) -> Result<Summary, Refusal> {
        match &request.endpoint {
            Endpoint::Gigya { connection } => {
                let side = self.gigya.get(connection).ok_or(Refusal::UnknownConnection)?;
                boxed(|| gigya_to_esp::receive(self, side, &request)).await
            }
            Endpoint::Esp { provider, connection, token } => {
                let side = self.esps.get(connection).ok_or(Refusal::UnknownConnection)?;
                if side.esp.provider().slug != provider {
                    return Err(Refusal::UnknownConnection);
                }
                boxed(|| esp_to_gigya::receive(self, side, token.as_ref(), &request)).await
            }
        }
    }

    fn status(&self) -> Status {
        let now = Instant::now();
        let gigya = self.gigya.iter().map(|(name, side)| ConnectionStatus {
            name: name.clone(),
            kind: "Gigya",
            arrivals: self.board.arrivals(name, now),
            systems: vec![side.client.upstream().health()],
        });
        let esps = self.esps.iter().map(|(name, side)| ConnectionStatus {
            name: name.clone(),
            kind: side.esp.provider().title,
            arrivals: self.board.arrivals(name, now),
            systems: side.esp.health(),
        });
        let routes = self.routes.iter().map(|route| {
            let label = route.label();
            let (counts, last, ages) = self.board.tally(&label, now);
            RouteStatus { label, counts, last, ages }
        });
        Status {
            connections: gigya.chain(esps).collect(),
            routes: routes.collect(),
            outcomes: self.board.outcomes(now),
        }
    }
}

#[cfg(test)]
mod tests;
